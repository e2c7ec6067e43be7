package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	rulesource "github.com/portreeve/portreeve/internal/firewall/source"
)

const (
	savedRules = `*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp --dport 22 -j ACCEPT
-A INPUT -s 10.0.0.0/8 -p tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT
-A INPUT -p tcp --dport 80 -j ACCEPT
COMMIT
`
	asaRules = `access-list OUTSIDE-IN extended permit tcp any host 192.0.2.10 eq 443
access-list OUTSIDE-IN extended deny ip any any
access-list INSIDE-IN extended permit ip any any
`
	zeekFlows = "../../../shared/fixtures/flows/otrf/datasets/compound/apt29/day1/zeek/individual_zeek_logs/"
)

// good runs a command that must end with 0.
func good(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, errs, code := call(t, stdin, args...)
	if code != exitDone {
		t.Fatalf("%v: exit %d\n%s", args, code, errs)
	}
	return out
}

// jsonOf reads one document.
func jsonOf(t *testing.T, text string) (doc map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return doc
}

func TestRulesHelpIsNarrowAndHasExamples(t *testing.T) {
	s := &streams{in: strings.NewReader("")}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		if cmd.Example == "" || cmd.Short == "" || cmd.Long == "" {
			t.Errorf("%s has no example or description", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	for _, cmd := range []*cobra.Command{newLogs(s), newRules(s)} {
		walk(cmd)
	}
	for _, name := range []string{"logs", "rules", "rules query", "rules lint", "rules compare", "rules learn", "rules check", "rules render", "rules apply", "rules confirm", "rules undo", "rules status", "rules formats"} {
		for line := range strings.Lines(good(t, "", append(strings.Fields(name), "--help")...)) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
				t.Errorf("%s --help: %d columns: %s", name, n, line)
			}
		}
	}
}

func TestRulesFormatsAndStrangeCommands(t *testing.T) {
	out := good(t, "", "rules", "formats")
	for _, f := range rulesource.Formats() {
		if !strings.Contains(out, "\n  "+f.Name+" ") || !strings.Contains(out, f.What) {
			t.Errorf("%s is not listed", f.Name)
		}
	}
	for _, name := range []string{"nftables", "iptables", "cisco-ios", "cisco-asa", "aws", "windows", "pf", "kubernetes"} {
		if !strings.Contains(out[strings.Index(out, "written:"):], name) {
			t.Errorf("%s is not written", name)
		}
	}
	if _, errs, code := call(t, "", "rules", "lnit"); code != exitUsage || !strings.Contains(errs, `"lnit"`) || !strings.Contains(errs, "portreeve rules lint") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestRulesQueryByFlags(t *testing.T) {
	rules := write(t, "rules.v4", savedRules)
	for want, args := range map[string][]string{
		"permit\n  by iptables filter INPUT: -p tcp --dport 22 -j ACCEPT (line 7)\n": {"--dst", "192.0.2.1", "--dst-port", "22"},
		"deny\n  by iptables filter INPUT: -j REJECT (line 9)\n":                     {"--dst-port", "80"},
		"permit\n  by iptables filter INPUT: -i lo -j ACCEPT (line 5)\n":             {"--dst-port", "80", "--in", "lo"},
		"permit\n  by iptables filter FORWARD: policy accept\n":                      {"--chain", "FORWARD"},
	} {
		if !slices.Contains(args, "--chain") {
			args = append(args, "--chain", "INPUT")
		}
		if out := good(t, "", append([]string{"rules", "query", "--ruleset", rules}, args...)...); out != want {
			t.Errorf("%v:\n%s", args, out)
		}
	}
	got := jsonOf(t, good(t, savedRules, "rules", "query", "--ruleset", "-", "--chain", "INPUT", "--dst-port", "22", "--json"))
	if got["verdict"] != "permit" || got["rule"] != "iptables filter INPUT: -p tcp --dport 22 -j ACCEPT" || got["line"] != 7.0 || got["why"] != "" {
		t.Errorf("%v", got)
	}
}

// A line for a line, also for those that cannot be read.
func TestRulesQueryLines(t *testing.T) {
	rules := write(t, "rules.v4", savedRules)
	in := []struct{ line, verdict, why string }{
		{`{"proto":"tcp","src":"10.0.0.5","src_port":4000,"dst":"10.0.1.1","dst_port":22,"in":"eth0","out":"","state":"new"}`, "permit", ""},
		{`{"proto":"udp","src":"10.0.0.5","dst":"10.0.1.1","dst_port":22}`, "deny", ""},
		{`{"proto":"udp","dst_port":22,"state":"established"}`, "permit", ""},
		{`{"proto":"tcp","dst_port":22,"x":[1]}`, "permit", ""},
		{`bad`, "unknown", "line 5: "},
		{`{"proto":"tcp","dst_port":70000}`, "unknown", "line 6: dst_port"},
		{`{"proto":"tcp","dst":"1.2.3"}`, "unknown", "line 7: dst"},
		{`{"proto":"tcp","dst_port":99}{}`, "unknown", "line 8: more than one"},
		{`{"proto":"quic"}`, "unknown", `line 9: "quic"`},
		{`{"proto":"tcp","state":"old"}`, "unknown", "line 10: "},
		{`[]`, "unknown", "line 11: a packet is a JSON object"},
		{`null`, "unknown", "line 12: a packet is a JSON object"},
	}
	var text strings.Builder
	for _, x := range in {
		text.WriteString(x.line + "\n")
	}
	out, errs, code := call(t, text.String(), "rules", "query", "--ruleset", rules, "--chain", "INPUT", "--json", "-")
	lines := logKeys(t, out)
	if code != exitPartial || len(lines) != len(in) || !strings.Contains(errs, "8 of 12 packets could not be read") {
		t.Fatalf("%d %s\n%s", code, errs, out)
	}
	for i, x := range in {
		why, _ := lines[i]["why"].(string)
		if lines[i]["verdict"] != x.verdict || !strings.HasPrefix(why, x.why) || x.verdict == "unknown" && why == "" {
			t.Errorf("%s: %v", x.line, lines[i])
		}
		if _, ok := lines[i]["rule"].(string); !ok {
			t.Errorf("no rule in %v", lines[i])
		}
	}
	if out := good(t, "\n\n", "rules", "query", "--ruleset", rules, "--json", "-"); out != "" {
		t.Errorf("%q", out)
	}
}

func TestRulesQueryChains(t *testing.T) {
	rules := write(t, "asa.cfg", asaRules)
	for _, packets := range [][]string{{"--dst-port", "443"}, {"-"}} {
		for _, chain := range []string{"", "NOPE"} {
			args := append([]string{"rules", "query", "--ruleset", rules, "--chain", chain, "--json"}, packets...)
			out, errs, code := call(t, `{"proto":"tcp"}`, args...)
			if code != exitUsage || out != "" || !strings.Contains(errs, "OUTSIDE-IN") || !strings.Contains(errs, "INSIDE-IN") {
				t.Errorf("%v: %d %q %s", args, code, out, errs)
			}
		}
	}
	got := jsonOf(t, good(t, "", "rules", "query", "--ruleset", rules, "--chain", "OUTSIDE-IN", "--dst", "192.0.2.10", "--dst-port", "80", "--json"))
	if got["verdict"] != "deny" || got["line"] != 2.0 {
		t.Errorf("%v", got)
	}
	for _, args := range [][]string{{"--dst-port", "70000"}, {"--src", "here"}, {"--proto", "quic"}, {"--ruleset", "-", "-"}, {"--format", "nosuch"}} {
		if out, errs, code := call(t, "", append([]string{"rules", "query", "--ruleset", rules}, args...)...); code != exitUsage || out != "" || errs == "" {
			t.Errorf("%v: %d %q %q", args, code, out, errs)
		}
	}
}

// What a rule set says that is not understood makes answers unknown, and 3.
func TestRulesNotUnderstoodIsSaid(t *testing.T) {
	rules := write(t, "fw.nft", "table inet f {\n chain input {\n type filter hook input priority 0; policy drop;\n tcp dport 22 frobnicate accept\n tcp dport 80 accept\n }\n}\n")
	for port, want := range map[string]string{"22": "unknown", "80": "permit", "81": "deny"} {
		out, errs, code := call(t, "", "rules", "query", "--ruleset", rules, "--chain", "input", "--json", "--dst-port", port)
		if got := jsonOf(t, out); code != exitPartial || !strings.Contains(errs, "line 4") || got["verdict"] != want || want == "unknown" && got["why"] == "" {
			t.Errorf("port %s: %d %s %s", port, code, out, errs)
		}
	}
	for _, text := range []string{"", "hello\x1b[31m\n", "\xff\xfe\x00"} {
		out, errs, code := call(t, "", "rules", "lint", "--ruleset", write(t, "x", text))
		if code != exitUsage || out != "" || !strings.Contains(errs, "rules formats") {
			t.Errorf("%q: %d %q %s", text, code, out, errs)
		}
		shown(t, "stderr", errs)
	}
}

func TestRulesLint(t *testing.T) {
	rules := write(t, "rules.v4", savedRules)
	doc := jsonOf(t, good(t, "", "rules", "lint", "--ruleset", rules, "--json"))
	if doc["schema"] != "portreeve.lint/1" || doc["rules"] != 6.0 || doc["source"] != rules {
		t.Errorf("%v", doc)
	}
	want := map[string]string{"redundant": "8 [7]", "shadowed": "10 [9]", "too-wide": "7 []"}
	for _, f := range doc["findings"].([]any) {
		f := f.(map[string]any)
		rule := f["rule"].(string)
		if got := fmt.Sprint(f["line"], " ", f["by"]); want[rule] != got || f["why"] == "" || !strings.Contains(savedRules, f["text"].(string)) {
			t.Errorf("%s: %v", rule, f)
		}
		delete(want, rule)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
	text := good(t, "", "rules", "lint", "--ruleset", rules)
	if !strings.Contains(text, "shadowed  iptables filter INPUT (line 10)\n") || !strings.Contains(text, "; line 9\n") {
		t.Error(text)
	}
	if doc := jsonOf(t, good(t, asaRules, "rules", "lint", "--ruleset", "-", "--json")); doc["findings"] == nil || doc["incomplete"] == nil {
		t.Errorf("%v", doc)
	}
}

// Listeners of another host's document tell which permits nothing listens behind.
func TestRulesLintKnowsListeners(t *testing.T) {
	host := write(t, "host.json", `{"schema":"portreeve.host/1","taken":"2026-03-01T10:00:00Z","host":"gw","incomplete":[],"sockets":[{"proto":"tcp","state":"listen","addr":"0.0.0.0","port":80,"scope":"any","processes":[]}]}`)
	rules := write(t, "rules.v4", strings.Replace(savedRules, "-A INPUT -j REJECT\n", "-A INPUT -p tcp --dport 80 -j ACCEPT\n-A INPUT -p tcp --dport 8080 -j ACCEPT\n", 1))
	doc := jsonOf(t, good(t, "", "rules", "lint", "--ruleset", rules, "--listeners", host, "--json"))
	var lines []float64
	for _, f := range doc["findings"].([]any) {
		if f := f.(map[string]any); f["rule"] == "no-listener" {
			lines = append(lines, f["line"].(float64))
		}
	}
	if !slices.Contains(lines, 10) || slices.Contains(lines, 9) {
		t.Errorf("no-listener at %v", lines)
	}
}

func TestRulesCompare(t *testing.T) {
	a, b := write(t, "a", savedRules), write(t, "b", strings.Replace(savedRules, "--dport 22 -j", "--dport 23 -j", 1))
	if out := good(t, "", "rules", "compare", a, a); !strings.HasPrefix(out, "equal: ") {
		t.Error(out)
	}
	if doc := jsonOf(t, good(t, "", "rules", "compare", a, a, "--json")); doc["equal"] != true || len(doc["differences"].([]any)) != 0 {
		t.Errorf("%v", doc)
	}
	doc := jsonOf(t, good(t, "", "rules", "compare", a, b, "--chain", "INPUT", "--json"))
	if doc["schema"] != "portreeve.compare/1" || doc["equal"] != false {
		t.Errorf("%v", doc)
	}
	ports := map[float64]string{}
	for _, d := range doc["differences"].([]any) {
		d := d.(map[string]any)
		side := func(name string) string { return d[name].(map[string]any)["verdict"].(string) }
		ports[d["example"].(map[string]any)["dst_port"].(float64)] = side("a") + " " + side("b")
	}
	if len(ports) != 2 || ports[22] != "permit deny" || ports[23] != "deny permit" {
		t.Errorf("%v", ports)
	}
	// The examples are packets that query answers as it was said.
	for port, want := range ports {
		for i, name := range []string{a, b} {
			got := jsonOf(t, good(t, "", "rules", "query", "--ruleset", name, "--chain", "INPUT", "--json", "--src", "198.51.100.7", "--dst-port", fmt.Sprint(port)))
			if got["verdict"] != strings.Fields(want)[i] {
				t.Errorf("port %v of %s: %v", port, name, got)
			}
		}
	}
	_, errs, code := call(t, "", "rules", "compare", a, write(t, "asa", asaRules), "--chain", "INPUT", "--chain-b", "NOPE")
	if code != exitUsage || !strings.Contains(errs, "--chain-b") || !strings.Contains(errs, "OUTSIDE-IN") {
		t.Errorf("%d %s", code, errs)
	}
}

// A rule file and its rendering are equal also where the device lets pass by
// itself what belongs to a connection; --all tells the difference.
func TestRulesCompareStateful(t *testing.T) {
	rules := write(t, "r.yaml", "schema: portreeve.rules/1\nname: dmz\nrules:\n  - {name: web, action: permit, proto: tcp, from: [10.7.0.0/24], to: [10.7.0.1], ports: [443]}\n")
	asa := write(t, "asa", good(t, "", "rules", "render", rules, "--to", "cisco-asa"))
	if out := good(t, "", "rules", "compare", rules, asa); !strings.HasPrefix(out, "equal: ") || !strings.Contains(out, "first packet of a connection") {
		t.Error(out)
	}
	if out := good(t, "", "rules", "compare", rules, asa, "--all"); !strings.Contains(out, "state established") {
		t.Error(out)
	}
	other := write(t, "other", strings.Replace(good(t, "", "rules", "render", rules, "--to", "cisco-asa"), "443", "444", 1))
	if out := good(t, "", "rules", "compare", rules, other); !strings.Contains(out, "differ") || strings.Contains(out, "state established") {
		t.Error(out)
	}
}

// Learned from a day, checked against it, written and read back: nothing that
// was established is cut, and every form says the same.
func TestRulesRoundTrip(t *testing.T) {
	flows := []string{zeekFlows + "NASHUA_conn.log", zeekFlows + "SCRANTON_conn.log"}
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	out := good(t, "", "rules", "learn", "--from", flows[0], "--from", flows[1], "-o", rules)
	if !strings.Contains(out, " rules of ") || strings.Count(out, "Not known: what does not pass") != 1 {
		t.Error(out)
	}
	check := func(args ...string) map[string]any {
		t.Helper()
		args = append([]string{"rules", "check", "--json", "--flows", flows[0], "--flows", flows[1]}, args...)
		return jsonOf(t, good(t, "", args...))
	}
	base := check(rules)
	if base["established"] == 0.0 || base["established"].(float64)-base["established_permitted"].(float64) > 2 || base["attempts_permitted"].(float64) > base["attempts"].(float64)*0.03 || base["unknown"] != 0.0 {
		t.Errorf("%v", base)
	}
	if n := base["permitted"].(float64) + base["denied"].(float64) + base["unknown"].(float64); n != base["flows"] {
		t.Errorf("%v flows of %v", n, base["flows"])
	}
	for _, to := range []struct{ name, chain string }{{"nftables", "forward"}, {"iptables", "FORWARD"}, {"cisco-ios", "portreeve"}, {"cisco-asa", "portreeve"}, {"windows", "inbound"}} {
		file := filepath.Join(t.TempDir(), "rules."+to.name)
		good(t, "", "rules", "render", rules, "--to", to.name, "-o", file)
		for _, args := range [][]string{{"--ruleset", file, "--chain", to.chain}} {
			got := check(args...)
			for _, k := range []string{"flows", "permitted", "denied", "unknown", "established_permitted"} {
				if got[k] != base[k] {
					t.Errorf("%s: %s is %v, of the rule file %v", to.name, k, got[k], base[k])
				}
			}
		}
	}
}

func TestRulesRenderEveryForm(t *testing.T) {
	rules := write(t, "rules.yaml", "schema: portreeve.rules/1\nname: dmz\nrules:\n  - name: web\n    action: permit\n    proto: tcp\n    from: [198.51.100.0/24]\n    to: [192.0.2.10]\n    ports: [443, 8000-8010]\n  - name: dns6\n    action: permit\n    proto: udp\n    from: ['2001:db8::/64']\n    to: ['2001:db8:1::53']\n    ports: [53]\n")
	for _, to := range renderNames() {
		out, errs, code := call(t, "", "rules", "render", rules, "--to", to)
		if code != exitDone || !strings.Contains(out, "443") && to != "ip6tables" {
			t.Errorf("%s: %d %s\n%s", to, code, errs, out)
		}
		file := filepath.Join(t.TempDir(), "out")
		good(t, "", "rules", "render", rules, "--to", to, "-o", file)
		if b, _ := os.ReadFile(file); string(b) != out {
			t.Errorf("%s: -o writes something else", to)
		}
		if to == "aws" || to == "terraform" {
			jsonOf(t, out)
		}
	}
	for want, args := range map[string][]string{"for which firewall": nil, "nosuch": {"--to", "nosuch"}, "--family": {"--to", "iptables", "--family", "5"}, "--chains": {"--to", "nft", "--chains", "output"}, "no address": {"--to", "aws", "--for", "x"}} {
		if out, errs, code := call(t, "", append([]string{"rules", "render", rules}, args...)...); code != exitUsage || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %q %s", args, code, out, errs)
		}
	}
	for _, text := range []string{"rules:\n  - actoin: permit\n", "rules:\n  - action: permit\n    from: [1.2.3]\n", "x", ""} {
		if _, errs, code := call(t, "", "rules", "render", write(t, "bad.yaml", text), "--to", "pf"); code != exitUsage || !strings.Contains(errs, "bad.yaml") {
			t.Errorf("%q: %d %s", text, code, errs)
		}
	}
}

func TestRulesCheck(t *testing.T) {
	log := write(t, "fw.log", accepted("ACCEPT"))
	for name, c := range map[string]struct{ text, chain, verdict string }{
		"iptables":       {"*filter\n:FORWARD DROP [0:0]\n-A FORWARD -s 10.1.0.0/24 -p tcp --dport 5432 -j ACCEPT\nCOMMIT\n", "FORWARD", "permitted"},
		"nftables":       {"table inet f {\n chain fwd {\n type filter hook forward priority 0; policy drop;\n ip saddr 10.1.0.0/24 tcp dport 5433 accept\n }\n}\n", "fwd", "denied"},
		"asa":            {asaRules, "INSIDE-IN", "permitted"},
		"pf":             {"block in all\npass in proto tcp from 10.1.0.0/24 to any port 5432\n", "", "permitted"},
		"not understood": {"table inet f {\n chain fwd {\n type filter hook forward priority 0; policy drop;\n frobnicate accept\n }\n}\n", "fwd", "unknown"},
	} {
		out, errs, code := call(t, "", "rules", "check", "--ruleset", write(t, "fw", c.text), "--chain", c.chain, "--flows", log, "--json")
		doc := jsonOf(t, out)
		if want := map[bool]int{true: exitPartial, false: exitDone}[c.verdict == "unknown"]; code != want || doc[c.verdict] != 90.0 || doc["flows"] != 90.0 {
			t.Errorf("%s: %d %s\n%s", name, code, errs, out)
		}
		for _, x := range doc["examples"].([]any) {
			flow := x.(map[string]any)["flow"].(map[string]any)
			if flow["client"] == "" || flow["server_port"] != 5432.0 || x.(map[string]any)["verdict"] == "permit" {
				t.Errorf("%s: %v", name, x)
			}
		}
	}
	for want, args := range map[string][]string{"nothing to replay": {log}, "give one of them": {log, "--ruleset", log, "--flows", log}, "OUTSIDE-IN": {"--ruleset", write(t, "asa", asaRules), "--flows", log}, "/nonexistent": {"/nonexistent", "--flows", log}} {
		if out, errs, code := call(t, "", append([]string{"rules", "check"}, args...)...); code != exitUsage || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %q %s", args, code, out, errs)
		}
	}
}

// Names and comments of rule sets and logs are never obeyed.
func TestRulesTextIsNeverObeyed(t *testing.T) {
	rules := write(t, "fw", "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 22 -m comment --comment \"\x1b[2J\u202eBAD\" -j ACCEPT\n-A INPUT -p tcp --dport 22 -m comment --comment \"\x9b\xff\" -j ACCEPT\nCOMMIT\n")
	for _, args := range [][]string{{"query", "--ruleset", rules, "--dst-port", "22", "--chain", "INPUT"}, {"lint", "--ruleset", rules}, {"lint", "-v", "--ruleset", rules}, {"compare", rules, write(t, "b", savedRules), "--chain", "INPUT"}} {
		for _, more := range [][]string{nil, {"--json"}} {
			out, errs, _ := call(t, "", append(append([]string{"rules"}, args...), more...)...)
			shown(t, fmt.Sprint(args, more), out+errs)
			if out == "" {
				t.Errorf("%v: nothing\n%s", args, errs)
			}
		}
	}
	named := write(t, "named.yaml", "schema: portreeve.rules/1\nrules:\n  - name: \"a\\e[2Jb\\u202e\"\n    action: permit\n    proto: tcp\n    to: [10.2.0.9]\n    ports: [5432]\n")
	for _, args := range [][]string{{"check", named, "--flows", write(t, "log", accepted("ACCEPT"))}, {"render", named, "--to", "nftables"}, {"render", named, "--to", "iptables"}, {"render", named, "--to", "cisco-asa"}, {"render", named, "--to", "pf"}, {"render", named, "--to", "windows"}, {"render", named, "--to", "aws"}, {"render", named, "--to", "kubernetes"}} {
		out, errs, _ := call(t, "", append([]string{"rules"}, args...)...)
		shown(t, fmt.Sprint(args), strings.ReplaceAll(out+errs, "\t", " "))
	}
}
