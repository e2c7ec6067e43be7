package scan

import (
	"net/netip"

	"github.com/portreeve/portreeve/internal/exposure"
)

// From how many silent ports on a host is asked again where it answered
// before, and at how many such ports.
const (
	manySilent = 16
	recalls    = 3
)

// recall is ports that answered, of hosts that have many silent ones: a host
// that died, or that blocks this scanner by now, has not filtered them.
func (v *survey) recall(hosts []netip.Addr) probeList {
	var list probeList
	for _, addr := range hosts {
		if v.tcp.silent(addr) < manySilent {
			continue
		}
		ports := v.tcp.open(addr)
		ports = ports[:min(len(ports), recalls-1)]
		if port := v.tcp.closed(addr); port != 0 {
			ports = append(ports, port)
		}
		for _, port := range ports {
			list = append(list, netip.AddrPortFrom(addr, port))
		}
		if len(list) >= controlHosts {
			break
		}
	}
	return list
}

// missHosts says which of the hosts that were recalled did not answer again.
func (v *survey) missHosts(recalled probeList, here map[netip.Addr]bool) {
	gone, silent := []netip.Addr{}, 0
	for _, at := range recalled {
		if !here[at.Addr()] {
			here[at.Addr()] = true
			gone = append(gone, at.Addr())
			silent += v.tcp.silent(at.Addr())
		}
	}
	if len(gone) > 0 {
		v.gap("%d hosts (the first %s) answered and then fell silent: gone, or something on the way blocks this scanner by now; %d of their ports are called filtered and may not be",
			len(gone), gone[0], silent)
	}
}

// answeredBy tells whether a port's state is an answer.
func answeredBy(p exposure.PortState) bool {
	return word{p.State, p.Reason}.heard()
}
