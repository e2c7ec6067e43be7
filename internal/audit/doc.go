// Package audit is the join: what the host says, what answered, what the
// firewall lets in, who really came, what the port means and what the policy
// wants become one row per service, findings and a verdict, each with its
// reasons. It is pure: no I/O and no clock, so that every judgement can be
// tested as a table. Callers gather an Input and call Judge.
//
// The order of evidence. Two snapshots stand around the scan. A port that
// answers and is in neither is a Suspect; the caller asks it again while
// watching the listeners, and only what answers each time and was never seen
// listening is judged (Input.Rechecked, Input.Seen). Nothing that could not
// be read counts as evidence: a view that is missing gives "unknown" and an
// entry in Report.Incomplete.
//
// Terms. A row is an endpoint of the namespace that the audit runs in. It is
// reachable when strangers may knock: bound wider than loopback and not
// denied by the firewall. A rule (files rule_*.go) looks at a row, or at the
// whole Input, and raises findings.
package audit
