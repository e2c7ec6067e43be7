// Package rawsock holds what every asker with raw or packet sockets needs: a
// classic BPF filter on a socket, and a TCP port that is kept from others.
//
// A kept port is bound and never listens. So the kernel gives it to nobody
// else, and answers a SYN-ACK to it with RST: a raw SYN never becomes a
// connection.
//
// Locking: none. Sockets belong to the network namespace of the calling
// thread. It sends and receives nothing.
package rawsock
