package report

import (
	"bytes"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/learn"
	"github.com/portreeve/portreeve/internal/firewall/logview"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

var march = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func sums(events, permit, deny uint64) logview.Sums {
	return logview.Sums{Events: events, Permit: permit, Deny: deny, First: march, Last: march.Add(90 * time.Minute)}
}

// pageLogs is a log of a host that is scanned and swept, as a sample.
func pageLogs(by, said string) *Logs {
	a := netip.MustParseAddr
	port := func(proto uint8, n uint16, s logview.Sums) logview.Port {
		return logview.Port{Proto: proto, HasProto: true, Port: n, HasPort: true, Sums: s, Sources: logview.Count{N: 12345, About: true}, Targets: logview.Count{N: 3}}
	}
	r := &logview.Result{Sums: sums(1234567, 1000, 1233000), Limited: 1, Suppressed: 40, Width: time.Hour}
	r.Ports = []logview.Port{port(6, 22, sums(900000, 0, 900000)), port(17, 53, sums(300000, 1000, 299000)), {Proto: 1, HasProto: true, Sums: sums(34000, 0, 33433)}, {Sums: sums(567, 0, 567)}}
	r.Inward = []logview.Port{port(6, 443, sums(1000, 1000, 0))}
	r.Pairs = []logview.Pair{{Src: a("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"), Dst: a("2001:db8:aaaa:bbbb:cccc:dddd:eeee:1"), Sums: sums(900000, 0, 900000), Ports: []logview.PortRange{{Low: 1, High: 1024}, {Low: 3389, High: 3389}}, PortsCut: true}}
	r.From = []logview.Source{
		{Src: a("198.51.100.7"), Sums: sums(900000, 0, 900000), Targets: logview.Count{N: 1}, Ports: []logview.PortRange{{Low: 1, High: 1024}}, Kind: logview.Scan, Probes: 900000, ProbedPorts: logview.Count{N: 1024},
			ProbedTarget: logview.Count{N: 1}, LowPort: 1, HighPort: 1024, FirstProbe: march, LastProbe: march.Add(time.Hour), PerSecond: 0.01},
		{Src: a("2001:db8::7"), Sums: sums(300, 0, 300), Targets: logview.Count{N: 254}, Ports: []logview.PortRange{{Low: 22, High: 22}}, Kind: logview.Sweep, Probes: 300, ProbedPorts: logview.Count{N: 1},
			ProbedTarget: logview.Count{N: 254, About: true}, LowPort: 22, HighPort: 22, LowTarget: a("192.0.2.1"), HighTarget: a("192.0.2.254"), FirstProbe: march, LastProbe: march.Add(time.Second), PerSecond: 300},
		{Src: a("203.0.113.9"), Sums: sums(2, 0, 2), Targets: logview.Count{N: 1}, Ports: []logview.PortRange{{Low: 23, High: 23}}, Kind: logview.Background},
	}
	r.Noise.Sources, r.Noise.Events = 1, 2
	r.Rules = []logview.Rule{{Rule: "[UFW BLOCK]" + said, Sums: sums(900000, 0, 900000), Sources: logview.Count{N: 2}, Targets: logview.Count{N: 9, About: true}, Ports: []logview.PortRange{{Low: 22, High: 22}, {Low: 80, High: 90}}}}
	r.Times = []logview.Bucket{{Start: march, Events: 1200000, Permit: 1000, Deny: 1199000}, {Start: march.Add(time.Hour), Events: 34567, Deny: 34567}}
	r.Rates = []logview.Rate{{Rule: "[UFW BLOCK]" + said, PerMinute: 3, Minutes: 90, Known: true}}
	r.PortsLeft = logview.Left{Rows: logview.Count{N: 2000, About: true}, Events: 567}
	return &Logs{Taken: march, Host: "gw", Source: "/var/log/kern.log" + said, By: by, Result: r, Lines: 2000000, Unknown: 765433,
		Formats: map[string]uint64{"netfilter": 1234000, "cisco-asa": 567}, Service: func(_ uint8, p uint16) string {
			return map[uint16]string{22: "ssh", 53: "domain", 443: "https" + said}[p]
		}}
}

func pageLint(said string) *Lint {
	return &Lint{Source: "rules.v4" + said, Rules: 1200, Findings: []ruleset.Finding{
		{Rule: "never-hit", Chain: "iptables filter INPUT" + said, Line: 8, Text: "-p tcp --dport 25 -j ACCEPT", Why: "its counter is 0", Sure: false},
		{Rule: "shadowed", Chain: "iptables filter INPUT", Line: 40, Text: "-s 10.1.2.0/24 -p tcp -m multiport --dports 80,443,8080,8443 -m comment --comment \"what somebody once wanted" + said + "\" -j ACCEPT",
			By: []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, Why: "earlier rules take every packet that it matches", Sure: true},
		{Rule: "too-wide", Chain: "iptables filter INPUT", Line: 7, Text: "-p tcp --dport 22 -j ACCEPT", Why: "permits SSH (22) from any source" + said, Sure: true},
	}}
}

func pageCompared(said string) *Compared {
	port := uint16(23)
	return &Compared{A: "old" + said, B: "new", Differences: ruleset.Differences{More: true, Why: "more than 1 region", List: []ruleset.Difference{{
		Path:    "to this host",
		Example: ruleset.Packet{Proto: 6, Src: netip.MustParseAddr("198.51.100.7"), Dst: netip.MustParseAddr("192.0.2.10"), DstPort: &port, In: "eth0" + said, State: "new"},
		A:       ruleset.Decision{Verdict: ruleset.DenyPacket, Rule: "iptables filter INPUT: -p tcp -m string --string foo --algo bm -j DROP" + said, Line: 9},
		B:       ruleset.Decision{Verdict: ruleset.UnknownPacket, Rule: "iptables filter INPUT: -p tcp --dport 23 -j ACCEPT", Line: 7, Why: "not understood: a match that is not known here" + said},
	}}}}
}

func pageLearned(said string, denied bool) *Learned {
	rule := rulefile.Rule{Name: "web" + said, Action: rulefile.Permit, Proto: "tcp", From: []string{"10.1.0.0/24"}, To: []string{"10.2.0.9"}, Ports: []string{"443"}}
	ask := rule
	ask.Action = rulefile.Ask
	a := netip.MustParseAddr
	return &Learned{Denied: denied, File: &rulefile.File{Rules: []rulefile.Rule{rule, ask}, CannotKnow: []string{"what runs once a month: the window is 8 days", "kern.log" + said + ": it is a sample"}},
		Notes: []string{"kern.log" + said + ": it is a sample", "mon.pcap: packets were lost: counts are too low"},
		Report: &learn.Report{From: march, To: march.Add(8 * 24 * time.Hour), Flows: 123456, Established: 120000, Unanswered: 3000, ScanFlows: 400, OneOff: 1,
			Scanners: []learn.Scanner{{Client: a("198.51.100.7"), Doors: 1024}},
			LeftOut:  []learn.LeftOut{{Service: "search-agent 1234/tcp" + said, Client: a("10.0.1.4"), Server: a("192.168.0.5"), Flows: 1, Why: "one client, one occasion, and nobody else used that server so"}}}}
}

func pageChecked(said string) *Checked {
	rule := &rulefile.Rule{Name: "web" + said, Action: rulefile.Permit, Proto: "tcp", From: []string{"10.1.0.0/16"}, To: []string{"10.2.0.0/16"}, Ports: []string{"443", "49152-65535"}}
	flow := exposure.Flow{Proto: exposure.TCP, Client: netip.MustParseAddr("10.1.0.5"), Server: netip.MustParseAddr("10.2.0.9"), ServerPort: 5432}
	return &Checked{Rules: "rules.yaml" + said, Result: &learn.Result{Flows: 1000, Permitted: 900, Denied: 99, Unknown: 1, Established: 950, EstablishedPermitted: 900, Attempts: 50, AttemptsPermitted: 0,
		Examples: []learn.Example{{Flow: flow, Verdict: exposure.Denied, Rule: "iptables filter FORWARD: -m comment --comment \"all that nobody asked for" + said + "\" -j DROP"}}},
		Surplus: []learn.Region{{Rule: rule, Doors: 65536 * 65536 * 16385, SeenDoors: 1200}}}
}

func pagePlan(said string) *Plan {
	return &Plan{Parts: []PlanPart{{Backend: "nft", Diff: []string{"+ table inet portreeve {", "+ \tchain input {", "- \t\tip saddr 10.1.0.0/24 accept" + said, "  }"}, Untried: "no right to make a namespace (CAP_SYS_ADMIN), so that the kernel could not be asked beforehand"}},
		Kept: []string{"10.9.0.5:40000 to 10.2.0.9:22 (SSH_CONNECTION)" + said}, Refused: []string{"tcp 10.2.0.9:5432, used by 3 clients: dropped by the policy of inet portreeve input, which lets nothing else in" + said}, Notes: []string{"It is not persistent: a reboot ends it." + said}}
}

// firewallPages are the pages of logs and rules; said stands wherever a text
// from outside does.
func firewallPages(said string) map[string]func(io.Writer, Style) error {
	pages := map[string]func(io.Writer, Style) error{
		"rules-lint":    func(w io.Writer, st Style) error { return LintText(w, pageLint(said), st) },
		"rules-compare": func(w io.Writer, st Style) error { return CompareText(w, pageCompared(said), st) },
		"rules-query": func(w io.Writer, st Style) error {
			return DecisionText(w, &pageCompared(said).Differences.List[0].B, st)
		},
		"rules-learn":  func(w io.Writer, st Style) error { return LearnedText(w, pageLearned(said, false), st) },
		"rules-denied": func(w io.Writer, st Style) error { return LearnedText(w, pageLearned(said, true), st) },
		"rules-check":  func(w io.Writer, st Style) error { return CheckText(w, pageChecked(said), st) },
		"rules-plan":   func(w io.Writer, st Style) error { return PlanText(w, pagePlan(said), st) },
		"rules-applied": func(w io.Writer, st Style) error {
			return AppliedText(w, march.Local(), []string{"It is not persistent." + said}, st)
		},
		"rules-status": func(w io.Writer, st Style) error {
			return ChangesText(w, []Change{{ID: "20260301T100000.000Z-6b3775" + said, Made: march, Backends: []string{"nft"}, State: "confirmed, in force"}}, st)
		},
	}
	for _, by := range []string{"port", "pair", "source", "rule", "time"} {
		pages["logs-"+by] = func(w io.Writer, st Style) error { return LogsText(w, pageLogs(by, said), st) }
	}
	return pages
}

func TestFirewallPages(t *testing.T) {
	for name, write := range firewallPages("") {
		var b bytes.Buffer
		if err := write(&b, Style{Width: 80}); err != nil {
			t.Fatal(err)
		}
		if name == "rules-applied" { // the time is the reader's own
			if !strings.Contains(b.String(), "Applied. At ") || !strings.Contains(b.String(), "portreeve rules confirm") {
				t.Error(b.String())
			}
			continue
		}
		file := "testdata/" + name + "-80.txt"
		if *update {
			if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s differs; look at the page and update:\n%s", file, b.String())
		}
		if name != "rules-plan" { // rules are shown as they are
			checkPage(t, b.String(), 80)
		}
	}
}

// Whatever logs and rule sets say, nothing raw is on a page.
func TestFirewallPagesHoldAnything(t *testing.T) {
	for name, write := range firewallPages(hostile) {
		for _, st := range []Style{{}, {Width: 80}, {Width: 80, Verbose: true}} {
			var b bytes.Buffer
			if err := write(&b, st); err != nil {
				t.Fatal(err)
			}
			if !utf8.ValidString(b.String()) {
				t.Errorf("%s: not UTF-8", name)
			}
			for _, r := range strings.ReplaceAll(b.String(), "\n", "") {
				if obeyed(r) {
					t.Errorf("%s: %U stands raw", name, r)
				}
			}
		}
	}
}
