// Package rtnl asks the kernel for a network namespace's links, addresses and
// neighbouring namespaces through rtnetlink (rtnetlink(7), linux/if_link.h,
// linux/if_addr.h, linux/net_namespace.h), and for WireGuard's and FOU's
// listening ports through generic netlink.
//
// A Conn belongs to the network namespace of the thread that dialled it and
// may then be used from any thread, by one goroutine at a time. Values are the
// kernel's: indexes, kinds and flags, not yet the host view's words.
//
// Terms. A tunnel is a link whose kind opens a UDP socket inside the kernel
// (vxlan, geneve, …); tunnels.txt says in which attribute its port stands. A
// nsid is the number by which one namespace knows another.
//
// It never changes a link, address or route, and never loads a module: a
// generic netlink family that is not registered is reported as
// ErrUnsupported.
package rtnl
