package learn

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"pgregory.net/rapid"
)

func drawAddr(t *rapid.T, label string) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, rapid.ByteRange(0, 2).Draw(t, label+" network"), rapid.Byte().Draw(t, label)})
}

func drawArea(t *rapid.T, label string) (a area) {
	for range rapid.IntRange(0, 5).Draw(t, label+"s") {
		p, _ := drawAddr(t, label).Prefix(rapid.IntRange(20, 32).Draw(t, label+" length"))
		a = append(a, rulefile.RangeOf(p))
	}
	return a.normal()
}

// Areas are sets: union and difference hold just what they should.
func TestAreasAreSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawArea(t, "a"), drawArea(t, "b")
		union, minus := a.union(b), a.minus(b)
		size := 0
		for third := range 16 {
			for host := range 256 {
				x := netip.AddrFrom4([4]byte{10, 0, byte(third), byte(host)})
				inA, inB := naively(a, x), naively(b, x)
				if union.contains(x) != (inA || inB) || minus.contains(x) != (inA && !inB) || a.contains(x) != inA {
					t.Fatalf("%v of %v and %v", x, a, b)
				}
				if inA {
					size++
				}
			}
		}
		if a.size() != float64(size) {
			t.Fatalf("%v has %d addresses, not %v", a, size, a.size())
		}
	})
}

func naively(a area, x netip.Addr) bool {
	return slices.ContainsFunc(a, func(r rulefile.AddrRange) bool { return r.Contains(x) })
}

// The index finds the rule that asking all in their order finds.
func TestIndexIsFirstMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &rulefile.File{}
		for range rapid.IntRange(1, 12).Draw(t, "rules") {
			r := rulefile.Rule{Action: "permit", Proto: rapid.SampledFrom([]string{"tcp", "udp", "any"}).Draw(t, "proto")}
			if rapid.Bool().Draw(t, "to") {
				r.To = []string{drawAddr(t, "server").String()}
			}
			if r.Proto != "any" {
				r.Ports = rapid.SampledFrom([][]string{nil, {"80"}, {"80-90", "85"}, {"1-1000"}, {"81", "443"}}).Draw(t, "ports")
			}
			f.Rules = append(f.Rules, r)
		}
		rules, err := f.Active()
		if err != nil {
			t.Fatal(err)
		}
		ix := newIndex(rules)
		for range 20 {
			p := rulefile.Packet{Proto: rapid.SampledFrom([]uint8{6, 17, 47}).Draw(t, "p"), Src: drawAddr(t, "src"), Dst: drawAddr(t, "server"),
				DstPort: rapid.SampledFrom([]uint16{80, 81, 85, 443, 5000}).Draw(t, "port")}
			want := slices.IndexFunc(rules, func(r rulefile.Resolved) bool { return r.Fits(p) })
			if got := ix.first(p); got != want {
				t.Fatalf("rule %d, want %d", got, want)
			}
		}
	})
}

// Whatever the flows and options: the file can be read back, keeps to the
// number of rules that was asked for, and denies no more of what was answered
// than the report says.
func TestAnyFlows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := from(monday)
		for range rapid.IntRange(1, 60).Draw(t, "pairs") {
			c, s := drawAddr(t, "client"), drawAddr(t, "server")
			if rapid.IntRange(0, 4).Draw(t, "far") == 0 {
				s = netip.AddrFrom4([4]byte{rapid.ByteRange(11, 90).Draw(t, "public"), 1, 1, 1})
			}
			b.add(rapid.SampledFrom([]exposure.Proto{"tcp", "udp", "47", "icmp"}).Draw(t, "proto"), c.String(), s.String(),
				rapid.SampledFrom([]uint16{21, 53, 80, 135, 443, 514, 5060, 8443, 50000, 50123, 61000}).Draw(t, "port"), rapid.IntRange(1, 12).Draw(t, "flows"))
			f := b.last()
			f.ClientPort = rapid.SampledFrom([]uint16{8, 20, 53, 40000}).Draw(t, "client port")
			f.Answered = rapid.SampledFrom([]exposure.Answered{"yes", "yes", "no", "refused", ""}).Draw(t, "answered")
			f.Action = rapid.SampledFrom([]string{"", "", "", "deny"}).Draw(t, "action")
		}
		o := Defaults()
		o.Tightness = rapid.SampledFrom([]float64{0, 0.2, 0.5, 0.8, 1}).Draw(t, "tightness")
		o.MaxRules = rapid.SampledFrom([]int{-1, 0, 1, 4}).Draw(t, "most")
		f, r, err := Learn(seq(b.list), o)
		if err == ErrNoFlows {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		again, err := rulefile.Parse("", f.Text())
		if err != nil || len(again.Rules) != len(f.Rules) || o.MaxRules > 0 && len(f.Rules) > o.MaxRules {
			t.Fatalf("%v\n%s", err, f.Text())
		}
		decide, err := FileDecider(f)
		if err != nil {
			t.Fatal(err)
		}
		got := Check(decide, seq(b.list))
		cut := got.Established - got.EstablishedPermitted
		dead := uint64(0)
		for _, x := range f.Rules {
			if x.Action == rulefile.Deny {
				dead += 1 << 32
			}
		}
		if cut > r.OneOff+r.TooLight+r.ScanFlows+r.Related+r.Turned+dead {
			t.Fatalf("%d cut, %+v\n%s", cut, r, f.Text())
		}
	})
}
