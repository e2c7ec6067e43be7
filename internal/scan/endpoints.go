package scan

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/udp"
)

// expand gives each endpoint a concrete address: an unspecified one stands
// for every own address of its family, :: for those of both (a socket on ::
// may take IPv4 as well). Doubles are dropped; what is no IP address is a gap.
func expand(eps []exposure.Endpoint, own []netip.Addr) (out []exposure.Endpoint, gaps []exposure.Gap) {
	seen := map[exposure.Endpoint]bool{}
	add := func(e exposure.Endpoint, ip netip.Addr) {
		e = exposure.Endpoint{Proto: e.Proto, Addr: exposure.IPAddress(ip), Port: e.Port}
		if !seen[e] {
			seen[e] = true
			out = append(out, e)
		}
	}
	for _, e := range eps {
		ip := e.Addr.IP.Unmap()
		switch {
		case !ip.IsValid() || e.Port == 0:
			gaps = append(gaps, notAsked(e, "its address or port is not known"))
		case ip.IsMulticast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			// A socket on a group hears what is sent to the group, not to this host.
		case ip.IsUnspecified():
			for _, a := range own {
				if ip.Is6() || a.Is4() {
					add(e, a)
				}
			}
		default:
			add(e, ip)
		}
	}
	return out, gaps
}

func notAsked(e exposure.Endpoint, why string) exposure.Gap {
	return exposure.Gap{View: "network", Why: fmt.Sprintf("%s was not asked: %s", e, why)}
}

// group is the TCP endpoints of one address.
type group struct {
	addr  netip.Addr
	ports []uint16
}

// groupTCP splits TCP endpoints by address, in order.
func groupTCP(eps []exposure.Endpoint) []*group {
	var groups []*group
	index := map[netip.Addr]*group{}
	for _, e := range eps {
		g := index[e.Addr.IP]
		if g == nil {
			g = &group{addr: e.Addr.IP}
			index[g.addr], groups = g, append(groups, g)
		}
		if !slices.Contains(g.ports, e.Port) {
			g.ports = append(g.ports, e.Port)
		}
	}
	return groups
}

// udp asks the UDP endpoints.
func (r *run) udp(ctx context.Context) {
	eps, gaps := expand(r.o.UDP, r.addrs)
	r.add(tally{gaps: gaps})
	if len(eps) == 0 {
		return
	}
	asker := udp.Asker{}
	stats, gaps, err := asker.Ask(ctx, eps, r.tell)
	if err != nil {
		gaps = append(gaps, exposure.Gap{View: "network", Why: fmt.Sprintf("UDP endpoints were not asked: %v", err)})
	}
	r.add(tally{stats, gaps})
}
