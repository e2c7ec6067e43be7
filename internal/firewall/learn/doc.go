// Package learn makes rules of flows and of denials: the fewest and narrowest
// permits that let pass what was needed, each with its evidence, and what the
// evidence cannot know. It does no I/O and looks at no clock; the same flows
// give the same file, whatever their order.
//
// # Terms
//
// A service is a protocol and a server's port (an ICMP type, a range that one
// protocol agrees ports from). A pair is everything seen of one service
// between one client and one server. A segment is a network whose hosts are
// alike; the policy names them, or they are found. A cell is one service from
// one segment (or the internet) to another: the piece that rules are made of.
// A door is one client, one server and one port.
//
// # How it decides
//
// Evidence. A connection counts when it was answered, or when a firewall's log
// says that it was permitted. Unanswered, refused and denied ones count only
// against: they tell who scans and which servers are dead.
//
// Turned flows. An answer taken for a beginning has the server's port on the
// client's side. It is turned when that port is one that only servers have,
// the other is one that systems hand out to clients (from 32768), and nobody
// saw the handshake.
//
// What no router passes (multicast, broadcast, addresses of the link) makes no
// rule: a firewall between networks never sees it. Options.LocalLink keeps it,
// for a host's own firewall. ICMP makes rules for requests only; errors and
// answers go with their connection.
//
// Scanners. A client that asked 8 servers of one service, or 8 ports of one
// server, or 20 doors in all, in vain, and more in vain than with success,
// scans. What it found open is no evidence unless others use it too. A
// monitoring host asks just as many doors, but they answer.
//
// One-offs. A pair used on one occasion (one connection; two within an hour,
// where a day or more was watched), by a client that does not go round (5
// servers or more of that service), on a server of one's own that nobody else
// used so and among whose neighbours fewer than three clients did, is left
// out; so is a cell of one or two clients that has nothing but such pairs. All
// are counted, and the first of them listed in the Report. New servers of the
// internet are no sign of anything.
//
// Dynamic ports. Ports agreed in band are one service with a range and the
// protocol's name: told by the traffic itself (Flow.Service), by a control
// connection between the two (FTP, RPC, TFTP, RTSP, H.323), by both ends
// speaking SIP, by the server's endpoint mapper (MS-RPC, from 49152). A port
// that three clients use, or one on several days, is a service by itself. Six
// unsteady high ports of one server that nothing explains are a range without
// a name. The range is one that systems or products hand out where it fits
// (dynamic.go), else what was seen and three times the mean gap beyond.
//
// Own networks are the private ranges, what the policy names, and public /16s
// (/48s) that most flows without a private end have in common; those are said
// in the file to be a guess.
//
// Segments are what the policy names. Elsewhere small blocks (/28) are joined
// to a /24 unless both have services of their own and less than a third in
// common, and neighbouring /24s up to /16 where two thirds are in common, or
// where all services have nearly the same share of the hosts: new hosts of a
// segment get addresses between those that were seen.
//
// Ends. Three clients of a segment stand for the segment: with fewer, the
// third that comes is more probably a stranger to the service than not.
// Servers stay by name, for a port that nobody was seen to use is no need;
// five or more that are half of a segment's hosts stand for it, unless the same
// clients asked others of it in vain. Hosts of four
// different public networks stand for the internet, unless most far doors of
// that service (of those servers, where the internet comes in) stayed shut.
// Clients in six networks that nobody named, a tenth of them alone in theirs,
// stand for all such networks: the next one comes from elsewhere. So do four
// that are each alone in theirs, and clients in more than half of all networks.
//
// Merging. Cells that differ in one thing only are one rule. Further merges
// are made while the doors between known hosts that they open are at most a
// quarter of those that the smaller part opens. While there are more than
// MaxRules, the merge that opens the fewest doors is made; where it would open
// more than half of what the smaller part does, the lightest cell is left out
// first, up to two connections in a thousand. Hosts of small segments count
// more than those of large ones, the internet as many hosts, a range as a few
// ports. Doors that never opened count by the attempts at them (vain.go): a
// thousandth of all attempts is as much as twice the smaller part. Without a
// MaxRules of one's own merging ends at a budget of doors.
//
// Dead servers that a permit would let in and that draw half a percent of all
// attempts are denied by name; room is kept for two such rules where ten or
// more may be made.
//
// One-way services (syslog, traps, flow export) are never answered, so they
// look like attempts in vain. Where there is room, the busiest are put before a
// person as rules of action ask.
//
// Stated. The operator's access and protected ports of the policy come first,
// whatever was seen. What comes by them is their evidence and makes no rule.
//
// # Tightness levels
//
//	from 0.95  nothing but the addresses that were seen; only merges that open nothing
//	from 0.7   segments from 5 clients, servers from 10 and 3/4, the internet from 8 networks
//	from 0.3   (DefaultTightness) as told above
//	from 0.1   one client stands for its named segment, or for all networks of
//	           one's own that nobody named; servers from 3 and a third
//	below      one server stands for its segment, one network for the internet
//
// # Denials
//
// Denied is not needed, so a denial never makes a permit: Proposals makes
// rules of action ask, which do nothing until a person has said yes (Apply).
// What scanners asked for is never proposed, nor what came from the internet
// and did not come back on another day. A question is about one service. Needs between one's own hosts come
// first, then by days, clients and number.
//
// # Proof
//
// Check replays flows against a file or any other rule set (Decider). Of a
// connection that was already there when watching began (Zeek's OTH) nobody
// knows who began it: it passes a file that permits either way. Surplus
// measures what each permit opens beyond what was seen.
package learn
