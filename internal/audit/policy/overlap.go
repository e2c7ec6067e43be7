package policy

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
)

// mostPairs bounds how many entries on the same ports are compared with each
// other: beyond it a file says the same thing thousands of times.
const mostPairs = 4_000_000

// pairs calls f with every two entries that have a port in common, the earlier
// one first, until there were mostPairs.
func pairs(entries []Expect, f func(earlier, later *Expect)) {
	order := make([]int, len(entries))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &entries[a].Port, &entries[b].Port
		return cmp.Or(cmp.Compare(x.Proto, y.Proto), int(x.First)-int(y.First), a-b)
	})
	n := 0
	for i, a := range order {
		for _, b := range order[i+1:] {
			if n++; n > mostPairs || !meet(entries[a].Port, entries[b].Port) {
				break
			}
			f(&entries[min(a, b)], &entries[max(a, b)])
		}
	}
}

func meet(a, b PortRange) bool {
	return a.Proto == b.Proto && a.First <= b.Last && b.First <= a.Last
}

// covered tells of entries that let nothing pass which an earlier entry of the
// same list does not: they never decide.
func (c *checker) covered(entries []Expect) {
	told := map[*Expect]bool{}
	pairs(entries, func(earlier, later *Expect) {
		if !told[later] && earlier.covers(later) && !earlier.Expired(c.o.At) {
			told[later] = true
			c.add(later, RuleCovered, exposure.Low, "take one of them out", "the entry at line %d (%s) already allows all of it", earlier.Port.Line, earlier.Port)
		}
	})
}

// covers reports that whatever matches the later entry matches this one too,
// for at least as long, with at least the same peers.
func (e *Expect) covers(later *Expect) bool {
	return e.Port.First <= later.Port.First && later.Port.Last <= e.Port.Last &&
		coversGlob(e.Process, later.Process) && coversGlob(e.Unit, later.Unit) &&
		(e.Scope == "" || later.Scope != "" && !wider(exposure.Scope(later.Scope), exposure.Scope(e.Scope))) &&
		(e.Expires.IsZero() || !later.Expires.IsZero() && !later.Expires.After(e.Expires.Time)) &&
		coversPeers(e.Peers, later.Peers)
}

func coversGlob(wide, narrow string) bool {
	return wide == "" || wide == narrow || wide == "*" && narrow != ""
}

func coversPeers(wide, narrow []Prefix) bool {
	if len(wide) == 0 {
		return true
	}
	return len(narrow) > 0 && !slices.ContainsFunc(narrow, func(n Prefix) bool {
		return !slices.ContainsFunc(wide, func(w Prefix) bool { return w.Bits() <= n.Bits() && w.Contains(n.Addr()) })
	})
}

// conflicts tells where two roles, or the file's own list and a role, say
// different things of a port: a listener needs to please one of them only, so
// that the stricter one has no effect.
func (c *checker) conflicts(entries []Expect) {
	pairs(entries, func(a, b *Expect) {
		if a.Role == b.Role || a.Expired(c.o.At) || b.Expired(c.o.At) {
			return
		}
		if what := a.against(b); what != "" {
			c.add(b, RuleConflict, exposure.Medium, "let one entry say it; either of them is enough for a listener", "%s (line %d) says %s", owner(a), a.Port.Line, what)
		}
	})
}

func owner(e *Expect) string {
	if e.Role == "" {
		return "the list for all hosts"
	}
	return "the role " + e.Role
}

// against says what the first entry has that the second has otherwise.
func (e *Expect) against(b *Expect) string {
	switch {
	case e.Scope != b.Scope:
		return fmt.Sprintf("scope %s, this one %s", cmp.Or(e.Scope, "any"), cmp.Or(b.Scope, "any"))
	case (e.Process == "") != (b.Process == "") || (e.Unit == "") != (b.Unit == ""):
		return fmt.Sprintf("process %s and unit %s, this one %s and %s", orAny(e.Process), orAny(e.Unit), orAny(b.Process), orAny(b.Unit))
	case e.Process == b.Process && e.Unit == b.Unit && !slices.Equal(e.Peers, b.Peers):
		return "other peers"
	case !e.Expires.Equal(b.Expires.Time):
		return "another last day"
	case e.Optional != b.Optional:
		return fmt.Sprintf("optional %t, this one %t", e.Optional, b.Optional)
	}
	return ""
}

func orAny(glob string) string { return cmp.Or(glob, "any") }

// sameHosts compares roles that share a word under hosts: there is, or may be,
// a host that has both.
func (c *checker) sameHosts() {
	own := make([][]Expect, len(c.p.Roles))
	for i := range c.p.Roles {
		own[i] = c.p.ForRoles(c.p.Roles[i].Name).Expect[len(c.p.Expect):]
	}
	for i := range own {
		for j := i + 1; j < len(own); j++ {
			if len(own[i]) > 0 && len(own[j]) > 0 && c.share(&c.p.Roles[i], &c.p.Roles[j]) {
				c.conflicts(slices.Concat(own[i], own[j]))
			}
		}
	}
}

func (c *checker) share(a, b *Role) bool {
	theirs := c.p.hosts(b)
	return slices.ContainsFunc(c.p.hosts(a), func(h HostPattern) bool {
		return slices.ContainsFunc(theirs, func(o HostPattern) bool {
			if h.Prefix.IsValid() && o.Prefix.IsValid() {
				return h.Prefix.Overlaps(o.Prefix)
			}
			return h.Text == o.Text || h.Text == "*" || o.Text == "*" || is(h.Text, o.Text) || is(o.Text, h.Text)
		})
	})
}
