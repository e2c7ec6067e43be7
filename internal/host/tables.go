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

// sources is every source, listeners' order: MPTCP before TCP, whose subflows
// it explains.
func sources() []source {
	var out []source
	add := func(p sockdiag.Protocol, twin string, autoload, stream bool, names ...string) {
		for _, family := range []sockdiag.Family{sockdiag.INET, sockdiag.INET6} {
			s := source{request: sockdiag.Request{Family: family, Protocol: p}, twin: twin,
				kernelNames: names, autoload: autoload, stream: stream}
			if family == sockdiag.INET6 {
				s.kernelNames = nil
				for _, name := range names {
					s.kernelNames = append(s.kernelNames, name+"v6")
				}
				if twin != "" {
					s.twin += "6"
				}
			}
			out = append(out, s)
		}
	}
	add(sockdiag.MPTCP, "", false, true, "MPTCP")
	add(sockdiag.TCP, "tcp", false, true, "TCP")
	add(sockdiag.UDP, "udp", false, true, "UDP")
	add(sockdiag.UDPLite, "udplite", false, true, "UDP-Lite", "UDPLITE")
	add(sockdiag.SCTP, "", true, true, "SCTP")
	add(sockdiag.DCCP, "", true, true, "DCCP")
	add(sockdiag.Raw, "raw", false, false, "RAW")
	return out
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
