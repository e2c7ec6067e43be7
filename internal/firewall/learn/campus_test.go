package learn

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// campus is a site as studies of enterprise traffic describe them (Pang et al.,
// A First Look at Modern Enterprise Traffic, 2005; Guha et al., How Healthy are
// Today's Enterprise Networks, 2008): departments with servers of their own,
// clients that stay with their servers, file servers that are asked on 445 and
// 139 at once and refuse one, names asked of workstations that are off,
// programs that keep asking servers that are gone, a monitor whose devices are
// partly off, and scans from without and within that make most of what fails.
type campus struct {
	*site
	hosts   [][]netip.Addr // workstations by department
	uses    []use3
	files   []netip.Addr // speak 445 and 139
	old     []netip.Addr // speak 139 and refuse 445
	inbound []netip.Addr
	gone    []netip.Addr
	devices []netip.Addr // the monitor asks them; every fourth is off
	web     []netip.Addr // of the internet, the most popular first
	lost    []netip.Addr // of the internet, dead
}

// use3 is a server's port, and who uses it how often a day.
type use3 struct {
	proto  exposure.Proto
	port   uint16
	server netip.Addr
	users  []*netip.Addr
	rate   int
}

func (c *campus) inNet(third int) netip.Addr {
	second := []byte{131, 243}
	if third%3 == 0 {
		second = []byte{128, 3}
	}
	return netip.AddrFrom4([4]byte{second[0], second[1], byte(third), byte(2 + c.rng.IntN(250))})
}

func newCampus(seed uint64) *campus {
	c := &campus{site: newSite(seed)}
	for d := range 20 {
		var list []netip.Addr
		for range 30 + c.rng.IntN(70) {
			list = append(list, c.inNet(20+3*d))
		}
		c.hosts = append(c.hosts, list)
	}
	list := func(n int) (out []netip.Addr) {
		for range n {
			out = append(out, c.inNet(200+c.rng.IntN(4)))
		}
		return out
	}
	c.files, c.old, c.inbound, c.gone, c.devices = list(5), list(4), list(6), list(10), list(60)
	for range 1500 {
		c.web = append(c.web, c.site.public())
	}
	for range 20 {
		c.lost = append(c.lost, c.site.public())
	}
	for _, s := range []struct {
		proto       exposure.Proto
		port        uint16
		n, departs  int
		share, rate float64
	}{
		{"udp", 53, 3, 20, .5, 12}, {"udp", 137, 2, 20, .5, 4}, {"udp", 123, 2, 20, .5, 3}, {"tcp", 88, 2, 20, .4, 2}, {"tcp", 389, 2, 20, .4, 3},
		{"tcp", 135, 3, 20, .3, 2}, {"tcp", 1026, 3, 20, .3, 2}, {"tcp", 993, 2, 20, .5, 8}, {"tcp", 25, 2, 20, .2, 2}, {"tcp", 80, 14, 4, .3, 3},
		{"tcp", 443, 8, 6, .2, 3}, {"tcp", 524, 3, 3, .5, 5}, {"tcp", 515, 5, 2, .2, 2}, {"tcp", 2049, 3, 2, .1, 20}, {"udp", 2049, 2, 2, .1, 20},
		{"tcp", 497, 1, 12, .2, 3}, {"tcp", 22, 10, 2, .1, 2}, {"tcp", 1433, 2, 2, .1, 4}, {"tcp", 1521, 2, 3, .1, 4}, {"tcp", 13724, 1, 5, .1, 2},
	} {
		for range s.n {
			c.use(s.proto, s.port, c.inNet(200+c.rng.IntN(4)), s.departs, s.share, int(s.rate))
		}
	}
	for range 70 { // the long tail: what one group uses
		c.use(pick(c.site, []exposure.Proto{"tcp", "tcp", "udp"}), uint16(1100+c.rng.IntN(9000)), c.inNet(200+c.rng.IntN(4)), 1+c.rng.IntN(2), .03, 2)
	}
	return c
}

// use adds a service with its users, who stay.
func (c *campus) use(proto exposure.Proto, port uint16, server netip.Addr, departs int, share float64, rate int) {
	u := use3{proto: proto, port: port, server: server, rate: rate}
	for _, d := range c.rng.Perm(len(c.hosts))[:departs] {
		for i := range c.hosts[d] {
			if c.rng.Float64() < share {
				u.users = append(u.users, &c.hosts[d][i])
			}
		}
	}
	c.uses = append(c.uses, u)
}

// tonight gives a twelfth of the workstations another address.
func (c *campus) tonight() {
	for d := range c.hosts {
		for i := range c.hosts[d] {
			if c.rng.IntN(12) == 0 {
				c.hosts[d][i] = c.inNet(20 + 3*d)
			}
		}
	}
}

func (c *campus) anyone() netip.Addr { return pick(c.site, pick(c.site, c.hosts)) }

func (c *campus) established(day time.Time) []*exposure.Flow {
	t := &traffic{s: c.site, day: day, ends: exposure.FlowAnswered}
	for _, u := range c.uses {
		for _, who := range u.users {
			for range c.rng.IntN(2*u.rate + 1) {
				t.add(u.proto, *who, u.server, u.port, t.work())
			}
		}
	}
	for d, dept := range c.hosts {
		for _, h := range dept {
			for range c.rng.IntN(4) {
				t.add(exposure.TCP, h, c.files[d%len(c.files)], 445, t.work())
				t.add(exposure.TCP, h, c.old[d%len(c.old)], 139, t.work())
			}
			for range c.rng.IntN(16) {
				t.add(exposure.TCP, h, c.popular(), pick(c.site, []uint16{443, 443, 443, 80}), t.work())
			}
		}
	}
	for range 2500 {
		t.add(exposure.TCP, c.site.public(), pick(c.site, c.inbound[:3]), pick(c.site, []uint16{80, 443}), t.work())
		t.add(exposure.TCP, c.site.public(), pick(c.site, c.inbound[3:]), 25, t.work())
	}
	for i, d := range c.devices {
		for range 4 * min(i%4, 1) {
			t.add(exposure.UDP, c.inbound[0], d, 161, 24*c.rng.Float64())
		}
	}
	return t.out
}

// popular is a server of the internet, Zipf's way.
func (c *campus) popular() netip.Addr {
	return c.web[int(math.Pow(float64(len(c.web)), c.rng.Float64()))-1]
}

func (c *campus) attempts(day time.Time) []*exposure.Flow {
	t := &traffic{s: c.site, day: day, ends: exposure.FlowUnanswered}
	ports := []uint16{22, 23, 80, 443, 445, 139, 135, 1433, 3389, 8080, 25, 21}
	for range 25 { // sweeps from without
		who, port := c.site.public(), pick(c.site, ports)
		for range 150 {
			t.add(exposure.TCP, who, c.inNet(c.rng.IntN(256)), port, t.work())
		}
	}
	for range 1500 { // and single knocks, at what lives, too
		to := c.inNet(200 + c.rng.IntN(4))
		if c.rng.IntN(3) == 0 {
			to = pick(c.site, c.uses).server
		}
		t.add(exposure.TCP, c.site.public(), to, pick(c.site, ports), t.work())
	}
	for range 3 { // worms within
		who := c.anyone()
		for range 300 {
			t.add(exposure.TCP, who, c.inNet(c.rng.IntN(256)), pick(c.site, []uint16{445, 135}), t.work())
		}
	}
	for i := range 1200 { // servers that are gone, here and in the internet
		t.add(exposure.TCP, c.hosts[i%7][0], c.gone[i%len(c.gone)], []uint16{445, 80, 515, 139}[i%4], t.work())
		if i%4 == 0 {
			t.add(exposure.TCP, c.hosts[i%9][1], c.lost[i%len(c.lost)], 443, t.work())
		}
	}
	for d, dept := range c.hosts {
		for _, h := range dept {
			if c.rng.IntN(2) == 0 {
				t.add(exposure.TCP, h, c.old[d%len(c.old)], 445, t.work()) // refused: 139 is taken
			}
			t.add(exposure.UDP, h, c.anyone(), 137, t.work())
			if c.rng.IntN(16) == 0 {
				t.add(exposure.TCP, h, c.popular(), 443, t.work())
			}
		}
	}
	for i := 0; i < len(c.devices); i += 4 {
		for range 4 {
			t.add(exposure.UDP, c.inbound[0], c.devices[i], 161, 24*c.rng.Float64())
		}
	}
	return t.out
}

// The next day of such a site: with at most 20 rules work passes and what
// failed does not.
func TestCampus(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			c := newCampus(seed)
			o := Defaults()
			o.MaxRules = 20 - 20*int(seed%2)
			f, report := mustLearn(t, seq(c.established(monday), c.attempts(monday)), o)
			c.tonight()
			next := monday.AddDate(0, 0, 1)
			w, a := c.established(next), c.attempts(next)
			work, noise := share(t, f, w), share(t, f, a)
			t.Logf("%d rules: %.2f %% of %d flows, %.2f %% of %d attempts; left out %d and %d", len(f.Rules), 100*work, len(w), 100*noise, len(a), report.TooLight, report.OneOff)
			if work < 0.99 || noise > 0.03 || len(f.Rules) > DefaultMaxRules {
				t.Errorf("%s", f.Text())
				lost(t, f, w, a)
			}
		})
	}
}

// lost tells what of the work is cut, and what of the rest passes, by rule.
func lost(t *testing.T, f *rulefile.File, work, noise []*exposure.Flow) {
	decide, err := FileDecider(f)
	if err != nil {
		t.Fatal(err)
	}
	cut, open := map[string]int{}, map[string]int{}
	for _, x := range work {
		if v, _ := decide(x); v != exposure.Permitted {
			cut[fmt.Sprintf("%s/%d", x.Proto, x.ServerPort)]++
		}
	}
	for _, x := range noise {
		if v, rule := decide(x); v == exposure.Permitted {
			open[fmt.Sprintf("%s: %s/%d", rule, x.Proto, x.ServerPort)]++
		}
	}
	t.Logf("cut %v\nopen %v", cut, open)
}
