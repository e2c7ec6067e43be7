package target

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
)

// nmapLists asks nmap which addresses a spec stands for; -sL sends nothing.
func nmapLists(t *testing.T, ns *nettest.NS, args ...string) []netip.Addr {
	t.Helper()
	out, err := ns.Command("nmap", append([]string{"-n", "-sL"}, args...)...).Output()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		t.Fatal(err)
	}
	var list []netip.Addr
	for line := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(line, "Nmap scan report for "); ok {
			list = append(list, netip.MustParseAddr(strings.TrimSpace(rest)))
		}
	}
	return list
}

func expand(s *Set) []netip.Addr {
	out := make([]netip.Addr, 0, s.Len())
	for i := range s.Len() {
		out = append(out, s.At(i))
	}
	return out
}

// compareWithNmap reports whether nmap took the spec.
func compareWithNmap(t *testing.T, ns *nettest.NS, spec string) bool {
	t.Helper()
	want := nmapLists(t, ns, spec)
	got, err := Parse(t.Context(), Request{Specs: []string{spec}}, nil)
	if err != nil && len(want) > 0 || err == nil && !slices.Equal(expand(got.Set), want) {
		t.Errorf("%s: %v (%v), nmap lists %d addresses: %v", spec, got.Set, err, len(want), want[:min(5, len(want))])
	}
	return len(want) > 0
}

// TestSpecsMeanWhatTheyMeanToNmap compares lists of addresses, and that what
// nmap refuses is refused. Where the two part on purpose is not among them:
// leading zeros, short forms (10.1), multicast and the unspecified address.
func TestSpecsMeanWhatTheyMeanToNmap(t *testing.T) {
	nettest.Need(t, "nmap")
	ns := nettest.New(t)
	taken := 0
	for _, spec := range []string{
		"10.0.0.1", "10.0.0-3.1,7,10-20", "10.0.*.1", "10.0.0.1-254", "10.0.0.-", "10.0.0.-5", "10.0.0.250-", "10.0.0.*",
		"10.0.0.1/30", "10.0.0.77/27", "10.0.0.1/32", "10.0.0.1-3/30", "10.0.0,2.1,9/29", "10.0.3-4.200/23", "10.0.0.1,1,1",
		"10.0.0.3,1", "10.0.0.1-3,5-6,4", "192-193.168.0.1", "10.1,3.5-6.7",
		"10.0.0.256", "10.0.0.1,,2", "10.0.0.5-3", "10.0.0.*-3", "10.0.0.*,3", "10.0.0.5,", "10.0.0.,5", "10.0.0.1-1000",
		"10.0.0.1.1", "10.0.0.1-2-3", "10..0.1", "10.0.0.",
	} {
		if compareWithNmap(t, ns, spec) {
			taken++
		}
	}
	if taken != 19 {
		t.Errorf("nmap took %d of the specs, want 19", taken)
	}
}

func TestRandomSpecsMeanWhatTheyMeanToNmap(t *testing.T) {
	nettest.Need(t, "nmap")
	ns := nettest.New(t)
	rng := rand.New(rand.NewPCG(3, 14))
	taken := 0
	for range 40 {
		parts := []string{fmt.Sprint(10 + rng.IntN(90)), randomPart(rng, 2), randomPart(rng, 2), randomPart(rng, 3)}
		spec := strings.Join(parts, ".")
		if rng.IntN(3) == 0 {
			spec += fmt.Sprintf("/%d", 22+rng.IntN(11))
		}
		if compareWithNmap(t, ns, spec) {
			taken++
		}
	}
	if taken < 10 || taken > 38 {
		t.Errorf("nmap took %d of 40 random specs: the choice is too one-sided", taken)
	}
}

// randomPart is a list of up to n items, at times a wrong one.
func randomPart(rng *rand.Rand, n int) string {
	var items []string
	for range 1 + rng.IntN(n) {
		first := rng.IntN(258)
		switch rng.IntN(8) {
		case 0:
			items = append(items, fmt.Sprintf("%d-%d", first, first+rng.IntN(12)-1))
		case 1:
			items = append(items, fmt.Sprintf("%d-", 250+rng.IntN(6)))
		case 2:
			items = append(items, fmt.Sprintf("-%d", rng.IntN(5)))
		default:
			items = append(items, fmt.Sprint(first))
		}
	}
	return strings.Join(items, ",")
}

func TestSixesAndExclusionsMeanWhatTheyMeanToNmap(t *testing.T) {
	nettest.Need(t, "nmap")
	ns := nettest.New(t)
	want := nmapLists(t, ns, "-6", "2001:db8::5/123")
	got, err := Parse(t.Context(), Request{Specs: []string{"2001:db8::5/123"}}, nil)
	if err != nil || !slices.Equal(expand(got.Set), want) {
		t.Errorf("%v, %v; nmap: %v", got.Set, err, want)
	}
	want = nmapLists(t, ns, "--exclude", "10.0.0.3-5,10.0.0.128/26,10.0.0-1.77", "10.0.0-1.0-200")
	got, err = Parse(t.Context(), Request{Specs: []string{"10.0.0-1.0-200"},
		Exclude: []string{"10.0.0.3-5", "10.0.0.128/26", "10.0.0-1.77"}}, nil)
	if err != nil || !slices.Equal(expand(got.Set), want) {
		t.Errorf("%v, %v; nmap lists %d", got.Set, err, len(want))
	}
}
