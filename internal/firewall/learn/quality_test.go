package learn

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/flowfile"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

func seq(lists ...[]*exposure.Flow) iter.Seq[*exposure.Flow] {
	return func(yield func(*exposure.Flow) bool) {
		for _, l := range lists {
			for _, f := range l {
				if !yield(f) {
					return
				}
			}
		}
	}
}

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func mustLearn(t testing.TB, flows iter.Seq[*exposure.Flow], o Options) (*rulefile.File, *Report) {
	t.Helper()
	f, r, err := Learn(flows, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Resolve(); err != nil {
		t.Fatalf("%v\n%s", err, f.Text())
	}
	return f, r
}

func replay(t testing.TB, f *rulefile.File, flows []*exposure.Flow) *Result {
	t.Helper()
	decide, err := FileDecider(f)
	if err != nil {
		t.Fatal(err)
	}
	return Check(decide, seq(flows))
}

// share is the part of flows that a file permits.
func share(t testing.TB, f *rulefile.File, flows []*exposure.Flow) float64 {
	r := replay(t, f, flows)
	return float64(r.Permitted) / float64(max(r.Flows, 1))
}

// On segmented networks that are new to it, learning reaches the bar with its
// default options: next-day work passes, scans and one-offs do not, nor do
// random probes from segment to segment.
func TestSegmentedNetworks(t *testing.T) {
	for _, c := range []struct{ days, bits, seeds int }{{1, 24, 8}, {3, 24, 3}, {2, 26, 4}, {2, 21, 4}, {1, 22, 4}} {
		for seed := range uint64(c.seeds) {
			days := c.days
			t.Run(fmt.Sprintf("%d days, segments of %d bits, seed %d", days, c.bits, seed), func(t *testing.T) {
				s := newSiteOf(seed, c.bits)
				var past [][]*exposure.Flow
				for d := range days {
					day := monday.AddDate(0, 0, d)
					past = append(past, s.legitimate(day), s.noise(day))
				}
				f, report := mustLearn(t, seq(past...), Defaults())
				s.join()
				next := monday.AddDate(0, 0, days)
				work, noise := s.legitimate(next), s.noise(next)
				cross := s.crossing(next, work)
				a, b, x := share(t, f, work), share(t, f, noise), share(t, f, cross)
				if a < 0.995 || b > 0.05 || x > 0.01 || len(f.Rules) > 40 {
					t.Errorf("%d rules: %.2f %% of the work, %.2f %% of the noise, %.2f %% across\n%s", len(f.Rules), 100*a, 100*b, 100*x, f.Text())
					decide, _ := FileDecider(f)
					for _, x := range cross {
						if v, rule := decide(x); v == exposure.Permitted {
							t.Logf("crossed: %d %s -> %s by %s", x.ServerPort, x.Client, x.Server, rule)
						}
					}
					for _, x := range replay(t, f, work).Examples {
						t.Logf("cut: %s %s -> %s:%d", x.Flow.Proto, x.Flow.Client, x.Flow.Server, x.Flow.ServerPort)
					}
				}
				t.Logf("%d rules: %.2f %% of the work, %.2f %% of the noise, %.2f %% across; %d scanners", len(f.Rules), 100*a, 100*b, 100*x, len(report.Scanners))
			})
		}
	}
}

func otrfDay(t testing.TB, day string) []*exposure.Flow {
	t.Helper()
	names, err := filepath.Glob("../../../../shared/fixtures/flows/otrf/datasets/compound/apt29/" + day + "/zeek/*/*_conn.log")
	if err != nil || len(names) < 2 {
		t.Fatalf("%d fixtures, %v", len(names), err)
	}
	var out []*exposure.Flow
	for _, name := range names {
		r, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		_, problems, err := flowfile.Read(r, name, flowfile.Auto, func(f *exposure.Flow) error {
			c := *f
			out = append(out, &c)
			return nil
		})
		r.Close()
		if err != nil || len(problems) > 0 {
			t.Fatal(err, problems)
		}
	}
	slices.SortStableFunc(out, func(a, b *exposure.Flow) int { return a.First.Compare(b.First) })
	return out
}

// A domain of the OTRF data, cut in two by time: what is established in the
// second half of a day passes by rules of the first. (The two days are of two
// attacks with other hosts and other servers: the second is not the first's
// next day.)
func TestOTRFDays(t *testing.T) {
	for day, least := range map[string]float64{"day1": 0.99, "day2": 0.94} {
		list := otrfDay(t, day)
		half := len(list) / 2
		f, _ := mustLearn(t, seq(list[:half]), Defaults())
		r := replay(t, f, list[half:])
		if got := float64(r.EstablishedPermitted) / float64(r.Established); got < least || r.AttemptsPermitted > 1 || len(f.Rules) > DefaultMaxRules {
			t.Errorf("%s: %d rules, %d of %d established, %d of %d attempts\n%s", day, len(f.Rules), r.EstablishedPermitted, r.Established, r.AttemptsPermitted, r.Attempts, f.Text())
		}
	}
}
