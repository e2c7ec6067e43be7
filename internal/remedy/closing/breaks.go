package closing

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
)

// consequences says what the plan breaks: the service, its clients, and the
// other ports that go with it.
func (p *Plan) consequences() {
	for i := range p.Closures {
		c := &p.Closures[i]
		for _, s := range c.sockets {
			p.serviceBreaks(s)
			p.clientsOf(c, s)
		}
		if len(c.sockets) > 0 && len(c.published) > 0 && c.How != Firewall {
			p.note(fmt.Sprintf("Packets to port %s are also sent elsewhere by a rule (%s), which stays: --now or --how firewall closes that too", c.Port, c.published[0].Rule))
		}
	}
	for _, s := range p.shut() {
		if !p.asked(s) {
			e := s.Endpoint().String()
			if !slices.Contains(p.Also, e) {
				p.Also = append(p.Also, e)
			}
		}
	}
	slices.Sort(p.Also)
	for _, x := range p.seen.sessions.Notes {
		p.note(x)
	}
}

func (p *Plan) asked(s *exposure.Socket) bool {
	return slices.ContainsFunc(p.o.Ports, func(x Port) bool { return x.covers(s.Proto, s.Port) })
}

func (p *Plan) serviceBreaks(s *exposure.Socket) {
	a := p.o.Book.AdviceAt(s.Proto, s.Port, holders(s)...)
	if a != nil && a.Breaks != "" && known(a, s) {
		p.breaks(a.ID + ": " + a.Breaks)
	}
}

// known: the holder is one of those that serve it; a port number alone proves
// nothing.
func known(a *knowledge.Advice, s *exposure.Socket) bool {
	return len(s.Processes) == 0 || slices.ContainsFunc(holders(s), func(n string) bool { return slices.Contains(a.Processes, n) })
}

// clientsOf lists who is connected now, and who was seen before.
func (p *Plan) clientsOf(c *Closure, s *exposure.Socket) {
	far, local := p.seen.clients(s.Proto, s.Port)
	for _, u := range p.o.Usage {
		if u.Endpoint.Proto != s.Proto || u.Endpoint.Port != s.Port {
			continue
		}
		for _, ip := range u.Clients {
			if ip = ip.Unmap(); !ip.IsLoopback() && !slices.Contains(p.seen.addrs, ip) && !slices.Contains(far, ip) {
				far = append(far, ip)
			}
		}
	}
	for _, ip := range far {
		if t := ip.String(); !slices.Contains(c.Clients, t) {
			c.Clients = append(c.Clients, t)
		}
	}
	port := Port{s.Proto, s.Port}
	switch {
	case len(far) > 0:
		p.breaks(fmt.Sprintf("%d clients use %s: %s", len(far), port, few(far)))
	case local > 0 && c.How == Stop:
		p.note(fmt.Sprintf("Only this host itself is connected to %s now (%d connections): --how rebind would leave it to this host", port, local))
	}
	if local > 0 && c.How != Rebind && c.How != Firewall {
		p.breaks(fmt.Sprintf("%d connections of this host itself to %s", local, port))
	}
}

func few(list []netip.Addr) string {
	const most = 5
	var out []string
	for _, ip := range list[:min(len(list), most)] {
		out = append(out, ip.String())
	}
	if n := len(list) - most; n > 0 {
		out = append(out, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(out, ", ")
}

// goes notes an endpoint that the plan shuts.
func (p *Plan) goes(s *exposure.Socket) {
	if !slices.Contains(p.gone, s.Endpoint()) {
		p.gone = append(p.gone, s.Endpoint())
	}
}
