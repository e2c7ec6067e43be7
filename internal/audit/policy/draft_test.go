package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"pgregory.net/rapid"
)

func drawSocket(t *rapid.T) exposure.Socket {
	name := rapid.OneOf(rapid.SampledFrom([]string{"sshd", "python3.12", "php-fpm8.2", "a[b", `back\slash`, "wo*rd", "with space", "worker4711", "x: y # z", "\x1b[31m", "\u202e", "\xff\xfe", "#", "null", "~", "'", `"`, "a/b"}), rapid.StringN(0, 12, 15))
	unit := rapid.SampledFrom([]string{"", "ssh.service", "session-12.scope", "run-r0123456789abcdef.service", "postgresql@16-main.service", "user@1000.service",
		"docker-0123456789abcdef0123456789abcdef.scope", "sshd@5-10.0.0.1:22-10.0.0.9:40000.service", `dev-disk\x2dby.service`, "redis@6380.service"}).Draw(t, "unit")
	s := exposure.Socket{
		Proto: rapid.SampledFrom([]exposure.Proto{exposure.TCP, exposure.UDP, exposure.SCTP}).Draw(t, "proto"), State: exposure.Listen,
		Port:  rapid.SampledFrom([]uint16{22, 23, 24, 25, 8000, 8001, 40000, 65535}).Draw(t, "port"),
		Scope: rapid.SampledFrom([]exposure.Scope{exposure.ScopeLoopback, exposure.ScopeLink, exposure.ScopePrivate, exposure.ScopePublic, exposure.ScopeAny, ""}).Draw(t, "scope"),
		Unit:  unit, Device: rapid.SampledFrom([]string{"", "eth0\nversion: 2"}).Draw(t, "device"), NetNS: exposure.NetNS{ID: "1"},
	}
	for range rapid.IntRange(0, 2).Draw(t, "processes") {
		s.Processes = append(s.Processes, exposure.Process{Name: name.Draw(t, "name"), PID: rapid.SampledFrom([]int{1, 4711}).Draw(t, "pid")})
	}
	if rapid.Bool().Draw(t, "activated") {
		s.ActivatedBy = "x.socket"
	}
	return s
}

// Whatever listens, however it is called: the draft is a policy, expects every
// listener as it is, and demands nothing that is not there.
func TestDraftExpectsExactlyWhatListens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := DraftInput{Host: rapid.String().Draw(t, "host"), Taken: today, Self: exposure.NetNS{ID: "1"}, Operator: "10.0.0.1",
			Sockets:   rapid.SliceOfN(rapid.Custom(drawSocket), 0, 12).Draw(t, "sockets"),
			Protected: func(_ exposure.Proto, port uint16) string { return strings.Repeat("no: # ", int(port)%3) }}
		d := NewDraft(&in)
		p, err := Parse(d.Text)
		if err != nil {
			t.Fatalf("%v\n%s", err, d.Text)
		}
		for _, x := range p.Check(CheckOptions{At: today}) {
			if x.Rule == RuleNeverMatches || x.Rule == RuleExpired || x.Rule == RuleTooWide {
				t.Fatalf("%+v\n%s", x, d.Text)
			}
		}
		for i := range in.Sockets {
			if !expects(p, &in.Sockets[i]) {
				t.Fatalf("not expected: %+v\n%s", in.Sockets[i], d.Text)
			}
		}
		for i := range p.Expect {
			if !served(&p.Expect[i], in.Sockets) {
				t.Fatalf("nobody serves %s\n%s", p.Expect[i].Port, d.Text)
			}
		}
	})
}

func expects(p *Policy, s *exposure.Socket) bool {
	for i := range p.Expect {
		if e := &p.Expect[i]; e.Port.Covers(s.Proto, s.Port) && len(e.Differs(s)) == 0 {
			return true
		}
	}
	return false
}

// served: each port of an entry has its listener.
func served(e *Expect, socks []exposure.Socket) bool {
	for port := int(e.Port.First); port <= int(e.Port.Last); port++ {
		found := false
		for i := range socks {
			found = found || socks[i].Proto == e.Port.Proto && int(socks[i].Port) == port && len(e.Differs(&socks[i])) == 0
		}
		if !found {
			return false
		}
	}
	return true
}

func TestPatternsOfWhatVaries(t *testing.T) {
	for unit, want := range map[string]string{
		"session-12.scope": "session-*.scope", "run-r12ab.service": "run-*.service", "postgresql@16-main.service": "postgresql@*-main.service",
		"sshd@5-10.0.0.1:22-10.0.0.9:40000.service": "sshd@*.service", "redis@6380.service": "redis@6380.service", "user@1000.service": "user@1000.service",
		"docker-0123456789abcdef0123456789abcdef.scope": "docker-*.scope", `a\x2db.service`: `a\\x2db.service`, "ssh.service": "ssh.service",
	} {
		if got := unitGlob(unit); got != want || !is(got, unit) {
			t.Errorf("%s: %s, want %s", unit, got, want)
		}
	}
	for name, want := range map[string]string{"python3.12": "python*", "php-fpm8.2": "php-fpm*", "apache2": "apache2", "worker4711": "worker*", "a[b": `a\[b`} {
		if got := processGlob([]exposure.Process{{Name: name, PID: 4711}}); got != want || !is(got, name) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// One service is one block; its neighbouring ports are one entry.
func TestDraftIsGrouped(t *testing.T) {
	sock := func(port uint16, name string, scope exposure.Scope) exposure.Socket {
		return exposure.Socket{Proto: exposure.TCP, State: exposure.Listen, Port: port, Scope: scope, NetNS: exposure.NetNS{ID: "1"}, Service: "x",
			Processes: []exposure.Process{{Name: name, Started: today}}}
	}
	d := NewDraft(&DraftInput{Taken: today, Self: exposure.NetNS{ID: "1"}, Sockets: []exposure.Socket{
		sock(8000, "app", exposure.ScopeAny), sock(22, "sshd", exposure.ScopeAny), sock(8001, "app", exposure.ScopeAny), sock(8002, "app", exposure.ScopeAny),
		sock(8002, "app", exposure.ScopeLoopback), sock(9000, "app", exposure.ScopeLoopback), {State: exposure.Listen, Port: 1, NetNS: exposure.NetNS{ID: "2"}}}})
	p, err := Parse(d.Text)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range p.Expect {
		got = append(got, e.Port.String()+" "+e.Process+" "+string(e.Scope))
	}
	if s := strings.Join(got, ", "); s != "8000-8002/tcp app any, 9000/tcp app loopback, 22/tcp sshd any" || d.Others != 1 || d.Expect != 3 {
		t.Errorf("%s; %d others, %d entries\n%s", s, d.Others, d.Expect, d.Text)
	}
	if !strings.Contains(string(d.Text), "since "+today.Format(time.DateOnly)) {
		t.Error("since when is not said")
	}
}
