package learn

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

func protoName(n uint8) string { return string(exposure.ProtoByNumber(n)) }

func protoNumber(p exposure.Proto) uint8 {
	n, _ := rulefile.ProtoNumber(p)
	return n
}

// label names a service for people: "https 443/tcp".
func (e *evidence) label(s service) string {
	text := protoName(s.proto)
	switch {
	case s.proto == icmp || s.proto == icmp6:
		return fmt.Sprintf("%s type %d", text, s.port)
	case hasPorts(s.proto):
		text = rulefile.PortRange{Lo: s.port, Hi: s.last()}.String() + "/" + text
	}
	if name := e.serviceName(s); name != "" {
		return name + " " + text
	}
	return text
}

func (e *evidence) serviceName(s service) string {
	switch {
	case s.kind == "-":
		return "agreed ports"
	case s.kind != "":
		return "dynamic " + s.kind
	case s.proto == icmp && s.port == 8 || s.proto == icmp6 && s.port == 128:
		return "ping"
	case e.opt.Registry != nil && hasPorts(s.proto):
		return clean(e.opt.Registry(exposure.ProtoByNumber(s.proto), s.port))
	}
	return ""
}

// clean keeps what may stand in a rule file.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 60)]
}

// services are the names of a cell's services, the first few.
func (e *evidence) services(c *cell) string {
	const most = 6
	var names []string
	for _, id := range c.svcs {
		if n := e.serviceName(e.list[id]); n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return strings.Join(names, " ")
}

// name tells a rule in a few words: what, from whom, to whom.
func (e *evidence) name(c *cell) string {
	what := e.label(e.list[c.svcs[0]])
	if n := len(c.svcs); n > 1 {
		what = fmt.Sprintf("%s and %d more", e.label(e.busiest(c)), n-1)
	}
	return what + " from " + e.endName(&c.from, len(c.clients)) + " to " + e.endName(&c.to, len(c.servers))
}

func (e *evidence) busiest(c *cell) service {
	flows := map[uint32]uint64{}
	for _, r := range c.rows {
		flows[r.svc] += r.ok
	}
	best := slices.MinFunc(c.svcs, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(flows[b], flows[a]), compareServices(e.list[a], e.list[b]))
	})
	return e.list[best]
}

func (e *evidence) endName(x *end, n int) string {
	switch {
	case x.text != "":
		return clean(x.text)
	case len(x.area) == 1:
		return x.area[0].String()
	case len(x.area) == 2:
		return x.area[0].String() + " and " + x.area[1].String()
	}
	return fmt.Sprintf("%d networks and hosts", len(x.area))
}

func (e *evidence) evidenceOf(c *cell) *rulefile.Evidence {
	s := &c.stat
	out := &rulefile.Evidence{
		Flows: s.ok, Packets: s.packets, Bytes: s.bytes, Clients: len(c.clients), Servers: len(c.servers),
		Days: bits.OnesCount64(s.days), Peers: e.peers(c),
	}
	if s.first != 0 {
		out.First, out.Last = time.Unix(0, s.first).UTC(), time.Unix(0, s.last).UTC()
	}
	var why string
	out.Confidence, why = e.confidence(c)
	out.Why = strings.Join(append(slices.Clone(c.why[:min(len(c.why), 3)]), why), "; ")
	return out
}

// confidence grades how sure it is that the need is real and the rule wide
// enough: by how many depend on it and on how many days.
func (e *evidence) confidence(c *cell) (grade, why string) {
	days, window := bits.OnesCount64(c.stat.days), e.windowDays()
	why = fmt.Sprintf("%d connections by %d clients on %d of %d days", c.stat.ok, len(c.clients), max(days, 1), max(window, 1))
	switch {
	case c.stat.days == 0:
		return "low", why + ", the source tells no times"
	case (days >= 3 || days == window && window > 1) && (len(c.clients) >= 3 || c.stat.ok >= 20):
		return "high", why
	case days >= 2 || len(c.clients) >= 3 || c.stat.ok >= 20:
		return "medium", why
	}
	return "low", why
}

func (e *evidence) windowDays() int {
	if e.report.From.IsZero() {
		return 0
	}
	return int(e.report.To.UnixNano()/day-e.report.From.UnixNano()/day) + 1
}

// peers are the busiest three.
func (e *evidence) peers(c *cell) []string {
	const most = 3
	var rows []row
	for _, r := range c.rows {
		at, _ := slices.BinarySearchFunc(rows, r, func(a, b row) int { return cmp.Or(cmp.Compare(b.ok, a.ok), e.compareRows(a, b)) })
		if at < most {
			rows = slices.Insert(rows, at, r)
			rows = rows[:min(len(rows), most)]
		}
	}
	var out []string
	for _, r := range rows {
		s := e.list[r.svc]
		to := e.hosts[r.server].String()
		if hasPorts(s.proto) && s.hi <= s.port {
			to = fmt.Sprintf("%s port %d", to, s.port)
		}
		out = append(out, fmt.Sprintf("%s -> %s (%d)", e.hosts[r.client], to, r.ok))
	}
	return out
}
