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

// Large lists are linted, compared and asked within seconds; the figures are
// logged. The bound is for the slowest machine.
func TestLargeLists(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 2_000
	}
	for name, make := range bigLists {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			rules := make(n, r)
			a := list(rules, Drop)
			changed := append([]*Rule{}, rules...)
			i, j := n/3, n/2
			changed[i], changed[j] = changed[j], changed[i]
			b := list(append(changed[:n/4], changed[n/4+1:]...), Drop)
			begin := time.Now()
			found := map[string]int{}
			for _, f := range Lint(a, LintOptions{}) {
				found[f.Rule]++
				if f.Rule == Unfinished {
					t.Log(f.Why)
				}
			}
			linted := time.Since(begin)
			begin = time.Now()
			d, err := Compare(a, b, "", "", 20)
			compared := time.Since(begin)
			begin = time.Now()
			verdicts := askMany(t, a, r, 100_000)
			asked := time.Since(begin)
			t.Logf("lint %v %v; compare %v: %d regions, more %v %s %v; 100,000 queries %v %v", linted, found, compared, len(d.List), d.More, d.Why, err, asked, verdicts)
			if linted+compared+asked > 60*time.Second {
				t.Errorf("took %v", linted+compared+asked)
			}
		})
	}
}

func askMany(t *testing.T, s *RuleSet, r *rand.Rand, n int) map[string]int {
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
