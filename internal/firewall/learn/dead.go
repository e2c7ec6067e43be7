package learn

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// Servers that never answered anybody may lie within what a rule permits (a
// dead server of the internet, a host that left a segment). Where they draw a
// noticeable part of all attempts, a rule denies them by name.
const (
	deadAttempts = 10  // to one server's port, at least
	deadShare    = 200 // of all attempts at least one in so many
	deadRules    = 2
	deadServers  = 48 // in one rule
)

// deadDoor is a server's port that never answered.
type deadDoor struct {
	server   netip.Addr
	attempts uint64
	clients  int
}

// denyDead are rules that stand before the permits; most is how many there may
// be.
func (e *evidence) denyDead(cells []*cell, most int) (out []rulefile.Rule) {
	bySvc, svcs := e.worthDenying(cells)
	for _, svc := range svcs[:min(len(svcs), most, deadRules)] {
		out = append(out, e.deadRule(e.list[svc], bySvc[svc]))
	}
	return out
}

// wantDead is for how many such rules there should be room, of so many rules
// in all.
func (e *evidence) wantDead(cells []*cell, most int) int {
	if most < 10 || len(cells)+deadRules <= most {
		return 0
	}
	_, svcs := e.worthDenying(cells)
	return min(len(svcs), deadRules)
}

// worthDenying are the dead doors of services in which they draw enough, those
// with most attempts first.
func (e *evidence) worthDenying(cells []*cell) (bySvc map[uint32][]deadDoor, svcs []uint32) {
	bySvc = e.deadDoors(cells)
	sum := map[uint32]uint64{}
	for svc, doors := range bySvc {
		for _, d := range doors {
			sum[svc] += d.attempts
		}
		if sum[svc]*deadShare >= e.total.failed {
			svcs = append(svcs, svc)
		}
	}
	slices.SortFunc(svcs, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(sum[b], sum[a]), compareServices(e.list[a], e.list[b]))
	})
	return bySvc, svcs
}

// deadDoors finds them among what the cells permit, by service.
func (e *evidence) deadDoors(cells []*cell) map[uint32][]deadDoor {
	type key struct{ svc, server uint32 }
	doors := map[key]*deadDoor{}
	lives := map[key]bool{}
	for k, p := range e.each {
		at := key{k.svc, k.server}
		if p.ok > 0 {
			lives[at] = true
			continue
		}
		d := get(doors, at)
		d.server = e.hosts[k.server]
		d.attempts += p.failed - p.denied
		d.clients++
	}
	out := map[uint32][]deadDoor{}
	for k, d := range doors {
		if s := e.list[k.svc]; !lives[k] && d.attempts >= deadAttempts && hasPorts(s.proto) && s.kind == "" && e.opens(cells, s, d.server) {
			out[k.svc] = append(out[k.svc], *d)
		}
	}
	for svc, list := range out {
		slices.SortFunc(list, func(a, b deadDoor) int {
			return cmp.Or(cmp.Compare(b.attempts, a.attempts), a.server.Compare(b.server))
		})
		list = slices.DeleteFunc(list, func(d deadDoor) bool { return d.server.Is4() != list[0].server.Is4() })
		out[svc] = list[:min(len(list), deadServers)]
	}
	return out
}

// opens reports whether a cell permits the service to the server.
func (e *evidence) opens(cells []*cell, s service, server netip.Addr) bool {
	return slices.ContainsFunc(cells, func(c *cell) bool {
		return c.to.area.contains(server) && slices.ContainsFunc(c.svcs, func(id uint32) bool {
			x := e.list[id]
			return x.proto == s.proto && x.port <= s.port && s.port <= x.last()
		})
	})
}

func (e *evidence) deadRule(s service, doors []deadDoor) rulefile.Rule {
	r := rulefile.Rule{
		Name: e.label(s) + " to servers that never answered", Action: rulefile.Deny, Proto: protoName(s.proto),
		Ports:   []string{rulefile.PortRange{Lo: s.port, Hi: s.last()}.String()},
		Comment: "take it out when such a server is back",
	}
	var attempts uint64
	clients := 0
	slices.SortFunc(doors, func(a, b deadDoor) int { return a.server.Compare(b.server) })
	for _, d := range doors {
		r.To = append(r.To, d.server.String())
		attempts += d.attempts
		clients = max(clients, d.clients)
	}
	r.Evidence = &rulefile.Evidence{Clients: clients, Servers: len(doors), Confidence: "medium",
		Why: fmt.Sprintf("%d attempts, none was answered; the permits below would let them pass", attempts)}
	return r
}
