package learn

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// Proposal is a permit that denials suggest. It does nothing until a person
// has said yes: denied is not needed.
type Proposal struct {
	Rule rulefile.Rule // of action ask
	// Internal: both ends are one's own.
	Internal bool
	// Denied is how often; at least that, where the log is a sample.
	Denied uint64
}

// Proposals makes proposals of denials, what is most probably needed first:
// between one's own hosts, on many days, by many clients, often. What existing
// (it may be nil) decides already is not proposed, nor what a scanner asked
// for.
func Proposals(flows iter.Seq[*exposure.Flow], existing *rulefile.File, o Options) ([]Proposal, *Report, error) {
	decided, err := decidedBy(existing)
	if err != nil {
		return nil, nil, err
	}
	l := New(o)
	for f := range flows {
		if !decided(f) {
			l.Add(f)
		}
	}
	out, report := l.proposals()
	return out, report, nil
}

// decidedBy reports flows that a file has a rule for, permit or deny.
func decidedBy(f *rulefile.File) (func(*exposure.Flow) bool, error) {
	if f == nil {
		return func(*exposure.Flow) bool { return false }, nil
	}
	rules, err := f.Active()
	if err != nil {
		return nil, err
	}
	return func(f *exposure.Flow) bool {
		p, ok := PacketOf(f)
		return ok && f.Action == "deny" && slices.ContainsFunc(rules, func(r rulefile.Resolved) bool {
			return r.In == "" && r.Out == "" && r.Fits(p)
		})
	}, nil
}

func (l *Learner) proposals() ([]Proposal, *Report) {
	e := l.evidence()
	e.asking = true
	e.siftDenied()
	e.learnHosts()
	e.nameLater()
	cells := e.cells()
	slices.SortFunc(cells, e.compareCells)
	cells = e.mergeSame(cells)
	for _, c := range cells {
		e.gather(c)
	}
	slices.SortFunc(cells, e.compareNeed)
	out := make([]Proposal, 0, len(cells))
	for _, c := range cells {
		out = append(out, e.proposal(c))
	}
	e.report.Rules = len(out)
	return out, e.report
}

// What the internet must do to be more than background: come back on another
// day, or keep at it, and want one thing.
const (
	farDenials = 3
	farDoors   = 2
)

// siftDenied keeps denials that may be of a need.
func (e *evidence) siftDenied() {
	all := slices.DeleteFunc(e.sorted(), func(r row) bool { return r.denied == 0 })
	doors := map[uint32]int{}
	for _, r := range all {
		doors[r.client]++
	}
	scans := e.findScans(all)
	for _, r := range all {
		far := !e.home.internal(e.hosts[r.client])
		switch {
		case scans.suspect(r) || far && doors[r.client] > farDoors:
			e.report.ScanFlows += r.denied
			continue
		case far && (r.denied < farDenials || bits.OnesCount64(r.badDays) < 2 && e.window >= day):
			e.report.Unanswered += r.denied
			continue
		case e.icmpNoise(r):
			e.report.Related += r.denied
			continue
		}
		asked := *r.pair
		asked.ok, asked.days = r.denied, r.badDays
		e.rows = append(e.rows, row{r.pairKey, &asked})
	}
	e.report.Scanners = scans.report(e)
	e.nameDynamic()
	e.servers = map[[2]uint32]int{}
}

func (e *evidence) compareNeed(a, b *cell) int {
	return cmp.Or(
		-compareBool(e.bothOwn(a), e.bothOwn(b)),
		cmp.Compare(bits.OnesCount64(b.stat.days), bits.OnesCount64(a.stat.days)),
		cmp.Compare(len(b.clients), len(a.clients)),
		e.compareCells(a, b),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (e *evidence) bothOwn(c *cell) bool { return !c.from.far && !c.to.far }

func (e *evidence) proposal(c *cell) Proposal {
	r := e.rule(c)
	r.Action = rulefile.Ask
	ev := r.Evidence
	ev.Flows, ev.Denied = 0, c.stat.ok
	ev.Why = fmt.Sprintf("denied %d times to %d clients on %d of %d days", c.stat.ok, len(c.clients), max(ev.Days, 1), max(e.windowDays(), 1))
	ev.Confidence = "low"
	if e.bothOwn(c) && (ev.Days >= 2 || len(c.clients) >= 3) {
		ev.Confidence = "medium"
	}
	if e.opt.Sampled {
		ev.Why += ", or more: the log is a sample"
	}
	return Proposal{Rule: r, Internal: e.bothOwn(c), Denied: c.stat.ok}
}

// Answer is a person's word on a proposal.
type Answer uint8

// Answers. Later leaves the proposal in the file as it is; No writes a deny, so
// that it is not proposed again.
const (
	Later Answer = iota
	Yes
	No
)

// Decision is the answer to one proposal; Edited, when set, is the rule that
// the person made of it.
type Decision struct {
	Answer Answer
	Edited *rulefile.Rule
}

// ErrDecisions: there must be a decision for each proposal.
var ErrDecisions = errors.New("there are not as many decisions as proposals")

// Apply makes a file of an existing one (it may be nil and is not changed) and
// what a person decided. What was decided stands behind the existing rules; a
// permit stands before the first deny, which might hide it.
func Apply(f *rulefile.File, proposals []Proposal, decisions []Decision) (*rulefile.File, error) {
	if len(proposals) != len(decisions) {
		return nil, ErrDecisions
	}
	out := &rulefile.File{Schema: rulefile.Schema, Name: "portreeve"}
	if f != nil {
		copied := *f
		out = &copied
	}
	var permits, rest []rulefile.Rule
	for i, d := range decisions {
		r := proposals[i].Rule
		if d.Edited != nil {
			r = *d.Edited
		}
		switch d.Answer {
		case Yes:
			r.Action = rulefile.Permit
			permits = append(permits, r)
		case No:
			r.Action = rulefile.Deny
			rest = append(rest, r)
		default:
			r.Action = rulefile.Ask
			rest = append(rest, r)
		}
	}
	out.Rules = slices.DeleteFunc(slices.Clone(out.Rules), func(r rulefile.Rule) bool { return askedAgain(&r, proposals) })
	at := slices.IndexFunc(out.Rules, func(r rulefile.Rule) bool { return r.Action == rulefile.Deny })
	if at < 0 {
		at = len(out.Rules)
	}
	out.Rules = slices.Concat(out.Rules[:at], permits, out.Rules[at:], rest)
	_, err := out.Resolve()
	return out, err
}

// askedAgain reports an older question that a proposal asks anew, with what was
// seen since.
func askedAgain(old *rulefile.Rule, proposals []Proposal) bool {
	if old.Action != rulefile.Ask {
		return false
	}
	was, err := (&rulefile.File{Schema: rulefile.Schema, Rules: []rulefile.Rule{*old}}).Resolve()
	return err == nil && slices.ContainsFunc(proposals, func(p Proposal) bool {
		now, err := (&rulefile.File{Schema: rulefile.Schema, Rules: []rulefile.Rule{p.Rule}}).Resolve()
		return err == nil && within(&was[0], &now[0])
	})
}

// within reports a rule whose packets all fit another one.
func within(a, b *rulefile.Resolved) bool {
	return a.Proto == b.Proto && a.In == b.In && a.Out == b.Out && areaWithin(a.From, b.From) && areaWithin(a.To, b.To) &&
		portsWithin(a.Ports, b.Ports) && portsWithin(a.FromPorts, b.FromPorts) && slices.Equal(a.Types, b.Types)
}

func areaWithin(a, b area) bool {
	return b == nil || a != nil && len(a.minus(slices.Clone(b).normal())) == 0
}

func portsWithin(a, b []rulefile.PortRange) bool {
	return b == nil || a != nil && !slices.ContainsFunc(a, func(x rulefile.PortRange) bool {
		return !slices.ContainsFunc(b, func(y rulefile.PortRange) bool { return y.Lo <= x.Lo && x.Hi <= y.Hi })
	})
}
