package logview

import (
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/fwlog"
)

// View counts events.
type View struct {
	opt Options

	total   totals
	all     distinct // rows allSources … of what is seen in all
	ports   *table[portKey, struct{}]
	inward  *table[portKey, struct{}]
	pairs   *table[[32]byte, pairMore]
	sources *table[[16]byte, sourceMore]
	rules   *table[string, ruleMore]
	times   *times
	rates   *rates

	pairRoom, sourceRoom, ruleRoom room

	// tcp and udp are the rows of ports, where they were last.
	tcp, udp [1 << 16]uint32
	recent   [recentSize]uint64
	purged   int // purges of all tables when recent was cleared
}

// recentSize is how many combinations of what goes into the distinct sets are
// remembered: logs repeat themselves, and what is in the sets already need not
// be looked for in each.
const recentSize = 1 << 12

// Rows of View.all.
const (
	allSources = iota
	allTargets
	allPairs
	allPorts
	allRules
	allRows
)

type totals struct {
	tally
	ends, untimed, limited, suppressed uint64
	inward                             uint64
}

// Roles of the distinct sets.
const (
	portSources = iota
	portTargets
	portRoles
)

const (
	sourceTargets = iota // of all events
	probedTargets
	probedPorts
	probedBoth // target and port
	sourceRoles
)

// New is an empty View.
func New(o Options) *View {
	if o.Views == 0 {
		o.Views = AllViews
	}
	o.Limits = o.Limits.withDefaults()
	o.Own, o.Outside = slices.Clone(o.Own), slices.Clone(o.Outside)
	l := o.Limits
	v := &View{opt: o, rates: newRates(), all: newDistinct(max(l.Distinct/4, allRows), widest)}
	v.all.addRows(allRows)
	v.pairRoom, v.sourceRoom, v.ruleRoom = room{l.PortLists}, room{l.PortLists}, room{l.PortLists}
	v.makeTables(l)
	return v
}

func (v *View) makeTables(l Limits) {
	o := &v.opt
	if o.Views&ByPort != 0 {
		v.ports = newTable[portKey, struct{}](l.Ports, portRoles, l.Distinct)
		v.inward = newTable[portKey, struct{}](max(l.Ports/16, 2), portRoles, max(l.Distinct/8, 2))
	}
	if o.Views&ByPair != 0 {
		v.pairs = newTable[[32]byte, pairMore](l.Pairs, 0, 0)
		v.pairs.drop = func(m *pairMore) { m.ports.free(&v.pairRoom) }
	}
	if o.Views&BySource != 0 {
		v.sources = newTable[[16]byte, sourceMore](l.Sources, sourceRoles, l.Distinct)
		v.sources.drop = func(m *sourceMore) { m.ports.free(&v.sourceRoom) }
	}
	if o.Views&ByRule != 0 {
		v.rules = newTable[string, ruleMore](l.Rules, portRoles, max(l.Distinct/4, 2))
		v.rules.drop = func(m *ruleMore) { m.ports.free(&v.ruleRoom) }
	}
	if o.Views&ByTime != 0 {
		v.times = newTimes(o.Width, l.Buckets)
	}
}

// Add counts an event. One that has no addresses only tells what was left out
// (Limited, Suppressed); one that tells of a connection's end, whose beginning
// another told, is counted in Result.Ends and nowhere else.
func (v *View) Add(e *fwlog.Event) {
	if e.Limited {
		v.total.limited++
	}
	v.total.suppressed += e.Suppressed
	if !e.Src.IsValid() || !e.Dst.IsValid() {
		return
	}
	if e.Ends {
		v.total.ends++
		return
	}
	var s sight
	v.look(e, &s)
	v.count(&s)
}

func (v *View) count(s *sight) {
	v.total.add(s)
	if s.time == 0 {
		v.total.untimed++
	}
	v.repeated(s)
	if v.ports == nil && !s.repeat {
		v.meet(s, false, false)
	}
	if v.ports != nil {
		v.addPort(s)
	}
	if v.pairs != nil {
		v.addPair(s)
	}
	if v.sources != nil {
		v.addSource(s)
	}
	if v.rules != nil {
		v.addRule(s)
	}
	if v.times != nil && s.time != 0 {
		v.times.add(s)
	}
	if s.time != 0 && (v.times != nil || s.capped) {
		v.rates.add(s)
	}
	v.forget()
}

// repeated finds out whether the same came a moment ago.
func (v *View) repeated(s *sight) {
	if v.opt.Views&(ByRule|ByTime) != 0 || s.capped {
		s.rule = s.rule[:min(len(s.rule), maxRuleText)]
		s.ruleHash = hashText(v.opt.Seed, s.rule)
	}
	what := uint64(s.port) | uint64(s.class)<<32
	if s.inward {
		what |= 1 << 40
	}
	h := mix(mix(s.srcHash, s.dstHash+what), s.ruleHash+1)
	last := &v.recent[h%recentSize]
	s.repeat = *last == h
	*last = h
}

// forget clears what is recent when rows were thrown out: a row that comes
// back has nothing in its sets.
func (v *View) forget() {
	n := 0
	if v.ports != nil {
		n += v.ports.purges + v.inward.purges
	}
	if v.sources != nil {
		n += v.sources.purges
	}
	if v.rules != nil {
		n += v.rules.purges
	}
	if n != v.purged {
		v.purged = n
		clear(v.recent[:])
	}
}

func (v *View) portHash(k portKey) uint64 { return mix(v.opt.Seed^uint64(k), 3) }

// portRow finds the row of a port: TCP's and UDP's without a search.
func (v *View) portRow(h uint64, k portKey) uint32 {
	at := new(uint32)
	switch k &^ 0xffff {
	case hasProto | hasPort | protoTCP<<16:
		at = &v.tcp[k.number()]
	case hasProto | hasPort | protoUDP<<16:
		at = &v.udp[k.number()]
	}
	if n := *at; int(n) < len(v.ports.rows) && v.ports.rows[n].key == k {
		return n
	}
	n, fresh := v.ports.find(h, k)
	if fresh {
		v.all.add(allPorts, h)
	}
	*at = n
	return n
}

func (v *View) addPort(s *sight) {
	h := v.portHash(s.port)
	n := v.portRow(h, s.port)
	v.ports.rows[n].add(s)
	if !s.repeat {
		// What the port's sets know was met before.
		v.meet(s, v.ports.see(n, portSources, s.srcHash), v.ports.see(n, portTargets, s.dstHash))
	}
	if s.inward {
		v.total.inward++
		n, _ := v.inward.find(h, s.port)
		v.inward.rows[n].add(s)
		v.inward.meet(n, s)
	}
}

// meet adds source and target, as far as not known, to all that were seen.
func (v *View) meet(s *sight, src, dst bool) {
	if !src {
		v.all.add(allSources, mix(s.srcHash, 1))
	}
	if !dst {
		v.all.add(allTargets, mix(s.dstHash, 2))
	}
}

// meet adds source and target to the row's sets.
func (t *table[K, D]) meet(n uint32, s *sight) {
	if !s.repeat {
		t.see(n, portSources, s.srcHash)
		t.see(n, portTargets, s.dstHash)
	}
}

// pairMore is what a pair has beside its tally.
type pairMore struct{ ports portset }

func (v *View) addPair(s *sight) {
	var key [32]byte
	copy(key[:16], s.src[:])
	copy(key[16:], s.dst[:])
	h := mix(s.srcHash, s.dstHash+5)
	n, fresh := v.pairs.find(h, key)
	if fresh {
		v.all.add(allPairs, mix(h, 4))
	}
	r := &v.pairs.rows[n]
	r.add(s)
	if s.port.has(hasPort) {
		r.more.ports.add(s.port.number(), &v.pairRoom)
	}
}

// ruleMore is what a rule has beside its tally.
type ruleMore struct{ ports portset }

// maxRuleText bounds what is kept of a rule's name.
const maxRuleText = 256

func (v *View) addRule(s *sight) {
	n, fresh := findText(v.rules, s.ruleHash, s.rule)
	if fresh {
		v.all.add(allRules, mix(s.ruleHash, 6))
	}
	r := &v.rules.rows[n]
	r.add(s)
	if s.port.has(hasPort) {
		r.more.ports.add(s.port.number(), &v.ruleRoom)
	}
	v.rules.meet(n, s)
}

// findText is table.find, which makes a string of a text only for a new row.
func findText[D any](t *table[string, D], h uint64, text []byte) (uint32, bool) {
	mask := len(t.index) - 1
	for i := int(h) & mask; t.index[i] != 0; i = (i + 1) & mask {
		n := t.index[i] - 1
		if t.rows[n].hash == h && t.rows[n].key == string(text) {
			return n, false
		}
	}
	return t.find(h, string(text))
}

// Merge adds what o has seen. Both were made with equal Options; o is not
// changed and may be used on.
func (v *View) Merge(o *View) {
	v.total.merge(&o.total)
	v.all.merge(&o.all, identity(allRows))
	if v.ports != nil {
		none := func(_, _ *struct{}) {}
		v.ports.merge(o.ports, none)
		v.inward.merge(o.inward, none)
	}
	if v.pairs != nil {
		v.pairs.merge(o.pairs, func(a, b *pairMore) { a.ports.merge(&b.ports, &v.pairRoom) })
	}
	if v.sources != nil {
		v.sources.merge(o.sources, func(a, b *sourceMore) { a.merge(b, &v.sourceRoom) })
	}
	if v.rules != nil {
		v.rules.merge(o.rules, func(a, b *ruleMore) { a.ports.merge(&b.ports, &v.ruleRoom) })
	}
	if v.times != nil {
		v.times.merge(o.times)
	}
	v.rates.merge(o.rates)
}

func (t *totals) merge(o *totals) {
	t.tally.merge(&o.tally)
	t.ends += o.ends
	t.untimed += o.untimed
	t.limited += o.limited
	t.suppressed += o.suppressed
	t.inward += o.inward
}

func identity(n int) []uint32 {
	to := make([]uint32, n)
	for i := range to {
		to[i] = uint32(i)
	}
	return to
}
