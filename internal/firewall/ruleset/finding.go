package ruleset

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/space"
)

// Names of findings.
const (
	Shadowed         = "shadowed"
	Redundant        = "redundant"
	NeverHit         = "never-hit"
	TooWide          = "too-wide"
	UnreachableChain = "unreachable-chain"
	NoListener       = "no-listener"
	CyclicJump       = "cyclic-jump"
	Unfinished       = "unfinished"
)

// Finding is something about a rule that a person should look at.
//
//   - shadowed: no packet reaches the rule's decision: earlier rules take them
//     all, at least one with another effect, or leave the chain before it.
//   - redundant: the rule may go and no verdict changes, since earlier rules
//     with the same effect take all its packets, later ones or the policy do
//     the same with them, or no packet meets it. Rules that are named shadowed
//     or redundant may all go together.
//   - never-hit: its counter is zero while others of the chain counted.
//   - too-wide: it permits more than is likely meant; see wide.go.
//   - unreachable-chain: no packet comes to the chain.
//   - no-listener: it permits packets to ports on which nothing listens.
//   - cyclic-jump: the chain leads back to itself.
//   - unfinished: how many rules could not be judged within the bounds.
type Finding struct {
	Rule  string
	Chain string
	Line  int    // in the file; 0 without one
	Text  string // the rule's own text
	By    []int  // lines of the rules that cover it, in order
	Why   string
	// Sure is false where conditions that are not understood, or that depend
	// on more than the packet, have a part in it.
	Sure bool
}

// LintOptions say what else to look at. The zero value is fine.
type LintOptions struct {
	// Listens reports whether something of this host listens; an invalid
	// address asks for any. nil: permits without a listener are not looked for.
	Listens func(proto uint8, addr netip.Addr, port uint16) bool
	// Sensitive names the service of a port that should not be open to
	// everyone; "" for others. nil: the table of sensitive.txt.
	Sensitive func(proto uint8, port uint16) string
	// Steps bounds the work of each chain, in looks at one rule; 0 is 400
	// million (some seconds).
	Steps int
}

// linter looks at one rule set.
type linter struct {
	set      *RuleSet
	opt      LintOptions
	plans    []*plan
	probes   map[*Rule][]placed
	rulings  map[*Rule][]placedRuling
	dead     map[*Rule]bool
	alive    []standing
	findings []Finding
	left     int // rules that were not finished
	chains   map[*Chain]bool
}

// placed is a probe with its plan.
type placed struct {
	*plan
	look   probe
	budget *planBudget
}

type placedRuling struct {
	*plan
	at     int
	budget *planBudget
	// region are the packets it is about, near the entries that meet each box
	// of it, once asked for.
	region []space.Box
	near   [][]int
}

// Lint looks at every rule of a rule set. Prepare must have been called.
// Findings are in the order of chains and rules.
func Lint(s *RuleSet, o LintOptions) []Finding {
	l := &linter{set: s, opt: o, probes: map[*Rule][]placed{}, rulings: map[*Rule][]placedRuling{}, dead: map[*Rule]bool{}, chains: map[*Chain]bool{}}
	if l.opt.Steps == 0 {
		l.opt.Steps = 400_000_000
	}
	if l.opt.Sensitive == nil {
		l.opt.Sensitive = sensitiveTable().name
	}
	for _, ch := range s.roots() {
		l.flatten(ch)
	}
	for _, ch := range s.Chains {
		l.chain(ch)
	}
	for _, s := range l.alive {
		l.replaced(s.chain, s.rule)
	}
	l.unfinished()
	if s.hasLines() {
		return slices.DeleteFunc(l.findings, Finding.implied)
	}
	return l.findings
}

// hasLines reports that the rules were read from a file that has lines.
func (s *RuleSet) hasLines() bool {
	return slices.ContainsFunc(s.Chains, func(ch *Chain) bool {
		return slices.ContainsFunc(ch.Rules, func(r *Rule) bool { return r.Line > 0 })
	})
}

// implied reports a finding of a rule that stands in no line: the dialect adds
// it, and nobody can take it away.
func (f Finding) implied() bool {
	return f.Line == 0 && slices.Contains([]string{Shadowed, Redundant, NeverHit, TooWide}, f.Rule)
}

// roots are the chains that packets come to by themselves.
func (s *RuleSet) roots() (out []*Chain) {
	for _, ch := range s.Chains {
		if ch.Hook != NoHook || len(ch.Bindings) > 0 || !ch.open && slices.Contains(s.unjumped(), ch) {
			out = append(out, ch)
		}
	}
	return out
}

// flatten notes where each rule stands in the list that a chain becomes.
func (l *linter) flatten(root *Chain) {
	p := listPlan(newAxes(root), root, everything, true, nil)
	l.plans = append(l.plans, p)
	l.reach(root)
	for ch := range p.loops {
		l.add(Finding{Rule: CyclicJump, Chain: ch.Title, Why: "the chain leads back to itself: nothing can be said of what comes after", Sure: true})
	}
	if p.failed != "" {
		return
	}
	b := &planBudget{left: l.opt.Steps}
	for _, pr := range p.probes {
		l.probes[pr.rule] = append(l.probes[pr.rule], placed{p, pr, b})
	}
	for i := range p.entries {
		if r := p.entries[i].rule; r != nil {
			l.rulings[r] = append(l.rulings[r], placedRuling{plan: p, at: i, budget: b})
		}
	}
}

// reach follows jumps from a root.
func (l *linter) reach(ch *Chain) {
	if l.chains[ch] {
		return
	}
	l.chains[ch] = true
	for _, r := range ch.Rules {
		for _, to := range r.targets() {
			l.reach(to)
		}
	}
}

func (l *linter) add(f Finding) {
	slices.Sort(f.By)
	f.By = slices.Compact(f.By)
	if len(f.By) > 0 && f.By[0] == 0 {
		f.By = f.By[1:]
	}
	l.findings = append(l.findings, f)
}

func (l *linter) rule(name string, ch *Chain, r *Rule, why string, by []int, sure bool) {
	l.add(Finding{Rule: name, Chain: ch.Title, Line: r.Line, Text: r.Text, By: by, Why: why, Sure: sure})
}

// chain looks at the rules of one chain: first whether packets come to it.
func (l *linter) chain(ch *Chain) {
	if !l.chains[ch] {
		l.add(Finding{Rule: UnreachableChain, Chain: ch.Title, Line: firstLine(ch), Why: "no chain that packets come to leads here", Sure: true})
		return
	}
	if l.failed(ch) {
		l.left += len(ch.Rules)
	} else if l.emptyChain(ch) {
		l.add(Finding{Rule: UnreachableChain, Chain: ch.Title, Line: firstLine(ch), Why: "only rules that no packet meets lead here", Sure: true})
		for _, r := range ch.Rules {
			l.dead[r] = true
		}
		return
	} else {
		for _, r := range ch.Rules {
			if l.judge(ch, r) {
				l.alive = append(l.alive, standing{ch, r})
			}
		}
	}
	l.neverHit(ch)
	for _, r := range ch.Rules {
		if !l.dead[r] {
			l.wide(ch, r)
			l.listener(ch, r)
		}
	}
}

// standing is a rule that decides some packets.
type standing struct {
	chain *Chain
	rule  *Rule
}

func firstLine(ch *Chain) int {
	if len(ch.Rules) == 0 {
		return 0
	}
	return ch.Rules[0].Line
}

// failed reports a chain whose roots could not all be flattened.
func (l *linter) failed(ch *Chain) bool {
	for i, root := range l.set.roots() {
		if l.plans[i].failed != "" && leadsTo(root, ch, map[*Chain]bool{}) {
			return true
		}
	}
	return false
}

func leadsTo(from, to *Chain, seen map[*Chain]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, r := range from.Rules {
		for _, next := range r.targets() {
			if leadsTo(next, to, seen) {
				return true
			}
		}
	}
	return false
}

// neverHit compares the counters of a chain's rules.
func (l *linter) neverHit(ch *Chain) {
	total := uint64(0)
	for _, r := range ch.Rules {
		if r.Packets != nil {
			total += *r.Packets
		}
	}
	for _, r := range ch.Rules {
		if total > 0 && r.Packets != nil && *r.Packets == 0 && len(r.Steps) > 0 {
			l.rule(NeverHit, ch, r, "its counter is 0; the other rules of the chain counted "+itoa64(total)+" packets", nil, true)
		}
	}
}

func (l *linter) unfinished() {
	if l.left > 0 {
		l.add(Finding{Rule: Unfinished, Why: "not finished for " + itoa(l.left) + " rules: judging them would take more steps than are allowed", Sure: true})
	}
	order := map[string]int{}
	for i, ch := range l.set.Chains {
		order[ch.Title] = i
	}
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(order[a.Chain], order[b.Chain]), cmp.Compare(a.Line, b.Line))
	})
}
