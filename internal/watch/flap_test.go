package watch

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// What nextFlap finds among those that hold something back is what a look at
// all endpoints finds, whatever is told, forgotten and let go meanwhile.
func TestNextFlapIsThatOfAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := NewEngine(Options{Flap: Flapping{Changes: 2, Within: time.Minute, First: time.Minute, Most: time.Hour}, Limits: Limits{Endpoints: 6}})
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
			if rapid.IntRange(0, 5).Draw(t, "tick") == 0 {
				e.tickFlaps(now)
			} else {
				ep := exposure.Endpoint{Proto: exposure.TCP, Addr: exposure.IPAddress(netip.IPv4Unspecified()), Port: uint16(rapid.IntRange(1, 5).Draw(t, "port"))}
				e.flapping(&Told{Change: drift.Change{Kind: drift.Opened, Endpoint: ep, At: now}})
			}
			var want time.Time
			e.flaps.each(func(_ exposure.Endpoint, f *flap) {
				if f.flapping && f.held > 0 {
					want = earlier(want, f.next)
				}
			})
			if got := e.nextFlap(); !got.Equal(want) {
				t.Fatalf("next %s, want %s", got, want)
			}
		}
	})
}
