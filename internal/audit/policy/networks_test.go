package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestOwnedAndNeverScanAreRead(t *testing.T) {
	p, err := Parse([]byte("version: 1\nowned:\n  - 203.0.113.0/24\n  - 2001:db8::/32\n  - 198.51.100.7\n" +
		"never-scan: [10.0.0.9, '2001:db8:1::/48', '::ffff:10.1.0.0/112']\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(p.OwnedPrefixes()); got != "[203.0.113.0/24 2001:db8::/32 198.51.100.7/32]" {
		t.Errorf("owned: %s", got)
	}
	if got := fmt.Sprint(p.NeverScanPrefixes()); got != "[10.0.0.9/32 2001:db8:1::/48 10.1.0.0/16]" {
		t.Errorf("never-scan: %s", got)
	}
	if p.Owned[2].Line != 5 {
		t.Errorf("line %d, want 5", p.Owned[2].Line)
	}
}

// A policy need not be given, and need not have the keys.
func TestNoNetworksAreNone(t *testing.T) {
	p, err := Parse([]byte("version: 1\nowned:\nnever-scan: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]netip.Prefix{p.OwnedPrefixes(), p.NeverScanPrefixes(),
		(*Policy)(nil).OwnedPrefixes(), (*Policy)(nil).NeverScanPrefixes()} {
		if len(list) != 0 {
			t.Errorf("got %v", list)
		}
	}
}

func TestNetworkErrorsNameTheLine(t *testing.T) {
	for _, c := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"name", "version: 1\nnever-scan:\n  - db1.example.org\n", 3, "names are not read"},
		{"bad length", "version: 1\nowned: [10.0.0.0/33]\n", 2, "10.0.0.0/33"},
		{"bits beyond the length", "version: 1\nowned:\n  - 203.0.113.5/24\n", 3, "203.0.113.0/24"},
		{"bits beyond the length, never", "version: 1\nnever-scan:\n  - 10.1.2.3/8\n", 3, "10.0.0.0/8"},
		{"zone", "version: 1\nnever-scan: ['fe80::1%eth0']\n", 2, "fe80::1"},
		{"number", "version: 1\nowned: [10.1]\n", 2, "10.1"},
		{"everything", "version: 1\nowned:\n  - 198.51.100.0/24\n  - 0.0.0.0/0\n", 4, "wider"},
		{"everything v6", "version: 1\nowned:\n  - 2000::/3\n", 3, "wider"},
		{"mapped everything", "version: 1\nowned:\n  - ::ffff:0:0/96\n", 3, "wider"},
		{"no list", "version: 1\nowned: 10.0.0.0/8\n", 2, ""},
		{"map", "version: 1\nowned:\n  - net: 10.0.0.0/8\n", 3, ""},
		{"empty entry", "version: 1\nnever-scan:\n  -\n", 0, ""},
		{"other spelling", "version: 1\nnever_scan: []\n", 2, "never_scan"},
	} {
		_, err := Parse([]byte(c.text))
		var pe *Error
		if !errors.As(err, &pe) {
			t.Errorf("%s: got %v, want a policy error", c.name, err)
			continue
		}
		if (c.line != 0 && pe.Line != c.line) || !strings.Contains(pe.Error(), c.want) {
			t.Errorf("%s: got %q, want line %d and %q", c.name, pe, c.line, c.want)
		}
	}
}

// never-scan may be as wide as it likes: it only ever takes away.
func TestNeverScanMayBeEverything(t *testing.T) {
	p, err := Parse([]byte("version: 1\nnever-scan: [0.0.0.0/0, '::/0']\n"))
	if err != nil || len(p.NeverScanPrefixes()) != 2 {
		t.Errorf("got %v, %v", p.NeverScanPrefixes(), err)
	}
}

func TestNetworksCountAsEntries(t *testing.T) {
	_, err := Parse([]byte("version: 1\nnever-scan:\n" + strings.Repeat("- 10.0.0.1\n", MaxEntries+1)))
	var pe *Error
	if !errors.As(err, &pe) || !strings.Contains(pe.What, "entries") {
		t.Errorf("got %v", err)
	}
}

// Segments and operators are read, and what says nothing is refused.
func TestSegments(t *testing.T) {
	good := "version: 1\nsegments:\n  - name: clients\n    networks: [10.1.0.0/16, 2001:db8::/64]\noperators:\n  - from: 10.9.0.1\n    ports: [22/tcp]\n    reason: us\n"
	p, err := Parse([]byte(good))
	if err != nil || len(p.Segments) != 1 || len(p.Segments[0].Networks) != 2 || len(p.Operators) != 1 || p.Operators[0].From.Bits() != 32 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{
		"version: 1\nsegments:\n  - name: clients\n", "version: 1\nsegments:\n  - networks: [10.0.0.0/8]\n",
		"version: 1\nsegments:\n  - {name: a, networks: [10.0.0.0/8]}\n  - {name: a, networks: [11.0.0.0/8]}\n",
		"version: 1\noperators:\n  - reason: us\n", "version: 1\nsegments:\n  - {name: a, networks: [10.0.0.1/8]}\n",
	} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("taken: %s", bad)
		}
	}
}
