// Package wiretest builds frames for tests: of every link type, tunnel and
// transport that package wire reads.
//
// A frame is a stack of layers, outermost first:
//
//	frame := wiretest.Frame(
//		wiretest.Ethernet{Min: 60},
//		wiretest.VLAN{ID: 7},
//		wiretest.IPv4{Src: a, Dst: b},
//		wiretest.UDP{SrcPort: 5353, DstPort: 4789},
//		wiretest.VXLAN{VNI: 42},
//		wiretest.Ethernet{},
//		wiretest.IPv6{Src: c, Dst: d},
//		wiretest.TCP{SrcPort: 40000, DstPort: 443, Flags: wiretest.SYN},
//		wiretest.Bytes("hello"),
//	)
//
// What a layer says of the next one (EtherType, protocol number, length) is
// filled in from the next one, unless its field is set. IPv4 headers have
// their checksum; transports have 0. Addresses that are not given are 0.0.0.0
// or ::. An impossible stack (TCP in nothing that carries it) panics never: it
// gives zero numbers, which is a hostile frame.
//
// Any draws a random stack together with what a decoder must find in it.
//
// The package is for tests: nothing else imports it. It keeps no state.
package wiretest
