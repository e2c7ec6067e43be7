package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

const manyHosts = `version: 1
groups:
  web: ["web-*", 10.0.1.0/24]
  db: [db1.example.org, "DB[23]"]
expect:
  - {port: 22, reason: administrators}
protected:
  - {port: 657, reason: heartbeat}
roles:
  - name: web server
    hosts: [web, "10.0.9.*"]
    expect:
      - {port: 443, process: nginx, reason: the shop}
    protected:
      - {port: 443, reason: the shop lives from it}
  - name: database
    hosts: [db]
    expect: [{port: 5432, scope: private, reason: orders}]
  - name: all
    hosts: ["*"]
    expect: [{port: 9100, reason: metrics}]
`

// A host gets the base and its roles, in the order of the file.
func TestForMergesTheRolesOfAHost(t *testing.T) {
	p, err := Parse([]byte(manyHosts))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ host, addrs, ports, roles string }{
		{"web-01", "", "22/tcp 443/tcp 9100/tcp", "web server,all"},
		{"WEB-01.example.org.", "", "22/tcp 443/tcp 9100/tcp", "web server,all"},
		{"other", "10.0.1.7", "22/tcp 443/tcp 9100/tcp", "web server,all"},
		{"other", "::ffff:10.0.1.7", "22/tcp 443/tcp 9100/tcp", "web server,all"},
		{"other", "10.0.9.7", "22/tcp 443/tcp 9100/tcp", "web server,all"},
		{"other", "10.0.2.7 fe80::1%eth0", "22/tcp 9100/tcp", "all"},
		{"db1", "", "22/tcp 9100/tcp", "all"}, // the pattern names a domain
		{"db1.example.org", "", "22/tcp 5432/tcp 9100/tcp", "database,all"},
		{"db2.example.org", "", "22/tcp 5432/tcp 9100/tcp", "database,all"},
		{"db4", "", "22/tcp 9100/tcp", "all"},
		{"web", "", "22/tcp 9100/tcp", "all"}, // a group's name is no pattern
		{"", "", "22/tcp", ""},
	} {
		var addrs []netip.Addr
		for _, a := range strings.Fields(c.addrs) {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		q := p.For(c.host, addrs)
		var ports []string
		for _, e := range q.Expect {
			ports = append(ports, e.Port.String())
		}
		if got := strings.Join(ports, " "); got != c.ports || strings.Join(q.Applied, ",") != c.roles {
			t.Errorf("%s %s: %s (%v), want %s (%s)", c.host, c.addrs, got, q.Applied, c.ports, c.roles)
		}
	}
	web := p.For("web-01", nil)
	if web.Expect[0].Role != "" || web.Expect[1].Role != "web server" || web.Expect[1].Port.Line != 13 || len(web.Protected) != 2 {
		t.Errorf("origin lost: %+v %+v", web.Expect, web.Protected)
	}
	if len(p.Expect) != 1 || p.Expect[0].Role != "" || len(p.Protected) != 1 {
		t.Error("the policy itself was changed")
	}
	if n := len(p.ForAll().Expect); n != 4 {
		t.Errorf("all: %d entries", n)
	}
	if q := p.ForRoles("database"); len(q.Expect) != 2 || q.Applied[0] != "database" {
		t.Errorf("by role: %+v", q)
	}
	if (*Policy)(nil).For("x", nil) != nil || (*Policy)(nil).ForAll() != nil {
		t.Error("no policy became one")
	}
}

func TestRoleErrorsNameThePlace(t *testing.T) {
	role := func(s string) string { return "version: 1\nroles:\n  - name: a\n" + s }
	for _, c := range []struct {
		text   string
		line   int
		column int
		want   string
	}{
		{role("    hosts: [x]\n    expct: []\n"), 5, 5, "expct"},
		{role(""), 0, 0, "hosts"},
		{role("    hosts: []\n"), 0, 0, "hosts"},
		{role("    hosts:\n      -\n"), 0, 0, "empty"},
		{role("    hosts: [10.0.0.1/8]\n"), 4, 13, "10.0.0.0/8"},
		{role("    hosts: [web/x]\n"), 4, 13, "web/x"},
		{role("    hosts: ['[a']\n"), 4, 13, "pattern"},
		{role("    hosts: ['a b']\n"), 4, 13, "pattern"},
		{role("    hosts: [{a: 1}]\n"), 4, 0, "host"},
		{role("    hosts: [x]\n    expect: [{process: y}]\n"), 0, 0, "roles, entry 1: expect, entry 1"},
		{role("    hosts: [x]\n    expect: [{port: 0}]\n"), 5, 21, "no port"},
		{role("    hosts: [x]\n  - name: a\n    hosts: [y]\n"), 6, 0, "twice"},
		{"version: 1\nroles:\n  - hosts: [x]\n", 0, 0, "name"},
		{"version: 1\ngroups: [a]\n", 2, 0, "groups"},
		{"version: 1\ngroups: {web: x}\n", 2, 15, "list"},
		{"version: 1\ngroups: {web: []}\n", 2, 10, "web"},
		{"version: 1\ngroups:\n  web: [a]\n  web: [b]\n", 4, 3, "web"},
	} {
		_, err := Parse([]byte(c.text))
		var pe *Error
		if !errors.As(err, &pe) {
			t.Errorf("%q: got %v", c.text, err)
			continue
		}
		if c.line != 0 && pe.Line != c.line || c.column != 0 && pe.Column != c.column || !strings.Contains(pe.Error(), c.want) {
			t.Errorf("%q: %v, want %d:%d %q", c.text, pe, c.line, c.column, c.want)
		}
	}
}

// No file of the allowed size keeps the reader busy.
func TestHostileYAMLIsRefusedSoon(t *testing.T) {
	var keys strings.Builder
	for i := range 60000 {
		fmt.Fprintf(&keys, "  a%d: 1\n", i)
	}
	flow := "{" + strings.ReplaceAll(strings.ReplaceAll(keys.String(), "\n", ","), "  ", "") + "}"
	for name, text := range map[string]string{
		"brackets":      "version: " + strings.Repeat("[", 300000),
		"bracket lines": "version:\n" + strings.Repeat(" [\n", 200000),
		"braces":        strings.Repeat("{a: ", 100000),
		"dashes":        strings.Repeat("- ", 300000),
		"keys":          "version: 1\ngroups:\n" + keys.String(),
		"flow keys":     "version: 1\ngroups: " + flow,
		"question":      "version: 1\nexpect: [" + strings.Repeat("? ", 100000) + "]",
		"tags":          "version: " + strings.Repeat("!a ", 100000),
		"merge":         "version: 1\n<<: {expect: []}\n",
		"anchor":        "version: &v 1\n",
	} {
		began := time.Now()
		_, err := Parse([]byte(text))
		var pe *Error
		if !errors.As(err, &pe) || pe.Line == 0 || pe.Column == 0 {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
}
