package remedy

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Use is a service of this host that somebody used, and whom the new rules
// would refuse.
type Use struct {
	Proto  exposure.Proto
	Server netip.AddrPort
	// Clients are a few of them, Count is how many.
	Clients []netip.Addr
	Count   int
	Why     string
}

// Bounds of what is asked and shown.
const (
	mostAsked = 20_000
	mostShown = 5
)

type pair struct {
	proto  exposure.Proto
	client netip.Addr
	server netip.AddrPort
}

// refused asks about every known use of this host.
func (p *Plan) refused(h *ruleset.Host) {
	pairs, elsewhere := p.pairs(h)
	if elsewhere > 0 {
		p.note("%d known flows are forwarded or between others; whether these rules would refuse them was not looked at.", elsewhere)
	}
	if len(pairs) > mostAsked {
		p.note("Of %d known uses only the first %d were looked at.", len(pairs), mostAsked)
		pairs = pairs[:mostAsked]
	}
	j := newJudge(h, p.then())
	at := map[pair]int{}
	for _, q := range pairs {
		no, why := j.refuses(protocolNumber(q.proto), q.client, q.server)
		if !no {
			continue
		}
		key := pair{proto: q.proto, server: q.server}
		i, seen := at[key]
		if !seen {
			i = len(p.Refused)
			at[key] = i
			p.Refused = append(p.Refused, Use{Proto: q.proto, Server: q.server, Why: fmt.Sprintf("a new connection from %s would %s", q.client, why)})
		}
		u := &p.Refused[i]
		u.Count++
		if len(u.Clients) < mostShown {
			u.Clients = append(u.Clients, q.client)
		}
	}
}

// pairs are the distinct clients and servers of flows and usage, servers
// being this host.
func (p *Plan) pairs(h *ruleset.Host) (out []pair, elsewhere int) {
	seen := map[pair]bool{}
	add := func(q pair) {
		q.client, q.server = q.client.Unmap(), netip.AddrPortFrom(q.server.Addr().Unmap(), q.server.Port())
		switch {
		case protocolNumber(q.proto) == 0 || !q.client.IsValid() || seen[q]:
		case !slices.Contains(h.Own, q.server.Addr()):
			elsewhere++
		case slices.Contains(h.Own, q.client): // over loopback
		default:
			seen[q] = true
			out = append(out, q)
		}
	}
	for _, f := range p.o.Flows {
		if f.Answered == exposure.FlowAnswered || f.Answered == exposure.AnswerUnknown {
			add(pair{f.Proto, f.Client, netip.AddrPortFrom(f.Server, f.ServerPort)})
		}
	}
	for _, u := range p.o.Usage {
		for _, c := range u.Clients {
			add(pair{u.Endpoint.Proto, c, netip.AddrPortFrom(usedAddress(h, u.Endpoint.Addr.IP, c), u.Endpoint.Port)})
		}
	}
	return out, elsewhere
}

// usedAddress stands for a server that is bound to every address: the first
// one of the client's family.
func usedAddress(h *ruleset.Host, bound, client netip.Addr) netip.Addr {
	if !bound.IsUnspecified() {
		return bound
	}
	for _, ip := range h.Own {
		if ip.Is4() == client.Unmap().Is4() && !ip.IsLoopback() {
			return ip
		}
	}
	return bound
}

// protocolNumber is the IANA number of a transport with ports, or 0.
func protocolNumber(p exposure.Proto) uint8 {
	for _, n := range []uint8{6, 17, 33, 132, 136} {
		if exposure.ProtoByNumber(n) == p {
			return n
		}
	}
	return 0
}
