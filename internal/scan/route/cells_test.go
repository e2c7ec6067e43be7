package route

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// drawAddr draws addresses close to each other, so that prefixes nest.
func drawAddr(t *rapid.T, is4 bool, label string) netip.Addr {
	if is4 {
		b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 127, 128, 254, 255}), 4, 4).Draw(t, label)
		return netip.AddrFrom4([4]byte(b))
	}
	b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x80, 0xff}), 16, 16).Draw(t, label)
	return netip.AddrFrom16([16]byte(b))
}

// Two addresses share a cell exactly where every prefix holds both or none of
// everything between them: the naive twin asks each prefix.
func TestCellsFollowPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		is4 := rapid.Bool().Draw(t, "IPv4")
		bits := 128
		if is4 {
			bits = 32
		}
		var c cuts
		var prefixes []netip.Prefix
		for range rapid.IntRange(0, 12).Draw(t, "prefixes") {
			p := netip.PrefixFrom(drawAddr(t, is4, "prefix"), rapid.IntRange(0, bits).Draw(t, "bits"))
			prefixes = append(prefixes, p)
			c.add(p)
		}
		c = c.sealed()
		a, b := drawAddr(t, is4, "a"), drawAddr(t, is4, "b")
		same := c.cell(a) == c.cell(b)
		for _, p := range prefixes {
			if same && p.Contains(a) != p.Contains(b) {
				t.Fatalf("%s and %s share a cell, %s tells them apart", a, b, p)
			}
		}
		if !same {
			if a.Compare(b) > 0 {
				a, b = b, a
			}
			for _, p := range prefixes { // some prefix must begin or end between them
				first := p.Masked().Addr()
				if a.Less(first) && !b.Less(first) || p.Contains(a) && !p.Contains(b) || !p.Contains(a) && p.Contains(b) {
					return
				}
				if end := lastOf(p); pointOf(a).compare(end) <= 0 && end.compare(pointOf(b)) < 0 {
					return
				}
			}
			t.Fatalf("%s and %s are in different cells for no reason: %v", a, b, prefixes)
		}
	})
}

// Within a cell cut by an own address, the common prefix has one length.
func TestMatchLengthIsOnePerCell(t *testing.T) {
	common := func(a, b netip.Addr) int {
		for bits := a.BitLen(); ; bits-- {
			if netip.PrefixFrom(a, bits).Contains(b) {
				return bits
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		own := drawAddr(t, false, "own")
		var c cuts
		c.addMatches(own)
		c = c.sealed()
		a, b := drawAddr(t, false, "a"), drawAddr(t, false, "b")
		if c.cell(a) == c.cell(b) && common(own, a) != common(own, b) {
			t.Fatalf("%s and %s share a cell of %s", a, b, own)
		}
	})
}

func TestFixedPrefixesAreRead(t *testing.T) {
	if n := len(fixedPrefixes()); n != 25 {
		t.Errorf("%d prefixes read from fixed.txt", n)
	}
}
