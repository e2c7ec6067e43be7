package target

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestEveryLineOfTheTableIsRead(t *testing.T) {
	rs, err := parseSpecial(specialText)
	lines := 0
	for line := range strings.Lines(specialText) {
		if !strings.HasPrefix(line, "#") {
			lines++
			if f := strings.Fields(line); len(f) < 4 || !strings.Contains(line, "RFC ") || netip.MustParsePrefix(f[0]) != netip.MustParsePrefix(f[0]).Masked() {
				t.Errorf("%q lacks meaning or source, or has bits beyond its length", line)
			}
		}
	}
	if err != nil || lines != 26 || len(rs) < 20 {
		t.Errorf("%d lines, %d ranges, %v", lines, len(rs), err)
	}
	if _, err := parseSpecial("10.0.0.0/99 x\n"); err == nil {
		t.Error("a bad line was accepted")
	}
}

// What RFC 6890 and its successors say, and what is left to count as public.
func TestWhatIsPublic(t *testing.T) {
	for addrs, want := range map[string]bool{
		"9.255.255.255 11.0.0.0 8.8.8.8 1.1.1.1 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0":      true,
		"169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.0.9 192.0.0.10 192.0.1.255 192.0.3.0": true,
		"192.88.99.1 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 192.31.196.1":   true,
		"2000:: 2606:4700:4700::1111 2001::1 2002:c000:204::1 64:ff9b::808:808 4000:: fec0::1 2001:db9::":  true,
		"10.0.0.1 100.64.0.1 127.0.0.1 169.254.9.9 172.16.0.1 172.31.255.255 192.168.255.255 198.18.0.1":   false,
		"0.1.2.3 192.0.0.1 192.0.2.1 198.19.255.255 198.51.100.1 203.0.113.1 240.0.0.1 254.255.255.255":    false,
		"::1 fd00::1 fc00:: fe80::1%eth0 2001:db8::1 100::1 64:ff9b:1::1 2001:2::1 3fff::1 5f00::1":        false,
	} {
		for _, text := range strings.Fields(addrs) {
			r := Single(netip.MustParseAddr(text))
			if got := len(cutZones([]Range{r}, special())) == 1; got != want {
				t.Errorf("%s: public %v, want %v", text, got, want)
			}
		}
	}
}

func guard(t *testing.T, specs string, owned ...string) error {
	t.Helper()
	got, err := Parse(t.Context(), Request{Specs: strings.Fields(specs)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []netip.Prefix
	for _, o := range owned {
		list = append(list, netip.MustParsePrefix(o))
	}
	return Guard(got.Set, list)
}

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		specs, owned string
		public       uint64 // 0: allowed
	}{
		{"8.8.0.0/22", "", 0},
		{"8.8.0.0/22 9.9.9.9", "", 1025},
		{"8.8.0.0/22 9.9.9.9 8.8.1.0/24", "9.9.9.9/32", 0},
		{"8.8.0.0/21", "8.8.4.0/22", 0},
		{"8.8.0.0/21", "8.8.4.0/23", 1536},
		{"8.8.0.0/16", "8.0.0.0/8", 0},
		{"8.8.0.0/16", "::ffff:8.8.0.0/112", 0},
		{"8.8.0.0/16", "::/0", 65536},
		{"10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10", "", 0},
		{"172.15.250.0-172.32.0.255", "", 1792},
		{"1.0.0.0-223.255.255.255", "", 3741319168 - 16777216*2 - 4194304 - 65536 - 1048576 - 65536 - 131072 - 3*256 - 8 - 1 - 2},
		{"2606:4700::/112", "", 65536},
		{"2606:4700::/112", "2606:4700::/32", 0},
		{"2606:4700::/117 8.8.8.8", "", 2049},
		{"::ffff:8.8.0.0/112", "", 65536},
		{"64:ff9b::808:0/112", "", 65536},
		{"fe80::%eth0/112 fd00::/112 2001:db8::/112", "", 0},
	} {
		err := guard(t, c.specs, strings.Fields(c.owned)...)
		var e *ScopeError
		switch {
		case c.public == 0 && err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.public != 0 && (!errors.As(err, &e) || e.Public != c.public || e.Limit != 1024):
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestScopeErrorTellsWhatAndWhatToDo(t *testing.T) {
	err := guard(t, "8.8.0.0/22 1.1.1.0/24 9.9.9.9 9.9.9.11 9.9.9.13 9.9.9.15 10.0.0.0/24")
	var e *ScopeError
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if e.Public != 1284 || e.Total != 1540 || e.Ranges != 6 || fmt.Sprint(e.Largest[:2]) != "[8.8.0.0-8.8.3.255 1.1.1.0-1.1.1.255]" {
		t.Errorf("%+v", e)
	}
	for _, want := range []string{"1284", "8.8.0.0-8.8.3.255 (1024)", "and 1 more"} {
		if !strings.Contains(e.Error(), want) {
			t.Errorf("%q lacks %q", e, want)
		}
	}
	for _, want := range []string{"owned:", "--confirm-scope"} {
		if !strings.Contains(e.Hint(), want) {
			t.Errorf("%q lacks %q", e.Hint(), want)
		}
	}
}

// Cutting a range up does not get it past the guard.
func TestGuardIsNotFooledBySplitting(t *testing.T) {
	whole := guard(t, "8.8.0.0-8.8.4.0")
	var alternate, single, blocks []string
	for i := range 2050 {
		if i <= 1024 {
			single = append(single, fmt.Sprintf("8.8.%d.%d", i/256, i%256))
		}
		if i%2 == 0 {
			alternate = append(alternate, fmt.Sprintf("8.8.%d.%d", i/256, i%256))
		}
	}
	for i := range 257 {
		blocks = append(blocks, fmt.Sprintf("8.%d.0.0/30", i%256), fmt.Sprintf("::ffff:8.%d.4.0/126", i%256))
	}
	for name, specs := range map[string][]string{"single": single, "alternate": alternate, "blocks": blocks} {
		var a, b *ScopeError
		err := guard(t, strings.Join(specs, " "))
		if !errors.As(err, &a) || !errors.As(whole, &b) || name == "single" && a.Public != b.Public || len(a.Largest) > 5 {
			t.Errorf("%s: %v; in one: %v", name, err, whole)
		}
	}
}

// naivePublic is written from the RFCs by other means than the table.
func naivePublic(a netip.Addr, owned []netip.Prefix) bool {
	for _, p := range owned {
		if p.Contains(a.WithZone("")) {
			return false
		}
	}
	if a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() {
		return false
	}
	if a.Is6() {
		b := a.As16()
		return !(b[0] == 0x20 && b[1] == 0x01 && b[2] == 0x0d && b[3] == 0xb8)
	}
	b := a.As4()
	switch {
	case b[0] == 0, b[0] >= 240, b[0] == 100 && b[1]>>6 == 1, b[0] == 198 && b[1]|1 == 19,
		b[0] == 192 && b[1] == 0 && b[2] == 2, b[0] == 198 && b[1] == 51 && b[2] == 100, b[0] == 203 && b[1] == 0 && b[2] == 113:
		return false
	case b[0] == 192 && b[1] == 0 && b[2] == 0:
		return !(b[3] <= 8 || b[3] == 170 || b[3] == 171)
	}
	return true
}

func TestGuardAgainstNaiveCounting(t *testing.T) {
	edges := []string{"9.255.254.0", "10.255.254.0", "8.8.0.0", "8.8.4.0", "100.63.254.0", "100.127.254.0", "172.15.254.0", "172.31.254.0",
		"191.255.255.0", "192.0.0.0", "192.167.254.0", "198.17.254.0", "198.51.99.0", "203.0.112.0", "223.255.0.0", "239.255.254.0",
		"2001:db7:ffff:ffff:ffff:ffff:ffff:fe00", "2001:db8:ffff:ffff:ffff:ffff:ffff:fe00", "2606::", "fe80::%a"}
	owns := []netip.Prefix{netip.MustParsePrefix("8.8.0.0/21"), netip.MustParsePrefix("8.8.4.0/23"), netip.MustParsePrefix("2606::/120"),
		netip.MustParsePrefix("192.0.0.0/23"), netip.MustParsePrefix("223.255.1.0/24"), netip.MustParsePrefix("10.0.0.0/7")}
	rapid.Check(t, func(t *rapid.T) {
		var rs []Range
		for range rapid.IntRange(1, 4).Draw(t, "ranges") {
			first := advance(netip.MustParseAddr(rapid.SampledFrom(edges).Draw(t, "edge")), rapid.Uint64Range(0, 600).Draw(t, "skip"))
			rs = append(rs, Range{first, advance(first, rapid.Uint64Range(0, 1200).Draw(t, "more"))})
		}
		owned := rapid.SliceOfN(rapid.SampledFrom(owns), 0, 3).Draw(t, "owned")
		s, err := NewSet(rs...)
		if err != nil {
			t.Fatal(err)
		}
		var want uint64
		for i := range s.Len() {
			if naivePublic(s.At(i), owned) {
				want++
			}
		}
		before := slices.Clone(s.ranges)
		var e *ScopeError
		switch err := Guard(s, owned); {
		case want <= PublicLimit && err != nil, want > PublicLimit && !errors.As(err, &e), e != nil && e.Public != want:
			t.Fatalf("%v owned %v: %v, want %d", rs, owned, err, want)
		case !slices.Equal(before, s.ranges):
			t.Fatal("the set was changed")
		}
	})
}
