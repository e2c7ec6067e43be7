// Package filter compiles filter expressions in the syntax of pcap-filter(7)
// to classic BPF, for the kernel (SO_ATTACH_FILTER) and for its own machine,
// which runs them on packets of capture files.
//
// Terms. An expression is made of primitives, joined by and, or and not. A
// primitive is a word of its own (tcp, vlan, broadcast), a comparison
// (ip[8] < 5), or an id (a name, number or address) behind its qualifiers:
// protocol, direction and type (tcp src port 80). An id without qualifiers
// inherits those of the id before it.
//
// The way of an expression:
//
//	scan     → tokens                       lex.go, shapes.go, words.txt
//	parse    → tree                         parse.go, terms.go, tree.go
//	lower    → condition on bytes           lower.go and what it names
//	build    → graph of blocks              graph.go
//	optimise → smaller graph                optimise.go
//	emit     → instructions                 emit.go
//	decode   → made ready to run            vm.go
//
// A result is tcpdump's, packet for packet, also on packets that were cut
// short: a load behind the end of what was captured ends the program, and the
// packet does not match, whatever "or" would have come after. So the order of
// loads is part of the meaning, and kept. docs/filters.md lists what differs.
//
// vlan, mpls, pppoes and geneve move the place where everything to their right
// looks, as in libpcap, even behind or. Where VLAN tags may be in the
// packet's metadata, the program asks that first and has the expression twice.
//
// What cannot be compiled is refused with an *Error that tells the part of the
// expression and what to write instead; nothing is guessed. Names are resolved
// by the functions of Options only: the package does no input or output.
//
// Nothing here is shared: Compile may be called, and a Program used, from
// several goroutines at once.
package filter
