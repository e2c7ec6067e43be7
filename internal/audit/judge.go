package audit

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
)

// rowRules look at one row each.
var rowRules = []func(*Input, *row){
	ruleAbsent, ruleExposed, ruleBeyondNeed, ruleUnused, ruleMismatch, ruleBinary,
	ruleUnknownService, ruleUnruled, ruleProtected,
}

// hostRules look at the whole Input and raise findings that have no row, or
// find their row by name.
var hostRules = []func(*Input) []exposure.Finding{
	rulePacketSocket, ruleDisagreement, ruleMissing, ruleExpired, ruleStale,
}

// Judge joins all the evidence. The report's lists are sorted and never nil.
func Judge(in *Input) Report {
	rows := in.rows()
	for _, r := range rows {
		meetPolicy(in, r)
		for _, rule := range rowRules {
			rule(in, r)
		}
		addFixes(in, r)
		r.Verdict = verdictOf(r)
	}
	rep := Report{Taken: in.Taken, Host: in.Host, Incomplete: in.gaps()}
	rep.gather(rows)
	for _, rule := range hostRules {
		rep.attach(rule(in))
	}
	rep.sort()
	rep.Summary = summarize(in, &rep, rows)
	return rep
}

func (in *Input) rows() []*row {
	if in.HostUnknown {
		return servedRows(in)
	}
	return append(rowsOf(in), absentRows(in)...)
}

// raise adds a finding to the row, under the row's name.
func (r *row) raise(f exposure.Finding) {
	f.Endpoint = r.Name()
	r.findings = append(r.findings, f)
}

// gather turns judged rows into the report and names the findings.
func (rep *Report) gather(rows []*row) {
	rep.Endpoints = make([]Endpoint, 0, len(rows))
	rep.Findings = []exposure.Finding{}
	ids := map[string]int{}
	for _, r := range rows {
		r.Endpoint.Findings = []string{}
		for _, f := range r.findings {
			f.ID = uniqueID(ids, f)
			r.Endpoint.Findings = append(r.Endpoint.Findings, f.ID)
			rep.Findings = append(rep.Findings, complete(f))
		}
		if r.Processes == nil {
			r.Processes = []exposure.Process{}
		}
		if r.Why == nil {
			r.Why = []string{}
		}
		rep.Endpoints = append(rep.Endpoints, r.Endpoint)
	}
}

// attach adds findings of the whole host, to their row where there is one.
func (rep *Report) attach(fs []exposure.Finding) {
	ids := map[string]int{}
	for _, f := range rep.Findings {
		ids[f.ID]++
	}
	for _, f := range fs {
		f.ID = uniqueID(ids, f)
		rep.Findings = append(rep.Findings, complete(f))
		for i := range rep.Endpoints {
			if e := &rep.Endpoints[i]; e.Name() == f.Endpoint {
				e.Findings = append(e.Findings, f.ID)
				if f.Severity.Rank() >= exposure.Medium.Rank() && e.Verdict == exposure.Expected {
					e.Verdict = exposure.Review
				}
				break
			}
		}
	}
}

// uniqueID is rule:endpoint, the same in every audit of the same situation.
func uniqueID(ids map[string]int, f exposure.Finding) string {
	id := f.Rule + ":" + f.Endpoint
	ids[id]++
	if n := ids[id]; n > 1 {
		id = fmt.Sprintf("%s#%d", id, n)
		ids[id]++
	}
	return id
}

// complete makes lists that JSON writes as [].
func complete(f exposure.Finding) exposure.Finding {
	if f.Because == nil {
		f.Because = []string{}
	}
	if f.SafeBecause == nil {
		f.SafeBecause = []string{}
	}
	if f.Fix == nil {
		f.Fix = []exposure.Fix{}
	}
	return f
}

// urgent are the rules that come first among equals: signs of an intruder, then
// of one who could become it.
var urgent = []string{"hidden-listener", "source-disagreement", "deleted-binary", "world-writable-binary", "packet-socket"}

func urgency(rule string) int {
	if i := slices.Index(urgent, rule); i >= 0 {
		return i
	}
	return len(urgent)
}

func (rep *Report) sort() {
	slices.SortStableFunc(rep.Findings, func(a, b exposure.Finding) int {
		return cmp.Or(b.Severity.Rank()-a.Severity.Rank(), urgency(a.Rule)-urgency(b.Rule), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Endpoint, b.Endpoint))
	})
	slices.SortStableFunc(rep.Endpoints, func(a, b Endpoint) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Proto, b.Proto), a.Addr.IP.Compare(b.Addr.IP), cmp.Compare(a.Device, b.Device))
	})
}

// gaps are all views' gaps, each said once.
func (in *Input) gaps() []exposure.Gap {
	all := slices.Clone(in.Gaps)
	all = append(all, in.After.Gaps...)
	if in.Scan != nil {
		all = append(all, in.Scan.Gaps...)
	}
	if len(in.Evidence) > 0 {
		for i := range in.Vantages {
			all = append(all, in.Vantages[i].Gaps...)
		}
	}
	out := []exposure.Gap{}
	for _, g := range all {
		if !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	return out
}

// ruleDisagreement raises what the kernel's sources disagree about.
func ruleDisagreement(in *Input) []exposure.Finding {
	var out []exposure.Finding
	for _, d := range in.Disagreements {
		out = append(out, exposure.Finding{Rule: "source-disagreement", Severity: exposure.High,
			Endpoint: exposure.Endpoint{Proto: d.Endpoint.Proto, Addr: d.Endpoint.Addr, Port: d.Endpoint.Port}.String(),
			Title:    "the kernel's own sources disagree about it",
			Because: []string{
				fmt.Sprintf("listed by %v, missing from %v, again and again", d.Seen, d.Missing), d.Why},
			SafeBecause: []string{},
			Fix:         []exposure.Fix{{What: "compare with a listing made by a program you brought along", Command: "ss -Htulna"}},
		})
	}
	return out
}

func notOwn(in *Input) func(netip.Addr) bool {
	return func(a netip.Addr) bool { return !in.isOwn(a) }
}
