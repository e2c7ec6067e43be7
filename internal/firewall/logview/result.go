package logview

import (
	"bytes"
	"cmp"
	"net/netip"
	"strings"
	"time"
)

// Count is a number of distinct things; About: it is an estimate.
type Count struct {
	N     uint64
	About bool
}

// Left is what the rows do not hold: how many rows, and how many of the
// events counted.
type Left struct {
	Rows   Count
	Events uint64
}

// Sums are what each row counts. Events are Permit, Deny and those whose line
// does not tell. First and Last are zero where no line had a time. Missed is
// how many events the row may have had before it was kept, at most.
type Sums struct {
	Events, Permit, Deny uint64
	First, Last          time.Time
	Missed               uint64
}

// PortRange are ports from Low to High.
type PortRange struct{ Low, High uint16 }

// Port is what was asked for on a port, or of a protocol without ports.
type Port struct {
	Proto    uint8
	HasProto bool // else the lines did not tell
	Port     uint16
	HasPort  bool
	Sums
	Sources, Targets Count
}

// Pair is who talked to whom.
type Pair struct {
	Src, Dst netip.Addr
	Sums
	Ports    []PortRange
	PortsCut bool
}

// Source is who asked, and for what.
type Source struct {
	Src netip.Addr
	Sums
	Targets  Count
	Ports    []PortRange
	PortsCut bool
	Outside  bool // its address or the way it came in is outside

	Kind Kind
	Note Note
	// Probes are what was judged; what follows is of them alone. PerSecond is
	// 0 where their times do not tell a pace.
	Probes                    uint64
	ProbedPorts, ProbedTarget Count
	LowPort, HighPort         uint16
	LowTarget, HighTarget     netip.Addr
	FirstProbe, LastProbe     time.Time
	PerSecond                 float64
}

// Pace says a number per second in the unit in which it is at least one:
// "second", "minute", "hour" or "day".
func Pace(perSecond float64) (n float64, unit string) {
	switch {
	case perSecond >= 1:
		return perSecond, "second"
	case perSecond*60 >= 1:
		return perSecond * 60, "minute"
	case perSecond*3600 >= 1:
		return perSecond * 3600, "hour"
	}
	return perSecond * 86400, "day"
}

// Rule is what a rule did.
type Rule struct {
	Rule string // its first 256 bytes, as they were logged
	Sums
	Sources, Targets Count
	Ports            []PortRange
	PortsCut         bool
}

// Bucket is what happened from Start on, for Result.Width.
type Bucket struct {
	Start                time.Time
	Events, Permit, Deny uint64
}

// Result is what a View has seen. Rows have the most events first, and among
// equals the order of their keys; buckets and gaps the order of time.
type Result struct {
	Sums
	Sources, Targets Count
	// Ends are ends of connections whose beginnings are in Events. Untimed is
	// how many events have no time. Limited is how many lines said that
	// others were left out, Suppressed how many, as far as they said.
	Ends, Untimed, Limited, Suppressed uint64

	Ports  []Port
	Inward []Port // permitted from outside to an address on this side
	Pairs  []Pair
	From   []Source
	Rules  []Rule

	PortsLeft, PairsLeft, SourcesLeft, RulesLeft, InwardLeft Left

	Width time.Duration
	Times []Bucket
	Gaps  []Gap
	Rates []Rate

	// Noise is the background noise: how many of From, and their events.
	Noise struct{ Sources, Events uint64 }
}

// Result gives what was seen so far. It stays as it is when events are added.
func (v *View) Result() *Result {
	r := &Result{
		Sums: v.total.sums(), Sources: v.all.count(allSources), Targets: v.all.count(allTargets),
		Ends: v.total.ends, Untimed: v.total.untimed,
		Limited: v.total.limited, Suppressed: v.total.suppressed,
		Rates: v.rates.result(),
	}
	if v.ports != nil {
		r.Ports = portRows(v.ports)
		r.Inward = portRows(v.inward)
		r.PortsLeft = v.ports.left(r.Events, v.all.count(allPorts))
		r.InwardLeft = v.inward.left(v.total.inward, Count{})
	}
	if v.pairs != nil {
		r.Pairs = v.pairRows()
		r.PairsLeft = v.pairs.left(r.Events, v.all.count(allPairs))
	}
	if v.sources != nil {
		v.sourceRows(r)
		r.SourcesLeft = v.sources.left(r.Events, r.Sources)
	}
	if v.rules != nil {
		r.Rules = v.ruleRows()
		r.RulesLeft = v.rules.left(r.Events, v.all.count(allRules))
	}
	if v.times != nil {
		r.Width, r.Times = v.times.result()
		r.Gaps = v.times.gaps()
	}
	return r
}

func (t *tally) sums() Sums {
	return Sums{Events: t.events, Permit: t.permit, Deny: t.deny,
		First: instant(t.first), Last: instant(t.last), Missed: t.missed}
}

func instant(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func portRows(t *table[portKey, struct{}]) []Port {
	out := make([]Port, 0, len(t.rows))
	for _, n := range t.inOrder(func(a, b portKey) int { return cmp.Compare(a, b) }) {
		r := &t.rows[n]
		out = append(out, Port{
			Proto: r.key.proto(), HasProto: r.key.has(hasProto),
			Port: r.key.number(), HasPort: r.key.has(hasPort),
			Sums: r.sums(), Sources: t.count(n, portSources), Targets: t.count(n, portTargets),
		})
	}
	return out
}

func (v *View) pairRows() []Pair {
	out := make([]Pair, 0, len(v.pairs.rows))
	for _, n := range v.pairs.inOrder(func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) }) {
		r := &v.pairs.rows[n]
		out = append(out, Pair{
			Src: address([16]byte(r.key[:16])), Dst: address([16]byte(r.key[16:])),
			Sums: r.sums(), Ports: r.more.ports.ranges(), PortsCut: r.more.ports.cut,
		})
	}
	return out
}

func address(a [16]byte) netip.Addr { return netip.AddrFrom16(a).Unmap() }

func (v *View) sourceRows(out *Result) {
	out.From = make([]Source, 0, len(v.sources.rows))
	for _, n := range v.sources.inOrder(func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) }) {
		s := v.sourceRow(n)
		if s.Kind == Background {
			out.Noise.Sources++
			out.Noise.Events += s.Events
		}
		out.From = append(out.From, s)
	}
}

func (v *View) sourceRow(n uint32) Source {
	r := &v.sources.rows[n]
	m := &r.more
	s := Source{
		Src: address(r.key), Sums: r.sums(), Targets: v.sources.count(n, sourceTargets),
		Ports: m.ports.ranges(), PortsCut: m.ports.cut, Outside: m.outside,
		Probes: uint64(m.classes[probe]),
	}
	judged := v.suspect(n)
	s.Kind = judged.kind()
	if s.Kind == NoKind {
		s.Note = judged.note(m, r.events)
	}
	if s.Probes > 0 {
		v.probed(&s, n)
	}
	return s
}

func (v *View) probed(s *Source, n uint32) {
	m := &v.sources.rows[n].more
	s.ProbedPorts, s.ProbedTarget = v.sources.count(n, probedPorts), v.sources.count(n, probedTargets)
	s.LowPort, s.HighPort = m.low, m.high
	s.LowTarget, s.HighTarget = address(m.from), address(m.to)
	s.FirstProbe, s.LastProbe = instant(m.first), instant(m.last)
	if d := s.LastProbe.Sub(s.FirstProbe); d > 0 {
		s.PerSecond = float64(s.Probes-1) / d.Seconds()
	}
}

func (v *View) ruleRows() []Rule {
	out := make([]Rule, 0, len(v.rules.rows))
	for _, n := range v.rules.inOrder(strings.Compare) {
		r := &v.rules.rows[n]
		out = append(out, Rule{
			Rule: r.key, Sums: r.sums(),
			Sources: v.rules.count(n, portSources), Targets: v.rules.count(n, portTargets),
			Ports: r.more.ports.ranges(), PortsCut: r.more.ports.cut,
		})
	}
	return out
}
