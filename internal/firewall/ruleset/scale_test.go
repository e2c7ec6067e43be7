package ruleset

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// list makes an access list of rules.
func list(rules []*Rule, policy Verdict) *RuleSet {
	for i, r := range rules {
		r.Line = i + 1
	}
	s := &RuleSet{Chains: []*Chain{{Families: IPv4, Name: "list", Title: "list", Policy: policy, Rules: rules}}}
	s.Prepare()
	return s
}

func rule(v Verdict, parts ...Expr) *Rule {
	r := &Rule{}
	for _, p := range parts {
		r.Steps = append(r.Steps, Match{p})
	}
	r.Steps = append(r.Steps, Decide{Verdict: v})
	return r
}

func prefix(a, b, c, d byte, bits int) Set {
	return Prefix(netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b, c, d}), bits))
}

// bigLists are lists of n rules of several shapes.
var bigLists = map[string]func(n int, r *rand.Rand) []*Rule{
	"random 5-tuples": func(n int, r *rand.Rand) (out []*Rule) {
		for range n {
			src := prefix(byte(r.IntN(224)), byte(r.IntN(256)), byte(r.IntN(256)), 0, 8+r.IntN(25))
			dst := prefix(10, byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256)), 8+r.IntN(25))
			lo := uint64(r.IntN(60000))
			ports := Range(Number(lo), Number(lo+uint64(r.IntN(1+r.IntN(5000)))))
			out = append(out, rule(Verdict(1+r.IntN(2)), In{Field: L4Proto, Set: Numbers([]uint64{6, 17}[r.IntN(2)])},
				In{Field: SAddr, Set: src}, In{Field: DAddr, Set: dst}, In{Field: DPort, Set: ports}))
		}
		return out
	},
	"services of a data centre": func(n int, r *rand.Rand) (out []*Rule) {
		for i := range n - 1 {
			parts := []Expr{In{Field: L4Proto, Set: Numbers(6)}, In{Field: DAddr, Set: prefix(10, byte(i/4096), byte(i/16%256), byte(i%16), 32)},
				In{Field: DPort, Set: Numbers([]uint64{22, 80, 443, 1433}[r.IntN(4)])}}
			if r.IntN(2) == 0 {
				parts = append(parts, In{Field: SAddr, Set: prefix(10, byte(r.IntN(256)), 0, 0, 16)})
			}
			out = append(out, rule(Accept, parts...))
		}
		return append(out, rule(Drop))
	},
	"nested prefixes and port ranges": func(n int, r *rand.Rand) (out []*Rule) {
		for i := range n - 1 {
			lo := uint64(i % 200 * 50)
			out = append(out, rule(Verdict(1+i%2), In{Field: L4Proto, Set: Numbers(6)}, In{Field: SAddr, Set: prefix(10, byte(i/24), byte(i/7), byte(i), 8+i%24)},
				In{Field: DAddr, Set: prefix(172, byte(i/31), byte(i/3), byte(i), 32-i%24)}, In{Field: DPort, Set: Range(Number(lo), Number(65535-lo))}))
		}
		return append(out, rule(Accept))
	},
	"single addresses": func(n int, r *rand.Rand) (out []*Rule) {
		for i := range n - 1 {
			out = append(out, rule(Drop, In{Field: SAddr, Set: prefix(byte(1+i%200), byte(i/7), byte(i/256), byte(i), 32)}))
		}
		return append(out, rule(Accept))
	},
}

// Large lists are linted, compared and asked in a time that people wait; the
// figures are logged. The bound is for the slowest machine.
func TestLargeLists(t *testing.T) {
	const n = 1_000
	for name, make := range bigLists {
		t.Run(name, func(t *testing.T) {
			a, b := twoLists(n, make)
			begin := time.Now()
			found := map[string]int{}
			for _, f := range Lint(a, LintOptions{}) {
				found[f.Rule]++
			}
			linted := time.Since(begin)
			begin = time.Now()
			d, err := Compare(a, b, "", "", 20)
			compared := time.Since(begin)
			if err != nil || found[Unfinished] > 0 || d.Why != "" && d.Why != "there are more regions" {
				t.Error(err, found, d.Why)
			}
			begin = time.Now()
			verdicts := askMany(t, a, 3_000)
			asked := time.Since(begin)
			t.Logf("%d rules: lint %v %v; compare %v: %d regions; 3,000 queries %v %v", n, linted, found, compared, len(d.List), asked, verdicts)
			if linted+compared+asked > 30*time.Second {
				t.Errorf("took %v", linted+compared+asked)
			}
		})
	}
}

// twoLists makes a list and the same with two rules exchanged and one left out.
func twoLists(n int, make func(int, *rand.Rand) []*Rule) (a, b *RuleSet) {
	rules := make(n, rand.New(rand.NewPCG(1, 2)))
	changed := append([]*Rule{}, rules...)
	i, j := n/3, n/2
	changed[i], changed[j] = changed[j], changed[i]
	return list(rules, Drop), list(append(changed[:n/4], changed[n/4+1:]...), Drop)
}

// A list beyond what is followed is answered in part, and says so.
func TestTooMuchIsSaid(t *testing.T) {
	a, _ := twoLists(3000, bigLists["random 5-tuples"])
	for _, f := range Lint(a, LintOptions{Steps: 100_000}) {
		if f.Rule == Unfinished {
			return
		}
	}
	t.Error("finished within 100,000 steps")
}

func BenchmarkLint(b *testing.B) {
	for name, make := range bigLists {
		b.Run(name, func(b *testing.B) {
			s, _ := twoLists(10_000, make)
			for b.Loop() {
				Lint(s, LintOptions{})
			}
		})
	}
}

func BenchmarkCompare(b *testing.B) {
	for name, make := range bigLists {
		b.Run(name, func(b *testing.B) {
			x, y := twoLists(10_000, make)
			for b.Loop() {
				if _, err := Compare(x, y, "", "", 20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkQuery(b *testing.B) {
	for name, make := range bigLists {
		b.Run(name, func(b *testing.B) {
			s, _ := twoLists(10_000, make)
			for b.Loop() {
				askMany(b, s, 1000)
			}
		})
	}
}

func askMany(t testing.TB, s *RuleSet, n int) map[string]int {
	r := rand.New(rand.NewPCG(3, 4))
	out := map[string]int{}
	for range n {
		sport, dport := uint16(40000), uint16(r.IntN(65536))
		d, err := s.Query(Packet{Proto: []uint8{6, 17}[r.IntN(2)], Src: netip.AddrFrom4([4]byte{byte(r.IntN(224)), byte(r.IntN(256)), byte(r.IntN(256)), 1}),
			Dst: netip.AddrFrom4([4]byte{10, byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(16))}), SrcPort: &sport, DstPort: &dport}, "")
		if err != nil {
			t.Fatal(err)
		}
		out[d.Verdict]++
	}
	return out
}
