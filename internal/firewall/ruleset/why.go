package ruleset

import (
	"slices"
	"strings"
)

// difference says in words what divides the packets that pass from those that
// do not: the fields that only one side is limited in.
func difference(passed, denied []*class) string {
	var parts []string
	for f := range numFields {
		if text := dividedBy(f, passed, denied); text != "" {
			parts = append(parts, text)
		}
	}
	parts = append(parts, dividingAtoms(passed, denied)...)
	if len(parts) == 0 {
		return "what is drawn by chance or chosen by the kernel"
	}
	return strings.Join(parts, ", ")
}

// tellable are the fields that a sender may choose or that tell where he is.
var tellable = []Field{SAddr, SPort, IIf, OIf, IIfGroup, OIfGroup, DSCP, ECN, TTL, Length, MSS, MAC,
	PhysIn, PhysOut, ICMPType, ICMPCode, FragOff, Chance, DAddr}

// dividedBy describes a field that has other values on one side than on the
// other, by the side that is simpler to say.
func dividedBy(f Field, passed, denied []*class) string {
	if !slices.Contains(tellable, f) {
		return ""
	}
	p, d := values(f, passed), values(f, denied)
	onlyP, onlyD := p.Minus(d), d.Minus(p)
	switch {
	case len(onlyP)+len(onlyD) == 0 && differs(f, passed, denied):
		return "the " + f.String()
	case len(onlyP)+len(onlyD) == 0:
		return ""
	case len(onlyP) == 0:
		onlyP = p
	case len(onlyD) == 0:
		onlyD = d
	}
	if f.simpler(onlyP, onlyD) {
		return "the " + f.String() + " (permitted: " + f.text(onlyP) + ")"
	}
	if t := f.text(onlyD); t != "" {
		return "the " + f.String() + " (denied: " + t + ")"
	}
	return "the " + f.String()
}

// simpler reports that a is shorter to say than b: fewer or narrower parts.
func (f Field) simpler(a, b Set) bool {
	switch {
	case f.awkward(a) != f.awkward(b):
		return f.awkward(b)
	case len(a) != len(b):
		return len(a) < len(b)
	}
	return span(a).Compare(span(b)) <= 0
}

func span(s Set) (total Value) {
	for _, iv := range s {
		total.Hi += iv.Hi.Hi - iv.Lo.Hi
		total.Lo = max(total.Lo, iv.Hi.Lo-iv.Lo.Lo)
	}
	return total
}

func values(f Field, in []*class) Set {
	sets := make([]Set, len(in))
	for i, c := range in {
		sets[i] = c.vals[f]
	}
	return Union(sets...)
}

// differs reports a field that classes of either side divide among them.
func differs(f Field, lists ...[]*class) bool {
	var first Set
	seen := false
	for _, list := range lists {
		for _, c := range list {
			if seen && !c.vals[f].Equal(first) {
				return true
			}
			first, seen = c.vals[f], true
		}
	}
	return false
}

func dividingAtoms(passed, denied []*class) (out []string) {
	for _, list := range [][]*class{passed, denied} {
		for _, c := range list {
			for _, l := range c.atoms {
				if !slices.Contains(out, l.Why) {
					out = append(out, l.Why)
				}
			}
		}
	}
	return capped(out, 4)
}
