package ruleset

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func port(n int) *uint16 {
	p := uint16(n)
	return &p
}

// Whatever rules are drawn, a query's verdict is that of the twin, which walks
// one packet after the other: permit where it passes whatever is open, deny
// where it never does, and unknown only where that makes the difference.
func TestQueryAgreesWithTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := drawRuleSet(t)
		set.Prepare()
		for range 4 {
			p := Packet{Proto: uint8(rapid.SampledFrom([]int{6, 17}).Draw(t, "proto")), Dst: netip.MustParseAddr("10.9.0.1"),
				Src:     rapid.SampledFrom([]netip.Addr{netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.1.7"), netip.MustParseAddr("192.0.2.9")}).Draw(t, "src"),
				SrcPort: port(rapid.SampledFrom(append([]int{40000}, twinPorts...)).Draw(t, "sport")),
				DstPort: port(rapid.SampledFrom(twinPorts).Draw(t, "dport")),
				In:      rapid.SampledFrom([]string{"eth0", "eth1"}).Draw(t, "in")}
			d, err := set.Query(p, "")
			if err != nil {
				t.Fatal(err)
			}
			passed, stopped, rewritten := fates(set, p)
			want := UnknownPacket
			switch {
			case stopped == 0:
				want = PermitPacket
			case passed == 0:
				want = DenyPacket
			}
			if d.Verdict != want && !(rewritten && d.Verdict == UnknownPacket) {
				t.Fatalf("%+v: %+v, but the twin passes %d times and is stopped %d times%s", p, d, passed, stopped, dump(set))
			}
			if d.Verdict == UnknownPacket && d.Why == "" {
				t.Fatalf("%+v: %+v says nothing", p, d)
			}
		}
	})
}

// fates tries a packet with everything that it leaves open.
func fates(set *RuleSet, p Packet) (passed, stopped int, rewritten bool) {
	for own := range 2 {
		h := twinHost()
		h.Own = h.Own[:2]
		if own == 1 {
			h.Own = append(h.Own, netip.MustParseAddr("10.9.2.2"), netip.MustParseAddr("10.9.1.1"))
		}
		h.prepare()
		for _, ttl := range []uint64{0, 3, 7, 64} {
			for bits := range 1 << len(twinAtoms) {
				w := &walk{set: set, host: h}
				tw := w.newTwin(Query{Proto: p.Proto, Addr: p.Dst, Port: *p.DstPort})
				tw.vals[SAddr], tw.vals[SPort], tw.vals[IIf], tw.vals[TTL] = Address(p.Src), Number(uint64(*p.SrcPort)), Name(p.In), Number(ttl)
				for i, a := range twinAtoms {
					tw.truth[a] = bits>>i&1 == 1
				}
				if tw.passes() {
					passed++
				} else {
					stopped++
				}
				rewritten = rewritten || tw.target != nil
			}
		}
	}
	return passed, stopped, rewritten
}
