// Package meter counts conversations inside the kernel, where no packet need
// be looked at by a process: a BPF program at the TCX hooks of an interface
// (Linux 6.6) adds every frame to its conversation in a hash map, which Read
// lists. It is the cheapest way to know who talks to whom; who wants packets,
// payload, or what is inside of tunnels uses the packet path.
//
// # Terms
//
// A conversation is a transport protocol, two ends (address and port) and an
// IP version; VLAN and interface are no part of it. Its ends are A and B in an
// arbitrary but fixed order; who is the client is for the caller to say from
// what a Record tells: who sent a bare SYN, a SYN-ACK, the first frame. ICMP
// has type and counterpart for ports where the type has one that answers it
// (echo request 8 and reply 0 are one conversation), else type and code with
// the sender as A. A piece is a fragment: later pieces join the conversation
// of their first, found by addresses and identification for 30 seconds.
// Orphans are later pieces whose first was not seen before them: unlike the
// packet path, the program keeps nothing back for a first that comes late.
//
// # What is counted
//
// What a packet socket is shown, once: frames received and sent, on loopback
// the received only; frame length with link header, and with the VLAN tag
// that the device took out. Frames that the kernel or the device joined or has
// yet to cut (GRO, TSO) count as the one that a packet socket sees, and are
// told in Stats.Giants; those that the kernel cuts itself for want of a
// device that could count as their segments. Every other program and the
// queue that may still drop a sent frame come after the meter, as the packet
// tap comes before them on the way in: a frame that is refused later counts.
//
// Tunnels are not looked into: their outer packets count, and Stats.Tunnels
// tells how many packets looked like one.
//
// # Limits
//
// Two maps hold Options.MaxFlows conversations each, one of IPv4 and one of
// IPv6. A packet of a further one is
// counted in Stats.Dropped and nowhere else; Read makes room by handing out
// and forgetting the idle ones (Options.Idle). A conversation that comes
// back later is a new Record: the caller adds the two. A frame that another
// processor counts in the instant in which its conversation is forgotten, at
// most some ten nanoseconds after a whole Idle of silence, can miss the
// Record; Stats has it.
//
// # What it never does
//
// It changes, delays or drops no frame; pins nothing; leaves nothing behind:
// program and maps live as long as the process's descriptors. It sends
// nothing. It needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, with
// Options.Promiscuous also CAP_NET_RAW.
//
// A Meter may be used from several goroutines. Open resolves interfaces in
// the calling thread's network namespace.
//
// The program is bpf/meter.c, compiled for both byte orders and committed.
package meter
