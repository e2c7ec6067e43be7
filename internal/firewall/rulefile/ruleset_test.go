package rulefile

import (
	"net/netip"
	"testing"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
	"pgregory.net/rapid"
)

// holds evaluates a rule's steps on one packet: a naive twin of the model's
// walk for the few steps that rule files make.
func holds(t *rapid.T, steps []ruleset.Step, p Packet) (ruleset.Verdict, bool) {
	for _, s := range steps {
		switch s := s.(type) {
		case ruleset.Match:
			if !expr(t, s.Expr, p) {
				return 0, false
			}
		case ruleset.Decide:
			return s.Verdict, true
		default:
			t.Fatalf("step %T", s)
		}
	}
	return 0, false
}

func expr(t *rapid.T, e ruleset.Expr, p Packet) bool {
	switch e := e.(type) {
	case ruleset.In:
		v, has := value(e.Field, p)
		return has && e.Set.Has(v)
	case ruleset.Any:
		for _, part := range e {
			if expr(t, part, p) {
				return true
			}
		}
		return false
	case ruleset.All:
		for _, part := range e {
			if !expr(t, part, p) {
				return false
			}
		}
		return true
	}
	t.Fatalf("expression %T", e)
	return false
}

func value(f ruleset.Field, p Packet) (ruleset.Value, bool) {
	icmp := p.Proto == 1 || p.Proto == 58
	ports := hasPorts(int(p.Proto))
	family := uint64(ruleset.FamilyIPv6)
	if p.Src.Is4() {
		family = ruleset.FamilyIPv4
	}
	switch f {
	case ruleset.CtState:
		return ruleset.Number(ruleset.StateNew), true
	case ruleset.NFProto:
		return ruleset.Number(family), true
	case ruleset.L4Proto:
		return ruleset.Number(uint64(p.Proto)), true
	case ruleset.SAddr:
		return ruleset.Address(p.Src), true
	case ruleset.DAddr:
		return ruleset.Address(p.Dst), true
	case ruleset.SPort:
		return ruleset.Number(uint64(p.SrcPort)), ports
	case ruleset.DPort:
		return ruleset.Number(uint64(p.DstPort)), ports
	case ruleset.ICMPType:
		return ruleset.Number(uint64(p.Type)), icmp
	case ruleset.ICMPCode:
		return ruleset.Number(uint64(p.Code)), icmp
	case ruleset.IIf, ruleset.OIf:
		return ruleset.Name("eth0"), true
	}
	return ruleset.Value{}, false
}

// The model of a file and Fits say the same of every packet.
func TestRuleSetIsTheFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFile(t)
		set, err := f.RuleSet()
		if err != nil {
			t.Fatal(err)
		}
		ch := set.Chains[0]
		if ch.Name != "rules" || ch.Policy != ruleset.Drop {
			t.Fatal(ch.Name, ch.Policy)
		}
		p := drawPacket(t)
		want := ruleset.Drop
		active, _ := f.Active()
		for i := range active {
			if active[i].In != "wg*" && active[i].Fits(p) {
				want = ruleset.Accept
				if active[i].Action == Deny {
					want = ruleset.Drop
				}
				break
			}
		}
		got := ch.Policy
		for _, r := range ch.Rules {
			if v, ok := holds(t, r.Steps, p); ok {
				got = v
				break
			}
		}
		if got != want {
			t.Fatalf("%v: the model says %v, the file %v\n%s", p, got, want, f.Text())
		}
	})
}

func drawPacket(t *rapid.T) Packet {
	p := Packet{
		Proto:   rapid.SampledFrom([]uint8{6, 17, 1, 58, 47, 132}).Draw(t, "proto"),
		SrcPort: rapid.Uint16().Draw(t, "sport"), DstPort: rapid.Uint16().Draw(t, "dport"),
		Type: rapid.SampledFrom([]uint8{8, 3, 0}).Draw(t, "type"), Code: rapid.SampledFrom([]uint8{0, 4}).Draw(t, "code"),
	}
	v6 := p.Proto == 58 || p.Proto != 1 && rapid.Bool().Draw(t, "v6")
	addr := func(label string) netip.Addr {
		b := [16]byte{0x20, 1, 0xd, 0xb8, 15: rapid.Byte().Draw(t, label)}
		if v6 {
			return netip.AddrFrom16(b)
		}
		return netip.AddrFrom4([4]byte{192, 0, 2, b[15]})
	}
	p.Src, p.Dst = addr("src"), addr("dst")
	return p
}

// A proposal that nobody has answered does nothing.
func TestAskDoesNothing(t *testing.T) {
	f := &File{Rules: []Rule{{Action: Ask, Proto: "any"}}}
	set, err := f.RuleSet()
	if err != nil || len(set.Chains[0].Rules) != 1 {
		t.Error(err, set)
	}
}

func TestUnsoundFileHasNoRuleSet(t *testing.T) {
	f := &File{Rules: []Rule{{Action: Permit, Proto: "icmp", Ports: []string{"80"}}}}
	if set, err := f.RuleSet(); err == nil || set != nil {
		t.Error("no error")
	}
}
