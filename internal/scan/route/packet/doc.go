// Package packet opens packet sockets (packet(7), SOCK_DGRAM) for askers that
// write their own network-layer headers and leave the link's to the kernel.
// It needs CAP_NET_RAW and is empty on other systems than Linux.
//
// Packets begin with the network header in both directions, whatever the
// link. What this host sends is not heard. A Socket belongs to the network
// namespace of the thread that opened it and to one goroutine; it keeps no
// state but its descriptor.
package packet
