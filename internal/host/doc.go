// Package host is the view that answers: who listens here? It joins the
// kernel's sockets of every network namespace (sockdiag, with procfs as the
// fallback), their holders (owner), the network's own facts (rtnl) and the
// kernel's own users of sockets into rows of exposure.Socket.
//
//	var r host.Reader
//	snapshot, err := r.Snapshot(ctx, host.Options{})
//	gaps, err := r.Stream(ctx, host.Options{All: true}, func(s *exposure.Socket) error { … })
//
// Terms. A row is one service on one endpoint: sockets of one namespace,
// protocol, state, address, port and device that one program holds (see
// sameService), or one connection. A listener is a socket in state listen, or
// an unconnected datagram socket that a program bound. A kernel user is the
// part of the kernel that holds a socket without a process. A gap is what
// could not be seen, with the capability that would show it; what the kernel
// does not have is no gap.
//
// What is a client's datagram socket? The kernel exports no "was bound"
// through sock_diag. A datagram socket whose port lies outside its
// namespace's ip_local_port_range was bound by a program. Inside the range the
// BPF iterator over UDP sockets reads sk_userlocks: SOCK_BINDPORT_LOCK is set
// when the program named the port, SOCK_BINDADDR_LOCK when it named the
// address. With neither the kernel chose both, and the socket is left out of
// the default listing. Where BPF cannot be asked the socket stays: a listener
// must not be lost to a doubt.
//
// Locking. A Reader keeps no state between calls and may be used by several
// goroutines at once. Namespaces are entered on threads of their own, which
// end afterwards; the caller's thread never moves.
//
// It never changes a socket, a namespace or a setting. CrossCheck alone opens
// sockets: it binds, and never listens or sends.
package host
