package audit

import (
	"fmt"

	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
)

// meetPolicy decides, before any rule runs, whether the policy expects a row;
// what stands against it is raised here.
func meetPolicy(in *Input, r *row) {
	if in.Policy == nil || r.sock == nil {
		return
	}
	var against []string
	for i := range in.Policy.Expect {
		e := &in.Policy.Expect[i]
		if !e.Port.Covers(r.Proto, r.Port) {
			continue
		}
		diff := e.Differs(r.sock)
		if e.Expired(in.Taken) {
			diff = append(diff, fmt.Sprintf("the policy's entry (%s) ended on %s", orElse(e.Reason, "no reason given"), e.Expires.Format("2006-01-02")))
		}
		if len(diff) == 0 {
			r.expect(in, e)
			return
		}
		for _, d := range diff {
			against = append(against, fmt.Sprintf("%s (entry at %s)", d, lineOf(e)))
		}
	}
	if r.loopbackOnly() && len(against) == 0 {
		return
	}
	r.raise(notInPolicy(r, against))
}

// expect marks the row and compares who may come with who should.
func (r *row) expect(in *Input, e *policy.Expect) {
	r.expected = true
	r.Why = append(r.Why, fmt.Sprintf("the policy expects it (%s): %s", lineOf(e), orElse(e.Reason, "no reason given")))
	if len(e.Peers) == 0 || !r.reachable() || r.Views.Firewall != exposure.Permitted {
		return
	}
	r.raise(exposure.Finding{Rule: "exposed-beyond-need", Severity: exposure.Medium,
		Title:       "the firewall lets in more than the policy's peers",
		Because:     []string{fmt.Sprintf("the policy names peers %v (%s)", prefixes(e.Peers), lineOf(e)), r.wallSays()},
		SafeBecause: []string{"the policy expects the service itself"},
	})
}

// lineOf is where an entry stands.
func lineOf(e *policy.Expect) string {
	if e.Role == "" {
		return fmt.Sprintf("line %d", e.Port.Line)
	}
	return fmt.Sprintf("line %d, role %s", e.Port.Line, e.Role)
}

func prefixes(ps []policy.Prefix) []string {
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = p.String()
	}
	return out
}

func notInPolicy(r *row, against []string) exposure.Finding {
	f := exposure.Finding{Rule: "not-in-policy", Severity: exposure.Medium,
		Title: "the policy does not expect it", Because: against, SafeBecause: r.ownerSpeaks()}
	if len(against) == 0 {
		f.Because = []string{fmt.Sprintf("no entry of the policy covers %d/%s", r.Port, r.Proto), r.bound()}
	}
	return f
}

// ruleMissing raises what the policy expects and nobody serves.
func ruleMissing(in *Input) []exposure.Finding {
	if in.Policy == nil || in.HostUnknown {
		return nil
	}
	var out []exposure.Finding
	for i := range in.Policy.Expect {
		e := &in.Policy.Expect[i]
		if e.Optional || e.Expired(in.Taken) || in.serves(e) {
			continue
		}
		out = append(out, exposure.Finding{Rule: "missing-expected", Severity: exposure.Medium,
			Endpoint: nobodyAt(e),
			Title:    "the policy expects " + e.Port.String() + ", and nothing listens",
			Because:  []string{fmt.Sprintf("policy %s: %s", lineOf(e), orElse(e.Reason, "no reason given")), "no such listener before or after the scan"},
			Fix:      missingFix(e),
		})
	}
	return out
}

func missingFix(e *policy.Expect) []exposure.Fix {
	if e.Unit == "" {
		return nil
	}
	return []exposure.Fix{{What: "see why it does not run", Command: "systemctl status " + shellQuote(e.Unit)}}
}

func (in *Input) serves(e *policy.Expect) bool {
	for _, socks := range [][]exposure.Socket{in.After.Sockets, in.Before.Sockets} {
		for i := range socks {
			s := &socks[i]
			if s.NetNS.ID == in.Self.ID && s.IsListener() && e.Port.Covers(s.Proto, s.Port) {
				return true
			}
		}
	}
	return false
}

// ruleExpired raises every entry whose last day has passed, whether or not
// anything listens still: it is someone's to renew or to take out.
func ruleExpired(in *Input) []exposure.Finding {
	if in.Policy == nil {
		return nil
	}
	var out []exposure.Finding
	for i := range in.Policy.Expect {
		if e := &in.Policy.Expect[i]; e.Expired(in.Taken) {
			out = append(out, expiredEntry(in, e))
		}
	}
	return out
}

func expiredEntry(in *Input, e *policy.Expect) exposure.Finding {
	day := e.Expires.Format("2006-01-02")
	f := exposure.Finding{Rule: "expired-entry", Severity: exposure.Low,
		Endpoint: nobodyAt(e),
		Title:    fmt.Sprintf("the policy's entry for %s ended on %s", e.Port, day),
		Because:  []string{fmt.Sprintf("policy %s: %s; expires: %s", lineOf(e), orElse(e.Reason, "no reason given"), day)},
		Fix:      []exposure.Fix{{What: fmt.Sprintf("take the entry out of the policy (%s), or give it a new day", lineOf(e))}},
	}
	s := in.servedBy(e)
	switch {
	case in.HostUnknown:
		f.Because = append(f.Because, "whether it still listens is not known")
	case s == nil:
		f.Because = append(f.Because, "nothing listens there any more")
	case in.alsoExpected(s):
		f.Endpoint = exposure.Endpoint{Proto: s.Proto, Addr: s.Addr, Port: s.Port}.String()
		f.SafeBecause = []string{"another entry of the policy expects what listens there"}
	default:
		f.Severity, f.Endpoint = exposure.Medium, exposure.Endpoint{Proto: s.Proto, Addr: s.Addr, Port: s.Port}.String()
		f.Title += ", and the port is still open"
		f.Because = append(f.Because, "a listener is still there")
	}
	return f
}

// servedBy is a listener that the entry describes, or at least one on its port.
func (in *Input) servedBy(e *policy.Expect) (found *exposure.Socket) {
	for i := range in.After.Sockets {
		s := &in.After.Sockets[i]
		if s.NetNS.ID != in.Self.ID || !s.IsListener() || !e.Port.Covers(s.Proto, s.Port) {
			continue
		}
		if len(e.Differs(s)) == 0 {
			return s
		}
		if found == nil {
			found = s
		}
	}
	return found
}

// alsoExpected reports a listener that an entry in force expects.
func (in *Input) alsoExpected(s *exposure.Socket) bool {
	for i := range in.Policy.Expect {
		e := &in.Policy.Expect[i]
		if e.Port.Covers(s.Proto, s.Port) && !e.Expired(in.Taken) && len(e.Differs(s)) == 0 {
			return true
		}
	}
	return false
}

// nobodyAt names an entry's port where no listener lends its address.
func nobodyAt(e *policy.Expect) string {
	return exposure.Endpoint{Proto: e.Port.Proto, Addr: exposure.ParseAddress("0.0.0.0"), Port: e.Port.First}.String()
}

// protection tells why a port may not be closed; "" when it may.
func (in *Input) protection(r *row) string {
	if in.Policy != nil {
		for _, p := range in.Policy.Protected {
			if p.Port.Covers(r.Proto, r.Port) {
				return orElse(p.Reason, "the policy protects it")
			}
		}
	}
	for _, a := range []*knowledge.Advice{r.byPort, r.advice} {
		if a != nil && a.Protected {
			return a.ProtectedWhy
		}
	}
	return ""
}

// ruleProtected marks ports that must stay open.
func ruleProtected(in *Input, r *row) {
	why := in.protection(r)
	if why == "" || r.sock == nil {
		return
	}
	r.raise(exposure.Finding{Rule: "protected-port", Severity: exposure.Info,
		Title: "protected: do not close", Because: []string{why},
		SafeBecause: []string{"it is meant to be open"},
	})
}
