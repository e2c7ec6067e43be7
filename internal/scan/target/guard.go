package target

import (
	"cmp"
	_ "embed"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// PublicLimit is how many public addresses that nobody claims to own may be
// scanned without a word of confirmation.
const PublicLimit = 1024

// largest is how many ranges a ScopeError names.
const largest = 5

//go:embed special.txt
var specialText string

// special is the ranges of special.txt, normalised. A test reads every line,
// so that an error in the table cannot be shipped; what could not be read
// would count as public.
var special = sync.OnceValue(func() []Range {
	rs, _ := parseSpecial(specialText)
	return rs
})

func parseSpecial(text string) ([]Range, error) {
	var out []Range
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		p, err := netip.ParsePrefix(f[0])
		if err != nil {
			return normalise(out), fmt.Errorf("read special.txt: %w", err)
		}
		out = append(out, PrefixRange(p))
	}
	return normalise(out), nil
}

// ScopeError refuses a scan of too many public addresses.
type ScopeError struct {
	Public  uint64  // public addresses that are not owned
	Total   uint64  // addresses of the whole set
	Limit   uint64  // PublicLimit
	Largest []Range // the largest ranges of them, at most five, largest first
	Ranges  int     // how many ranges there are
}

func (e *ScopeError) Error() string {
	names := make([]string, len(e.Largest))
	for i, r := range e.Largest {
		names[i] = fmt.Sprintf("%s (%d)", r, r.Len())
	}
	text := strings.Join(names, ", ")
	if n := e.Ranges - len(e.Largest); n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("the scan would ask %d public addresses that are not owned, more than %d: %s", e.Public, e.Limit, text)
}

// Hint is what the person can do.
func (e *ScopeError) Hint() string {
	return "list your own networks under `owned:` in the policy (--policy FILE); where you are permitted to scan the others, repeat with --confirm-scope"
}

// Guard refuses, with a *ScopeError, a set of more than PublicLimit addresses
// that are public and not within owned. It counts ranges, so its cost does
// not depend on their size, nor its result on how they were written.
func Guard(s *Set, owned []netip.Prefix) error {
	allowed := slices.Clone(special())
	for _, p := range owned {
		if p.IsValid() {
			allowed = append(allowed, PrefixRange(p))
		}
	}
	public := cutZones(s.ranges, allowed)
	e := &ScopeError{Total: s.Len(), Limit: PublicLimit, Ranges: len(public)}
	for _, r := range public {
		e.Public += r.Len()
	}
	if e.Public <= PublicLimit {
		return nil
	}
	slices.SortStableFunc(public, func(a, b Range) int { return cmp.Compare(b.Len(), a.Len()) })
	e.Largest = slices.Clone(public[:min(largest, len(public))])
	return e
}
