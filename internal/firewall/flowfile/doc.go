// Package flowfile reads flows as other programs write them: portreeve's own
// JSON Lines (traffic --by flow --json), Zeek's conn.log (TSV and JSON), the
// kernel's connection tracking table (conntrack -L, -E; /proc/net/nf_conntrack),
// nfdump's CSV, cloud flow logs and firewall logs (through fwlog). The form is
// told by the content. What cannot be read is a problem with its line; nothing
// is guessed.
//
// Who is the client. Zeek, portreeve and connection tracking say who began;
// that is taken over. Flow exports without connections (VPC flow logs, NetFlow)
// have a line for each direction and for each minute or so: lines of one
// connection are put together while memory allows (pairing.go), and the
// server is told by port: see orient. OrientedBy says which it was.
//
// Whether it was answered follows from Zeek's conn_state, from a reply in the
// connection table, or from packets in both directions. A firewall's log of
// permitted packets does not tell: such flows are AnswerUnknown. Denials are
// flows with Action "deny".
//
// ICMP has the type for ClientPort and the type that answers it (for others
// the code) for ServerPort, as Zeek has.
//
// Reading is streaming: memory is bounded whatever the input (a line at most
// MaxLine, a bounded number of connections waiting for their other half).
package flowfile
