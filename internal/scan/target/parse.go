package target

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Request is what a person wants scanned.
type Request struct {
	Specs        []string       // from the command line
	Files        []File         // lists and evidence
	Exclude      []string       // as Specs
	ExcludeFiles []File         // as Files
	Never        []netip.Prefix // the policy's never-scan: always holds

	Family       Family
	AllAddresses bool // of a name, not only the first of its family

	// Zone is the interface for link-local addresses without one, or "".
	Zone string
	// CanonicalZone gives the one name of an interface that may be written
	// in several ways (eth0, 2), so that exclusions hold for each; an error
	// says that there is no such interface. nil takes zones as written.
	CanonicalZone func(zone string) (string, error)
}

// Targets is what a request stands for.
type Targets struct {
	Set      *Set
	Notes    []string       // for the person
	Gaps     []exposure.Gap // what was wanted and is not in the set
	Excluded uint64         // addresses taken out
}

// Parse reads a request. Bad specs, also among exclusions, are *Error and end
// it; so does an exclusion that does not resolve, which could not be held. A
// target name that does not resolve is a gap, or an *Error where nothing else
// is left. ErrNoTarget and ErrNoneLeft say that nothing was asked for or that
// all of it is excluded. A cancelled ctx is its error.
func Parse(ctx context.Context, req Request, names Resolver) (Targets, error) {
	wants := collector{kind: "target", req: &req}
	if err := wants.read(req.Specs, req.Files); err != nil {
		return Targets{}, err
	}
	holes := collector{kind: "exclusion", req: &req, exclusion: true}
	if err := holes.read(req.Exclude, req.ExcludeFiles); err != nil {
		return Targets{}, err
	}
	for _, c := range []*collector{&holes, &wants} {
		if err := c.resolve(ctx, names); err != nil {
			return Targets{}, err
		}
	}
	for _, p := range req.Never {
		if p.IsValid() {
			holes.ranges.list = append(holes.ranges.list, PrefixRange(p))
		}
	}
	return finish(&wants, holes.ranges.list)
}

// finish makes the set of what was collected.
func finish(c *collector, holes []Range) (Targets, error) {
	t := Targets{Notes: c.notes, Gaps: c.gaps}
	if len(c.ranges.list) == 0 {
		return t, c.nothing()
	}
	whole, err := newSet(normalise(c.ranges.list), c.named)
	if err != nil {
		return t, err
	}
	t.Set = whole
	if len(holes) > 0 {
		if t.Set, err = whole.Without(holes...); err != nil {
			return t, err
		}
	}
	t.Excluded = whole.Len() - t.Set.Len()
	if t.Set.Len() == 0 {
		return t, ErrNoneLeft
	}
	return t, nil
}

// nothing says why there is no target.
func (c *collector) nothing() error {
	switch {
	case c.unresolved != nil:
		return c.unresolved
	case len(c.gaps) > 0:
		return fmt.Errorf("%w (%s)", ErrNoTarget, c.gaps[0].Why)
	}
	return ErrNoTarget
}
