package ruleset

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Outcome is what becomes of a stranger's packets.
type Outcome uint8

// Outcomes.
const (
	Undecided Outcome = iota
	Permitted
	Denied
	Partly
)

// Answer is what the rules do with a stranger's new packet.
type Answer struct {
	Outcome Outcome
	// Rules are the deciding rules, the last one last, as text.
	Rules []string
	// Why says what it depends on, what is not understood, or what the
	// kernel itself does.
	Why    string
	Target *Rewrite
	// ByDefault: default policies or the absence of rules decide alone.
	ByDefault bool
	// NamesPort: a deciding rule, or one that led to it, names the port.
	NamesPort bool
	// PartlySent says on what it depends whether a packet that passes is sent
	// elsewhere (Target); "" when all or none are.
	PartlySent string
}

// Ask says what becomes of a stranger's new packet to an endpoint of the
// host. The rule set must have been prepared.
func (s *RuleSet) Ask(h *Host, q Query) Answer {
	family := IPv6
	if q.Addr.Unmap().Is4() {
		family = IPv4
	}
	for _, m := range s.Missing {
		if m.Families&family != 0 {
			return Answer{Why: m.Why}
		}
	}
	k := *h
	k.prepare()
	w := &walk{set: s, host: &k}
	if q.Addr == netip.IPv6Loopback() { // ip6_rcv_core, before any hook
		w.refuse(k.stranger(q), refusedLoopback)
		return w.judge(nil)
	}
	in := []*class{k.stranger(q)}
	w.anySender = !k.ordinary(in[0])
	passed := w.deliver(w.hook(Prerouting, w.hook(Ingress, in)))
	if w.tooMuch {
		return Answer{Why: "the rules divide this endpoint's packets in more ways than are followed"}
	}
	ends := append(passed, w.arrived...)
	a := w.judge(ends)
	a.PartlySent = w.partlySent(ends)
	if q.Addr.IsLoopback() && a.Outcome == Permitted {
		a.Outcome, a.Why = Partly, "only who is on the same link can send to a loopback address"
	}
	return a
}

// partlySent compares the ordinary packets that a rule sends elsewhere with
// those that stay.
func (w *walk) partlySent(passed []*class) string {
	var sent, stay []*class
	for _, c := range w.usual(passed) {
		if c.target != nil {
			sent = append(sent, c)
		} else {
			stay = append(stay, c)
		}
	}
	if len(sent) == 0 || len(stay) == 0 {
		return ""
	}
	return difference(sent, stay)
}

// judge makes the answer of all ends. See the package comment for the rule.
func (w *walk) judge(passed []*class) Answer {
	denied := w.dropped
	usualDenied := w.usual(denied)
	switch {
	case len(passed) == 0:
		return decided(Denied, denied)
	case len(usualDenied) == 0:
		if usual := w.usual(passed); len(usual) > 0 {
			passed = usual
		}
		return decided(Permitted, passed)
	}
	a := both(passed, usualDenied)
	if slices.ContainsFunc(passed, (*class).certain) && slices.ContainsFunc(usualDenied, (*class).certain) {
		a.Outcome = Partly
		a.Why = "depends on " + difference(certainOnly(passed), certainOnly(usualDenied))
		return a
	}
	a.Why = "not understood: " + strings.Join(unknowns(passed, usualDenied), "; ")
	return a
}

// usual are the ends of ordinary packets; of a sender who is none by himself,
// all of them.
func (w *walk) usual(in []*class) []*class {
	return slices.DeleteFunc(slices.Clone(in), func(c *class) bool { return !w.anySender && !w.host.ordinary(c) })
}

func certainOnly(in []*class) []*class {
	return slices.DeleteFunc(slices.Clone(in), func(c *class) bool { return !c.certain() })
}

func unknowns(lists ...[]*class) (out []string) {
	for _, list := range lists {
		for _, c := range list {
			for _, l := range c.atoms {
				if l.Unknown && !slices.Contains(out, l.Why) {
					out = append(out, l.Why)
				}
			}
		}
	}
	return capped(out, 4)
}

// decided answers when all packets end alike.
func decided(o Outcome, ends []*class) Answer {
	a := Answer{Outcome: o, ByDefault: true}
	a.add(ends)
	var kernel []string
	for _, c := range ends {
		if m := c.trail; m != nil && m.kind == markKernel && !slices.Contains(kernel, m.note) {
			kernel = append(kernel, m.note)
			a.ByDefault = false
		}
	}
	a.Why = strings.Join(kernel, "; ")
	return a
}

func both(passed, denied []*class) (a Answer) {
	a.ByDefault = true
	a.add(passed)
	a.add(denied)
	a.ByDefault = false
	return a
}

// add adds the deciding rules of the classes' ways.
func (a *Answer) add(ends []*class) {
	const most = 12
	var rules []string
	for _, c := range ends {
		if c.target != nil && a.Target == nil {
			a.Target = c.target
		}
		for _, m := range deciding(c.trail) {
			a.NamesPort = a.NamesPort || m.named
			a.ByDefault = a.ByDefault && (m.kind == markAcceptPolicy || m.kind == markDropPolicy)
			if t := m.text(); t != "" && !slices.Contains(rules, t) && !slices.Contains(a.Rules, t) {
				rules = append(rules, t)
			}
		}
	}
	a.Rules = append(a.Rules, capped(rules, most)...)
}

func capped(list []string, most int) []string {
	if len(list) <= most {
		return list
	}
	return append(list[:most-1:most-1], fmt.Sprintf("… and %d more", len(list)-most+1))
}

// deciding are the marks of a way that decide: rewrites, the end, and where
// the packet was accepted by rules, those rules instead of policies.
func deciding(trail *mark) []*mark {
	var ruled, policies, rewrites []*mark
	for m := trail; m != nil; m = m.prev {
		switch m.kind {
		case markRewrite:
			rewrites = append(rewrites, m)
		case markAcceptPolicy:
			policies = append(policies, m)
		case markAccept:
			ruled = append(ruled, m)
		case markDrop, markDropPolicy, markKernel:
			slices.Reverse(rewrites)
			return append(earlierRewrites(m.prev), m)
		}
	}
	if len(ruled) == 0 {
		ruled = lastHook(policies)
	}
	out := append(rewrites, ruled...)
	slices.SortFunc(out, func(a, b *mark) int { return a.depth - b.depth })
	return out
}

func earlierRewrites(m *mark) (out []*mark) {
	for ; m != nil; m = m.prev {
		if m.kind == markRewrite {
			out = append(out, m)
		}
	}
	slices.Reverse(out)
	return out
}

// lastHook keeps the policies of the hook that the packet met last, but for
// the source NAT of postrouting: those of input or forward.
func lastHook(ms []*mark) []*mark {
	for _, h := range []Hook{Input, Forward, Prerouting, Ingress} {
		var at []*mark
		for _, m := range ms {
			if m.chain != nil && m.chain.Hook == h && m.chain.Kind == FilterChain {
				at = append(at, m)
			}
		}
		if len(at) > 0 {
			return at
		}
	}
	return nil
}

// text names the mark's rule for people.
func (m *mark) text() string {
	switch {
	case m.kind == markKernel:
		return "kernel: " + m.note
	case m.rule != nil:
		return describe(m.chain, m.rule, m.note)
	case m.kind == markDropPolicy:
		return m.chain.Title + ": policy drop"
	}
	return m.chain.Title + ": policy accept"
}

// describe writes "inet filter input: tcp dport 22 accept (handle 7)".
func describe(ch *Chain, r *Rule, note string) string {
	s := ch.Title + ": " + r.Text
	var extra []string
	if r.Comment != "" && !strings.Contains(r.Text, r.Comment) {
		extra = append(extra, fmt.Sprintf("comment %q", r.Comment))
	}
	if r.Handle != 0 {
		extra = append(extra, fmt.Sprintf("handle %d", r.Handle))
	}
	for _, n := range append([]string{note}, r.notes()...) {
		if n != "" {
			extra = append(extra, n)
		}
	}
	if len(extra) == 0 {
		return s
	}
	return s + " (" + strings.Join(extra, ", ") + ")"
}

// Describe names a rewrite's rule for people.
func (r *Rewrite) Describe() string { return describe(r.Chain, r.Rule, "") }

// notes are what conditions that always hold have to say.
func (r *Rule) notes() (out []string) {
	for _, s := range r.Steps {
		if m, ok := s.(Match); ok {
			if c, ok := m.Expr.(Const); ok && c.Holds && c.Note != "" {
				out = append(out, c.Note)
			}
		}
	}
	return out
}
