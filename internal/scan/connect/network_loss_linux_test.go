package connect

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// With a fifth of all probes lost, or of probes and answers each, the loss is
// measured within 8 points and hardly a listener is missed.
func TestNetworkLoss(t *testing.T) {
	nettest.Need(t, "nft")
	for _, c := range []struct {
		name  string
		chain string
		loss  float64 // of the round trip
	}{
		{"probes", "add chain ip t i { type filter hook input priority 0; }; add rule ip t i tcp flags & (syn|ack) == syn numgen random mod 100 < 20 drop", 0.20},
		{"probes and answers", `add chain ip t i { type filter hook prerouting priority 0; }; add rule ip t i numgen random mod 100 < 20 drop
			add chain ip t o { type filter hook postrouting priority 0; }; add rule ip t o numgen random mod 100 < 20 drop`, 0.36},
	} {
		t.Run(c.name, func(t *testing.T) {
			scanner, target := pair(t)
			open := serve(t, target, far, 53)
			target.Script(fmt.Sprintf("nft 'add table ip t; %s'", c.chain))
			found := 0
			const runs = 2
			asked := append(ports(1, 12000), slices.DeleteFunc(slices.Clone(open), func(p uint16) bool { return p <= 12000 })...)
			for range runs {
				d := &drip{every: time.Microsecond}
				a := ask(t.Context(), t, scanner, &Network{Pace: d}, list{[]netip.Addr{far}, asked})
				found += len(a.open())
				t.Logf("open %d of %d, %v, loss %+v in %.1f s, pace heard of %d lost", len(a.open()), len(open), a.count, a.stats.Loss, a.stats.Seconds, d.lost)
				if math.Abs(a.stats.Loss.Estimate-c.loss) > 0.08 || d.lost < 1500 || a.count[exposure.Filtered] > 100 || len(a.gaps) > 0 {
					t.Errorf("%v, %+v, gaps %v", a.count, a.stats, a.gaps)
				}
			}
			if found*10 < 525*runs {
				t.Errorf("found %d open ports in %d runs", found, runs)
			}
		})
	}
}

// A silent port is asked more often the more its host answers otherwise.
func TestTries(t *testing.T) {
	for _, c := range []struct {
		answered, silent int
		loss             float64
		want             int
	}{
		{0, 1000, 0, 2},
		{0, 1000, 0.3, 2}, // others' loss says nothing of a host that is silent altogether
		{10, 1000, 0, 2},
		{1000, 10, 0, 3},
		{1000, 10, 0.01, 3},
		{1000, 250, 0.2, 5},
		{10, 1000, 0.2, 5},
		{1000, 1000, 0.36, 8},
		{1000, 1000, 0.9, 10},
		{1000, 1000, 1, 10},
	} {
		h := &host{answered: c.answered, silent: c.silent}
		if got := triesFor(h, 2, c.loss); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
