package remedy

import (
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// asEstablished copies chains so that the model's new packet is treated as
// one of an established connection: what rules ask of the connection's state
// is answered beforehand.
func asEstablished(chains []*ruleset.Chain) []*ruleset.Chain {
	c := copier{}
	out := make([]*ruleset.Chain, len(chains))
	for i, ch := range chains {
		out[i] = c.chain(ch)
	}
	return out
}

// copier remembers copies, since chains refer to each other, maybe in rings.
type copier map[*ruleset.Chain]*ruleset.Chain

func (c copier) chain(ch *ruleset.Chain) *ruleset.Chain {
	if ch == nil {
		return nil
	}
	if got := c[ch]; got != nil {
		return got
	}
	out := &ruleset.Chain{Families: ch.Families, Title: ch.Title, Name: ch.Name, Hook: ch.Hook, Kind: ch.Kind, Priority: ch.Priority,
		Policy: ch.Policy, Devices: ch.Devices, DevicesUnknown: ch.DevicesUnknown, Legacy: ch.Legacy}
	c[ch] = out
	for _, r := range ch.Rules {
		to := &ruleset.Rule{Text: r.Text, Comment: r.Comment, Handle: r.Handle, Line: r.Line}
		for _, s := range r.Steps {
			to.Steps = append(to.Steps, c.step(s))
		}
		out.Rules = append(out.Rules, to)
	}
	return out
}

func (c copier) step(s ruleset.Step) ruleset.Step {
	switch s := s.(type) {
	case ruleset.Match:
		return ruleset.Match{Expr: settled(s.Expr)}
	case ruleset.Decide:
		s.Target = c.chain(s.Target)
		return s
	case ruleset.Choose:
		rows := slices.Clone(s.Rows)
		for i := range rows {
			rows[i].Sets = settledRow(s.Fields, rows[i].Sets)
			rows[i].Target = c.chain(rows[i].Target)
		}
		s.Rows = rows
		return s
	}
	return s
}

var established = ruleset.Number(ruleset.StateEstablished)

// settled answers what an expression asks of the connection's state.
func settled(e ruleset.Expr) ruleset.Expr {
	switch e := e.(type) {
	case ruleset.In:
		if e.Field != ruleset.CtState {
			return e
		}
		v := established
		if e.Mask != (ruleset.Value{}) {
			v = v.And(e.Mask)
		}
		return ruleset.Const{Holds: e.Set.Has(v)}
	case ruleset.Not:
		return ruleset.Not{Expr: settled(e.Expr)}
	case ruleset.All:
		out := make(ruleset.All, len(e))
		for i := range e {
			out[i] = settled(e[i])
		}
		return out
	case ruleset.Any:
		out := make(ruleset.Any, len(e))
		for i := range e {
			out[i] = settled(e[i])
		}
		return out
	case ruleset.Tuple:
		rows := make([][]ruleset.Set, len(e.Rows))
		for i, row := range e.Rows {
			rows[i] = settledRow(e.Fields, row)
		}
		e.Rows = rows
		return e
	}
	return e
}

// settledRow makes a row fit every state or none.
func settledRow(fields []ruleset.Field, row []ruleset.Set) []ruleset.Set {
	out := slices.Clone(row)
	for i, f := range fields {
		switch {
		case f != ruleset.CtState || i >= len(out):
		case out[i].Has(established):
			out[i] = ruleset.CtState.Full()
		default:
			out[i] = nil
		}
	}
	return out
}
