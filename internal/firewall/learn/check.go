package learn

import (
	"iter"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// Decider says what a rule set does with the connection that a flow is, and
// which rule decided.
type Decider func(f *exposure.Flow) (verdict exposure.PermitVerdict, rule string)

// Result is what a replay showed.
type Result struct {
	Flows, Permitted, Denied, Unknown uint64
	// Established and Attempts divide the flows: answered (or permitted by a
	// log), and unanswered, refused or denied ones; the second of each is how
	// many of them were permitted.
	Established, EstablishedPermitted uint64
	Attempts, AttemptsPermitted       uint64
	// Examples are flows that were not permitted, established ones first, at
	// most MaxExamples of each verdict.
	Examples []Example
}

// Example is a flow and what became of it.
type Example struct {
	Flow    exposure.Flow
	Verdict exposure.PermitVerdict
	Rule    string
}

// MaxExamples is how many examples of one verdict are kept.
const MaxExamples = 20

// Check replays flows.
func Check(decide Decider, flows iter.Seq[*exposure.Flow]) *Result {
	r := &Result{}
	var established, attempts []Example
	kept := map[string]int{}
	for f := range flows {
		verdict, rule := decide(f)
		need := isNeed(f)
		r.count(verdict, need, max(f.Count, 1))
		key := string(verdict)
		if need {
			key += "!"
		}
		if verdict == exposure.Permitted || kept[key] >= MaxExamples {
			continue
		}
		kept[key]++
		if need {
			established = append(established, Example{*f, verdict, rule})
		} else {
			attempts = append(attempts, Example{*f, verdict, rule})
		}
	}
	r.Examples = append(established, attempts...)
	return r
}

func isNeed(f *exposure.Flow) bool {
	return f.Action != "deny" && f.Answered != exposure.FlowUnanswered && f.Answered != exposure.FlowRefused
}

func (r *Result) count(verdict exposure.PermitVerdict, isNeed bool, n uint64) {
	r.Flows += n
	permitted := uint64(0)
	switch verdict {
	case exposure.Permitted:
		r.Permitted += n
		permitted = n
	case exposure.Denied:
		r.Denied += n
	default:
		r.Unknown += n
	}
	if isNeed {
		r.Established, r.EstablishedPermitted = r.Established+n, r.EstablishedPermitted+permitted
	} else {
		r.Attempts, r.AttemptsPermitted = r.Attempts+n, r.AttemptsPermitted+permitted
	}
}

// FileDecider decides by a rule file: the first rule that fits, else deny. A
// flow whose protocol or addresses are not known is unknown.
func FileDecider(f *rulefile.File) (Decider, error) {
	rules, err := f.Active()
	if err != nil {
		return nil, err
	}
	ix := newIndex(rules)
	return func(f *exposure.Flow) (exposure.PermitVerdict, string) {
		p, ok := PacketOf(f)
		if !ok {
			return exposure.UnknownPermit, ""
		}
		i := ix.first(p)
		if underway(f) && (i < 0 || rules[i].Action != rulefile.Permit) {
			if j := ix.first(answer(p)); j >= 0 {
				i = j
			}
		}
		if i < 0 {
			return exposure.Denied, ""
		}
		r := &rules[i]
		switch {
		case r.In != "" || r.Out != "": // a flow does not always tell its interfaces
			return exposure.UnknownPermit, ruleTitle(r)
		case r.Action == rulefile.Permit:
			return exposure.Permitted, ruleTitle(r)
		}
		return exposure.Denied, ruleTitle(r)
	}, nil
}

// underway reports a TCP connection of which both ways were seen and not its
// beginning.
func underway(f *exposure.Flow) bool { return f.State == "OTH" && f.Proto == exposure.TCP && isNeed(f) }

func answer(p rulefile.Packet) rulefile.Packet {
	p.Src, p.Dst, p.SrcPort, p.DstPort = p.Dst, p.Src, p.DstPort, p.SrcPort
	return p
}

// index finds the rules that may fit a packet without asking all of them: by
// protocol and port where a rule names few ports.
type index struct {
	rules []rulefile.Resolved
	byKey map[uint32][]int // protocol<<16 | port
	wide  []int
}

func newIndex(rules []rulefile.Resolved) *index {
	ix := &index{rules: rules, byKey: map[uint32][]int{}}
	for i := range rules {
		keys := keysOf(&rules[i])
		if keys == nil {
			ix.wide = append(ix.wide, i)
		}
		for _, k := range keys {
			if list := ix.byKey[k]; len(list) == 0 || list[len(list)-1] != i {
				ix.byKey[k] = append(list, i)
			}
		}
	}
	return ix
}

// keysOf are a rule's protocol and ports, nil where they are many.
func keysOf(r *rulefile.Resolved) (out []uint32) {
	const most = 64
	if r.Proto == rulefile.AnyProto || r.Ports == nil {
		return nil
	}
	for _, p := range r.Ports {
		if int(p.Hi)-int(p.Lo) >= most-len(out) {
			return nil
		}
		for n := int(p.Lo); n <= int(p.Hi); n++ {
			out = append(out, uint32(r.Proto)<<16|uint32(n))
		}
	}
	return out
}

// first is the first rule that fits, -1 for none.
func (ix *index) first(p rulefile.Packet) int {
	best := -1
	for _, list := range [][]int{ix.byKey[uint32(p.Proto)<<16|uint32(p.DstPort)], ix.wide} {
		for _, i := range list {
			if best >= 0 && i > best {
				break
			}
			if ix.rules[i].Fits(p) {
				best = i
				break
			}
		}
	}
	return best
}

func ruleTitle(r *rulefile.Resolved) string {
	if r.Name != "" {
		return r.Name
	}
	return r.Rule.String()
}

// PacketOf is the packet that opens a flow's connection, of turned flows too
// (see the package comment); false where protocol or addresses are not known.
func PacketOf(f *exposure.Flow) (rulefile.Packet, bool) {
	n, ok := rulefile.ProtoNumber(f.Proto)
	p := rulefile.Packet{Proto: n, Src: f.Client.Unmap().WithZone(""), Dst: f.Server.Unmap().WithZone("")}
	if ok && isNeed(f) && turned(f, n) {
		p.Src, p.Dst, p.SrcPort, p.DstPort = p.Dst, p.Src, f.ServerPort, f.ClientPort
		return p, p.Src.IsValid() && p.Dst.IsValid() && p.Src.Is4() == p.Dst.Is4()
	}
	if !ok || !p.Src.IsValid() || !p.Dst.IsValid() || p.Src.Is4() != p.Dst.Is4() {
		return p, false
	}
	switch {
	case n == icmp || n == icmp6:
		p.Type = uint8(f.ClientPort)
	case hasPorts(n):
		p.SrcPort, p.DstPort = f.ClientPort, f.ServerPort
	}
	return p, true
}
