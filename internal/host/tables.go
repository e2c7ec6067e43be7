package host

import (
	"slices"

	"github.com/portreeve/portreeve/internal/host/sockdiag"
)

// source is one protocol of one family, as the kernel lists it.
type source struct {
	request sockdiag.Request
	// twin is the table under /proc/net that lists the same; "" for none.
	twin string
	// kernelNames are the protocol's names in /proc/net/protocols.
	kernelNames []string
	// autoload: to ask would load the protocol itself into a kernel that does
	// not have it, so /proc/net/protocols must name it first.
	autoload bool
	// stream: has connections beside listeners.
	stream bool
}

// plainSources are all sources but MPTCP's.
func plainSources() []source {
	return slices.Concat(
		families(sockdiag.TCP, source{twin: "tcp", stream: true}, "TCP"),
		families(sockdiag.UDP, source{twin: "udp", stream: true}, "UDP"),
		families(sockdiag.UDPLite, source{twin: "udplite", stream: true}, "UDP-Lite", "UDPLITE"),
		families(sockdiag.SCTP, source{autoload: true, stream: true}, "SCTP"),
		families(sockdiag.DCCP, source{autoload: true, stream: true}, "DCCP"),
		families(sockdiag.Raw, source{twin: "raw"}, "RAW"),
	)
}

func mptcpSources() []source {
	return families(sockdiag.MPTCP, source{stream: true}, "MPTCP")
}

// families makes the IPv4 and the IPv6 source of a protocol.
func families(p sockdiag.Protocol, s source, names ...string) []source {
	four, six := s, s
	four.request = sockdiag.Request{Family: sockdiag.INET, Protocol: p}
	six.request = sockdiag.Request{Family: sockdiag.INET6, Protocol: p}
	four.kernelNames = names
	for _, name := range names {
		six.kernelNames = append(six.kernelNames, name+"v6")
	}
	if s.twin != "" {
		six.twin = s.twin + "6"
	}
	return []source{four, six}
}

// has tells whether the kernel has the source's protocol. names is nil when
// /proc/net/protocols could not be read: then everything but what would be
// loaded by asking is taken to be there.
func (s source) has(names []string) bool {
	if names == nil {
		return !s.autoload
	}
	return slices.ContainsFunc(s.kernelNames, func(n string) bool { return slices.Contains(names, n) })
}

// States of the two passes: listening sockets are gathered into rows,
// connections are streamed.
var (
	listenBit  = sockdiag.StateListen.Mask()
	unboundBit = sockdiag.StateClose.Mask()
	boundBit   = sockdiag.StateBoundInactive.Mask()
)

// listStates are the states of the first pass.
func (s source) listStates(all bool) uint32 {
	switch s.request.Protocol {
	case sockdiag.UDP, sockdiag.UDPLite:
		return unboundBit
	case sockdiag.Raw:
		return sockdiag.AllStates
	case sockdiag.SCTP:
		return listenBit
	}
	if all {
		return listenBit | boundBit
	}
	return listenBit
}

// restStates are the states of the second pass.
func (s source) restStates() uint32 {
	if !s.stream {
		return 0
	}
	return sockdiag.AllStates &^ s.listStates(true)
}
