// Package sockdiag asks the Linux kernel for its sockets through the
// sock_diag netlink family: linux/inet_diag.h (TCP, MPTCP, UDP, UDP-Lite,
// SCTP, DCCP, raw) and linux/packet_diag.h.
//
// Two halves. The codec (Request, PacketRequest, DecodeInet, DecodePacket) is
// portable, checks every length and returns kernel-shaped values. Conn is the
// Linux half: one netlink socket that belongs to the network namespace of the
// thread that dialled it and may then be used from any thread.
//
//	conn, err := sockdiag.Dial()
//	err = conn.Inet(ctx, sockdiag.Request{Family: sockdiag.INET, Protocol: sockdiag.TCP,
//		States: sockdiag.StateListen.Mask()}, func(s *sockdiag.Socket) error { … })
//
// Terms. A dump is one request and all its answers. The kernel walks its hash
// tables while sockets come and go; a dump that the kernel itself marks as
// inconsistent (NLM_F_DUMP_INTR) ends with ErrInterrupted and is the caller's
// to repeat, since only the caller knows what it did with the first answers.
//
// Memory. One receive buffer serves all dumps of a Conn. The Socket given to
// a callback, and every slice in it, is valid during that call only; nothing
// is allocated for a message.
//
// Locking. A Conn serves one dump at a time; it has no lock of its own.
//
// It never changes or destroys a socket (SOCK_DESTROY is not here) and never
// asks for a protocol that it was not told to: asking may load a kernel
// module.
package sockdiag
