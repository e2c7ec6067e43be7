package audit

import (
	"strings"

	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// useKind is whether a flow is somebody's use of a server.
type useKind uint8

const (
	noUse    useKind = iota
	onlySent         // datagrams that nobody answered or refused
	twoWay
)

// fewDatagrams is how many datagrams a client must have sent to a listener
// that never answers, to be more than a scanner that tries again.
const fewDatagrams = 4

// IANA protocol numbers.
const (
	numberTCP     = 6
	numberUDP     = 17
	numberDCCP    = 33
	numberSCTP    = 132
	numberUDPLite = 136
)

func useOf(f *flow.Flow) useKind {
	switch f.Proto {
	case numberTCP:
		return useOfStream(f)
	case numberUDP, numberUDPLite:
		return useOfDatagrams(f)
	case numberSCTP, numberDCCP:
		// An association takes two packets each way to come up; an INIT that
		// is answered and given up, or refused, takes fewer.
		if f.PacketsToServer > 1 && f.PacketsToClient > 1 {
			return twoWay
		}
	}
	return noUse
}

// useOfStream looks for a handshake that the client completed, and in the
// midst of a connection for both sides talking. A SYN scan (ShR), a refusal
// (Sr) and stray probes (Ar, F) have neither.
func useOfStream(f *flow.Flow) useKind {
	if f.History == "" {
		return useOfState(f.State)
	}
	if clientTalks(f) && serverTalks(f) || oneWayTalk(f) {
		return twoWay
	}
	return noUse
}

func clientTalks(f *flow.Flow) bool { return strings.ContainsAny(f.History, "ADF") }
func serverTalks(f *flow.Flow) bool { return strings.ContainsAny(f.History, "hadf") }

// oneWayTalk is half of a connection that was up, as a mirror port of one
// direction shows it.
func oneWayTalk(f *flow.Flow) bool {
	switch {
	case f.PacketsToClient == 0:
		return strings.Contains(f.History, "A") && strings.Contains(f.History, "D")
	case f.PacketsToServer == 0:
		return strings.Contains(f.History, "d")
	}
	return false
}

// useOfState is for flows of which no history is known.
func useOfState(s flow.State) useKind {
	switch s {
	case flow.S1, flow.SF, flow.S2, flow.S3, flow.RSTO, flow.RSTR:
		return twoWay
	}
	return noUse
}

// useOfDatagrams: a listener that spoke first, and to a system port, was a
// client itself (NTP asks from its own port).
func useOfDatagrams(f *flow.Flow) useKind {
	turned := strings.HasPrefix(f.History, "^")
	switch {
	case f.PacketsToServer == 0 || turned && serverPort(f):
		return noUse
	case f.PacketsToClient > 0:
		return twoWay
	case f.Refused > 0:
		return noUse
	}
	return onlySent
}

// serverPort: peers that share a higher port (VPNs) are each other's clients.
func serverPort(f *flow.Flow) bool { return f.ClientPort < 1024 && f.ClientPort != 0 }

// count adds a flow to the census.
func (c *Census) count(f *flow.Flow, clientOwn, serverOwn bool) {
	switch {
	case clientOwn && serverOwn:
		c.Local++
	case !isGroup(flowAddr(f.Server)):
		c.Outside++
	}
	if f.Proto != numberTCP {
		return
	}
	switch {
	case oneWayTalk(f):
		c.OneWay++
	case clientTalks(f) && serverTalks(f):
		c.Both++
	}
}
