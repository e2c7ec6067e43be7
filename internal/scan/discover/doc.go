// Package discover finds which hosts are up, before any port is asked.
//
// Terms. A host is up when it answered anything; the reason says what, in
// nmap's words. On the link means that a frame reaches the host without a
// gateway on Ethernet: there ARP (IPv4) or neighbour solicitations (IPv6) ask,
// and nothing else, for a host that does not answer those cannot be reached.
// Beyond means everything else: there an ICMP echo request, a TCP SYN to port
// 443, a TCP ACK to port 80 and (IPv4) an ICMP timestamp request ask, one
// after the other, until one is answered. Any ICMP error that comes from the
// target itself shows that it is up as well; one from a router does not. This
// host's own addresses are up without being asked.
//
// Probes and answers. The identifier and sequence number of an ICMP probe and
// the sequence and acknowledgment numbers of a TCP probe are a token, a keyed
// hash of the target and the kind of probe under a key of this search, so an
// answer needs no memory of the probe and cannot be made up by who did not
// see it. An ARP answer can be made up by anyone on the link. TCP probes leave
// from one port that is bound for the purpose, so that the kernel resets
// whatever a SYN opened. Echo requests say in clear text who asks.
//
// Without CAP_NET_RAW (and for interfaces whose frames only the kernel can
// build) hosts are asked by connect(2) to ports 80 and 443, where a refusal
// shows a host as well as a success, and by echo requests from a ping socket
// where net.ipv4.ping_group_range allows it. The kernel then resolves
// neighbours itself, at its own pace.
//
// Order, pace and memory. Targets are visited in a scattered order, in chunks
// of 65,536, and only a chunk is held in memory (some 20 MB). By default
// 10,000 probes a second on the link, 5,000 beyond and 2,000 by connect;
// package rounds says how often and how long.
//
// Locking: none. Find runs in the goroutine that called it, opens all its
// sockets there (so a caller on a locked thread searches that thread's
// network namespace) and tells what it finds there. It never sends from an
// address that is not this host's.
package discover
