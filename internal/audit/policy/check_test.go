package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

var today = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func problems(t *testing.T, text string) []string {
	t.Helper()
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	named := func(p exposure.Proto, port uint16) string {
		if port == 22 || port == 443 {
			return "known"
		}
		return ""
	}
	var out []string
	for _, x := range p.Check(CheckOptions{At: today, Soon: 30 * 24 * time.Hour, Name: named}) {
		if x.What == "" || x.Entry == "" || x.Line == 0 || x.Severity.Rank() < 0 {
			t.Errorf("a problem that says too little: %+v", x)
		}
		if !slices.Contains(out, x.Rule) {
			out = append(out, x.Rule)
		}
	}
	return out
}

func TestCheckFindsEachProblemAndNothingElse(t *testing.T) {
	entry := func(s string) string { return "version: 1\nexpect:\n  - {" + s + "}\n" }
	two := func(a, b string) string { return entry(a) + "  - {" + b + "}\n" }
	roles := func(base, a, b, hostsB string) string {
		return entry(base) + "roles:\n  - name: a\n    hosts: [web-1]\n    expect: [{" + a + "}]\n  - name: b\n    hosts: ['" + hostsB + "']\n    expect: [{" + b + "}]\n"
	}
	const ok = "port: 22, reason: us"
	for _, c := range []struct{ name, text, want string }{
		{"fine", entry(ok), ""},
		{"todo", entry("port: 22, reason: 'todo: why'"), RuleTodo},
		{"no reason", entry("port: 22"), RuleNoReason},
		{"protected without reason", entry(ok) + "protected: [{port: 22}]\n", RuleNoReason},
		{"last day", entry("port: 22, reason: x, expires: 2026-11-21"), RuleExpiresSoon},
		{"expired", entry("port: 22, reason: x, expires: 2026-11-20"), RuleExpired},
		{"far", entry("port: 22, reason: x, expires: 2027-11-20"), ""},
		{"long name", entry("port: 22, reason: x, process: systemd-resolved"), RuleNeverMatches},
		{"long pattern", entry("port: 22, reason: x, process: 'systemd-resolve*'"), ""},
		{"path", entry("port: 22, reason: x, process: /usr/sbin/sshd"), RuleNeverMatches},
		{"unit", entry("port: 22, reason: x, unit: ssh"), RuleNeverMatches},
		{"unit pattern", entry("port: 22, reason: x, unit: 'ssh*'"), ""},
		{"peers of loopback", entry("port: 22, reason: x, scope: loopback, peers: [10.0.0.0/8]"), RuleNeverMatches},
		{"local peers of loopback", entry("port: 22, reason: x, scope: loopback, peers: [127.0.0.1]"), ""},
		{"wide", entry("port: 1-65535, reason: x"), RuleTooWide},
		{"wide of one", entry("port: 1-65535, reason: x, process: rpc.statd"), ""},
		{"wide of any", entry("port: 1-65535, reason: x, process: '*'"), RuleTooWide},
		{"unknown port", entry("port: 7777, reason: x"), RuleUnknownPort},
		{"unknown port of one", entry("port: 7777, reason: x, process: y"), ""},
		{"covered", two(ok, "port: 22, process: sshd, reason: x"), RuleCovered},
		{"covered by a range", two("port: 20-30, reason: x", "port: 22, scope: any, reason: x"), RuleCovered},
		{"wider scope is not covered", two("port: 22, scope: private, reason: x", "port: 22, scope: any, reason: x"), ""},
		{"other process is not covered", two("port: 22, process: a, reason: x", "port: 22, process: b, reason: x"), ""},
		{"longer is not covered", two("port: 22, expires: 2027-10-10, reason: x", "port: 22, reason: x"), ""},
		{"shorter is covered", two(ok, "port: 22, expires: 2027-10-10, reason: x"), RuleCovered},
		{"peers narrower", two("port: 22, peers: [10.0.0.0/8], reason: x", "port: 22, peers: [10.1.0.0/16], reason: x"), RuleCovered},
		{"peers wider", two("port: 22, peers: [10.1.0.0/16], reason: x", "port: 22, peers: [10.0.0.0/8], reason: x"), ""},
		{"other protocol", two(ok, "port: 443/udp, reason: x, process: y"), ""},
		{"roles that never meet", roles("port: 443, reason: x", "port: 22, scope: any, reason: x", "port: 22, scope: private, reason: x", "db-1"), ""},
		{"roles that meet", roles("port: 443, reason: x", "port: 22, scope: any, reason: x", "port: 22, scope: private, reason: x", "web-*"), RuleConflict},
		{"role against base", roles(ok, "port: 22, scope: private, reason: x", "port: 443, reason: x", "db"), RuleConflict},
		{"operators from everywhere", entry(ok) + "operators: [{from: 0.0.0.0/0}]\n", RuleTooWide},
		{"owned within never-scan", entry(ok) + "owned: [203.0.113.0/24]\nnever-scan: [203.0.113.0/24]\n", RuleNeverMatches},
		{"group without a role", entry(ok) + "groups: {web: [a]}\n", RuleNeverMatches},
		{"nearly a group", entry(ok) + "groups: {web: [a], db: [b]}\nroles: [{name: r, hosts: [Web, web, db]}]\n", RuleConflict},
		{"group in a group", entry(ok) + "groups: {web: [a], all: [web, b]}\nroles: [{name: r, hosts: [web, all]}]\n", RuleConflict},
	} {
		if got := strings.Join(problems(t, c.text), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A covered entry may go and nothing changes: whatever matches it matches the
// earlier one. Asked of sockets, which know nothing of how covers reasons.
func TestCoveredEntriesDecideNothing(t *testing.T) {
	var entries []Expect
	for _, process := range []string{"", "*", "a", "a*"} {
		for _, scope := range []ScopeName{"", "loopback", "private", "any"} {
			for _, ports := range []PortRange{{Proto: exposure.TCP, First: 1, Last: 9}, {Proto: exposure.TCP, First: 5, Last: 5}, {Proto: exposure.UDP, First: 5, Last: 5}} {
				entries = append(entries, Expect{Port: ports, Process: process, Scope: scope})
			}
		}
	}
	var socks []exposure.Socket
	for _, name := range []string{"a", "ab", "b", ""} {
		for _, scope := range []exposure.Scope{exposure.ScopeLoopback, exposure.ScopePrivate, exposure.ScopeAny} {
			for _, port := range []uint16{1, 5} {
				s := exposure.Socket{Proto: exposure.TCP, Port: port, Scope: scope}
				if name != "" {
					s.Processes = []exposure.Process{{Name: name}}
				}
				socks = append(socks, s)
			}
		}
	}
	takes := func(e *Expect, s *exposure.Socket) bool {
		return e.Port.Covers(s.Proto, s.Port) && len(e.Differs(s)) == 0
	}
	n := 0
	for i := range entries {
		for j := range entries {
			a, b := &entries[i], &entries[j]
			if a.Port.Proto != b.Port.Proto || !a.covers(b) {
				continue
			}
			n++
			for k := range socks {
				if takes(b, &socks[k]) && !takes(a, &socks[k]) {
					t.Fatalf("%+v does not cover %+v: %+v", a, b, socks[k])
				}
			}
		}
	}
	if n < len(entries) {
		t.Errorf("only %d pairs cover each other", n)
	}
}

// The largest files are looked over in time.
func TestCheckOfTheLargestFile(t *testing.T) {
	text := "version: 1\nexpect:\n" + strings.Repeat("- {port: 22, process: a, reason: x}\n- {port: 22, process: b, reason: x}\n", MaxEntries/2)
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(p.Check(CheckOptions{At: today})); n == 0 {
		t.Error("nothing found")
	}
}
