package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
)

// ruleExposed raises what is dangerous to leave to strangers: datastores,
// administration, clear text. A policy entry that expects the service speaks
// for it.
func ruleExposed(in *Input, r *row) {
	if !r.serves() || !r.reachable() || r.expected || r.advice == nil {
		return
	}
	before := len(r.findings) // one finding says how bad it is; clear text alone is the least
	switch {
	case r.kind(knowledge.Datastore, knowledge.Queue):
		r.raise(r.exposedAs("exposed-datastore", "data that strangers can reach"))
	case r.kind(knowledge.Admin, knowledge.Orchestration, knowledge.Industrial),
		r.kind(knowledge.RemoteLogin) && r.advice.ID != "ssh" && !r.kind(knowledge.Cleartext):
		r.raise(r.exposedAs("exposed-admin-service", "control that strangers can reach"))
	}
	if r.kind(knowledge.Cleartext) && !r.encrypted() && len(r.findings) == before {
		f := r.exposedAs("cleartext-service", "names, passwords or data travel unencrypted")
		if r.plainWeb() {
			f.Severity = exposure.Info
		}
		r.raise(f)
	}
}

// plainWeb: pages without encryption are everyday, and what they show decides;
// back-end protocols of web servers (ajp, fastcgi) are not meant here.
func (r *row) plainWeb() bool {
	return r.kind("web") && slices.Contains(r.advice.Speaks, "http") && !r.kind(knowledge.Admin, knowledge.RemoteLogin)
}

func (r *row) encrypted() bool { return r.greeting != nil && r.greeting.TLS }

func (r *row) exposedAs(rule, what string) exposure.Finding {
	if r.Views.Firewall == exposure.UnknownPermit && !r.outsideOpen() {
		what = strings.Replace(what, "strangers can", "strangers may", 1)
	}
	f := exposure.Finding{Rule: rule, Severity: r.exposureSeverity(), Title: r.advice.ID + ": " + what}
	f.Because = append(f.Because, r.bound()+"; "+r.wallSays())
	switch r.auth() {
	case "none":
		f.Because = append(f.Because, "it answered without asking for a password")
	case "required":
		f.SafeBecause = append(f.SafeBecause, "it asks for a password before it answers")
	}
	f.Because = append(f.Because, r.advice.Unsafe...)
	if r.outsideOpen() {
		f.Because = append(f.Because, "a scan from outside found it open")
	}
	f.SafeBecause = append(f.SafeBecause, r.exposureDoubts()...)
	return f
}

// exposureDoubts is what speaks against an exposure.
func (r *row) exposureDoubts() []string {
	var out []string
	if r.closedOutside() {
		out = append(out, "a scan from outside found it "+r.Views.Network)
	}
	if !r.confirmed() {
		out = append(out, "only the port number says that it is "+r.advice.ID+"; neither its program nor what it says does")
	}
	if r.advice.Safe != nil {
		out = append(out, "what may make it safe: "+strings.Join(r.advice.Safe, " "))
	}
	return out
}

// auth is what the service said of passwords.
func (r *row) auth() string {
	if r.greeting == nil {
		return ""
	}
	return r.greeting.Auth
}

// exposureSeverity starts at the advice, or at high for what needs no
// password, and goes one step down for each thing that keeps strangers away or
// makes it uncertain.
func (r *row) exposureSeverity() exposure.Severity {
	sev := r.advice.Exposed
	if sev.Rank() < 0 {
		sev = exposure.Medium
	}
	if r.auth() == "none" {
		sev = exposure.High
	}
	for _, less := range []bool{
		r.auth() == "required",
		r.Views.Firewall == exposure.Partial || r.Scope == exposure.ScopeLink,
		r.Views.Firewall == exposure.UnknownPermit && !r.outsideOpen(),
		r.closedOutside(),
		!r.confirmed() && r.auth() != "none",
		r.onlyCarrier(),
	} {
		if less {
			sev = lower(sev)
		}
	}
	return sev
}

// onlyCarrier: it speaks, and what it speaks carries anything (a web page on a
// port that some product uses by default).
func (r *row) onlyCarrier() bool {
	return r.greeting != nil && carrier(r.greeting.Name) && !r.confirmed()
}

func (r *row) closedOutside() bool {
	return r.outside && (r.Views.Network == string(exposure.Filtered) || r.Views.Network == string(exposure.Closed))
}

func lower(s exposure.Severity) exposure.Severity {
	switch s {
	case exposure.High:
		return exposure.Medium
	default:
		return exposure.Low
	}
}

// ruleMismatch compares what spoke with what the port is for.
func ruleMismatch(in *Input, r *row) {
	if r.sock == nil || r.greeting == nil || r.greeting.Name == "" || r.expected && r.adviceFits() {
		return
	}
	if r.byPort == nil || len(r.byPort.Speaks) == 0 || r.speaksRightly() {
		return
	}
	f := exposure.Finding{Rule: "service-mismatch", Severity: exposure.Medium,
		Title: fmt.Sprintf("speaks %s on the port of %s", r.greeting.Name, r.byPort.ID),
		Because: []string{
			fmt.Sprintf("port %d/%s is for %s, which speaks %s", r.Port, r.Proto, r.byPort.ID, strings.Join(r.byPort.Speaks, " or ")),
			"it answered as " + greetingText(r.greeting)},
		SafeBecause: r.ownerSpeaks(),
	}
	if r.loopbackOnly() {
		f.Severity = exposure.Low
	}
	r.raise(f)
}

func (r *row) adviceFits() bool {
	return r.advice != nil && r.byPort != nil && r.advice.ID == r.byPort.ID
}

// speaksRightly: the port's own protocol, one of those known to share the
// port, or a better known service that names this port as its own.
func (r *row) speaksRightly() bool {
	name := r.greeting.Name
	right := func(speaks []string) bool {
		return speaksIt(speaks, r.greeting) || r.greeting.TLS && slices.Contains(speaks, "tls")
	}
	if name == r.byPort.ID || slices.Contains(r.byPort.Names, name) || right(r.byPort.Speaks) {
		return true
	}
	if carrier(name) && r.Port < 1024 {
		return false // on the old ports only the owner says whether TLS belongs there
	}
	for _, a := range r.portOf {
		if a.ID == name || slices.Contains(a.Names, name) || right(a.Speaks) {
			return true
		}
	}
	return false
}

func greetingText(s *exposure.Service) string {
	out := s.Name
	if s.TLS && s.Name != "tls" {
		out += " over TLS"
	}
	if s.Product != "" {
		out += " (" + strings.TrimSpace(s.Product+" "+s.Version) + ")"
	}
	return out
}

// ownerSpeaks is what the holder tells in favour of a row.
func (r *row) ownerSpeaks() []string {
	if len(r.Processes) == 0 {
		return nil
	}
	p := r.Processes[0]
	say := fmt.Sprintf("its process is visible: %s[%d] %s", p.Name, p.PID, p.Exe)
	if r.Package != "" {
		say += ", from package " + r.Package
	}
	if r.Unit != "" {
		say += ", unit " + r.Unit
	}
	return []string{say}
}
