package mirror

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
	"github.com/portreeve/portreeve/internal/traffic/wire/wiretest"
)

const stations = 8

func listened(s float64) Port {
	return Port{Name: "eth1", Carrier: HasCarrier, Promiscuous: true, Listened: time.Duration(s * 1e9)}
}

// Each way of setting up a port gives its verdict, with reasons and, where
// something is to be done, what.
func TestVerdicts(t *testing.T) {
	both := ports(stations)
	for _, c := range []struct {
		name  string
		m     model
		own   bool
		want  Verdict
		says  []string
		never []string
	}{
		{name: "plain port", want: NotMirrored, says: []string{"every port gets", "traffic span"}},
		{name: "plain port that forgets", m: model{forgets: 12 * time.Second}, want: NotMirrored, says: []string{"floods like this"}},
		{name: "plain port of a host that talks", own: true, want: NotMirrored},
		{name: "one port, both ways", m: model{mirror: deck{rx: []int{3}, tx: []int{3}}}, want: BothWays,
			says: []string{"handshakes seen whole"}, never: []string{"came twice", "talks over"}},
		{name: "one port, both ways, and the host talks", m: model{mirror: deck{rx: []int{3}, tx: []int{3}}}, own: true, want: BothWays,
			says: []string{"this host talks over the interface too"}},
		{name: "one port, what enters", m: model{mirror: deck{rx: []int{3}}}, want: OneDirection,
			says: []string{"what enters one port", "rx and tx"}, never: []string{"MAC table"}},
		{name: "one port, what leaves", m: model{mirror: deck{tx: []int{3}}}, want: OneDirection, says: []string{"MAC table"}},
		{name: "all ports, what enters", m: model{mirror: deck{rx: both}}, want: BothWays, never: []string{"came twice"}},
		{name: "all ports, both ways", m: model{mirror: deck{rx: both, tx: both}}, want: BothWays, says: []string{"came twice", "to have each packet once"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			talk := newChatter(1, stations).talk(1, stations, 30)
			if c.own {
				talk.talk(0, 2, 30)
			}
			r := talk.through(&c.m).judged(newJudge()).Verdict(listened(30))
			lines := strings.Join(append(r.Because, r.Next...), "\n")
			if r.Verdict != c.want || len(r.Because) == 0 {
				t.Errorf("%v, want %v\n%s\n%+v", r.Verdict, c.want, lines, r)
			}
			for _, s := range c.says {
				if !strings.Contains(lines, s) {
					t.Errorf("does not say %q:\n%s", s, lines)
				}
			}
			for _, s := range c.never {
				if strings.Contains(lines, s) {
					t.Errorf("says %q:\n%s", s, lines)
				}
			}
			if sum := r.Foreign + r.Group + r.Own + r.Through + r.Duplicates + r.RoutedDuplicates; sum != r.Packets || int(r.Packets) != len(c.m.out) {
				t.Errorf("%d packets in parts, %d in all, %d given", sum, r.Packets, len(c.m.out))
			}
		})
	}
}

// Whatever the stations say: a plain port is never called a mirror, also when
// the switch forgets its stations; a mirror of both directions always is, and
// a mirror of every port both ways has half of its packets twice.
func TestVerdictsHoldForAnyTalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 20).Draw(t, "stations")
		talk := newChatter(rapid.Uint64().Draw(t, "seed"), n).talk(1, n, 20)
		judge := func(m *model) Result { return talk.through(m).judged(newJudge()).Verdict(listened(20)) }

		plain := judge(&model{forgets: time.Duration(rapid.IntRange(8, 40).Draw(t, "forgets")) * time.Second})
		if plain.Verdict >= OneDirection || plain.Handshakes > 0 {
			t.Fatalf("a plain port: %v, %q", plain.Verdict, plain.Because)
		}
		one := rapid.IntRange(1, n).Draw(t, "source")
		if r := judge(&model{mirror: deck{rx: []int{one}, tx: []int{one}}}); r.Verdict != BothWays || r.TwoWay != r.Telling {
			t.Fatalf("a mirror of one port: %v, %q", r.Verdict, r.Because)
		}
		every := judge(&model{mirror: deck{rx: ports(n), tx: ports(n)}})
		if copies := float64(every.Duplicates) / float64(every.Foreign+every.Duplicates); every.Verdict != BothWays || copies < 0.5 || copies > 0.6 {
			t.Fatalf("a mirror of every port: %v, %.2f of them copies, %q", every.Verdict, copies, every.Because)
		}
	})
}

// Nothing, or nothing but own packets.
func TestSilence(t *testing.T) {
	for _, c := range []struct {
		carrier Carrier
		says    string
	}{{NoCarrier, "no carrier"}, {HasCarrier, "link is up"}, {CarrierUnknown, "ip link show eth1"}} {
		p := listened(10)
		p.Carrier = c.carrier
		r := newJudge().Verdict(p)
		if lines := strings.Join(append(r.Because, r.Next...), "\n"); r.Verdict != NothingSeen || !strings.Contains(lines, c.says) {
			t.Errorf("%v: %v\n%s", c.carrier, r.Verdict, lines)
		}
	}
	talk := newChatter(1, 2)
	talk.tcp(here, 1, 1, 5)
	talk.broadcast(here, 2)
	r := talk.through(&model{}).judged(newJudge()).Verdict(Port{})
	if r.Verdict != OwnOnly || r.Own != r.Packets || r.Seconds == 0 || !strings.Contains(strings.Join(r.Because, "\n"), "not in promiscuous mode") {
		t.Errorf("%v %+v", r.Verdict, r)
	}
}

// A handful of foreign packets is no basis, and no direction.
func TestTooLittle(t *testing.T) {
	talk := newChatter(1, 3)
	for i := range 4 {
		talk.tcp(1, 2, float64(i), 1)
	}
	r := talk.through(&model{mirror: deck{rx: []int{1}}}).judged(newJudge()).Verdict(listened(4))
	if r.Verdict != TooLittle {
		t.Errorf("%v, %q", r.Verdict, r.Because)
	}
	reports := newChatter(1, 3)
	for i := range 500 {
		reports.udp(1, 2, float64(i)/50, false)
	}
	r = reports.through(&model{}).judged(newJudge()).Verdict(listened(10))
	if r.Verdict != TooLittle || r.Telling != 0 {
		t.Errorf("reports that a silent station gets: %v, %q", r.Verdict, r.Because)
	}
}

// One long conversation is enough when it is answered again and again.
func TestOneConversation(t *testing.T) {
	talk := newChatter(1, 3)
	talk.tcp(1, 2, 0, 30)
	talk.frames = talk.frames[3:] // begun before
	r := talk.through(&model{mirror: deck{rx: []int{1}, tx: []int{1}}}).judged(newJudge()).Verdict(listened(4))
	if r.Verdict != BothWays || r.Firm != 1 || r.Handshakes != 0 {
		t.Errorf("%v %+v", r.Verdict, r)
	}
}

// ERSPAN is addressed to this host and still a mirror; tags are listed,
// wherever they are; what is routed by this host is not foreign.
func TestWrappings(t *testing.T) {
	talk := newChatter(1, stations).talk(1, stations, 5)
	m := talk.through(&model{mirror: deck{rx: ports(stations)}})
	for i := range m.out {
		head := wiretest.Frame(wiretest.Ethernet{Src: mac(99), Dst: mac(here)},
			wiretest.IPv4{Src: addr(99), Dst: addr(here), ID: uint16(i + 1)}, wiretest.ERSPAN{Type: 2}, wiretest.Bytes(m.out[i].Data))
		m.out[i].Data, m.out[i].Wire = head, uint32(len(head))
	}
	r := m.judged(newJudge()).Verdict(listened(5))
	if r.Verdict != BothWays || r.Tunnelled != r.Foreign || 5*r.Own > r.Packets { // ARP inside is no IP: the tunnel's own packets
		t.Errorf("ERSPAN: %v %+v", r.Verdict, r)
	}
	m = talk.through(&model{mirror: deck{rx: ports(stations)}})
	for i := range m.out {
		m.out[i].HasVLAN, m.out[i].VLANTCI = true, 0x2000|uint16(10+i%12)
	}
	r = m.judged(newJudge()).Verdict(listened(5))
	if len(r.VLANs) != 12 || r.VLANs[0].ID != 10 || r.VLANs[11].ID != 21 || !strings.Contains(strings.Join(r.Because, "\n"), "10, 11, 12, 13, 14, 15, 16, 17 and 4 more") {
		t.Errorf("%v %q", r.VLANs, r.Because)
	}
	j := newJudge()
	for i := range 50 {
		add(j, frameOf(1, here, wiretest.IPv4{Src: addr(1), Dst: addr(200), ID: uint16(i + 1)}), at(float64(i)))
		add(j, frameOf(here, 2, wiretest.IPv4{Src: addr(200), Dst: addr(2), ID: uint16(i + 100)}), at(float64(i)))
	}
	if r := j.Verdict(listened(50)); r.Through != 50 || r.Own != 50 || r.Foreign != 0 {
		t.Errorf("routed: %+v", r)
	}
}

func frameOf(from, to int, layers ...wiretest.Layer) []byte {
	return wiretest.Frame(append([]wiretest.Layer{wiretest.Ethernet{Src: mac(from), Dst: mac(to)}}, append(layers, wiretest.UDP{SrcPort: 1, DstPort: 2})...)...)
}

func add(j *Judge, b []byte, when int64) {
	var p wire.Packet
	c := capture.Packet{Data: b, Wire: uint32(len(b)), Time: when, Link: wire.LinkEthernet}
	new(wire.Decoder).Decode(c.Link, c.Data, c.Wire, &p)
	j.Add(&p, &c)
}

// What is and what is not a duplicate.
func TestDuplicates(t *testing.T) {
	tcp := func(id uint16, flags uint16, n int) []byte {
		return wiretest.Frame(wiretest.Ethernet{Src: mac(1), Dst: mac(2)}, wiretest.IPv4{Src: addr(1), Dst: addr(2), ID: id},
			wiretest.TCP{SrcPort: 1, DstPort: 2, Seq: 5, Ack: 6, Flags: flags}, wiretest.Bytes(make([]byte, n)))
	}
	routed := wiretest.Frame(wiretest.Ethernet{Src: mac(7), Dst: mac(8)}, wiretest.VLAN{ID: 3}, wiretest.IPv4{Src: addr(1), Dst: addr(2), ID: 4, TTL: 63},
		wiretest.TCP{SrcPort: 1, DstPort: 2, Seq: 5, Ack: 6, Flags: wiretest.ACK})
	for _, c := range []struct {
		name         string
		a, b         []byte
		apart        int64
		same, routed uint64
	}{
		{"copy", tcp(4, wiretest.ACK, 0), tcp(4, wiretest.ACK, 0), 1e5, 1, 0},
		{"copy out of order", tcp(4, wiretest.ACK, 0), tcp(4, wiretest.ACK, 0), -1e5, 1, 0},
		{"copy behind a router", tcp(4, wiretest.ACK, 0), routed, 1e5, 0, 1},
		{"later", tcp(4, wiretest.ACK, 0), tcp(4, wiretest.ACK, 0), 3e6, 0, 0},
		{"another identification", tcp(4, wiretest.ACK, 0), tcp(5, wiretest.ACK, 0), 1e5, 0, 0},
		{"repeated acknowledgement", tcp(0, wiretest.ACK, 0), tcp(0, wiretest.ACK, 0), 1e5, 0, 0},
		{"data without identification", tcp(0, wiretest.ACK, 9), tcp(0, wiretest.ACK, 9), 1e5, 1, 0},
		{"other data", tcp(0, wiretest.ACK, 9), tcp(0, wiretest.ACK, 10), 1e5, 0, 0},
	} {
		j := newJudge()
		add(j, c.a, at(1))
		add(j, c.b, at(1)+c.apart)
		if r := j.Verdict(Port{}); r.Duplicates != c.same || r.RoutedDuplicates != c.routed {
			t.Errorf("%s: %d and %d", c.name, r.Duplicates, r.RoutedDuplicates)
		}
	}
}

// Bare IP has no MACs: addresses decide.
func TestBareIP(t *testing.T) {
	j := newJudge()
	for i, to := range []netip.Addr{addr(here), addr(5), netip.MustParseAddr("224.0.0.1"), netip.MustParseAddr("255.255.255.255")} {
		var p wire.Packet
		b := wiretest.Frame(wiretest.IPv4{Src: addr(4), Dst: to, ID: uint16(i + 1)}, wiretest.UDP{SrcPort: 1, DstPort: 2})
		c := capture.Packet{Data: b, Wire: uint32(len(b)), Time: at(1), Link: wire.LinkRaw}
		new(wire.Decoder).Decode(c.Link, b, c.Wire, &p)
		j.Add(&p, &c)
	}
	if r := j.Verdict(Port{}); r.Own != 1 || r.Foreign != 1 || r.Group != 2 {
		t.Errorf("%+v", r)
	}
}

// Memory is bounded: more conversations than there is room for are counted as
// packets; and a packet costs no allocation.
func TestBounds(t *testing.T) {
	j := newJudge()
	p := wire.Packet{Kind: wire.KindIP, Version: 4, Proto: 17, HasPorts: true, HasMAC: true, SrcMAC: mac(1), DstMAC: mac(2)}
	c := capture.Packet{Time: at(1), Wire: 100}
	next := uint32(0)
	one := func() {
		next++
		p.SrcPort, p.DstPort, p.ID = uint16(next), uint16(next>>16), next
		p.SrcMAC[3], p.SrcMAC[4] = byte(next>>8), byte(next)
		j.Add(&p, &c)
	}
	for range maxConversations + 1000 {
		one()
	}
	if allocs := testing.AllocsPerRun(100, one); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	r := j.Verdict(listened(1))
	if r.Conversations != maxConversations || r.Untracked != 1000+101 || r.Senders != maxStations {
		t.Errorf("%+v", r)
	}
}

// Any bytes are judged without harm, and every packet is counted once.
func FuzzAdd(f *testing.F) {
	f.Add(frameOf(1, 2, wiretest.IPv4{Src: addr(1), Dst: addr(2), ID: 7}), uint8(1))
	f.Add([]byte{}, uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, link uint8) {
		j := newJudge()
		for i := range 3 {
			var p wire.Packet
			c := capture.Packet{Data: b, Wire: uint32(len(b)), Time: int64(i), Link: wire.LinkType(link), HasVLAN: i == 1}
			new(wire.Decoder).Decode(c.Link, b, c.Wire, &p)
			j.Add(&p, &c)
		}
		r := j.Verdict(Port{})
		if r.Foreign+r.Group+r.Own+r.Through+r.Duplicates+r.RoutedDuplicates != 3 || r.Verdict > TooLittle || fmt.Sprint(r.Verdict) == "" {
			t.Errorf("%+v", r)
		}
	})
}
