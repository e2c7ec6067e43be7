package logview

import (
	"net/netip"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/firewall/fwlog"
)

// story makes events one after the other.
type story struct {
	v   *View
	at  time.Time
	src string
}

func tell(o Options, src string) *story {
	return &story{v: New(o), at: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), src: src}
}

func (s *story) wait(d time.Duration) *story { s.at = s.at.Add(d); return s }

func (s *story) event(a fwlog.Action, proto uint8, sport uint16, dst string, port int) *story {
	s.v.Add(&fwlog.Event{
		Time: s.at.UnixNano(), Action: a, Proto: proto, HasProto: true, HasPorts: true,
		Src: netip.MustParseAddr(s.src), Dst: netip.MustParseAddr(dst), SrcPort: sport, DstPort: uint16(port),
	})
	return s
}

func (s *story) deny(dst string, port int) *story {
	return s.event(fwlog.Deny, protoTCP, 41000, dst, port)
}

func (s *story) permit(dst string, port int) *story {
	return s.event(fwlog.Permit, protoTCP, 41000, dst, port)
}

func host(n int) string {
	return netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n%250 + 1)}).String()
}

const (
	stranger = "198.51.100.7"
	inside   = "10.0.0.5"
)

func TestKinds(t *testing.T) {
	cases := []struct {
		name string
		src  string
		tell func(*story)
		kind Kind
		note Note
	}{
		{"fast scan", stranger, func(s *story) {
			for p := range 1000 {
				s.deny(host(1), p+1).wait(time.Millisecond)
			}
		}, Scan, NoNote},
		{"slow scan, one port in seven hours", stranger, func(s *story) {
			for p := range 24 {
				s.deny(host(1), p*37+20).wait(7 * time.Hour)
			}
		}, Scan, NoNote},
		{"scan from inside", inside, func(s *story) {
			for p := range 16 {
				s.deny(host(1), p+20).wait(time.Hour)
			}
		}, Scan, NoNote},
		{"scan with a service's source port", stranger, func(s *story) {
			for p := range 2000 {
				s.event(fwlog.Deny, protoTCP, 53, host(1), p+1)
			}
		}, Scan, NoNote},
		{"scan of a network: every port of every host", stranger, func(s *story) {
			for h := range 60 {
				for p := range 30 {
					s.deny(host(h), p+1)
				}
			}
		}, Scan, NoNote},
		{"sweep", stranger, func(s *story) {
			for h := range 200 {
				s.deny(host(h), 445).wait(time.Second)
			}
		}, Sweep, NoNote},
		{"sweep for several ports", stranger, func(s *story) {
			for h := range 200 {
				for _, p := range []int{22, 23, 80, 443} {
					s.deny(host(h), p)
				}
			}
		}, Sweep, NoNote},
		{"sweep of a small network", stranger, func(s *story) {
			for h := range 6 {
				s.deny(host(h), 22).wait(2 * time.Second)
			}
		}, Sweep, NoNote},
		{"sweep from inside", inside, func(s *story) {
			for h := range 12 {
				s.deny(host(h), 445).wait(time.Second)
			}
		}, Sweep, NoNote},
		{"background", stranger, func(s *story) {
			s.deny(host(1), 23).wait(3*time.Second).deny(host(1), 23).wait(50*time.Hour).deny(host(1), 2323)
		}, Background, NoNote},
		{"a stranger's odd port is not background", stranger, func(s *story) { s.deny(host(1), 1723).deny(host(1), 48123) }, NoKind, NoNote},
		{"one who was let in is not background", stranger, func(s *story) {
			s.permit(host(1), 443).deny(host(1), 23)
		}, NoKind, NoNote},
		{"many attempts at one port are no background", stranger, func(s *story) {
			for range 500 {
				s.deny(host(1), 22).wait(time.Second)
			}
		}, NoKind, NoNote},
		{"busy client", inside, func(s *story) {
			for n := range 3000 {
				s.permit(host(n%200), 80+n%40).wait(time.Second)
			}
		}, NoKind, NoNote},
		{"gateway with some denials", inside, func(s *story) {
			for n := range 5000 {
				s.permit(host(n%240), 443).wait(time.Second)
				if n%20 == 0 {
					s.deny(host(n%240), 1000+n)
				}
			}
		}, NoKind, Excused},
		{"monitor that is refused here and there", inside, func(s *story) {
			for n := range 2000 {
				s.permit(host(n%100), 161)
				if n%50 == 0 {
					s.deny(host(100+n/50), 161)
				}
			}
		}, NoKind, Excused},
		{"a client that scans", inside, func(s *story) {
			for n := range 5000 {
				s.permit(host(n%3), 443).wait(time.Second)
			}
			for p := range 1000 {
				s.deny(host(9), p+1)
			}
		}, Scan, NoNote},
		{"machine that starts in a directory", inside, func(s *story) {
			for _, p := range []int{53, 88, 123, 135, 389, 445, 464, 636, 3268} {
				s.deny(host(1), p)
			}
		}, NoKind, NoNote},
		{"discovery", inside, func(s *story) {
			for n := range 100 {
				s.event(fwlog.Deny, protoUDP, 137, "10.0.0.255", 137)
				s.event(fwlog.Deny, protoUDP, 5353, "224.0.0.251", 5353)
				s.event(fwlog.Deny, protoUDP, 50000, "239.255.255.250", 1900)
				s.event(fwlog.Deny, protoUDP, 138, host(n), 138)
			}
		}, NoKind, OnlyChatter},
		{"late answers", stranger, func(s *story) {
			for n := range 300 {
				s.event(fwlog.Deny, protoTCP, 443, host(n%7), 40000+n).wait(time.Second)
			}
		}, NoKind, OnlyLate},
		{"client that is not let out", inside, func(s *story) {
			for n := range 200 {
				s.deny(netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}).String(), 443).wait(time.Second)
			}
		}, NoKind, BlockedClient},
		{"lines that do not tell, from inside", inside, func(s *story) {
			for p := range 100 {
				s.event(fwlog.NoAction, protoTCP, 41000, host(1), p+1)
			}
		}, NoKind, NoNote},
		{"lines that do not tell, from outside", stranger, func(s *story) {
			for p := range 100 {
				s.event(fwlog.NoAction, protoTCP, 41000, host(1), p+1)
			}
		}, Scan, NoNote},
	}
	for _, c := range cases {
		s := tell(Options{}, c.src)
		c.tell(s)
		r := s.v.Result()
		if got := r.From[0]; got.Kind != c.kind || got.Note != c.note {
			t.Errorf("%s: kind %q, note %q, want %q, %q: %+v", c.name, got.Kind, got.Note, c.kind, c.note, got)
		}
	}
}

func TestPaceAndBounds(t *testing.T) {
	s := tell(Options{}, stranger)
	for p := 20; p <= 40; p++ {
		s.deny(host(p%3), p).wait(30 * time.Second)
	}
	got := s.v.Result().From[0]
	if n, unit := Pace(got.PerSecond); n != 2 || unit != "minute" {
		t.Errorf("pace %v a %s", n, unit)
	}
	if got.LowPort != 20 || got.HighPort != 40 || got.LowTarget.String() != host(0) || got.HighTarget.String() != host(2) ||
		got.LastProbe.Sub(got.FirstProbe) != 10*time.Minute || got.ProbedPorts.N != 21 || got.ProbedTarget.N != 3 {
		t.Errorf("%+v", got)
	}
}

func TestInward(t *testing.T) {
	s := tell(Options{Own: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, Outside: []string{"eth9"}}, stranger)
	s.permit("10.1.0.1", 443).permit("203.0.113.5", 25).permit("192.0.2.1", 80) // the last leaves again
	s.src = "203.0.113.9"
	s.permit("10.1.0.1", 22) // one's own
	for _, in := range []string{"WAN", "eth9", "eth1"} {
		s.v.Add(&fwlog.Event{Action: fwlog.Permit, Src: netip.MustParseAddr("10.9.9.9"), Dst: netip.MustParseAddr("10.1.0.1"),
			Proto: 6, HasProto: true, HasPorts: true, DstPort: 3389, In: []byte(in)})
	}
	s.v.Add(&fwlog.Event{Action: fwlog.Permit, Src: netip.MustParseAddr(stranger), Dst: netip.MustParseAddr("192.0.2.1"),
		Proto: 6, HasProto: true, HasPorts: true, DstPort: 22, In: []byte("eth0")}) // the machine that logs
	got := map[uint16]uint64{}
	for _, p := range s.v.Result().Inward {
		got[p.Port] = p.Events
	}
	if len(got) != 4 || got[443] != 1 || got[25] != 1 || got[3389] != 2 || got[22] != 1 {
		t.Errorf("%v", got)
	}
}

func TestRates(t *testing.T) {
	v := New(Options{})
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC).UnixNano()
	add := func(rule string, minute, n int) {
		for i := range n {
			e := event(0xc6336400+uint32(i*7+minute)%200, 0x0a000001, 22)
			e.Rule, e.Time = []byte(rule), at+int64(minute)*60e9+int64(i)*1e9
			v.Add(&e)
		}
	}
	for m := range 60 {
		add("[UFW BLOCK] ", m, 3)
		add("capped", m, 10)
		add("free", m, []int{0, 1, 1, 2, 2, 3, 4, 3, 2, 1}[m%10])
		add("rising", m, m/10+1)
		add("[UFW AUDIT] ", m, 30)
	}
	add("capped", 61, 19) // a burst
	got := v.Result().Rates
	if len(got) != 2 || got[0] != (Rate{Rule: "[UFW BLOCK] ", PerMinute: 3, Minutes: 60, Known: true}) ||
		got[1] != (Rate{Rule: "capped", PerMinute: 10, Minutes: 60}) {
		t.Errorf("%+v", got)
	}
}

// A product that says that it caps its log is believed in every view, and a
// line that says no more than that does not tell that others were left out.
func TestCappedInEveryView(t *testing.T) {
	for _, views := range []Views{ByPort, ByPair, BySource, ByRule, ByTime} {
		parts := []*View{New(Options{Views: views}), New(Options{Views: views})}
		for i := range 90 {
			e := event(0xc6336400+uint32(i)%7, 0x0a000001, 22)
			e.Rule, e.Capped, e.Time = []byte("[UFW BLOCK]"), true, e.Time/60e9*60e9+int64(i/3)*60e9
			parts[i%4/3].Add(&e)
		}
		parts[0].Merge(parts[1])
		r := parts[0].Result()
		if len(r.Rates) != 1 || r.Rates[0] != (Rate{Rule: "[UFW BLOCK]", PerMinute: 3, Minutes: 30, Known: true}) || r.Limited != 0 {
			t.Errorf("%b: %+v, %d limited", views, r.Rates, r.Limited)
		}
	}
}

// One machine that tries again every twenty seconds is no cap.
func TestOneBeatIsNoRate(t *testing.T) {
	s := tell(Options{}, inside)
	for range 600 {
		s.deny(host(1), 514).wait(20 * time.Second)
	}
	if got := s.v.Result().Rates; len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestGaps(t *testing.T) {
	s := tell(Options{}, inside)
	from := s.at
	for range 100 {
		s.deny(host(1), 514).wait(time.Second)
	}
	s.wait(6 * time.Hour)
	for range 100 {
		s.deny(host(1), 514).wait(time.Second)
	}
	got := s.v.Result().Gaps
	if len(got) != 1 || !got[0].From.Equal(from.Add(100*time.Second)) || !got[0].To.Equal(from.Add(6*time.Hour+100*time.Second)) {
		t.Errorf("%+v", got)
	}
}

// A chosen width is kept as long as it may be, and doubled after that.
func TestWidth(t *testing.T) {
	v := New(Options{Width: time.Minute, Limits: Limits{Buckets: 10}})
	for i := range 35 {
		e := event(1, 2, 3)
		e.Time = int64(i)*60e9 + 1
		v.Add(&e)
	}
	r := v.Result()
	if r.Width != 4*time.Minute || len(r.Times) != 9 || r.Times[0].Events != 4 || r.Times[8].Events != 3 {
		t.Errorf("%v %+v", r.Width, r.Times)
	}
}

func TestEndsAndLimited(t *testing.T) {
	v := New(Options{})
	e := event(1, 2, 3)
	v.Add(&e)
	e.Ends = true
	v.Add(&e)
	v.Add(&fwlog.Event{Limited: true, Suppressed: 40})
	if r := v.Result(); r.Events != 1 || r.Ends != 1 || r.Limited != 1 || r.Suppressed != 40 {
		t.Errorf("%+v", r)
	}
}
