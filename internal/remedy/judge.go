package remedy

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// judge asks the rule model what our rules alone do. Packets meet the other
// tables as before, so what ours do is all that changes.
type judge struct {
	host  *ruleset.Host
	rules *ruleset.RuleSet
	doubt string
}

func newJudge(host *ruleset.Host, loaded []*Present) *judge {
	j := &judge{host: host, rules: &ruleset.RuleSet{}}
	for _, p := range loaded {
		j.rules.Chains = append(j.rules.Chains, p.Chains...)
		if p.Doubt != "" {
			j.doubt = p.Doubt
		}
	}
	j.rules.Prepare()
	return j
}

const protoTCP = 6 // IANA

// session says whether a session may begin again and go on, both ways; why
// not is for people.
func (j *judge) session(s Session) (ok bool, why string) {
	if j.doubt != "" {
		return false, "it cannot be told what the rules do: " + j.doubt
	}
	a := j.rules.Ask(j.host, ruleset.Query{Proto: protoTCP, Addr: s.Local.Addr(), Port: s.Local.Port(),
		From: ruleset.Sender{Addr: s.Peer.Addr(), Interface: s.Device, Ordinary: true}})
	if !lets(a, s) {
		return false, "a new connection would " + verdict(a)
	}
	if !j.hooked() {
		return true, ""
	}
	if why := j.goesOn(s.Peer, s.Local, s.Device, "", ""); why != "" {
		return false, "what comes in of the session would " + why
	}
	if why := j.answers(s); why != "" {
		return false, "what this host sends in the session would " + why
	}
	return true, ""
}

// answers asks each chain that sees what this host sends.
func (j *judge) answers(s Session) string {
	family := ruleset.IPv6
	if s.Peer.Addr().Is4() {
		family = ruleset.IPv4
	}
	for _, ch := range j.rules.Chains {
		if ch.Hook != ruleset.Output && ch.Hook != ruleset.Postrouting || ch.Families&family == 0 {
			continue
		}
		if s.Device == "" {
			return "meet rules, and it is not known by which interface it leaves"
		}
		if why := j.goesOn(s.Local, s.Peer, "", s.Device, ch.Title); why != "" {
			return why
		}
	}
	return ""
}

// hooked reports that any packet meets our rules at all.
func (j *judge) hooked() bool {
	return slices.ContainsFunc(j.rules.Chains, func(ch *ruleset.Chain) bool { return ch.Hook != ruleset.NoHook })
}

// ack are the flags of a segment with data (RFC 9293).
const ack = 0x10

// goesOn asks about a segment of the established connection, at one chain or on
// its whole way; "" is that it passes.
func (j *judge) goesOn(from, to netip.AddrPort, in, out, chain string) string {
	flags, sport, dport := uint8(ack), from.Port(), to.Port()
	d, err := j.rules.Query(ruleset.Packet{Proto: protoTCP, Src: from.Addr(), Dst: to.Addr(), SrcPort: &sport, DstPort: &dport,
		In: in, Out: out, State: "established", TCPFlags: &flags}, chain)
	switch {
	case err != nil:
		return "meet rules that are not understood (" + err.Error() + ")"
	case d.Verdict == ruleset.PermitPacket:
		return ""
	}
	return "be refused, or not certainly pass, by " + d.Rule + " " + d.Why
}

// lets accepts that only who is on the link reaches a loopback address: so is
// the peer.
func lets(a ruleset.Answer, s Session) bool {
	return a.Outcome == ruleset.Permitted || a.Outcome == ruleset.Partly && s.Local.Addr().IsLoopback() && s.Device == "lo" && !strings.Contains(a.Why, "depends")
}

func verdict(a ruleset.Answer) string {
	by := ""
	if n := len(a.Rules); n > 0 {
		by = " by " + a.Rules[n-1]
	}
	why := ""
	if a.Why != "" {
		why = " (" + a.Why + ")"
	}
	switch a.Outcome {
	case ruleset.Denied:
		return "be refused" + by + why
	case ruleset.Partly:
		return "be refused in part" + by + why
	}
	return "meet rules that are not understood" + by + why
}

// refuses reports that what a client sent to a server of this host would be
// refused now, with the reason.
func (j *judge) refuses(proto uint8, client netip.Addr, server netip.AddrPort) (bool, string) {
	a := j.rules.Ask(j.host, ruleset.Query{Proto: proto, Addr: server.Addr(), Port: server.Port(), From: ruleset.Sender{Addr: client, Ordinary: true}})
	return a.Outcome == ruleset.Denied || a.Outcome == ruleset.Partly, verdict(a)
}
