package learn

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// ErrNoFlows: nothing was seen that a rule could be made of.
var ErrNoFlows = errors.New("no answered or permitted connection was seen: there is nothing to learn rules from")

// Finish makes the rules. The Learner must not be used afterwards.
func (l *Learner) Finish() (*rulefile.File, *Report, error) {
	e := l.evidence()
	if l.total.ok == 0 && len(l.opt.Policy.Operators)+len(l.opt.Policy.Protected) == 0 {
		return nil, e.report, ErrNoFlows
	}
	e.sift()
	e.nameLater()
	stated := e.stated()
	cells := e.reduce(e.cells())
	f := e.file()
	f.Rules = append(f.Rules, stated...)
	f.Rules = append(f.Rules, e.denyDead(cells, e.room(len(f.Rules)+len(cells)))...)
	for _, c := range cells {
		f.Rules = append(f.Rules, e.rule(c))
	}
	f.Rules = append(f.Rules, e.askOneWay(e.room(len(f.Rules)))...)
	e.report.Rules = len(f.Rules)
	f.CannotKnow = e.cannotKnow()
	return f, e.report, nil
}

// room is how many rules there may be beside so many.
func (e *evidence) room(n int) int {
	switch most := e.opt.MaxRules; {
	case most < 0:
		return deadRules
	case most == 0:
		return max(DefaultMaxRules-n, 0)
	default:
		return max(most-n, 0)
	}
}

func (l *Learner) evidence() *evidence {
	if l.opt.Heard != nil {
		l.opt.Sources, l.opt.Losses, l.opt.Sampled = l.opt.Heard()
	}
	e := &evidence{Learner: l, home: l.findHome(), report: &Report{}, level: levelOf(l.opt.Tightness), rank: l.rankHosts()}
	e.report.Flows, e.report.Established = l.total.flows, l.total.ok
	e.report.Local, e.report.Odd, e.report.Turned = l.total.local, l.total.odd, l.total.turned
	e.report.Overflow, e.report.Home = l.overflow, e.home.guessed
	from, to := l.opt.From, l.opt.To
	if from.IsZero() && l.first != 0 {
		from = time.Unix(0, l.first).UTC()
	}
	if to.IsZero() && l.last != 0 {
		to = time.Unix(0, l.last).UTC()
	}
	e.report.From, e.report.To = from, to
	e.window = int64(to.Sub(from))
	return e
}

// nameLater does what needs the sifted rows.
func (e *evidence) nameLater() {
	e.seg = e.findSegments()
	e.weigh()
	e.findSpread()
	e.findVain()
	e.far = map[uint32]tries{}
	e.near = map[[2]uint32]tries{}
	for k, p := range e.each {
		switch at := [2]uint32{k.svc, k.server}; {
		case !e.home.internal(e.hosts[k.server]):
			e.far[k.svc] = e.far[k.svc].and(p)
		case !e.home.internal(e.hosts[k.client]):
			e.near[at] = e.near[at].and(p)
		}
	}
}

// tries are pairs that were answered, and that never were.
type tries struct{ open, shut int }

func (t tries) and(p *pair) tries {
	if p.ok > 0 {
		return tries{t.open + 1, t.shut}
	}
	return tries{t.open, t.shut + 1}
}

func (e *evidence) file() *rulefile.File {
	f := &rulefile.File{Schema: rulefile.Schema, Name: "portreeve", Made: e.opt.Made, Sources: e.opt.Sources}
	if !e.report.From.IsZero() && !e.report.To.Before(e.report.From) {
		f.Window = &rulefile.Window{From: e.report.From, To: e.report.To}
	}
	return f
}

// rule writes a cell.
func (e *evidence) rule(c *cell) rulefile.Rule {
	first := e.list[c.svcs[0]]
	r := rulefile.Rule{
		Name: e.name(c), Action: rulefile.Permit, Proto: protoName(first.proto), Service: e.services(c),
		Dynamic: strings.TrimPrefix(e.kind(c), "-"),
	}
	r.From, r.To = c.from.area.texts(), c.to.area.texts()
	switch {
	case first.proto == icmp || first.proto == icmp6:
		r.Types = e.portTexts(c)
	case hasPorts(first.proto):
		r.Ports = e.portTexts(c)
		if first.from != 0 {
			r.FromPorts = []string{fmt.Sprint(first.from)}
		}
	}
	r.Evidence = e.evidenceOf(c)
	return r
}

func (e *evidence) portTexts(c *cell) []string {
	ranges := e.portRanges(c)
	out := make([]string, len(ranges))
	for i, p := range ranges {
		out[i] = p.String()
	}
	return out
}

func (e *evidence) portRanges(c *cell) []rulefile.PortRange {
	var list []rulefile.PortRange
	for _, id := range c.svcs {
		s := e.list[id]
		list = append(list, rulefile.PortRange{Lo: s.port, Hi: s.last()})
	}
	slices.SortFunc(list, func(a, b rulefile.PortRange) int { return cmp.Or(cmp.Compare(a.Lo, b.Lo), cmp.Compare(b.Hi, a.Hi)) })
	out := list[:0]
	for _, p := range list {
		if n := len(out); n > 0 && p.Lo <= out[n-1].Hi {
			out[n-1].Hi = max(out[n-1].Hi, p.Hi)
			continue
		}
		out = append(out, p)
	}
	return out
}
