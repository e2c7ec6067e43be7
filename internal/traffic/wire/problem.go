package wire

import "strconv"

// Problem is why a frame could not be read to the end of its headers.
type Problem uint8

const (
	// NoProblem: all was read.
	NoProblem Problem = iota
	// UnknownLink: a link type that Decode does not know.
	UnknownLink
	// Cut: fewer bytes were stored than were on the wire, and a header was
	// among the missing ones.
	Cut
	// Short: the frame or the packet itself ends inside a header.
	Short
	// BadLink: the link header contradicts itself.
	BadLink
	// BadIPHeader: an impossible version or header length.
	BadIPHeader
	// BadIPLength: a length shorter than the header (KindUndecoded) or longer
	// than what carries the packet (KindIP, all else was read).
	BadIPLength
	// BadExtension: an IPv6 extension header or an authentication header that
	// contradicts itself.
	BadExtension
	// BadTransport: a header length or datagram length of the transport that
	// cannot be.
	BadTransport
	// BadTunnel: what a tunnel carries could not be read; the packet is the
	// one that carries it.
	BadTunnel
	// TooDeep: more tags, extension headers or tunnels than are followed.
	TooDeep
)

// String tells the problem in words.
func (pr Problem) String() string {
	switch pr {
	case NoProblem:
		return "none"
	case UnknownLink:
		return "unknown link type"
	case Cut:
		return "headers cut off by the capture"
	case Short:
		return "ends inside a header"
	case BadLink:
		return "bad link header"
	case BadIPHeader:
		return "bad IP header"
	case BadIPLength:
		return "bad IP length"
	case BadExtension:
		return "bad extension header"
	case BadTransport:
		return "bad transport header"
	case BadTunnel:
		return "unreadable inside a tunnel"
	case TooDeep:
		return "too many headers"
	}
	return "problem " + strconv.Itoa(int(pr))
}
