// Package flowfile reads flows as other programs write them: portreeve's own
// JSON Lines, Zeek's conn.log (TSV and JSON), the kernel's connection tracking
// table (conntrack -L, -E; /proc/net/nf_conntrack), cloud flow logs and
// firewall logs of permitted packets (through fwlog). The form is told by the
// content. What cannot be read is a problem with its line.
package flowfile
