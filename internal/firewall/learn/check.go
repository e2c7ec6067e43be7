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
	return func(f *exposure.Flow) (exposure.PermitVerdict, string) {
		p, ok := PacketOf(f)
		if !ok {
			return exposure.UnknownPermit, ""
		}
		for i := range rules {
			r := &rules[i]
			if !r.Fits(p) {
				continue
			}
			if r.In != "" || r.Out != "" { // a flow does not always tell its interfaces
				return exposure.UnknownPermit, ruleTitle(r)
			}
			if r.Action == rulefile.Permit {
				return exposure.Permitted, ruleTitle(r)
			}
			return exposure.Denied, ruleTitle(r)
		}
		return exposure.Denied, ""
	}, nil
}

func ruleTitle(r *rulefile.Resolved) string {
	if r.Name != "" {
		return r.Name
	}
	return r.Rule.String()
}

// PacketOf is the packet that opens a flow's connection; false where protocol
// or addresses are not known.
func PacketOf(f *exposure.Flow) (rulefile.Packet, bool) {
	n, ok := rulefile.ProtoNumber(f.Proto)
	p := rulefile.Packet{Proto: n, Src: f.Client.Unmap().WithZone(""), Dst: f.Server.Unmap().WithZone("")}
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
