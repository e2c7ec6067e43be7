package ruleset

import (
	"fmt"
	"slices"
	"strings"
)

// lists finds the chains that a name means, or that apply without one.
func (s *RuleSet) lists(name string, p Packet) ([]*Chain, error) {
	if name == "" {
		return s.bound(p)
	}
	found := ofWay(s.named(name), p)
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%w: %q (there are: %s)", ErrNoChain, name, titles(s.Chains))
	case 1:
		return found, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrWhich, titles(found))
}

// ofWay leaves out, of several lists, those for packets that go the other way
// than one that arrives, or, with only Out, one that leaves.
func ofWay(found []*Chain, p Packet) (out []*Chain) {
	other := Outward
	if p.Out != "" && p.In == "" {
		other = Inward
	}
	for _, ch := range found {
		if ch.Way != other {
			out = append(out, ch)
		}
	}
	if len(out) == 0 {
		return found
	}
	return out
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
		func(ch *Chain) bool {
			return ch.Way != BothWays && len(ch.Name) > len(want) && strings.EqualFold(ch.Name[:len(want)+1], want+" ")
		},
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

// bound finds the lists that the packet meets: inward first. They are those
// bound on its interfaces; without interfaces those bound where its addresses
// are, else those bound everywhere, else the only one.
func (s *RuleSet) bound(p Packet) (found []*Chain, err error) {
	if p.In != "" || p.Out != "" {
		found, bindings := s.where(p, func(b Binding, dir Direction) bool { return b.applies(p, dir) })
		switch {
		case len(found) > 0:
			return found, nil
		case bindings:
			return nil, fmt.Errorf("%w on %s", errUnbound, strings.TrimSpace(p.In+" "+p.Out))
		}
	} else if found, err := s.boundByAddress(p); len(found) > 0 || err != nil {
		return found, err
	}
	found = ofWay(s.unjumped(), p)
	switch len(found) {
	case 0:
		return nil, ErrNothing
	case 1:
		return found, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrWhich, titles(found))
}

// boundByAddress finds the lists for a packet without interfaces.
func (s *RuleSet) boundByAddress(p Packet) ([]*Chain, error) {
	addressed := false
	found, _ := s.where(p, func(b Binding, dir Direction) bool {
		if len(b.Addrs) == 0 || b.Direction != dir {
			return false
		}
		addressed = true
		ip := p.Dst
		if dir == Outward {
			ip = p.Src
		}
		return ip.IsValid() && b.Addrs.Has(Address(ip.Unmap()))
	})
	switch {
	case len(found) > 0:
		return found, nil
	case addressed && p.Src.IsValid() && p.Dst.IsValid():
		return nil, fmt.Errorf("%w at %v or %v", errUnbound, p.Src, p.Dst)
	}
	found, _ = s.where(p, func(b Binding, dir Direction) bool {
		return dir == Inward && b.Direction != Outward && b.Device == ""
	})
	return found, nil
}

// where finds the chains with a binding that fits, inward first; bindings
// tells whether there are any at all.
func (s *RuleSet) where(p Packet, fits func(Binding, Direction) bool) (found []*Chain, bindings bool) {
	for _, dir := range []Direction{Inward, Outward} {
		for _, ch := range s.Chains {
			for _, b := range ch.Bindings {
				bindings = true
				if fits(b, dir) && ch.meets(p) && !slices.Contains(found, ch) {
					found = append(found, ch)
				}
			}
		}
	}
	return found, bindings
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
