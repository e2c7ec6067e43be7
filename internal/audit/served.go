package audit

import (
	"net/netip"

	"github.com/portreeve/portreeve/internal/exposure"
)

// servedRows are what was seen serving where nobody listed the sockets: servers
// that clients used, and ports that a scan found open.
func servedRows(in *Input) []*row {
	have := map[exposure.Endpoint]bool{}
	var out []*row
	add := func(proto exposure.Proto, ip netip.Addr, port uint16) {
		ep := exposure.Endpoint{Proto: proto, Addr: exposure.IPAddress(ip), Port: port}
		if have[ep] {
			return
		}
		have[ep] = true
		out = append(out, servedRow(in, ep))
	}
	if in.Traffic != nil {
		for i := range in.Traffic.Usage {
			u := &in.Traffic.Usage[i]
			add(u.Endpoint.Proto, u.Endpoint.Addr.IP, u.Endpoint.Port)
		}
	}
	for i := range in.Vantages {
		for j := range in.Vantages[i].Hosts {
			h := &in.Vantages[i].Hosts[j]
			for _, p := range in.outsideAnswers(h) {
				add(p.Proto, p.Addr, p.Port)
			}
		}
	}
	return out
}

func servedRow(in *Input, ep exposure.Endpoint) *row {
	r := &row{Endpoint: Endpoint{Proto: ep.Proto, Addr: ep.Addr, Port: ep.Port, Scope: exposure.ScopeOf(ep.Addr.IP),
		OwnerUnknown: "no listing of this host's sockets is among the evidence"}}
	r.Views.Host = Unknown
	r.see(in)
	return r
}
