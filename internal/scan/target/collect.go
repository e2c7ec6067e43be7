package target

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// pile is ranges in any order, tidied as it grows.
type pile struct {
	list []Range
	next int // length at which to tidy
}

func (p *pile) add(rs ...Range) error {
	p.list = append(p.list, rs...)
	if len(p.list) < max(p.next, 4096) {
		return nil
	}
	p.list = normalise(p.list)
	p.next = 2 * len(p.list)
	if len(p.list) > MaxRanges {
		return fmt.Errorf("%w: more than %d", ErrScraps, MaxRanges)
	}
	return nil
}

// collector gathers the targets, or the exclusions, of a request.
type collector struct {
	kind      string
	req       *Request
	exclusion bool

	ranges     pile
	specs      int
	pieces     int // ranges before they are merged
	names      []wanted
	seen       map[string]bool // names with their lengths
	zones      map[string]bool
	named      map[netip.Addr]string
	notes      []string
	gaps       []exposure.Gap
	unresolved *Error // the first name without address
}

func (c *collector) read(specs []string, files []File) error {
	for _, s := range specs {
		if err := c.spec(s, "", 0); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := readFile(f, c); err != nil {
			return err
		}
	}
	return nil
}

// spec takes one spec.
func (c *collector) spec(s, file string, line int) error {
	if c.specs++; c.specs > MaxSpecs {
		return wrong("cut the list into several scans", "more than %d targets are listed", MaxSpecs).place("targets", "", file, line)
	}
	got, err := readSpec(s)
	if err == nil && got.name != "" {
		err = c.want(wanted{got, s, file, line})
	}
	if c.pieces += len(got.ranges); err == nil && c.pieces > maxPieces {
		err = wrong("cut the list into several scans", "the targets so far stand for more than %d separate ranges, overlaps included", maxPieces)
	}
	for i := 0; err == nil && i < len(got.ranges); i++ {
		got.ranges[i], err = c.admit(got.ranges[i])
	}
	if err != nil {
		return err.place(c.kind, s, file, line)
	}
	if err := c.ranges.add(got.ranges...); err != nil {
		e := wrong("name fewer or wider ranges", "%v", err)
		e.Err = err
		return e.place(c.kind, s, file, line)
	}
	return nil
}

// want remembers a name, once.
func (c *collector) want(w wanted) *Error {
	key := fmt.Sprintf("%s/%d", strings.ToLower(w.name), w.bits)
	if c.seen[key] {
		return nil
	}
	if len(c.names) == MaxNames {
		return wrong("cut the list into several scans", "more than %d names are listed", MaxNames)
	}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	c.seen[key], c.names = true, append(c.names, w)
	return nil
}

// admit completes a range and, for a target, refuses what cannot be asked.
func (c *collector) admit(r Range) (Range, *Error) {
	if c.exclusion {
		if err := checkZone(r); err != nil {
			return r, err
		}
	} else {
		var err *Error
		if r, err = admit(r, c.req.Zone); err != nil {
			return r, err
		}
	}
	return c.canonical(r)
}

// canonical gives a range the one name of its zone.
func (c *collector) canonical(r Range) (Range, *Error) {
	zone := r.First.Zone()
	if zone == "" {
		return r, nil
	}
	if c.req.CanonicalZone != nil {
		name, err := c.req.CanonicalZone(zone)
		if err != nil {
			e := wrong("write an interface of this host", "interface %q: %v", zone, err)
			e.Err = err
			return r, e
		}
		zone = name
	}
	if c.zones == nil {
		c.zones = map[string]bool{}
	}
	if c.zones[zone] = true; len(c.zones) > maxZones {
		return r, wrong("cut the list into several scans", "more than %d interfaces are named", maxZones)
	}
	return Range{r.First.WithZone(zone), r.Last.WithZone(zone)}, nil
}

// document takes the addresses of evidence. What cannot be asked there was
// not typed by anybody, so it is a gap.
func (c *collector) document(d evidence, file string) error {
	taken, left := 0, 0
	var why *Error
	var first netip.Addr
	for _, a := range d.addrs {
		if !d.reachable(a) {
			continue
		}
		r, err := c.admit(Single(a))
		if err == nil {
			taken++
			if err := c.ranges.add(r); err != nil {
				return err
			}
			continue
		}
		if left++; left == 1 {
			first, why = a, err
		}
	}
	switch {
	case c.exclusion && left > 0:
		return why.place(c.kind, first.String(), file, 0)
	case left > 0:
		c.gaps = append(c.gaps, notScanned("%d of the addresses in %s are not scanned, first %s: %s", left, file, first, why.Why))
	case taken == 0 && !c.exclusion:
		c.gaps = append(c.gaps, notScanned("%s (%s) names no address that can be reached from elsewhere: name the host itself", file, d.schema))
	}
	return nil
}
