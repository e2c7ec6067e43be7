package policy

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

const sample = `version: 1
expect:
  - port: 22/tcp
    process: sshd
    unit: ssh*.service
    scope: any
    peers: [10.0.0.0/8, 2001:db8::1]
    reason: administrators log in
    expires: 2027-01-31
  - port: 8000-8010
    scope: loopback
protected:
  - port: 657/udp
    reason: heartbeat
`

func TestParseReadsEveryField(t *testing.T) {
	p, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	e := p.Expect[0]
	if e.Port.String() != "22/tcp" || e.Port.Line != 3 || e.Process != "sshd" || e.Reason == "" {
		t.Errorf("first entry: %+v", e)
	}
	if !e.Allows(netip.MustParseAddr("10.2.3.4")) || e.Allows(netip.MustParseAddr("192.0.2.1")) {
		t.Error("peers are not judged by prefix")
	}
	if e.Expired(time.Date(2027, 1, 31, 23, 59, 0, 0, time.UTC)) || !e.Expired(time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)) {
		t.Error("an entry holds through its last day and no longer")
	}
	if !p.Expect[1].Port.Covers(exposure.TCP, 8010) || p.Expect[1].Port.Covers(exposure.UDP, 8010) {
		t.Error("range or default protocol wrong")
	}
	if p.Protected[0].Port.String() != "657/udp" {
		t.Errorf("protected: %+v", p.Protected)
	}
}

func TestDiffersNamesWhatIsNotForeseen(t *testing.T) {
	p, _ := Parse([]byte(sample))
	ssh := exposure.Socket{Unit: "ssh.service", Scope: exposure.ScopeAny, Processes: []exposure.Process{{Name: "sshd"}}}
	if d := p.Expect[0].Differs(&ssh); len(d) != 0 {
		t.Errorf("a foreseen socket differs: %v", d)
	}
	ssh.Processes[0].Name, ssh.Unit = "nc", "rogue.service"
	if d := p.Expect[0].Differs(&ssh); len(d) != 2 {
		t.Errorf("process and unit differ, got %v", d)
	}
	if d := p.Expect[1].Differs(&ssh); len(d) != 1 || !strings.Contains(d[0], "loopback") {
		t.Errorf("scope differs, got %v", d)
	}
}

// Errors carry the line: people fix policies by hand.
func TestErrorsNameTheLine(t *testing.T) {
	for _, c := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"unknown key", "version: 1\nexpect:\n  - port: 22\n    proces: sshd\n", 4, "proces"},
		{"unknown top key", "version: 1\nexpected: []\n", 2, "expected"},
		{"bad port", "version: 1\nexpect:\n  - port: 70000\n", 3, "70000"},
		{"bad protocol", "version: 1\nexpect:\n  - port: 22/tpc\n", 3, "22/tpc"},
		{"reversed range", "version: 1\nexpect:\n  - port: 30-20\n", 3, "30-20"},
		{"bad scope", "version: 1\nexpect:\n  - port: 22\n    scope: everywhere\n", 4, "everywhere"},
		{"bad prefix", "version: 1\nexpect:\n  - port: 22\n    peers: [10.0.0.0/99]\n", 4, "10.0.0.0/99"},
		{"bad date", "version: 1\nexpect:\n  - port: 22\n    expires: soon\n", 4, "soon"},
		{"bad glob", "version: 1\nexpect:\n  - port: 22\n    process: '['\n", 3, "pattern"},
		{"no port", "version: 1\nexpect:\n  - process: x\n", 0, "port"},
		{"no version", "expect: []\n", 0, "version"},
		{"other version", "version: 2\n", 0, "version"},
		{"two documents", "version: 1\n---\nversion: 1\n", 3, "second"},
		{"duplicate key", "version: 1\nversion: 1\n", 2, "version"},
		{"alias", "version: 1\nexpect: &a\n  - port: 22\nprotected: *a\n", 2, "alias"},
		{"syntax", "version: 1\nexpect: [\n", 0, ""},
		{"empty", "", 0, "empty"},
		{"comment only", "# nothing\n", 0, "empty"},
		{"list", "- 1\n", 0, ""},
		{"tag without value", "version: 1\nexpect: !0 \n", 0, "YAML"},
		{"binary", "\x00\x01\x02", 0, ""},
	} {
		_, err := Parse([]byte(c.text))
		var pe *Error
		if !errors.As(err, &pe) {
			t.Errorf("%s: got %v, want a policy error", c.name, err)
			continue
		}
		if (c.line != 0 && pe.Line != c.line) || !strings.Contains(pe.Error(), c.want) {
			t.Errorf("%s: got %q (line %d), want line %d and %q", c.name, pe, pe.Line, c.line, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("version: 1\nexpect: [{port: 1}]\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("version: 1\nowned: [203.0.113.0/24]\nnever-scan: ['2001:db8::/32']\n"))
	f.Add([]byte("\xff\xfe"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		var pe *Error
		if err != nil && !errors.As(err, &pe) {
			t.Fatalf("an error of another type: %T", err)
		}
		if err == nil && p.Version != 1 {
			t.Fatal("accepted a policy without a version")
		}
	})
}
