package audit

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
)

// wall answers from a table keyed by "proto/port"; everything else is open.
type wall map[string]exposure.Permit

func (w wall) Ask(p exposure.Proto, _ netip.Addr, port uint16) exposure.Permit {
	if got, ok := w[string(p)+"/"+itoa(int(port))]; ok {
		return got
	}
	return exposure.Permit{Verdict: exposure.Permitted, ByDefault: true, Rules: []string{"no rules"}}
}

func (w wall) AskAny(p exposure.Proto, _, _ bool, port uint16) exposure.Permit {
	return w.Ask(p, netip.Addr{}, port)
}

var (
	now     = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	self    = exposure.NetNS{ID: "100"}
	other   = exposure.NetNS{ID: "200", Name: "web"}
	lan     = netip.MustParseAddr("10.0.0.1")
	anyAddr = exposure.ParseAddress("0.0.0.0")
)

// listener is a packaged TCP listener on every IPv4 address.
func listener(port uint16, name string) exposure.Socket {
	return exposure.Socket{Proto: exposure.TCP, State: exposure.Listen, Addr: anyAddr, Port: port,
		Scope: exposure.ScopeAny, NetNS: self, Sockets: 1, Package: name, Unit: name + ".service",
		Processes: []exposure.Process{{PID: 10, Name: name, Exe: "/usr/sbin/" + name, User: "root", Package: name}}}
}

func on(s exposure.Socket, addr string) exposure.Socket {
	s.Addr = exposure.ParseAddress(addr)
	s.Scope = exposure.ScopeOf(s.Addr.IP)
	return s
}

func holder(s exposure.Socket, change func(*exposure.Process)) exposure.Socket {
	s.Processes = slices.Clone(s.Processes)
	change(&s.Processes[0])
	return s
}

// hostWith is a host on which the self-scan found just what listens.
func hostWith(socks ...exposure.Socket) *Input {
	in := &Input{Host: "h", Taken: now, Self: self, Book: knowledge.Open(), Wall: wall{},
		Addrs:  []exposure.OwnAddress{{IP: netip.MustParseAddr("127.0.0.1"), Interface: "lo"}, {IP: lan, Interface: "eth0"}},
		Before: exposure.Snapshot{Sockets: socks}, After: exposure.Snapshot{Sockets: socks}}
	scan := &exposure.Scan{Vantage: "self"}
	for _, a := range in.Addrs {
		h := exposure.HostScan{Addr: a.IP, Up: true, Asked: map[exposure.Proto]int{exposure.TCP: 65535}, States: map[exposure.PortStateName]int{exposure.Closed: 65535}}
		for i := range socks {
			if covers(&socks[i], exposure.TCP, a.IP, socks[i].Port) {
				h.Ports = append(h.Ports, open(a.IP, socks[i].Port))
			}
		}
		scan.Hosts = append(scan.Hosts, h)
	}
	in.Scan = scan
	return in
}

func open(ip netip.Addr, port uint16) exposure.PortState {
	return exposure.PortState{Addr: ip, Port: port, Proto: exposure.TCP, State: exposure.Open, Reason: "syn-ack"}
}

// answers adds an open port that nothing listens on, confirmed or not.
func (in *Input) answers(port uint16, recheck exposure.PortStateName) *Input {
	in.Scan.Hosts[1].Ports = append(in.Scan.Hosts[1].Ports, open(lan, port))
	again := open(lan, port)
	again.State = recheck
	in.Rechecked = append(in.Rechecked, again)
	return in
}

// heard is the set of "rule severity endpoint" of low and above.
func heard(rep Report) []string {
	out := []string{}
	for _, f := range rep.Findings {
		if f.Severity.Rank() >= exposure.Low.Rank() {
			out = append(out, f.Rule+" "+string(f.Severity)+" "+f.Endpoint)
		}
	}
	slices.Sort(out)
	return out
}

func verdicts(rep Report) map[string]exposure.Verdict {
	out := map[string]exposure.Verdict{}
	for i := range rep.Endpoints {
		out[rep.Endpoints[i].Name()] = rep.Endpoints[i].Verdict
	}
	return out
}

func TestJudge(t *testing.T) {
	redis := listener(6379, "redis-server")
	deny := exposure.Permit{Verdict: exposure.Denied, Rules: []string{"inet filter input policy drop"}}
	partial := exposure.Permit{Verdict: exposure.Partial, Why: "depends on the source"}
	greet := func(in *Input, port uint16, s exposure.Service) *Input {
		in.Greetings = map[exposure.Endpoint]exposure.Service{{Proto: exposure.TCP, Addr: exposure.IPAddress(lan), Port: port}: s}
		return in
	}
	walled := func(in *Input, key string, p exposure.Permit) *Input { in.Wall = wall{key: p}; return in }
	for _, c := range []struct {
		name    string
		in      *Input
		want    []string
		verdict map[string]exposure.Verdict
	}{
		{"ssh alone is expected", hostWith(listener(22, "sshd")), nil,
			map[string]exposure.Verdict{"tcp/0.0.0.0:22": exposure.Expected}},
		{"a datastore open to all is exposed", hostWith(redis), []string{"exposed-datastore high tcp/0.0.0.0:6379"},
			map[string]exposure.Verdict{"tcp/0.0.0.0:6379": exposure.Exposed}},
		{"on loopback it is left alone", hostWith(on(redis, "127.0.0.1")), nil,
			map[string]exposure.Verdict{"tcp/127.0.0.1:6379": exposure.Expected}},
		{"behind the firewall it is blocked", walled(hostWith(redis), "tcp/6379", deny), nil,
			map[string]exposure.Verdict{"tcp/0.0.0.0:6379": exposure.Blocked}},
		{"open to some it weighs less", walled(hostWith(redis), "tcp/6379", partial), []string{"exposed-datastore medium tcp/0.0.0.0:6379"},
			map[string]exposure.Verdict{"tcp/0.0.0.0:6379": exposure.Exposed}},
		{"asking for a password weighs less", greet(hostWith(redis), 6379, exposure.Service{Name: "redis", Auth: "required"}),
			[]string{"exposed-datastore medium tcp/0.0.0.0:6379"}, nil},
		{"what speaks redis is redis on any port", greet(hostWith(listener(7777, "python3")), 7777, exposure.Service{Name: "redis", Auth: "none"}),
			[]string{"exposed-datastore high tcp/0.0.0.0:7777"}, nil},
		{"ssh on the port of https", greet(hostWith(listener(443, "sshd")), 443, exposure.Service{Name: "ssh"}),
			[]string{"service-mismatch medium tcp/0.0.0.0:443"}, map[string]exposure.Verdict{"tcp/0.0.0.0:443": exposure.Review}},
		{"a web server on 443 is no mismatch", greet(hostWith(listener(443, "nginx")), 443, exposure.Service{Name: "http", TLS: true}), nil, nil},
		{"hidden: answers, never listens", hostWith().answers(4444, exposure.Open), []string{"hidden-listener high tcp/10.0.0.1:4444"},
			map[string]exposure.Verdict{"tcp/10.0.0.1:4444": exposure.Hidden}},
		{"gone on the re-check: a race", hostWith().answers(4444, exposure.Closed), nil, map[string]exposure.Verdict{}},
		{"a deleted program", hostWith(holder(on(listener(8080, "x"), "127.0.0.1"), func(p *exposure.Process) { p.Deleted = true })),
			[]string{"deleted-binary medium tcp/127.0.0.1:8080"}, map[string]exposure.Verdict{"tcp/127.0.0.1:8080": exposure.Review}},
		{"a program that others may write", hostWith(holder(listener(22, "sshd"), func(p *exposure.Process) { p.Writable, p.WritableWhy = true, "mode 0777" })),
			[]string{"world-writable-binary high tcp/0.0.0.0:22"}, nil},
		{"a program from /tmp in no package", hostWith(holder(listener(22, "sshd"), func(p *exposure.Process) { p.Unpackaged, p.Exe = true, "/tmp/sshd" })),
			[]string{"unpackaged-binary medium tcp/0.0.0.0:22"}, nil},
		{"a port in no registry", hostWith(holder(listener(834, "ypbind"), func(p *exposure.Process) { p.Name = "odd"; p.Exe = "/usr/sbin/odd" })), nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			rep := Judge(c.in)
			if c.want == nil {
				c.want = []string{}
			}
			if d := cmp.Diff(c.want, heard(rep)); d != "" {
				t.Errorf("findings (-want +got):\n%s", d)
			}
			if c.verdict != nil {
				if d := cmp.Diff(c.verdict, verdicts(rep)); d != "" {
					t.Errorf("verdicts (-want +got):\n%s", d)
				}
			}
		})
	}
}

// A listener that was met at any moment of the re-check is no hidden one,
// even when it answered and both snapshots missed it.
func TestListenerSeenDuringRecheckIsNoAlarm(t *testing.T) {
	in := hostWith().answers(4444, exposure.Open)
	in.Seen = []exposure.Endpoint{{Proto: exposure.TCP, Addr: anyAddr, Port: 4444}}
	if got := heard(Judge(in)); len(got) != 0 {
		t.Errorf("a short-lived listener raised %v", got)
	}
}

func TestHiddenListenerNamesThePacketSocket(t *testing.T) {
	implant := exposure.Socket{Proto: "3", State: exposure.Packet, NetNS: self, Filter: "ldh [12]\njeq #0x800",
		Processes: []exposure.Process{{PID: 2231, Name: "python3", Exe: "/tmp/.x", Deleted: true, User: "www-data"}}}
	dhcp := exposure.Socket{Proto: "2048", State: exposure.Packet, NetNS: self, Device: "eth0",
		Processes: []exposure.Process{{PID: 99, Name: "dhclient", Exe: "/sbin/dhclient", Package: "isc-dhcp-client"}}}
	in := hostWith().answers(4444, exposure.Open)
	in.After.Sockets = append(in.After.Sockets, implant, dhcp)
	rep := Judge(in)
	f := findingOf(t, rep, "hidden-listener")
	if text := strings.Join(f.Because, "\n"); !strings.Contains(text, "2231") || !strings.Contains(text, "/tmp/.x (deleted)") || strings.Contains(text, "dhclient") {
		t.Errorf("the implant should be named and the DHCP client should not:\n%s", text)
	}
	for _, f := range rep.Findings {
		if f.Rule == "packet-socket" && (f.Severity == exposure.Info) != strings.Contains(f.Because[0], "dhclient") {
			t.Errorf("packet socket judged wrongly: %+v", f)
		}
	}
}

// A program that only calls itself dhclient is not ordinary.
func TestOrdinaryNameNeedsItsPackage(t *testing.T) {
	fake := exposure.Socket{State: exposure.Packet, NetNS: self, Processes: []exposure.Process{{Name: "dhclient", Exe: "/tmp/dhclient", Unpackaged: true}}}
	if why := ordinaryReason(ordinaryHolders(), &fake); why != "" {
		t.Errorf("a dhclient from /tmp is taken as ordinary: %s", why)
	}
}

func published(port uint16, target string, local bool) exposure.PublishedPort {
	ap := netip.MustParseAddrPort(target)
	return exposure.PublishedPort{Proto: exposure.TCP, First: port, Last: port, Local: local, Rule: "ip nat prerouting: dnat to " + target,
		Target: exposure.Translation{Addr: ap.Addr(), Port: ap.Port()}}
}

// DNAT: answers without a listener, and the cause is named, whether the
// self-scan meets the rule (output hook) or only its target was asked.
func TestPublishedPortIsNoIntrusion(t *testing.T) {
	behind := on(listener(80, "nginx"), "172.17.0.2")
	behind.NetNS, behind.Container = other, &exposure.Container{ID: "c0ffee", Name: "web", Runtime: "docker"}
	for _, local := range []bool{true, false} {
		in := hostWith()
		in.After.Sockets = append(in.After.Sockets, behind)
		in.Published = []exposure.PublishedPort{published(8080, "172.17.0.2:80", local)}
		if local {
			in.answers(8080, exposure.Open)
		} else {
			in.Rechecked = append(in.Rechecked, open(netip.MustParseAddr("172.17.0.2"), 80))
			if got := Targets(in); len(got) != 1 || got[0].String() != "tcp/172.17.0.2:80" {
				t.Errorf("targets to ask: %v", got)
			}
		}
		rep := Judge(in)
		if got := heard(rep); !slices.Equal(got, []string{"no-listener low tcp/10.0.0.1:8080"}) {
			t.Errorf("local=%v: %v", local, got)
		}
		e := rep.Endpoints[0]
		if e.Views.Network != "open" || e.Views.Host != Absent || e.SentTo != "172.17.0.2:80" || e.Container == nil {
			t.Errorf("local=%v: row %+v", local, e)
		}
	}
}

// A rule that our own packets do not meet explains nothing about an answer to
// them: an implant may hide behind a published port.
func TestPublishedPortDoesNotExcuseAnAnswerHere(t *testing.T) {
	in := hostWith().answers(8080, exposure.Open)
	in.Published = []exposure.PublishedPort{published(8080, "172.17.0.2:80", false)}
	if got := heard(Judge(in)); !slices.Equal(got, []string{"hidden-listener high tcp/10.0.0.1:8080"}) {
		t.Errorf("got %v", got)
	}
}

func TestPublishedPortToNothing(t *testing.T) {
	in := hostWith()
	in.Published = []exposure.PublishedPort{published(8080, "172.17.0.9:80", false)}
	in.Rechecked = []exposure.PortState{{Addr: netip.MustParseAddr("172.17.0.9"), Port: 80, Proto: exposure.TCP, State: exposure.Closed}}
	if got := heard(Judge(in)); !slices.Equal(got, []string{"stale-permit low tcp/10.0.0.1:8080"}) {
		t.Errorf("got %v", got)
	}
}

// A vantage file may hold other hosts; only this one's addresses count. An
// IPv4 scan says nothing about an IPv6 listener.
func TestVantageCountsOnlyForThisHost(t *testing.T) {
	v6 := on(listener(22, "sshd"), "::")
	in := hostWith(v6)
	in.Addrs = append(in.Addrs, exposure.OwnAddress{IP: netip.MustParseAddr("2001:db8::1"), Interface: "eth0"})
	in.Vantages = []exposure.Scan{{Vantage: "v.xml", Hosts: []exposure.HostScan{
		{Addr: netip.MustParseAddr("192.0.2.77"), Ports: []exposure.PortState{open(netip.MustParseAddr("192.0.2.77"), 9999)}},
		{Addr: lan, Ports: []exposure.PortState{{Port: 22, Proto: exposure.TCP, State: exposure.Filtered}}},
	}}}
	rep := Judge(in)
	if len(rep.Endpoints) != 1 {
		t.Fatalf("a foreign host's port became a row: %+v", rep.Endpoints)
	}
	if n := rep.Endpoints[0].Views.Network; n == "filtered" {
		t.Error("an IPv4 answer was taken for an IPv6-only listener")
	}
}

// Seen from outside only: the packet socket that is there is the suspect.
func TestVantageOpenWithoutListener(t *testing.T) {
	in := hostWith()
	in.Vantages = []exposure.Scan{{Vantage: "v.xml", Hosts: []exposure.HostScan{{Addr: lan, Ports: []exposure.PortState{open(lan, 31337)}}}}}
	f := findingOf(t, Judge(in), "hidden-listener")
	if f.Severity != exposure.Medium || len(f.SafeBecause) == 0 {
		t.Errorf("an old scan may mislead, and that must be said: %+v", f)
	}
}

func findingOf(t *testing.T, rep Report, rule string) exposure.Finding {
	t.Helper()
	for _, f := range rep.Findings {
		if f.Rule == rule {
			return f
		}
	}
	t.Fatalf("no %s among %v", rule, rep.Findings)
	return exposure.Finding{}
}

func mustPolicy(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicy(t *testing.T) {
	for _, c := range []struct {
		name, policy string
		want         []string
	}{
		{"expected: nothing against it", "version: 1\nexpect:\n  - {port: 6379, process: redis-server, reason: cache}\n", []string{}},
		{"not named", "version: 1\nexpect: []\n", []string{"exposed-datastore high tcp/0.0.0.0:6379", "not-in-policy medium tcp/0.0.0.0:6379"}},
		{"another process", "version: 1\nexpect:\n  - {port: 6379, process: valkey}\n", []string{"exposed-datastore high tcp/0.0.0.0:6379", "not-in-policy medium tcp/0.0.0.0:6379"}},
		{"expired", "version: 1\nexpect:\n  - {port: 6379, expires: 2026-11-20}\n", []string{"expired-entry medium tcp/0.0.0.0:6379", "exposed-datastore high tcp/0.0.0.0:6379", "not-in-policy medium tcp/0.0.0.0:6379"}},
		{"expired, and another entry holds", "version: 1\nexpect:\n  - {port: 6379, expires: 2026-11-20}\n  - {port: 6379}\n", []string{"expired-entry low tcp/0.0.0.0:6379"}},
		{"expired, and nothing listens", "version: 1\nexpect:\n  - port: 6379\n  - {port: 25, expires: 2026-11-20}\n", []string{"expired-entry low tcp/0.0.0.0:25"}},
		{"peers narrower than the wall", "version: 1\nexpect:\n  - {port: 6379, peers: [10.0.0.0/8]}\n", []string{"exposed-beyond-need medium tcp/0.0.0.0:6379"}},
		{"missing", "version: 1\nexpect:\n  - port: 6379\n  - port: 25\n", []string{"missing-expected medium tcp/0.0.0.0:25"}},
		{"missing but optional", "version: 1\nexpect:\n  - port: 6379\n  - {port: 25, optional: true}\n", []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := hostWith(listener(6379, "redis-server"))
			in.Policy = mustPolicy(t, c.policy)
			if d := cmp.Diff(c.want, heard(Judge(in))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// RMC on 657 and what the policy protects: no fix offered shuts it.
func TestProtectedPortHasNoClosingFix(t *testing.T) {
	in := hostWith(listener(657, "rmcd"), listener(6379, "redis-server"))
	in.Policy = mustPolicy(t, "version: 1\nexpect: []\nprotected:\n  - {port: 6379, reason: cluster state}\n")
	rep := Judge(in)
	protected := 0
	for _, f := range rep.Findings {
		if f.Rule == "protected-port" {
			protected++
		}
		if len(f.Fix) > 0 {
			t.Errorf("%s on %s offers %v", f.Rule, f.Endpoint, f.Fix)
		}
	}
	if protected != 2 {
		t.Errorf("%d protected ports, want 657 and 6379", protected)
	}
}

func TestFirewallRulesWithoutListenersAndBack(t *testing.T) {
	in := hostWith(listener(22, "sshd"), listener(80, "nginx"))
	in.PermitRules = []exposure.PermitRule{
		{Proto: exposure.TCP, First: 22, Last: 22, Rule: "tcp dport 22 accept"},
		{Proto: exposure.TCP, First: 8443, Last: 8443, Rule: "tcp dport 8443 accept"},
		{Proto: exposure.TCP, First: 30000, Last: 32767, Rule: "tcp dport 30000-32767 accept"},
	}
	in.Wall = wall{"tcp/22": {Verdict: exposure.Permitted, Rules: []string{"tcp dport 22 accept"}}}
	want := []string{"stale-permit low tcp/0.0.0.0:8443", "unruled-listener low tcp/0.0.0.0:80"}
	if d := cmp.Diff(want, heard(Judge(in))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestTrafficDecidesNeed(t *testing.T) {
	conn := exposure.Socket{Proto: exposure.TCP, State: exposure.Established, NetNS: self, Addr: exposure.IPAddress(lan), Port: 13579,
		PeerAddr: exposure.IPAddress(lan), PeerPort: 40000, SegsIn: 5, SegsOut: 4}
	srv := listener(13579, "app")
	snap := exposure.Snapshot{Taken: now, Sockets: []exposure.Socket{srv, conn}}
	in := hostWith(srv)
	in.Traffic = UsageOf(self, []exposure.Snapshot{snap, snap}, now.Add(-48*time.Hour), now)
	rep := Judge(in)
	tv := rep.Endpoints[0].Views.Traffic
	if tv == nil || tv.Clients != 1 || tv.Packets != 9 || tv.Last == nil {
		t.Fatalf("traffic view: %+v", tv)
	}
	findingOf(t, rep, "exposed-beyond-need")
	in.Traffic.From = now.Add(-40 * 24 * time.Hour)
	in.Traffic.Usage[0] = exposure.Usage{Endpoint: in.Traffic.Usage[0].Endpoint}
	rep = Judge(in)
	findingOf(t, rep, "unused-listener")
	if rep.Endpoints[0].Verdict != exposure.Unneeded {
		t.Errorf("verdict %s", rep.Endpoints[0].Verdict)
	}
}

func TestDisagreementIsRaised(t *testing.T) {
	in := hostWith(listener(22, "sshd"))
	in.Disagreements = []Disagreement{{Endpoint: exposure.Endpoint{Proto: exposure.TCP, Addr: anyAddr, Port: 22}, Seen: []string{"sock_diag"}, Missing: []string{"/proc/net/tcp"}, Why: "twice"}}
	rep := Judge(in)
	findingOf(t, rep, "source-disagreement")
	if rep.Endpoints[0].Verdict != exposure.Review {
		t.Errorf("verdict %s", rep.Endpoints[0].Verdict)
	}
}

// Every finding the contract promises is explained, with lists that JSON
// writes as [] and ids that are unique and that rows refer to.
func TestReportIsWellFormed(t *testing.T) {
	in := hostWith(listener(22, "sshd"), listener(6379, "redis-server"), on(listener(631, "cupsd"), "::1")).answers(4444, exposure.Open)
	rep := Judge(in)
	ids := map[string]bool{}
	for _, f := range rep.Findings {
		if ids[f.ID] || f.ID == "" || f.Title == "" || len(f.Because) == 0 {
			t.Errorf("finding %+v", f)
		}
		ids[f.ID] = true
	}
	for _, e := range rep.Endpoints {
		for _, id := range e.Findings {
			if !ids[id] {
				t.Errorf("row %s names finding %s, which is not there", e.Name(), id)
			}
		}
	}
	b, err := json.Marshal(rep)
	if err != nil || strings.Contains(string(b), ":null,\"fix\"") || strings.Contains(string(b), `"findings":null`) {
		t.Errorf("json: %v %s", err, b)
	}
}

// Fixes are for the program that really holds the port.
func TestFixesNameTheRealOwner(t *testing.T) {
	commands := func(s exposure.Socket) string {
		var out []string
		for _, f := range Judge(hostWith(s)).Findings {
			for _, x := range f.Fix {
				out = append(out, x.What+" | "+x.Command)
			}
		}
		return strings.Join(out, "\n")
	}
	redis := commands(listener(6379, "redis-server"))
	if !strings.Contains(redis, "bind 127.0.0.1") || !strings.Contains(redis, "systemctl disable --now redis-server.service") {
		t.Errorf("redis:\n%s", redis)
	}
	stray := listener(6379, "python3")
	stray.Unit = ""
	if got := commands(stray); strings.Contains(got, "redis") || !strings.Contains(got, "kill 10") {
		t.Errorf("a python3 on redis' port is no redis-server:\n%s", got)
	}
	held := listener(6379, "docker-proxy")
	held.Unit, held.Container = "docker.service", &exposure.Container{ID: "c0ffee", Name: "cache; rm -rf /", Runtime: "docker"}
	if got := commands(held); !strings.Contains(got, "docker stop 'cache; rm -rf /'") || strings.Contains(got, "disable --now docker") {
		t.Errorf("container:\n%s", got)
	}
	activated := listener(6379, "systemd")
	activated.Unit, activated.ActivatedBy = "redis.service", "redis.socket"
	if got := commands(activated); !strings.Contains(got, "redis.socket") {
		t.Errorf("the socket unit must be stopped too:\n%s", got)
	}
}

// What is due says which entry it is: its line, its role, its reason, its day.
func TestExpiredEntryNamesItself(t *testing.T) {
	in := hostWith(listener(6379, "redis-server"))
	in.Policy = mustPolicy(t, "version: 1\nroles:\n  - name: cache\n    hosts: [\"*\"]\n    expect:\n      - {port: 6379, reason: the move to valkey, expires: 2026-11-20}\n").For("x", nil)
	f := findingOf(t, Judge(in), "expired-entry")
	said := f.Title + " " + strings.Join(f.Because, " ")
	for _, want := range []string{"6379/tcp", "line 6", "role cache", "the move to valkey", "2026-11-20"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said: %s", want, said)
		}
	}
	f = findingOf(t, Judge(in), "not-in-policy")
	if !strings.Contains(strings.Join(f.Because, " "), "the move to valkey") {
		t.Errorf("the reason is not said: %v", f.Because)
	}
}
