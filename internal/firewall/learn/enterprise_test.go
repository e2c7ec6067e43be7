package learn

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// enterprise is a made site with public addresses of its own, hundreds of
// hosts, a long tail of services that few use, and the internet's noise.
type enterprise struct {
	*site
	clients []netip.Addr
	needs   []need
	dead    []netip.Addr // servers that are gone, with programs that ask them
	public  []netip.Addr // servers that the internet reaches
}

// need is what one server is used for, and by whom.
type need struct {
	server netip.Addr
	proto  exposure.Proto
	port   uint16
	users  []netip.Addr
	daily  int
}

func newEnterprise(seed uint64) *enterprise {
	e := &enterprise{site: newSite(seed)}
	addr := func(third, host int) netip.Addr { return netip.AddrFrom4([4]byte{128, 130, byte(third), byte(host)}) }
	for range 500 {
		e.clients = append(e.clients, addr(10+e.rng.IntN(8), 2+e.rng.IntN(250)))
	}
	for i := range 120 {
		n := need{server: addr(200+i%3, 10+i), proto: exposure.TCP, port: uint16(20 + e.rng.IntN(10000))}
		if i%4 == 0 {
			n.proto = exposure.UDP
		}
		// Zipf: a few services have most of the users and flows.
		n.daily = int(12000 / math.Pow(float64(i+1), 1.1))
		for range 1 + 300/(i+1) {
			n.users = append(n.users, pick(e.site, e.clients))
		}
		e.needs = append(e.needs, n)
	}
	for i := range 4 {
		e.public = append(e.public, addr(203, 10+i))
	}
	for i := range 6 {
		e.dead = append(e.dead, addr(204, 10+i))
	}
	return e
}

func (e *enterprise) established(day time.Time) []*exposure.Flow {
	t := &traffic{s: e.site, day: day, ends: exposure.FlowAnswered}
	for _, n := range e.needs {
		for range n.daily {
			t.add(n.proto, pick(e.site, n.users), n.server, n.port, t.work())
		}
	}
	for range 12000 {
		t.add(exposure.TCP, pick(e.site, e.clients), e.site.public(), pick(e.site, []uint16{443, 443, 443, 80}), t.work())
	}
	for range 3000 {
		t.add(exposure.TCP, e.site.public(), pick(e.site, e.public), pick(e.site, []uint16{443, 25}), t.work())
	}
	return t.out
}

func (e *enterprise) attempts(day time.Time) []*exposure.Flow {
	t := &traffic{s: e.site, day: day, ends: exposure.FlowUnanswered}
	for range 6000 { // the internet's scanners
		t.add(exposure.TCP, e.site.public(), netip.AddrFrom4([4]byte{128, 130, byte(e.rng.IntN(256)), byte(e.rng.IntN(256))}),
			pick(e.site, []uint16{22, 23, 80, 443, 445, 3389, 8080, 5900}), t.work())
	}
	for i := range 2000 { // programs whose servers are gone
		t.add(exposure.TCP, e.clients[i%10], pick(e.site, e.dead), 1521, t.work())
	}
	for range 150 { // dead servers of the internet
		t.add(exposure.TCP, pick(e.site, e.clients), e.site.public(), 443, t.work())
	}
	return t.out
}

// With at most 20 rules the next day's work passes, and what nobody answered
// does not.
func TestEnterprise(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			e := newEnterprise(seed)
			f, report := mustLearn(t, seq(e.established(monday), e.attempts(monday)), Defaults())
			next := monday.AddDate(0, 0, 1)
			work, noise := share(t, f, e.established(next)), share(t, f, e.attempts(next))
			t.Logf("%d rules: %.2f %% of the work, %.2f %% of the attempts; home %v, left out %d", len(f.Rules), 100*work, 100*noise, report.Home, report.TooLight+report.OneOff)
			if work < 0.99 || noise > 0.03 || len(f.Rules) > DefaultMaxRules {
				t.Errorf("%s", f.Text())
			}
		})
	}
}
