package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/report"
)

// hostDoc is what portreeve host --json says of another host.
const hostDoc = `{"schema":"portreeve.host/1","taken":"2026-11-21T08:00:00Z","host":"web-01","netns":{"id":"7","name":""},"incomplete":[],
"addresses":[{"addr":"10.0.1.7","interface":"eth0"}],"sockets":[
{"proto":"tcp","state":"listen","addr":"0.0.0.0","port":443,"scope":"any","netns":{"id":"7","name":""},"processes":[{"pid":9,"name":"nginx"}],"unit":"nginx.service","service":"https"},
{"proto":"tcp","state":"listen","addr":"0.0.0.0","port":657,"scope":"any","netns":{"id":"7","name":""},"processes":[{"pid":8,"name":"rmcd"}],"unit":"","service":"rmc"},
{"proto":"tcp","state":"listen","addr":"127.0.0.1","port":5432,"scope":"loopback","netns":{"id":"7","name":""},"processes":[{"pid":7,"name":"postgres"}],"unit":"","service":"postgresql"}]}`

// From another host's document to a policy by which its audit has nothing to
// say that it was not told.
func TestPolicyInitFromADocument(t *testing.T) {
	doc := write(t, "host.json", hostDoc)
	name := filepath.Join(t.TempDir(), "p.yaml")
	if out, errs, code := call(t, "", "policy", "init", "--from", doc, "-o", name); code != exitDone || out != "" || !strings.Contains(errs, "3 entries") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	text, _ := os.ReadFile(name)
	for _, want := range []string{"protected: # ports that nobody may close\n  - port: 657/tcp", `process: "nginx"`, "scope: loopback", "TODO: why is this open?"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is missing:\n%s", want, text)
		}
	}
	piped, _, code := call(t, hostDoc, "policy", "init", "--from", "-")
	if code != exitDone || piped != string(text) {
		t.Errorf("by standard input: %d\n%s", code, piped)
	}
	out, _, _ := call(t, "", "audit", "--json", "--from", doc, "--policy", name)
	if strings.Contains(out, "not-in-policy") || strings.Contains(out, "missing-expected") || !strings.Contains(out, "the policy expects it") {
		t.Errorf("%s", out)
	}
}

// A file that is there stays, unless its owner says otherwise; what is no file
// is never replaced.
func TestPolicyInitKeepsFiles(t *testing.T) {
	doc, old := write(t, "host.json", hostDoc), write(t, "old.yaml", "mine\n")
	if _, errs, code := call(t, "", "policy", "init", "--from", doc, "-o", old); code != exitUsage || !strings.Contains(errs, "--force") {
		t.Errorf("%d %s", code, errs)
	}
	if b, _ := os.ReadFile(old); string(b) != "mine\n" {
		t.Errorf("replaced: %s", b)
	}
	if _, errs, code := call(t, "", "policy", "init", "--from", doc, "-o", old, "--force"); code != exitDone {
		t.Errorf("%d %s", code, errs)
	}
	if b, _ := os.ReadFile(old); !strings.Contains(string(b), "version: 1") {
		t.Errorf("not replaced: %s", b)
	}
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink("/dev/null", link))
	for _, name := range []string{t.TempDir(), link, "/dev/null", "/nonexistent/p.yaml"} {
		if _, errs, code := call(t, "", "policy", "init", "--from", doc, "-o", name, "--force"); code != exitUsage || errs == "" {
			t.Errorf("%s: %d %s", name, code, errs)
		}
	}
	if _, err := os.Stat("/dev/null"); err != nil {
		t.Fatal(err)
	}
	left, _ := os.ReadDir(filepath.Dir(old))
	if len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPolicyInitRefusesOtherDocuments(t *testing.T) {
	for _, text := range []string{"", "no JSON", `{"schema":"portreeve.audit/1"}`, `{"schema":"portreeve.host/1","sockets":7}`, "[1]"} {
		if out, errs, code := call(t, text, "policy", "init", "--from", "-"); code != exitUsage || out != "" || !strings.Contains(errs, "portreeve host --json") {
			t.Errorf("%q: %d %s %s", text, code, out, errs)
		}
	}
}

const rolesPolicy = `version: 1
groups:
  web: ["web-*", 10.0.1.0/24]
expect:
  - {port: 22, reason: us, expires: 2026-12-31}
roles:
  - name: web server
    hosts: [web]
    expect: [{port: 443, reason: "TODO"}]
    protected: [{port: 443, reason: the shop}]
  - name: database
    hosts: [db]
    expect: [{port: 5432, reason: orders}]
`

func policyCheck(t *testing.T, args ...string) (doc struct {
	Schema, For       string
	Roles             []string
	Expect, Protected int
	Findings          []report.PolicyFinding
}, code int) {
	t.Helper()
	out, errs, code := call(t, "", append([]string{"policy", "check", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatalf("%v: %d %v %s%s", args, code, err, out, errs)
	}
	return doc, code
}

func TestPolicyCheckViews(t *testing.T) {
	name := write(t, "p.yaml", rolesPolicy)
	for _, c := range []struct {
		args           []string
		roles          string
		expect, guards int
		rules          string
		code           int
	}{
		{[]string{"--at", "2026-11-21"}, "web server,database", 3, 1, "todo", 0},
		{[]string{"--at", "2026-12-20"}, "web server,database", 3, 1, "expires-soon,todo", 0},
		{[]string{"--at", "2026-12-20", "--soon", "1h"}, "web server,database", 3, 1, "todo", 0},
		{[]string{"--at", "2027-01-01", "--fail-on", "medium"}, "web server,database", 3, 1, "expired,todo", 1},
		{[]string{"--at", "2026-11-21", "--fail-on", "medium"}, "web server,database", 3, 1, "todo", 0},
		{[]string{"--at", "2026-11-21", "--fail-on", "low"}, "web server,database", 3, 1, "todo", 1},
		{[]string{"--at", "2026-11-21", "--host", "web-9"}, "web server", 2, 1, "todo", 0},
		{[]string{"--at", "2026-11-21", "--host", "10.0.1.9"}, "web server", 2, 1, "todo", 0},
		{[]string{"--at", "2026-11-21", "--host", "db=10.0.1.9"}, "web server,database", 3, 1, "todo", 0},
		{[]string{"--at", "2026-11-21", "--host", "other"}, "", 1, 0, "", 0},
		{[]string{"--at", "2026-11-21", "--role", "database"}, "database", 2, 0, "", 0},
	} {
		doc, code := policyCheck(t, append(c.args, name)...)
		var rules []string
		for _, f := range doc.Findings {
			rules = append(rules, f.Rule)
			if f.Line == 0 || f.Column == 0 {
				t.Errorf("%v: %+v has no place", c.args, f)
			}
		}
		if strings.Join(doc.Roles, ",") != c.roles || doc.Expect != c.expect || doc.Protected != c.guards || strings.Join(rules, ",") != c.rules || code != c.code || doc.Schema != report.PolicySchema {
			t.Errorf("%v: %+v, exit %d", c.args, doc, code)
		}
	}
	out, _, code := call(t, "", "policy", "check", name, "--at", "2027-01-01")
	if code != exitDone || !strings.Contains(out, "line 5") || !strings.Contains(out, "It ended on 2026-12-31 (us)") {
		t.Errorf("%d %s", code, out)
	}
}

func TestPolicyCheckRefuses(t *testing.T) {
	name := write(t, "p.yaml", rolesPolicy)
	for _, c := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{"", []string{}, "one file"},
		{"", []string{name, name}, "one file"},
		{"", []string{""}, "no file"},
		{"", []string{"/nonexistent/p.yaml"}, "/nonexistent/p.yaml"},
		{"version: 1\nexpct: []\n", []string{"-"}, "line 2, column 1"},
		{"", []string{name, "--at", "soon"}, "--at 2027-01-31"},
		{"", []string{name, "--soon", "-1h"}, "--soon 30d"},
		{"", []string{name, "--soon", "xd"}, "--soon 30d"},
		{"", []string{name, "--fail-on", "info"}, "low, medium or high"},
		{"", []string{name, "--role", "mail"}, "web server, database"},
		{"", []string{name, "--role", "database", "--host", "x"}, "give one"},
		{"", []string{name, "--host", "a=b"}, "no address"},
	} {
		out, errs, code := call(t, c.stdin, append([]string{"policy", "check"}, c.args...)...)
		if code != exitUsage || out != "" || !strings.Contains(errs, c.want) {
			t.Errorf("%v: %d %q %s", c.args, code, out, errs)
		}
	}
}

// The audit judges by the roles of the host that the evidence is about.
func TestAuditByRoles(t *testing.T) {
	doc := write(t, "host.json", hostDoc)
	name := write(t, "p.yaml", "version: 1\nexpect: [{port: 657}]\nroles:\n  - {name: web, hosts: [\"web-*\"], expect: [{port: 443, reason: the shop}, {port: 25, reason: gone, expires: 2020-01-31}]}\n  - {name: db, hosts: [\"db-*\"], expect: [{port: 5432}]}\n")
	out, errs, _ := call(t, "", "audit", "--json", "--from", doc, "--policy", name)
	if strings.Contains(out, "not-in-policy") || strings.Contains(out, "missing-expected") {
		t.Errorf("%s %s", out, errs)
	}
	for _, want := range []string{`"expired-entry"`, "role web", "gone", "2020-01-31"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not said: %s", want, out)
		}
	}
	out, _, _ = call(t, "", "audit", "--json", "--from", doc, "--host", "db-1=10.0.1.7", "--policy", name)
	if !strings.Contains(out, "not-in-policy") {
		t.Errorf("another host's role was taken: %s", out)
	}
}

// What roles protect is permitted by what is learned for their network.
func TestLearnHonoursRoles(t *testing.T) {
	name := write(t, "p.yaml", rolesPolicy)
	out, errs, code := call(t, accepted("ACCEPT"), "rules", "learn", "--from", "-", "--policy", name)
	if code != exitDone || !strings.Contains(out, "the shop") {
		t.Errorf("%d %s %s", code, out, errs)
	}
}
