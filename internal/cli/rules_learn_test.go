package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// accepted are lines of three clients that a firewall let pass, on days.
func accepted(action string) string {
	var b strings.Builder
	for i := range 30 {
		for _, host := range []int{5, 6, 7} {
			fmt.Fprintf(&b, "2026-03-%02dT10:00:00Z gw kernel: [FW %s] IN=eth1 OUT=eth2 SRC=10.1.0.%d DST=10.2.0.9 LEN=40 PROTO=TCP SPT=%d DPT=5432 WINDOW=1024 SYN\n", i%9+1, action, host, 41000+i)
		}
	}
	return b.String()
}

// Rules come from captures, their flow lines and firewalls' logs alike.
func TestRulesLearnFromEveryKind(t *testing.T) {
	capture := captures + "arkime/stun-ice-testcall.pcap"
	a := good(t, "", "rules", "learn", "--tightness", "1", "--from", capture)
	b := good(t, good(t, "", "traffic", "-r", capture, "--by", "flow", "--json"), "rules", "learn", "--tightness", "1", "--from", "-")
	cut := func(s string) string { return s[strings.Index(s, "\nrules:"):] }
	if cut(a) != cut(b) {
		t.Errorf("from the capture:\n%s\nfrom its flows:\n%s", cut(a), cut(b))
	}
	file := filepath.Join(t.TempDir(), "log.yaml")
	out := good(t, "", "rules", "learn", "--from", write(t, "fw.log", accepted("ACCEPT")), "-o", file, "--json")
	doc := jsonOf(t, out)
	if doc["schema"] != "portreeve.learn/1" || doc["rules"] != 1.0 || doc["flows"] != 90.0 || len(doc["incomplete"].([]any)) != 0 {
		t.Errorf("%s", out)
	}
	text, _ := os.ReadFile(file)
	for _, want := range []string{"action: permit", "to: [10.2.0.9]", "ports: [5432]", "flows: 90", "clients: 3", "first: 2026-03-01T10:00:00Z", "confidence:"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestRulesLearnFollowsThePolicy(t *testing.T) {
	log := write(t, "fw.log", accepted("ACCEPT"))
	out := good(t, "", "rules", "learn", "--tightness", "0.3", "--segment", "apps=10.1.0.0/28", "--segment", "data=10.2.0.0/24", "--operator", "10.9.0.0/24", "--from", log)
	for _, want := range []string{"10.1.0.0/28", "10.9.0.0/24"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "10.1.0.0/24") || strings.Contains(out, "10.1.0.0/16") {
		t.Errorf("wider than its segment:\n%s", out)
	}
	for want, args := range map[string][]string{
		"nothing to learn from": {}, "--tightness 2": {"--tightness", "2"}, "cannot both go to stdout": {"--json"}, "add --denied": {"--rules", log},
		"no name with a network": {"--segment", "x"}, "--operator": {"--operator", "me"}, "--own": {"--own", "me"}, "/nonexistent": {"--policy", "/nonexistent"},
	} {
		if len(args) > 0 {
			args = append(args, "--from", log)
		}
		if out, errs, code := call(t, "", append([]string{"rules", "learn"}, args...)...); code != exitUsage || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %q %s", args, code, out, errs)
		}
	}
}

// Without a terminal denials become questions, which permit nothing.
func TestRulesLearnDeniedAsksInTheFile(t *testing.T) {
	log := write(t, "fw.log", accepted("DROP"))
	if out, errs, code := call(t, "", "rules", "learn", "--from", log); code == exitDone && strings.Contains(out, "action: permit") {
		t.Errorf("denials became permits: %s %s", out, errs)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	out := good(t, "y\ny\n", "rules", "learn", "--denied", "--from", log, "-o", file)
	text, _ := os.ReadFile(file)
	if !strings.Contains(string(text), "action: ask") || strings.Contains(string(text), "action: permit") || !strings.Contains(string(text), "denied: 90") || !strings.Contains(out, "1 of them questions that wait for a yes") {
		t.Errorf("%s\n%s", out, text)
	}
	doc := jsonOf(t, good(t, "", "rules", "check", file, "--flows", log, "--json"))
	if doc["permitted"] != 0.0 || doc["denied"] != 90.0 {
		t.Errorf("a question permits: %v", doc)
	}
	if nft := good(t, "", "rules", "render", file, "--to", "nftables"); strings.Contains(nft, "5432") {
		t.Error(nft)
	}
	must(t, os.WriteFile(file, []byte(strings.Replace(string(text), "action: ask", "action: permit", 1)), 0o600))
	if doc := jsonOf(t, good(t, "", "rules", "check", file, "--flows", log, "--json")); doc["permitted"] != 90.0 {
		t.Errorf("%v", doc)
	}
	again := filepath.Join(t.TempDir(), "again.yaml")
	good(t, "", "rules", "learn", "--denied", "--rules", file, "--from", log, "-o", again)
	if b, _ := os.ReadFile(again); strings.Count(string(b), "- name:") != 1 || !strings.Contains(string(b), "action: permit") {
		t.Errorf("what is permitted is asked again:\n%s", b)
	}
}

// A file is replaced at once or not at all.
func TestRulesOutputKeepsTheOldFile(t *testing.T) {
	log := write(t, "fw.log", accepted("ACCEPT"))
	for _, name := range []string{"/nonexistent/rules.yaml", filepath.Join(log, "rules.yaml")} {
		if _, errs, code := call(t, "", "rules", "learn", "--from", log, "-o", name); code != exitUsage || !strings.Contains(errs, name) {
			t.Errorf("%s: %d %s", name, code, errs)
		}
	}
	dir := t.TempDir()
	if _, errs, code := call(t, "", "rules", "learn", "--from", log, "-o", dir); code != exitPartial || !strings.Contains(errs, dir) {
		t.Errorf("onto a folder: %d %s", code, errs)
	}
	if list, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".portreeve-*")); len(list) > 0 {
		t.Errorf("left behind: %v", list)
	}
	if runtime.GOOS != "windows" {
		old := write(t, "rules.yaml", "what was there")
		if _, _, code := call(t, "", "rules", "learn", "--from", "/nonexistent", "-o", old); code != exitUsage {
			t.Error(code)
		}
		if b, _ := os.ReadFile(old); string(b) != "what was there" {
			t.Errorf("%q", b)
		}
	}
}
