package ruleset

import (
	"fmt"
	"slices"
	"strings"
)

// lists finds the chains that a name means, or that apply without one.
func (s *RuleSet) lists(name string, p Packet) ([]*Chain, error) {
	found := s.named(name)
	if name == "" {
		found = s.bound(p)
	}
	switch {
	case len(found) == 1 || len(found) > 1 && name == "" && found[0].Bindings != nil && (p.In != "" || p.Out != ""):
		return found, nil
	case len(found) == 0 && name != "":
		return nil, fmt.Errorf("%w: %q (there are: %s)", ErrNoChain, name, titles(s.Chains))
	case len(found) == 0:
		return nil, ErrNothing
	}
	return nil, fmt.Errorf("%w: %s", ErrWhich, titles(found))
}

func titles(chains []*Chain) string {
	names := make([]string, len(chains))
	for i, ch := range chains {
		names[i] = ch.Title
		if ch.Title == "" {
			names[i] = ch.Name
		}
	}
	return strings.Join(capped(names, 20), ", ")
}

// named finds chains by title, by the end of the title, or by name.
func (s *RuleSet) named(name string) (found []*Chain) {
	want := strings.Join(strings.Fields(name), " ")
	for _, fits := range []func(*Chain) bool{
		func(ch *Chain) bool { return ch.Title == want },
		func(ch *Chain) bool { return strings.EqualFold(ch.Title, want) },
		func(ch *Chain) bool {
			return len(ch.Title) > len(want) && strings.EqualFold(ch.Title[len(ch.Title)-len(want)-1:], " "+want)
		},
		func(ch *Chain) bool { return strings.EqualFold(ch.Name, want) },
	} {
		for _, ch := range s.Chains {
			if fits(ch) {
				found = append(found, ch)
			}
		}
		if len(found) > 1 {
			found = filterFirst(found)
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// filterFirst prefers, among chains of one name, those of filter tables:
// "INPUT" is not the one of the mangle table.
func filterFirst(found []*Chain) []*Chain {
	var out []*Chain
	for _, ch := range found {
		if ch.Kind == FilterChain && (ch.Hook == NoHook || ch.Priority == 0) {
			out = append(out, ch)
		}
	}
	if len(out) == 0 {
		return found
	}
	return out
}

// bound finds the lists that the packet meets by its interfaces: inward
// first. Without any that is bound there, all lists are candidates.
func (s *RuleSet) bound(p Packet) (found []*Chain) {
	bindings := false
	for _, dir := range []Direction{Inward, Outward} {
		for _, ch := range s.Chains {
			for _, b := range ch.Bindings {
				bindings = true
				if b.applies(p, dir) && ch.meets(p) && !slices.Contains(found, ch) {
					found = append(found, ch)
				}
			}
		}
	}
	if len(found) > 0 && (p.In != "" || p.Out != "") {
		return found
	}
	if bindings && (p.In != "" || p.Out != "") {
		return nil
	}
	return s.unjumped()
}

// meets reports that the packet may be of a family that the list is for.
func (ch *Chain) meets(p Packet) bool {
	return (ch.Families|ch.anyFamily())&familyOf(p.Src, p.Dst) != 0
}

func (b Binding) applies(p Packet, dir Direction) bool {
	device := p.In
	if dir == Outward {
		device = p.Out
	}
	if b.Direction != dir && b.Direction != BothWays || device == "" {
		return false
	}
	stem, wild := strings.CutSuffix(b.Device, "*")
	return b.Device == "" || b.Device == device || wild && strings.HasPrefix(device, stem)
}

// unjumped are the chains that no rule leads to.
func (s *RuleSet) unjumped() []*Chain { return s.plan.unjumped }

// findUnjumped looks for chains that no rule leads to.
func (s *RuleSet) findUnjumped() (out []*Chain) {
	target := map[*Chain]bool{}
	for _, ch := range s.Chains {
		for _, r := range ch.Rules {
			for _, to := range r.targets() {
				target[to] = true
			}
		}
	}
	for _, ch := range s.Chains {
		if !target[ch] {
			out = append(out, ch)
		}
	}
	return out
}

// targets are the chains that a rule may lead to.
func (r *Rule) targets() (out []*Chain) {
	for _, s := range r.Steps {
		switch s := s.(type) {
		case Decide:
			if s.Target != nil {
				out = append(out, s.Target)
			}
		case Choose:
			for _, row := range s.Rows {
				if row.Target != nil {
					out = append(out, row.Target)
				}
			}
		}
	}
	return out
}
