package learn

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// site is a made network: what legitimately happens in it on a day, and what
// else does.
type site struct {
	rng                                     *rand.Rand
	offices                                 [][]netip.Addr // workstations by segment
	web, db, dc, files, printers, phones    []netip.Addr
	backup, monitor, resolver, pbx, gateway netip.Addr
	dead                                    netip.Addr
	scanner, worm                           netip.Addr
	apps                                    []netip.Addr
	subnets                                 []netip.Prefix
	used                                    map[int]bool
	bits                                    int // of a segment's prefix
}

func newSite(seed uint64) *site { return newSiteOf(seed, 24) }

// newSiteOf makes a site whose segments have prefixes of so many bits.
func newSiteOf(seed uint64, bits int) *site {
	s := &site{rng: rand.New(rand.NewPCG(seed, 7)), used: map[int]bool{}, bits: bits}
	for range 1 + s.rng.IntN(3) {
		s.offices = append(s.offices, s.segment(15+s.rng.IntN(60)))
	}
	s.web, s.db = s.segment(2+s.rng.IntN(5)), s.segment(2+s.rng.IntN(4))
	s.dc, s.files = s.segment(2), s.segment(1+s.rng.IntN(3))
	s.printers, s.phones = s.segment(3+s.rng.IntN(8)), s.segment(5+s.rng.IntN(20))
	s.apps = s.segment(2 + s.rng.IntN(5))
	infra := s.segment(6)
	s.backup, s.monitor, s.resolver, s.pbx, s.gateway, s.dead = infra[0], infra[1], infra[2], infra[3], infra[4], infra[5]
	s.scanner = s.offices[0][0]
	s.worm = s.offices[len(s.offices)-1][1]
	return s
}

// segment makes a network with so many hosts.
func (s *site) segment(n int) []netip.Addr {
	free := 1 << (s.bits - 14)
	at := s.rng.IntN(free)
	for s.used[at] {
		at = s.rng.IntN(free)
	}
	s.used[at] = true
	size := 1 << (32 - s.bits)
	p := netip.PrefixFrom(number(10<<24|20<<16+at*size), s.bits)
	s.subnets = append(s.subnets, p)
	var out []netip.Addr
	for _, h := range s.rng.Perm(size - 4)[:min(n, size-4)] {
		out = append(out, number(10<<24|20<<16+at*size+h+2))
	}
	return out
}

func number(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// subnet is the segment of an address.
func (s *site) subnet(a netip.Addr) netip.Prefix { p, _ := a.Prefix(s.bits); return p }

// random is any address of a segment.
func (s *site) random(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	n := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	return number(n + 2 + s.rng.IntN(1<<(32-s.bits)-4))
}

// join adds new hosts to a segment, as dynamic addresses do.
func (s *site) join() {
	for i, o := range s.offices {
		for range 2 {
			s.offices[i] = append(s.offices[i], s.random(s.subnet(o[0])))
		}
	}
}

func (s *site) public() netip.Addr {
	for {
		a := netip.AddrFrom4([4]byte{byte(1 + s.rng.IntN(220)), byte(s.rng.IntN(256)), byte(s.rng.IntN(256)), byte(1 + s.rng.IntN(250))})
		if a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback() && !anyContains(nowhere, a) && !anyContains(private, a) {
			return a
		}
	}
}

func pick[T any](s *site, list []T) T { return list[s.rng.IntN(len(list))] }

// everyInside are all hosts of one's own.
func (s *site) everyInside() (out []netip.Addr) {
	for _, o := range s.offices {
		out = append(out, o...)
	}
	for _, l := range [][]netip.Addr{s.web, s.db, s.dc, s.files, s.printers, s.phones, s.apps} {
		out = append(out, l...)
	}
	return append(out, s.backup, s.resolver, s.pbx, s.gateway)
}

// traffic is one day's flows of one sort.
type traffic struct {
	s    *site
	day  time.Time
	out  []*exposure.Flow
	ends exposure.Answered
}

func (t *traffic) at(hour float64) time.Time {
	return t.day.Add(time.Duration(hour*float64(time.Hour)) + time.Duration(t.s.rng.IntN(1_000_000_000)))
}

func (t *traffic) add(proto exposure.Proto, client, server netip.Addr, port uint16, hour float64) {
	t.full(proto, client, uint16(32768+t.s.rng.IntN(28000)), server, port, hour)
}

func (t *traffic) full(proto exposure.Proto, client netip.Addr, from uint16, server netip.Addr, port uint16, hour float64) {
	f := &exposure.Flow{Proto: proto, Client: client, ClientPort: from, Server: server, ServerPort: port, Answered: t.ends, PacketsToServer: 5, OrientedBy: "zeek"}
	f.First = t.at(hour)
	f.Last = f.First.Add(time.Second)
	if t.ends == exposure.FlowAnswered {
		f.PacketsToClient, f.State = 5, "SF"
	}
	t.out = append(t.out, f)
}

// legitimate is a day's work.
func (s *site) legitimate(day time.Time) []*exposure.Flow {
	t := &traffic{s: s, day: day, ends: exposure.FlowAnswered}
	for _, o := range s.offices {
		for _, c := range o {
			t.workstation(c)
		}
	}
	t.servers()
	t.phones()
	t.rounds()
	return t.out
}

func (t *traffic) work() float64 { return 8 + t.s.rng.Float64()*9 }

func (t *traffic) workstation(c netip.Addr) {
	s := t.s
	if s.rng.IntN(10) == 0 {
		return // at home today
	}
	for range 20 {
		t.add(exposure.UDP, c, s.resolver, 53, t.work())
		t.add(exposure.TCP, c, s.public(), 443, t.work())
	}
	for range 3 {
		t.add(exposure.TCP, c, s.public(), 80, t.work())
		t.add(exposure.UDP, c, s.public(), 443, t.work())
	}
	dc := pick(s, s.dc)
	for _, p := range []uint16{88, 389, 445, 135, 88, 3268} {
		t.add(exposure.TCP, c, dc, p, t.work())
	}
	t.add(exposure.TCP, c, dc, uint16(49664+s.rng.IntN(40)), t.work())
	t.add(exposure.UDP, c, dc, 389, t.work())
	t.add(exposure.UDP, c, dc, 123, t.work())
	for range 4 {
		t.add(exposure.TCP, c, pick(s, s.files), 445, t.work())
		t.add(exposure.TCP, c, pick(s, s.apps), 8443, t.work())
	}
	if s.rng.IntN(4) == 0 {
		t.add(exposure.TCP, c, pick(s, s.printers), 9100, t.work())
	}
}

func (t *traffic) servers() {
	s := t.s
	for range 400 {
		t.add(exposure.TCP, s.public(), pick(s, s.web), 443, 24*s.rng.Float64())
	}
	for _, w := range s.web {
		for range 40 {
			t.add(exposure.TCP, w, pick(s, s.db), 1433, 24*s.rng.Float64())
			t.add(exposure.UDP, w, s.resolver, 53, 24*s.rng.Float64())
		}
		t.add(exposure.TCP, w, pick(s, s.dc), 88, 24*s.rng.Float64())
	}
	for _, a := range s.apps {
		for range 30 {
			t.add(exposure.TCP, a, pick(s, s.db), 5432, 24*s.rng.Float64())
		}
		t.add(exposure.UDP, a, s.resolver, 53, 24*s.rng.Float64())
	}
	for range 200 {
		t.add(exposure.UDP, s.resolver, s.public(), 53, 24*s.rng.Float64())
	}
	for range 24 {
		for _, d := range s.dc {
			t.add(exposure.UDP, d, s.public(), 123, 24*s.rng.Float64())
		}
	}
}

func (t *traffic) phones() {
	s := t.s
	for _, p := range s.phones {
		for range 12 {
			t.add(exposure.UDP, p, s.pbx, 5060, 24*s.rng.Float64())
		}
		for range 4 {
			rtp := uint16(10000 + 2*s.rng.IntN(5000))
			t.full(exposure.UDP, p, rtp, s.pbx, uint16(10000+2*s.rng.IntN(5000)), t.work())
			t.full(exposure.UDP, p, rtp, pick(s, s.phones), uint16(10000+2*s.rng.IntN(5000)), t.work())
		}
	}
}

// rounds are those whose work is to go round: monitor and backup.
func (t *traffic) rounds() {
	s := t.s
	all := s.everyInside()
	for _, h := range all {
		for i := range 6 {
			t.full(exposure.ICMP, s.monitor, 8, h, 0, float64(4*i))
		}
		t.add(exposure.UDP, s.monitor, h, 161, 24*s.rng.Float64())
	}
	for _, l := range [][]netip.Addr{s.web, s.db, s.files, s.apps, s.dc} {
		for _, h := range l {
			t.add(exposure.TCP, s.backup, h, 10000, 2)
		}
	}
}

// noise is what nobody needs: scans, a worm, one-offs, dead servers.
func (s *site) noise(day time.Time) []*exposure.Flow {
	t := &traffic{s: s, day: day, ends: exposure.FlowUnanswered}
	for range 300 { // a scan of ports of servers
		t.add(exposure.TCP, s.scanner, pick(s, s.everyInside()), uint16(1+s.rng.IntN(10000)), t.work())
	}
	for _, p := range s.subnets { // a sweep of all networks for one port
		for range 30 {
			t.add(exposure.TCP, s.worm, s.random(p), 445, t.work())
		}
	}
	for range 40 { // a program that was not told that its server is gone
		t.add(exposure.TCP, pick(s, s.apps), s.dead, 1521, t.work())
	}
	return append(t.out, s.anomalies(day)...)
}

// anomalies are connections that were answered and are nobody's work.
func (s *site) anomalies(day time.Time) []*exposure.Flow {
	t := &traffic{s: s, day: day, ends: exposure.FlowAnswered}
	all := s.everyInside()
	for range 6 {
		t.add(exposure.TCP, pick(s, s.offices[0]), pick(s, all), pick(s, []uint16{22, 3389, 5900, 4444, 8081}), t.work())
	}
	t.add(exposure.TCP, pick(s, s.web), pick(s, s.files), 22, t.work())
	// What the scanner and the worm found open.
	for range 5 {
		t.add(exposure.TCP, s.scanner, pick(s, s.apps), 22, t.work())
		t.add(exposure.TCP, s.worm, pick(s, s.printers), 445, t.work())
	}
	return t.out
}

// crossing are random probes from one segment to another that are nobody's
// work: nothing of the work goes from that segment to that server's port.
func (s *site) crossing(day time.Time, work []*exposure.Flow) []*exposure.Flow {
	t := &traffic{s: s, day: day, ends: exposure.FlowUnanswered}
	type key struct {
		from   netip.Prefix
		server netip.Addr
		port   uint16
	}
	needed := map[key]bool{}
	for _, f := range work {
		if f.Proto == exposure.TCP {
			needed[key{s.subnet(f.Client), f.Server, f.ServerPort}] = true
		}
	}
	all := s.everyInside()
	ports := []uint16{22, 23, 53, 80, 88, 135, 389, 443, 445, 1433, 3389, 5432, 5060, 8443, 9100, 10000}
	for len(t.out) < 3000 {
		c, v := pick(s, all), pick(s, all)
		if s.subnet(c) == s.subnet(v) || c == s.monitor {
			continue
		}
		port := pick(s, ports)
		if s.rng.IntN(2) == 0 {
			port = uint16(1 + s.rng.IntN(65535))
		}
		if !needed[key{s.subnet(c), v, port}] {
			t.add(exposure.TCP, c, v, port, t.work())
		}
	}
	return t.out
}
