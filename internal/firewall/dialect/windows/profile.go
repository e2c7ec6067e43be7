package windows

import (
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

var profileNames = [3]string{"domain", "private", "public"}

// profile is what a file says of a profile.
type profile struct {
	off      bool
	blockAll bool // inbound rules are not looked at
	inbound  int  // allow, block, or 0 when it is not said
	outbound int
}

// policy is what the profile does with what no rule fits.
func (p *profile) policy(d int) ruleset.Verdict {
	if p.off {
		return ruleset.Accept
	}
	if d == inbound {
		if p.inbound == allow && !p.blockAll {
			return ruleset.Accept
		}
		return ruleset.Drop
	}
	if p.outbound == block {
		return ruleset.Drop
	}
	return ruleset.Accept
}

// profileIndex is the number of a profile's name, -1 of another word.
func profileIndex(s string) int {
	for i, name := range profileNames {
		if strings.EqualFold(strings.TrimSpace(s), name) {
			return i
		}
	}
	return -1
}

// onProfile is the condition that the network has a profile. A network has
// just one, so two atoms tell all three.
func onProfile(i int) ruleset.Expr {
	domain := ruleset.Atom{Key: "profile domain", Why: "whether the network's profile is domain"}
	private := ruleset.Atom{Key: "profile private", Why: "whether the network's profile is private"}
	switch i {
	case 0:
		return domain
	case 1:
		return ruleset.All{ruleset.Not{Expr: domain}, private}
	}
	return ruleset.All{ruleset.Not{Expr: domain}, ruleset.Not{Expr: private}}
}

// profileExpr is the condition of a rule's profiles, nil for all.
func (r *reader) profileExpr(names []string) ruleset.Expr {
	var has [3]bool
	var any ruleset.Any
	for _, s := range names {
		if isAny(s) {
			return nil
		}
		i := profileIndex(s)
		if i < 0 {
			any = append(any, unknown(fmt.Sprintf("the profile %q", s)))
			continue
		}
		has[i] = true
	}
	if len(names) == 0 || has == [3]bool{true, true, true} {
		return nil
	}
	for i, in := range has {
		switch chosen := profileIndex(r.opt.Profile); {
		case chosen >= 0:
			any = append(any, ruleset.Const{Holds: in && chosen == i})
		case in:
			any = append(any, onProfile(i))
		}
	}
	return any
}

// begin adds what comes before the rules: profiles that are off let all pass,
// and those that block everything do so.
func (r *reader) begin(ch *ruleset.Chain, d int) {
	for i := range r.profiles {
		p := &r.profiles[i]
		if p.off {
			ch.Rules = append(ch.Rules, r.ofProfile(i, "is off", ruleset.Accept))
		} else if p.blockAll && d == inbound {
			ch.Rules = append(ch.Rules, r.ofProfile(i, "blocks all inbound connections", ruleset.Drop))
		}
	}
}

// end sets the policy, and adds rules for the profiles that have another.
func (r *reader) end(ch *ruleset.Chain, d int) {
	if i := profileIndex(r.opt.Profile); i >= 0 {
		ch.Policy = r.profiles[i].policy(d)
		return
	}
	ch.Policy = r.profiles[2].policy(d)
	for i := range r.profiles[:2] {
		if p := r.profiles[i].policy(d); p != ch.Policy {
			ch.Rules = append(ch.Rules, r.ofProfile(i, "by default", p))
		}
	}
}

func (r *reader) ofProfile(i int, what string, v ruleset.Verdict) *ruleset.Rule {
	rule := &ruleset.Rule{Text: "the profile " + profileNames[i] + " " + what}
	rule.Steps = []ruleset.Step{ruleset.Match{Expr: onProfile(i)}, ruleset.Decide{Verdict: v}}
	if chosen := profileIndex(r.opt.Profile); chosen >= 0 {
		rule.Steps[0] = ruleset.Match{Expr: ruleset.Const{Holds: chosen == i}}
	}
	return rule
}

// firewallPolicy reads netsh's "BlockInbound,AllowOutbound".
func (p *profile) firewallPolicy(s string) bool {
	in, out, ok := strings.Cut(strings.ToLower(strings.ReplaceAll(s, " ", "")), ",")
	switch in {
	case "blockinbound", "notconfigured":
		p.inbound, p.blockAll = block, false
	case "blockinboundalways":
		p.inbound, p.blockAll = block, true
	case "allowinbound":
		p.inbound, p.blockAll = allow, false
	default:
		return false
	}
	switch out {
	case "allowoutbound", "notconfigured":
		p.outbound = allow
	case "blockoutbound":
		p.outbound = block
	default:
		return false
	}
	return ok
}
