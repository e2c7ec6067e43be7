package watch

import (
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// RuleNotInBaseline is raised for a listener that the baseline does not have,
// RuleGoneSinceBaseline for one of the baseline that is not open.
const (
	RuleNotInBaseline     = "not-in-baseline"
	RuleGoneSinceBaseline = "gone-since-baseline"
)

// rulesOfOne are the audit's rules that hold for a listener by itself, without
// a scan and without traffic.
var rulesOfOne = []string{"not-in-policy", "exposed-datastore", "exposed-admin-service", "cleartext-service",
	"exposed-beyond-need", "deleted-binary", "world-writable-binary", "unpackaged-binary", "unknown-service"}

// AuditJudge judges by the rules of the audit, by a policy and by a baseline.
// It asks no network and reads no file.
type AuditJudge struct {
	HostName string
	Self     exposure.NetNS // the namespace whose listeners the rules are about
	Addrs    []exposure.OwnAddress
	Book     audit.Book
	Policy   *policy.Policy // nil: none
	Wall     audit.Wall     // nil: the firewall's word is unknown
	// Baseline are the listeners that should be there; nil: no baseline.
	Baseline []exposure.Socket

	byPort map[portKey][]*exposure.Socket
}

// input is what the rules are asked about: these listeners and nothing else.
func (j *AuditJudge) input(socks []exposure.Socket, at time.Time) *audit.Input {
	snap := exposure.Snapshot{Taken: at, Host: j.HostName, Self: j.Self, Sockets: socks}
	return &audit.Input{Host: j.HostName, Taken: at, Self: j.Self, Addrs: j.Addrs, Before: snap, After: snap,
		Wall: j.Wall, Book: j.Book, Policy: j.Policy}
}

// Listener judges one row. Of another namespace than Self only the baseline
// speaks: the policy and the firewall are Self's.
func (j *AuditJudge) Listener(s *exposure.Socket, at time.Time) []exposure.Finding {
	var out []exposure.Finding
	if s.NetNS.ID == j.Self.ID {
		rep := audit.Judge(j.input([]exposure.Socket{*s}, at))
		out = slices.DeleteFunc(rep.Findings, func(f exposure.Finding) bool { return !slices.Contains(rulesOfOne, f.Rule) })
	}
	if f := j.notInBaseline(s); f != nil {
		out = append(out, *f)
	}
	return out
}

// Host judges what is missing.
func (j *AuditJudge) Host(open []*exposure.Socket, at time.Time) []exposure.Finding {
	var out []exposure.Finding
	if j.Policy != nil {
		in := j.input(nil, at)
		out = slices.DeleteFunc(j.missing(in, open), func(f exposure.Finding) bool { return f.Rule != "missing-expected" })
	}
	return append(out, j.goneSince(open)...)
}

// missing asks the audit with bare rows: it looks at ports only.
func (j *AuditJudge) missing(in *audit.Input, open []*exposure.Socket) []exposure.Finding {
	bare := make([]exposure.Socket, 0, len(open))
	for _, s := range open {
		if s.NetNS.ID == j.Self.ID && slices.ContainsFunc(j.Policy.Expect, func(e policy.Expect) bool { return e.Port.Covers(s.Proto, s.Port) }) {
			bare = append(bare, exposure.Socket{Proto: s.Proto, State: s.State, Addr: s.Addr, Port: s.Port, Scope: exposure.ScopeLoopback, NetNS: s.NetNS})
		}
	}
	in.Before.Sockets, in.After.Sockets = bare, bare
	return audit.Judge(in).Findings
}

func (j *AuditJudge) index() map[portKey][]*exposure.Socket {
	if j.byPort == nil {
		j.byPort = map[portKey][]*exposure.Socket{}
		for i := range j.Baseline {
			s := &j.Baseline[i]
			k := j.baseKey(s)
			j.byPort[k] = append(j.byPort[k], s)
		}
	}
	return j.byPort
}

// baseKey leaves the own namespace's number out: it is another after each
// start of the machine or of a container. Others are known by their name.
func (j *AuditJudge) baseKey(s *exposure.Socket) portKey {
	return portKey{s.Proto, s.Port, s.NetNS.Name}
}

// inBaseline reports a listener of the baseline: the same program at an
// address of the same reach.
func inBaseline(base []*exposure.Socket, s *exposure.Socket) bool {
	return slices.ContainsFunc(base, func(b *exposure.Socket) bool {
		return b.Addr == s.Addr && b.Device == s.Device && (unowned(s) || unowned(b) || drift.SameProgram(b, s))
	})
}

func (j *AuditJudge) notInBaseline(s *exposure.Socket) *exposure.Finding {
	if j.Baseline == nil || inBaseline(j.index()[j.baseKey(s)], s) {
		return nil
	}
	f := baselineFinding(RuleNotInBaseline, s, "the baseline does not have it")
	f.Because = []string{"it was not open when the baseline was saved"}
	if base := j.index()[j.baseKey(s)]; len(base) > 0 {
		f.Because = []string{"the baseline has " + base[0].Endpoint().String() + " of " + orText(ownerName(base[0]), "an unknown owner") + " instead"}
	}
	return f
}

func baselineFinding(rule string, s *exposure.Socket, title string) *exposure.Finding {
	sev := exposure.Medium
	if s.Scope == exposure.ScopeLoopback {
		sev = exposure.Low
	}
	ep := s.Endpoint().String()
	return &exposure.Finding{ID: rule + ":" + ep, Rule: rule, Severity: sev, Endpoint: ep, Title: title,
		Because: []string{}, SafeBecause: []string{}, Fix: []exposure.Fix{}}
}

// goneSince raises listeners of the baseline at whose port nothing is open.
func (j *AuditJudge) goneSince(open []*exposure.Socket) []exposure.Finding {
	if len(j.Baseline) == 0 {
		return nil
	}
	there := map[portKey]bool{}
	for _, s := range open {
		there[j.baseKey(s)] = true
	}
	var out []exposure.Finding
	for i := range j.Baseline {
		s := &j.Baseline[i]
		k := j.baseKey(s)
		if there[k] {
			continue
		}
		there[k] = true // once for each port
		f := baselineFinding(RuleGoneSinceBaseline, s, "the baseline has it, and nothing listens")
		f.Severity = exposure.Low
		f.Because = []string{"it was held by " + orText(ownerName(s), "an unknown owner")}
		out = append(out, *f)
	}
	return out
}
