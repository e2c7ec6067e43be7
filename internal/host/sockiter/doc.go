// Package sockiter reads what sock_diag does not export of a socket, by the
// kernel's BPF iterators over UDP and TCP sockets: whether a program named the
// port and address that it is bound to (sk_userlocks), whether the kernel
// itself made it (sk_kern_sock), and by which function of the kernel it
// receives (encap_rcv or sk_data_ready), which names the kernel's user.
//
// Loading a program takes some milliseconds, mostly to read the kernel's types;
// the host view asks only when something is left in doubt.
//
// Terms. User locks are the bits of sk_userlocks (net/sock.h). A callback is a
// kernel symbol with its module, as "vxlan_rcv [vxlan]".
//
// An Iterator may be used by one goroutine at a time. Read looks at the
// network namespace of the calling thread.
//
// It needs Linux 5.13 with BTF, CAP_BPF and CAP_PERFMON; without them it says
// ErrUnsupported and nothing is known. It pins nothing and changes nothing.
package sockiter
