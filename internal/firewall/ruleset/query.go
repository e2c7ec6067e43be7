package ruleset

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/portreeve/portreeve/internal/firewall/space"
)

// Answers of a query.
const (
	PermitPacket  = "permit"
	DenyPacket    = "deny"
	UnknownPacket = "unknown"
)

// Decision is what becomes of a packet.
type Decision struct {
	Verdict string // permit, deny or unknown
	// Rule is the deciding rule as its own tool would write it, with its
	// chain, or the chain's policy; of an unknown verdict the first rule on
	// which it depends.
	Rule  string
	Line  int // of the rule in its file; 0 without one
	Chain string
	// Why says on what the verdict depends, where it is unknown, or what the
	// rule assumes.
	Why string
}

// Errors of questions.
var (
	ErrState   = errors.New("not a connection state (new, established, related, invalid, untracked)")
	ErrNoChain = errors.New("no such chain")
	ErrWhich   = errors.New("several lists could be meant; name one")
	ErrDivided = errors.New("the rules were not followed to the end")
	ErrNothing = errors.New("the rule set has no chain that packets could meet")

	errUnbound = errors.New("no list of the rule set applies")
)

// plans keeps what was flattened, for the next question.
type plans struct {
	mu    sync.Mutex
	lists map[*Chain]*plan
	paths map[wayState]*plan
	// unjumped are the chains that no rule leads to.
	unjumped []*Chain
}

// wayState is a way through the hooks for packets of one connection state.
type wayState struct {
	path
	conn uint64
}

// Query says what becomes of one packet. chain names a chain by its name or
// title, whatever the case ("INPUT", "filter INPUT", "inet filter input", an
// access list); the packet is then brought to that chain as it is. Without a
// name it takes the way that In and Out tell: to this host (neither, or In),
// from it (Out), through it (both), from ingress to the last chain that can
// stop it; where the rule set has no hooks, the lists that are bound to its
// interfaces; without interfaces those bound where its addresses are, or those
// for what arrives, or the only one. Prepare must have been called.
func (s *RuleSet) Query(p Packet, chain string) (Decision, error) {
	for _, m := range s.Missing {
		if m.Elsewhere && !p.Src.IsValid() && !p.Dst.IsValid() {
			continue
		}
		if m.Families&familyOf(p.Src, p.Dst) != 0 {
			return Decision{Verdict: UnknownPacket, Why: m.Why}, nil
		}
	}
	if chain == "" && s.hooked() {
		return s.onPath(p)
	}
	lists, err := s.lists(chain, p)
	if errors.Is(err, errUnbound) {
		return Decision{Verdict: UnknownPacket, Why: err.Error()}, nil
	}
	if err != nil {
		return Decision{}, err
	}
	var d Decision
	for i, ch := range lists {
		one, err := s.byList(p, ch)
		if err != nil {
			return Decision{}, err
		}
		if i == 0 || worse[one.Verdict] > worse[d.Verdict] {
			d = one
		}
	}
	return d, nil
}

// worse orders verdicts: a packet must pass every list that it meets.
var worse = map[string]int{PermitPacket: 0, UnknownPacket: 1, DenyPacket: 2}

func (s *RuleSet) hooked() bool {
	return slices.ContainsFunc(s.Chains, func(ch *Chain) bool { return ch.Hook != NoHook })
}

// byList asks one list.
func (s *RuleSet) byList(p Packet, ch *Chain) (Decision, error) {
	shape, err := p.shape(listPath, ch)
	if err != nil {
		return Decision{}, err
	}
	if ch.Stateful && p.State == "established" {
		return Decision{Verdict: PermitPacket, Chain: ch.Title, Rule: ch.Title + ": state of the connection",
			Why: "answers to permitted connections pass by their state"}, nil
	}
	pl := s.plan.list(ch)
	d := pl.decide(shape, familyOf(p.Src, p.Dst))
	if pl.failed != "" {
		ax := newAxes(ch)
		d = listPlan(ax, ch, ax.boxes(ax.kinds(shape, familyOf(p.Src, p.Dst))), false, nil).decide(shape, familyOf(p.Src, p.Dst))
	}
	if ch.Stateful && p.State == "related" && d.Verdict == DenyPacket {
		d.Verdict, d.Why = UnknownPacket, "whether the state of the related connection lets it pass"
	}
	return d, nil
}

// list gives the plan of one chain, made at the first question.
func (p *plans) list(ch *Chain) *plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lists[ch] == nil {
		p.lists[ch] = listPlan(newAxes(ch), ch, everything, false, nil)
	}
	return p.lists[ch]
}

// onPath asks all hooks of the packet's way.
func (s *RuleSet) onPath(p Packet) (Decision, error) {
	way := inPath
	switch {
	case p.In != "" && p.Out != "":
		way = forwardPath
	case p.Out != "":
		way = outPath
	}
	shape, err := p.shape(way, nil)
	if err != nil {
		return Decision{}, err
	}
	families := familyOf(p.Src, p.Dst)
	pl := s.plan.path(s, wayState{way, stateNumbers[p.State]})
	if pl.failed != "" {
		ax := s.pathAxes()
		pl = s.pathPlan(way, stateNumbers[p.State], ax.boxes(ax.kinds(shape, families)), ax, nil)
	}
	return pl.decide(shape, families), nil
}

func (p *plans) path(s *RuleSet, way wayState) *plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paths[way] == nil {
		p.paths[way] = s.pathPlan(way.path, way.conn, everything, s.pathAxes(), nil)
	}
	return p.paths[way]
}

// decide gives the verdict for all packets of a shape.
func (p *plan) decide(s shape, families Families) Decision {
	if p.failed != "" {
		return Decision{Verdict: UnknownPacket, Why: p.failed}
	}
	v := &verdicts{plan: p, budget: space.Budget{Left: mostLooks}}
	region := p.drawnOnly(p.ax.limit(p.kinds, &s, families))
	if len(region) == 0 {
		return Decision{Verdict: UnknownPacket, Why: "there is no such packet"}
	}
	for _, b := range region {
		if !v.look(b, 0) {
			break
		}
	}
	return v.decision()
}

// mostLooks bounds the pieces into which an open question may be divided.
const mostLooks = 200_000

// verdicts collects what becomes of the packets of a box: one outcome, or
// the first two that differ.
type verdicts struct {
	*plan
	budget space.Budget
	found  []finding
}

// finding is an entry that decides some of the packets asked about, and which.
type finding struct {
	at  int
	box space.Box
}

// look goes through the list for a box; it reports whether to go on.
func (v *verdicts) look(b space.Box, from int) bool {
	if v.budget.Left--; v.budget.Left < 0 {
		v.budget.Out = true
		return false
	}
	i := v.index.Meeting(b, from)
	if i == space.None {
		return true
	}
	hit := v.boxes[i]
	part, _ := b.And(hit)
	if len(v.found) == 0 || !v.entries[i].same(&v.entries[v.found[0].at]) {
		v.found = append(v.found, finding{i, part})
	}
	if len(v.found) > 1 {
		return false
	}
	if b.Within(hit) {
		return true
	}
	for _, rest := range v.ax.sp.Minus(b, hit) {
		if !v.look(rest, i+1) {
			return false
		}
	}
	return true
}

// same reports entries that decide alike.
func (e *ruling) same(o *ruling) bool { return e.verdict == o.verdict && e.ends == o.ends }

func (v *verdicts) decision() Decision {
	switch {
	case v.budget.Out && len(v.found) < 2:
		return Decision{Verdict: UnknownPacket, Why: "the packet leaves too much open: its cases were not all followed"}
	case len(v.found) == 0:
		return Decision{Verdict: PermitPacket, Rule: "no rule", Why: "no chain sees such packets"}
	}
	e := &v.entries[v.found[0].at]
	d := e.decision()
	if len(v.found) > 1 {
		d.Verdict, d.Why = UnknownPacket, v.depends()
	}
	return d
}

func (e *ruling) decision() Decision {
	d := Decision{Verdict: PermitPacket}
	if e.verdict == Drop {
		d.Verdict = DenyPacket
	}
	switch {
	case e.chain == nil:
		d.Rule = "no rule"
		return d
	case e.ends:
		d.Verdict, d.Why, d.Rule = UnknownPacket, "no rule of the chain decides: it goes back to the chain that led here", e.chain.Title+": end of the chain"
	case e.rule == nil:
		d.Rule = e.chain.Title + ": policy " + map[Verdict]string{Accept: "accept", Drop: "drop"}[e.verdict]
	default:
		d.Rule, d.Line = describe(e.chain, e.rule, e.note), e.rule.Line
		d.Why = strings.Join(e.rule.notes(), "; ")
	}
	d.Chain = e.chain.Title
	return d
}

// depends says what divides the packets of the two outcomes: the axes on
// which the packet is open and the two entries part.
func (v *verdicts) depends() string {
	var unknown, open []string
	for i := range v.ax.info {
		a, b := v.found[0].box.Axis(int32(i)), v.found[1].box.Axis(int32(i))
		if slices.Equal(a, b) {
			continue
		}
		text, isUnknown := v.divides(&v.ax.info[i], a, b)
		if isUnknown {
			unknown = append(unknown, text)
		} else {
			open = append(open, text)
		}
	}
	switch {
	case len(unknown) > 0:
		return "not understood: " + strings.Join(capped(slices.Compact(unknown), 4), "; ")
	case len(open) > 0:
		return "depends on " + strings.Join(capped(slices.Compact(open), 4), ", ")
	}
	return "depends on what the packet leaves open"
}

func (v *verdicts) divides(a *axis, one, other space.Spans) (text string, unknown bool) {
	if a.atom != nil {
		return a.atom.Why, a.atom.Unknown
	}
	permitted, verdict := one, "permitted"
	if v.entries[v.found[0].at].verdict == Drop {
		verdict = "denied"
	}
	if permitted == nil {
		permitted, verdict = other, map[string]string{"permitted": "denied", "denied": "permitted"}[verdict]
	}
	set, _ := a.set(permitted)
	if t := a.field.text(set); t != "" && a.mask == (Value{}) {
		return "the " + a.field.String() + " (" + verdict + ": " + t + ")", false
	}
	return "the " + a.field.String(), false
}
