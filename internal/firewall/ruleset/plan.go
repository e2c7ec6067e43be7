package ruleset

import (
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/space"
)

// plan is a way through chains as one first-match list, with its index.
type plan struct {
	*flattener
	index    *space.Index
	boxes    []space.Box
	families Families
	limits   shape
	whole    []space.Box // the universe, once it was asked for
	kinds    []kind      // made with the plan
}

// finish closes the list: packets of no entry, which only other families'
// chains could have seen, pass.
func (f *flattener) finish(families Families, limits shape) *plan {
	p := &plan{flattener: f, families: families, limits: limits}
	if f.failed != "" {
		return p
	}
	p.boxes = make([]space.Box, len(f.entries))
	for i := range f.entries {
		p.boxes[i] = f.entries[i].box
	}
	p.index = space.NewIndex(f.ax.sp, p.boxes)
	p.kinds = f.ax.kinds(limits, families)
	return p
}

// universe is all packets that the plan is about.
func (p *plan) universe() []space.Box {
	return p.drawnOnly(p.ax.boxes(p.ax.kinds(p.limits, p.families)))
}

// drawnOnly limits what was drawn to the values that it may have.
func (p *plan) drawnOnly(region []space.Box) []space.Box {
	out := make([]space.Box, 0, len(region))
	for _, b := range region {
		ok := true
		for _, d := range p.domains {
			if b, ok = p.ax.sp.Limit(b, d.Axis, d.Set); !ok {
				break
			}
		}
		if ok {
			out = append(out, b)
		}
	}
	return out
}

// listPlan flattens one chain by itself: what it does with any packet that is
// brought to it.
func listPlan(ax *axes, ch *Chain, start []space.Box, strict bool, shared map[string]int) *plan {
	f := newFlattener(ax)
	f.shared = shared
	f.strict, f.final, f.local = strict, true, ch.Hook == Output || ch.Hook == Postrouting
	st := f.intern(&state{})
	same, changed := f.chain(ch, live{start, st, false})
	f.policy(ch, live{same, st, false}, nil)
	for _, l := range changed {
		f.policy(ch, l, nil)
	}
	return f.finish(ch.Families|ch.anyFamily(), hookLimits(ch.Hook))
}

// anyFamily is for lists whose reader does not say which packets they see.
func (ch *Chain) anyFamily() Families {
	if ch.Families == 0 {
		return IPv4 | IPv6
	}
	return 0
}

// policy ends a chain's walk: packets that no rule decided.
func (f *flattener) policy(ch *Chain, l live, next *[]live) {
	e := ruling{verdict: ch.Policy, chain: ch, st: l.st, ends: ch.endsOpen()}
	switch {
	case len(l.cond) == 0:
	case e.ends:
		e.verdict = Accept
		f.emit(l.cond, e)
	case ch.Policy == Drop:
		f.emit(l.cond, e)
	case f.final:
		e.verdict = Accept
		f.emit(l.cond, e)
	default:
		*next = append(*next, l)
	}
}

// endsOpen reports a chain that has no default of its own: what its rules do
// not decide goes back to who jumped there.
func (ch *Chain) endsOpen() bool { return ch.Hook == NoHook && ch.open }

// pathAxes are the axes of all base chains.
func (s *RuleSet) pathAxes() *axes { return newAxes(s.hookChains()...) }

// pathPlan flattens a way through the hooks for packets of a region that are
// of one connection state (StateNew, …).
func (s *RuleSet) pathPlan(way path, conn uint64, start []space.Box, ax *axes, shared map[string]int) *plan {
	f := newFlattener(ax)
	f.conn, f.shared = conn, shared
	f.local = way == outPath
	st := &state{over: map[Field]value{}}
	st.over[Mark], st.over[CtState] = value{kind: constant, set: Numbers(0)}, value{kind: constant, set: Numbers(StateInvalid)}
	for _, field := range connection {
		st.over[field] = value{kind: lacking}
	}
	lives := []live{{start, f.intern(st), false}}
	switch way {
	case inPath, forwardPath:
		f.arrive(s, lives, way)
	case outPath:
		f.run(s, slices.Concat(s.base[Output], []*Chain{nil}, s.base[Postrouting]), lives, Output)
	}
	return f.finish(IPv4|IPv6, way.limits())
}

// arrive takes packets that come in to the chains of where they go: to this
// host or through it, and those that a rewrite may send elsewhere to both.
func (f *flattener) arrive(s *RuleSet, lives []live, way path) {
	lives = f.through(slices.Concat(s.base[Ingress], s.base[Prerouting], []*Chain{nil}), lives)
	var local, away []live
	for _, l := range lives {
		here, there := f.route(l, way)
		local, away = append(local, here...), append(away, there...)
	}
	f.run(s, s.base[Input], local, Input)
	f.run(s, slices.Concat(s.base[Forward], s.base[Postrouting]), away, Forward)
}

// route divides packets to another address than they came with: the rules do
// not say whether it is this host's.
func (f *flattener) route(l live, way path) (local, away []live) {
	t := l.st.target
	switch {
	case t == nil || t.Kind == SourceNAT || t.Kind != Divert && t.Kind != Redirect && len(t.Addrs) == 0 && t.Unknown() == "":
		if way == forwardPath { // only the port changes, if anything
			return nil, []live{l}
		}
		return []live{l}, nil
	case t.Kind == Divert || t.Kind == Redirect:
		return []live{{l.cond, f.inside(l.st), true}}, nil
	case len(t.Addrs) > 0 && t.Addrs.Within(Union(loopback4, loopback6)):
		return f.toLoopback(live{l.cond, f.inside(l.st), true}), nil
	}
	if way == forwardPath { // by what was asked it leaves again, by that interface
		return nil, []live{{l.cond, f.put(l.st, FibDAddr, &value{kind: constant, set: Numbers(RouteUnicast)}), true}}
	}
	own := Atom{Key: "own " + DAddr.text(t.Addrs), Unknown: true, Why: "whether " + DAddr.text(t.Addrs) + " is an address of this host is not known"}
	here, there := f.put(f.inside(l.st), FibDAddr, &value{kind: constant, set: Numbers(RouteLocal)}), f.put(l.st, FibDAddr, &value{kind: constant, set: Numbers(RouteUnicast)})
	oif := f.known(OIf, OIf.Except(Of(Value{}, Name("lo"))), Atom{Why: "the interface that the rewritten packet leaves by", Unknown: true})
	there = f.put(there, OIf, &oif)
	return []live{{f.and(l.cond, f.atom(own, 1)), here, true}}, []live{{f.and(l.cond, f.atom(own, 0)), there, true}}
}

// inside is the state of a packet that goes no further than this host.
func (f *flattener) inside(st *state) *state {
	return f.put(st, OIf, &value{kind: constant, set: Of(Value{})})
}

// toLoopback passes packets that a rewrite sends to a loopback address where
// a setting that the rules do not show allows it (ip-sysctl, route_localnet).
func (f *flattener) toLoopback(l live) []live {
	a := Atom{Key: "route_localnet", Unknown: true, Why: "the setting route_localnet is not known"}
	f.emit(f.and(l.cond, f.atom(a, 0)), ruling{verdict: Drop, chain: l.st.target.Chain, rule: l.st.target.Rule, note: refusedLoopback, st: l.st})
	return []live{{f.and(l.cond, f.atom(a, 1)), l.st, true}}
}

// Unknown says why a rewrite's target is not understood; "" when it is.
func (r *Rewrite) Unknown() string {
	for _, s := range r.Rule.Steps {
		if t, ok := s.(Translate); ok && t.Unknown != "" {
			return t.Unknown
		}
	}
	return ""
}

// run takes packets through chains to the end, where they pass. The last
// chain that can stop a packet, or the hook's own, decides.
func (f *flattener) run(s *RuleSet, chains []*Chain, lives []live, main Hook) {
	last := -1
	for i, ch := range chains {
		if ch != nil && (ch.Hook == main && ch.Kind == FilterChain || ch.canStop(nil)) {
			last = i
		}
	}
	if last < 0 {
		f.pass(lives)
		return
	}
	lives = f.enter(chains[last], f.through(chains[:last], lives))
	f.final = true
	lives = f.base(chains[last], lives)
	f.final = false
	f.pass(lives)
}

// pass ends the way of packets that no chain is left for.
func (f *flattener) pass(lives []live) {
	for _, l := range lives {
		f.emit(l.cond, ruling{verdict: Accept, st: l.st})
	}
}

// through takes packets through chains that are not the last. A nil chain is
// the end of a hook: connection tracking has begun by then, and NAT may act
// again.
func (f *flattener) through(chains []*Chain, lives []live) []live {
	for _, ch := range chains {
		switch {
		case ch == nil:
			lives = f.track(lives)
			for i := range lives {
				if lives[i].st.rewritten {
					d := lives[i].st.clone()
					d.rewritten = false
					lives[i].st = f.intern(d)
				}
			}
		default:
			lives = f.base(ch, f.enter(ch, lives))
		}
	}
	return lives
}

// enter brings packets to a chain: where it stands behind connection tracking,
// that has begun.
func (f *flattener) enter(ch *Chain, lives []live) []live {
	if (ch.Hook == Prerouting || ch.Hook == Output) && ch.order() > conntrackPriority {
		return f.track(lives)
	}
	return lives
}

// track starts connection tracking: from then on the packet has its state,
// and is of a connection unless it is invalid or not to be tracked.
func (f *flattener) track(lives []live) (out []live) {
	for _, l := range lives {
		if l.st.tracked || l.st.untracked {
			out = append(out, l)
			continue
		}
		d := l.st.clone()
		d.tracked = true
		d.over[CtState] = value{kind: constant, set: Numbers(f.conn)}
		switch f.conn {
		case StateNew:
			for _, field := range connection {
				d.over[field] = value{kind: constant, set: Numbers(0)}
			}
			d.over[CtOrigDAddr], d.over[CtOrigDPort] = value{kind: copied, from: DAddr}, value{kind: copied, from: DPort}
		case StateEstablished, StateRelated:
			for _, field := range connection {
				delete(d.over, field)
			}
		}
		out = append(out, live{l.cond, f.intern(d), l.strayed})
	}
	return out
}

// base takes packets through one base chain and gives those that go on.
func (f *flattener) base(ch *Chain, lives []live) (next []live) {
	for _, l := range lives {
		see, pass := f.seenBy(ch, l)
		if len(pass) > 0 {
			next = append(next, live{pass, l.st, true})
		}
		if len(see) > 0 {
			next = append(next, f.baseOne(ch, live{see, l.st, false})...)
		}
	}
	return f.joined(next)
}

// baseOne takes packets of one state through a base chain. Those that come
// out in the state they came with are, whatever rule let them pass, all that
// came but for those that changed: the dropped ones are decided by entries
// that stand before.
func (f *flattener) baseOne(ch *Chain, l live) (next []live) {
	f.passed = nil
	same, changed := f.chain(ch, l)
	var strayed []live
	f.policy(ch, live{same, l.st, false}, new([]live))
	for _, c := range changed {
		f.policy(ch, c, &strayed)
	}
	if f.final {
		return nil
	}
	var gone []space.Box
	for _, p := range append(f.passed, strayed...) {
		if p.st != l.st {
			gone = append(gone, p.cond...)
			next = append(next, p)
		}
	}
	for _, c := range changed {
		gone = append(gone, c.cond...)
	}
	rest := l.cond
	if len(gone) > 0 {
		rest = f.minus(rest, gone)
		for _, p := range append(f.passed, strayed...) {
			if p.st == l.st && p.strayed {
				rest = slices.Concat(rest, p.cond)
			}
		}
	}
	return append(next, live{rest, l.st, false})
}

// joined makes one of packets in the same state.
func (f *flattener) joined(lives []live) (out []live) {
	at := map[*state]int{}
	for _, l := range lives {
		if i, ok := at[l.st]; ok {
			out[i].cond = slices.Concat(out[i].cond, l.cond)
			continue
		}
		at[l.st] = len(out)
		out = append(out, l)
	}
	return out
}

// seenBy divides packets into what a base chain sees and what it does not.
func (f *flattener) seenBy(ch *Chain, l live) (see, pass []space.Box) {
	see = l.cond
	if ch.Families != IPv4|IPv6 {
		see = f.and(see, f.familyRegion(ch.Families))
	}
	switch {
	case ch.DevicesUnknown:
		see = f.and(see, f.atom(Atom{Key: "device of " + ch.Title, Unknown: true, Why: "the device of chain " + ch.Title + ", which is not shown"}, 1))
	case ch.Hook == Ingress:
		see = f.and(see, f.devices(ch))
	}
	if ch.Kind == NATChain {
		see = f.translated(see, l.st)
	}
	if len(see) == 0 {
		return nil, l.cond
	}
	if slices.EqualFunc(see, l.cond, space.Box.Equal) {
		return see, nil
	}
	return see, f.minus(l.cond, see)
}

// devices is the region of packets on the devices of an ingress chain.
func (f *flattener) devices(ch *Chain) (out []space.Box) {
	for _, dev := range ch.Devices {
		out = append(out, f.classes(f.ax.fields[IIf], devicePattern(dev), false)...)
	}
	return out
}

// devicePattern are the names that a device stands for; a trailing * is any
// ending.
func devicePattern(dev string) Set {
	stem, wild := strings.CutSuffix(dev, "*")
	return NamePattern(stem, wild)
}

// translated is what of a region address translation looks at: first packets
// of connections; for the others of a connection it repeats what it did to
// the first, which the rules may or may not say still.
func (f *flattener) translated(see []space.Box, st *state) []space.Box {
	switch {
	case st.untracked || st.rewritten:
		return nil
	case f.conn == StateNew:
		return see
	case f.conn == StateEstablished || f.conn == StateRelated:
		return f.and(see, f.atom(Atom{Key: "nat of connection", Unknown: true, Why: "the connection's own address translation"}, 1))
	}
	return nil
}

// canStop reports whether a chain, or one that it leads to, can drop packets
// or hand them to something that may.
func (ch *Chain) canStop(seen map[*Chain]bool) bool {
	if ch == nil || seen[ch] {
		return false
	}
	if seen == nil {
		seen = map[*Chain]bool{}
	}
	seen[ch] = true
	if ch.Hook != NoHook && ch.Policy == Drop {
		return true
	}
	for _, r := range ch.Rules {
		for _, s := range r.Steps {
			if canStop(s, seen) {
				return true
			}
		}
	}
	return false
}

func canStop(s Step, seen map[*Chain]bool) bool {
	switch s := s.(type) {
	case Decide:
		return s.Verdict == Drop || s.Target.canStop(seen)
	case Choose:
		for _, row := range s.Rows {
			if canStop(row.Decide, seen) {
				return true
			}
		}
	case Elsewhere:
		return true
	}
	return false
}
