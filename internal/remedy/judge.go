package remedy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// judge asks the rule model what our rules alone do. Packets meet the other
// tables as before, so what ours do is all that changes.
type judge struct {
	host        *ruleset.Host
	fresh       *ruleset.RuleSet // for the first packet of a connection
	established *ruleset.RuleSet // for the following ones
	doubt       string
}

func newJudge(host *ruleset.Host, loaded []*Present) *judge {
	j := &judge{host: host, fresh: &ruleset.RuleSet{}, established: &ruleset.RuleSet{}}
	for _, p := range loaded {
		j.fresh.Chains = append(j.fresh.Chains, p.Chains...)
		if p.Doubt != "" {
			j.doubt = p.Doubt
		}
	}
	j.established.Chains = asEstablished(j.fresh.Chains)
	j.fresh.Prepare()
	j.established.Prepare()
	if why := sendsLess(j.fresh.Chains); why != "" {
		j.doubt = why
	}
	return j
}

// protocol numbers (IANA).
const protoTCP = 6

// session says whether a session may go on and begin again; why not is for
// people.
func (j *judge) session(s Session) (ok bool, why string) {
	if j.doubt != "" {
		return false, "it cannot be told what the rules do: " + j.doubt
	}
	for _, ask := range []struct {
		rules *ruleset.RuleSet
		what  string
		from  ruleset.Sender
	}{
		{j.fresh, "a new connection", ruleset.Sender{Addr: s.Peer.Addr(), Interface: s.Device, Ordinary: true}},
		{j.established, "the session's packets", ruleset.Sender{Addr: s.Peer.Addr(), Port: s.Peer.Port(), Interface: s.Device, Ordinary: true}},
	} {
		a := ask.rules.Ask(j.host, ruleset.Query{Proto: protoTCP, Addr: s.Local.Addr(), Port: s.Local.Port(), From: ask.from})
		if !lets(a, s) {
			return false, ask.what + " would " + verdict(a)
		}
	}
	return true, ""
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
	a := j.fresh.Ask(j.host, ruleset.Query{Proto: proto, Addr: server.Addr(), Port: server.Port(), From: ruleset.Sender{Addr: client, Ordinary: true}})
	return a.Outcome == ruleset.Denied || a.Outcome == ruleset.Partly, verdict(a)
}

// sendsLess names a chain on the way out that may drop: what this host
// answers is not judged, so it must be let out.
func sendsLess(chains []*ruleset.Chain) string {
	for _, ch := range chains {
		if (ch.Hook == ruleset.Output || ch.Hook == ruleset.Postrouting) && mayDrop(ch, map[*ruleset.Chain]bool{}) {
			return fmt.Sprintf("chain %s may drop what this host sends, and that is not judged", ch.Title)
		}
	}
	return ""
}

func mayDrop(ch *ruleset.Chain, been map[*ruleset.Chain]bool) bool {
	if been[ch] {
		return false
	}
	been[ch] = true
	if ch.Hook != ruleset.NoHook && ch.Policy == ruleset.Drop {
		return true
	}
	for _, r := range ch.Rules {
		if slices.ContainsFunc(r.Steps, func(s ruleset.Step) bool { return stepDrops(s, been) }) {
			return true
		}
	}
	return false
}

func stepDrops(s ruleset.Step, been map[*ruleset.Chain]bool) bool {
	decides := func(d ruleset.Decide) bool {
		return d.Verdict == ruleset.Drop || d.Target != nil && mayDrop(d.Target, been)
	}
	switch s := s.(type) {
	case ruleset.Decide:
		return decides(s)
	case ruleset.Choose:
		return slices.ContainsFunc(s.Rows, func(c ruleset.Choice) bool { return decides(c.Decide) })
	case ruleset.Elsewhere, ruleset.Translate:
		return true
	}
	return false
}
