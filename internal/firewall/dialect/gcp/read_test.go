package gcp

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// naive is a rule of the API, evaluated by its documentation.
type naive struct {
	Allowed, Denied                 []naiveService
	Direction, Name                 string
	Priority                        any // aerleon writes some as text
	SourceRanges, DestinationRanges []netip.Prefix
	SourceTags, TargetTags          []string
}

type naiveService struct {
	IPProtocol any // aerleon writes numbers as numbers
	Ports      []string
}

func (s naiveService) fits(p ruleset.Packet) bool {
	numbers := map[string]int{"tcp": 6, "udp": 17, "icmp": 1, "esp": 50, "ah": 51, "sctp": 132, "igmp": 2, "ipip": 4}
	name := fmt.Sprint(s.IPProtocol)
	n, err := strconv.Atoi(name)
	if err != nil {
		n = cmp.Or(numbers[name], -1)
	}
	switch {
	case name == "all":
		return true
	case n != int(p.Proto):
		return false
	case len(s.Ports) == 0:
		return true
	}
	return p.DstPort != nil && slices.ContainsFunc(s.Ports, func(r string) bool {
		lo, hi, ok := strings.Cut(r, "-")
		if !ok {
			hi = lo
		}
		a, _ := strconv.Atoi(lo)
		b, _ := strconv.Atoi(hi)
		return int(*p.DstPort) >= a && int(*p.DstPort) <= b
	})
}

func inAny(list []netip.Prefix, a netip.Addr) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(x netip.Prefix) bool { return x.Contains(a) })
}

// verdict: the lowest priority number wins, at one number denials do. A
// sender's tags are none.
func verdict(rules []naive, way string, p ruleset.Packet) (permit bool) {
	best, permit := 65536, way == "EGRESS"
	for _, r := range rules {
		if r.Direction != way || len(r.SourceTags) > 0 && len(r.SourceRanges) == 0 {
			continue
		}
		number := 1000
		if n, err := strconv.Atoi(fmt.Sprint(r.Priority)); err == nil {
			number = n
		}
		services := append(slices.Clone(r.Allowed), r.Denied...)
		if !inAny(r.SourceRanges, p.Src) || !inAny(r.DestinationRanges, p.Dst) || !slices.ContainsFunc(services, func(s naiveService) bool { return s.fits(p) }) {
			continue
		}
		if len(r.SourceRanges)+len(r.DestinationRanges) == 0 && !p.Src.Is4() {
			continue
		}
		if number < best || number == best && len(r.Denied) > 0 {
			best, permit = number, len(r.Denied) == 0
		}
	}
	return permit
}

// What aerleon writes, read twice: by the reader, and naively.
func TestAerleon(t *testing.T) {
	names, err := filepath.Glob("../../../../../shared/fixtures/rulesets/aerleon/tests/regression/gce/*.ref")
	if err != nil || len(names) < 40 {
		t.Fatal(err, len(names))
	}
	permitted, denied := 0, 0
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var rules []naive
		if err := json.NewDecoder(strings.NewReader(string(b))).Decode(&rules); err != nil {
			t.Fatal(name, err)
		}
		o := Options{TargetTags: []string{}, TargetAccounts: []string{}}
		tagged := false
		for _, r := range rules {
			o.TargetTags = append(o.TargetTags, r.TargetTags...)
			tagged = tagged || len(r.SourceTags) > 0
		}
		set, problems, err := Read(strings.NewReader(string(b)), o)
		if errors.Is(err, ErrFormat) && len(rules) == 0 {
			continue
		}
		if err != nil || len(problems) > 0 {
			t.Fatal(name, err, problems)
		}
		set.Prepare()
		rapid.Check(t, func(t *rapid.T) {
			p := drawPacket(t)
			for _, way := range []string{"INGRESS", "EGRESS"} {
				d, err := set.Query(p, "default "+strings.ToLower(way))
				if err != nil {
					d, err = set.Query(p, strings.ToLower(way))
				}
				if err != nil {
					t.Fatal(name, err)
				}
				want := verdict(rules, way, p)
				if tagged && d.Verdict == "unknown" && strings.Contains(d.Why, "the tag") {
					continue
				}
				if d.Verdict == "unknown" || (d.Verdict == "permit") != want {
					t.Fatalf("%s %s: %+v, want %v", filepath.Base(name), way, d, want)
				}
				permitted, denied = permitted+map[bool]int{true: 1}[want], denied+map[bool]int{false: 1}[want]
			}
		})
	}
	if permitted == 0 || denied == 0 {
		t.Error(permitted, denied)
	}
}

func drawPacket(t *rapid.T) ruleset.Packet {
	addrs := []string{"10.2.3.4", "10.2.3.5", "10.128.0.1", "192.0.2.1"}
	protos := []uint8{6, 17, 1, 50, 2}
	if rapid.Bool().Draw(t, "IPv6") {
		addrs, protos = []string{"2001:4860:8000::5", "2001:4860:8000::6", "2001:db8::1"}, []uint8{6, 17, 58, 50}
	}
	p := ruleset.Packet{Proto: rapid.SampledFrom(protos).Draw(t, "proto"), Src: netip.MustParseAddr(rapid.SampledFrom(addrs).Draw(t, "src")),
		Dst: netip.MustParseAddr(rapid.SampledFrom(addrs).Draw(t, "dst"))}
	switch p.Proto {
	case 6, 17:
		p.SrcPort, p.DstPort = new(uint16(40000)), new(rapid.SampledFrom([]uint16{22, 53, 80, 1024, 65535}).Draw(t, "port"))
	case 1, 58:
		p.ICMPType, p.ICMPCode = new(uint8(8)), new(uint8(0))
	}
	return p
}

func ask(t *testing.T, set *ruleset.RuleSet, chain, src string, port uint16) ruleset.Decision {
	t.Helper()
	d, err := set.Query(ruleset.Packet{Proto: 6, Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr("10.0.0.1"), SrcPort: new(uint16(40000)), DstPort: &port}, chain)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const tags = `[
 {"name":"a","network":"https://www.googleapis.com/compute/v1/projects/p/global/networks/vpc","direction":"INGRESS","priority":1000,"sourceRanges":["0.0.0.0/0"],"targetTags":["web"],"allowed":[{"IPProtocol":"tcp","ports":["443"]}]},
 {"name":"b","network":"x/vpc","direction":"INGRESS","priority":1000,"sourceRanges":["192.0.2.0/24"],"denied":[{"IPProtocol":"tcp","ports":["443"]}]},
 {"name":"c","network":"x/vpc","direction":"INGRESS","priority":900,"disabled":true,"sourceRanges":["0.0.0.0/0"],"allowed":[{"IPProtocol":"all"}]},
 {"name":"d","network":"x/vpc","direction":"INGRESS","sourceServiceAccounts":["db@p.iam"],"allowed":[{"IPProtocol":"tcp","ports":["5432"]}]}
]`

func TestTargetsAndPriorities(t *testing.T) {
	for _, c := range []struct {
		o    Options
		src  string
		port uint16
		want string
	}{
		{Options{}, "198.51.100.1", 443, "unknown"},
		{Options{TargetTags: []string{"web"}}, "198.51.100.1", 443, "permit"},
		{Options{TargetTags: []string{"db"}}, "198.51.100.1", 443, "deny"},
		{Options{TargetTags: []string{"web"}}, "192.0.2.1", 443, "deny"}, // denial first at one priority
		{Options{}, "198.51.100.1", 22, "deny"},                          // the rule for all is disabled
		{Options{}, "198.51.100.1", 5432, "unknown"},
	} {
		set, problems, err := Read(strings.NewReader(tags), c.o)
		if err != nil || len(problems) > 0 {
			t.Fatal(err, problems)
		}
		set.Prepare()
		if d := ask(t, set, "vpc ingress", c.src, c.port); d.Verdict != c.want {
			t.Errorf("%+v: %+v", c, d)
		}
	}
	set, _, err := Read(strings.NewReader(tags+`[{"networkInterfaces":[{"networkIP":"10.0.0.9"}],"machineType":"x","serviceAccounts":[{"email":"db@p.iam"}]}]`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	set.Prepare()
	for src, want := range map[string]string{"10.0.0.9": "permit", "10.0.0.8": "deny"} {
		if d := ask(t, set, "vpc ingress", src, 5432); d.Verdict != want {
			t.Errorf("%s: %+v", src, d)
		}
	}
}

const policyText = `{"name":"1234","shortName":"edge","type":"NETWORK","rules":[
 {"priority":30,"direction":"INGRESS","action":"deny","match":{"srcIpRanges":["0.0.0.0/0"],"layer4Configs":[{"ipProtocol":"all"}]}},
 {"priority":10,"direction":"INGRESS","action":"allow","match":{"srcIpRanges":["192.0.2.0/24"],"layer4Configs":[{"ipProtocol":"tcp","ports":["22"]}]}},
 {"priority":20,"direction":"INGRESS","action":"goto_next","match":{"srcIpRanges":["198.51.100.0/24"],"layer4Configs":[{"ipProtocol":"all"}]}},
 {"priority":25,"direction":"INGRESS","action":"allow","match":{"srcFqdns":["example.org"],"layer4Configs":[{"ipProtocol":"tcp","ports":["80"]}]}}]}`

func TestPolicy(t *testing.T) {
	set, problems, err := Read(strings.NewReader(policyText), Options{})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	set.Prepare()
	for _, c := range []struct {
		src  string
		port uint16
		want string
	}{{"192.0.2.1", 22, "permit"}, {"192.0.2.1", 23, "deny"}, {"198.51.100.1", 22, "unknown"}, {"203.0.113.1", 80, "unknown"}, {"203.0.113.1", 81, "deny"}} {
		if d := ask(t, set, "policy edge ingress", c.src, c.port); d.Verdict != c.want {
			t.Errorf("%+v: %+v", c, d)
		}
	}
	// Where the network's rules are known, goto_next leads to them.
	set, _, err = Read(strings.NewReader(`{"firewallPolicys":[`+policyText+`],"firewalls":`+tags+`,"networkFirewallPolicyEnforcementOrder":"BEFORE_CLASSIC_FIREWALL"}`), Options{TargetTags: []string{"web"}})
	if err != nil {
		t.Fatal(err)
	}
	set.Prepare()
	for port, want := range map[uint16]string{443: "permit", 22: "deny"} {
		if d := ask(t, set, "effective ingress", "198.51.100.1", port); d.Verdict != want {
			t.Errorf("port %d: %+v", port, d)
		}
	}
}

func TestYAML(t *testing.T) {
	set, problems, err := Read(strings.NewReader("---\nallowed:\n- IPProtocol: tcp\n  ports:\n  - '22'\ndirection: INGRESS\nname: ssh\nnetwork: x/default\nsourceRanges:\n- 192.0.2.0/24\n"), Options{})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	set.Prepare()
	if d := ask(t, set, "default ingress", "192.0.2.1", 22); d.Verdict != "permit" || d.Line != 2 {
		t.Errorf("%+v", d)
	}
}

func TestDamage(t *testing.T) {
	for _, text := range []string{"", "{}", "[]", "a: b", `{"items":[]}`} {
		if _, _, err := Read(strings.NewReader(text), Options{}); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", text, err)
		}
	}
	set, problems, err := Read(strings.NewReader(`[{"name":"x","direction":"UP","allowed":[{"IPProtocol":"tcp"}]},{"name":"y","sourceRanges":["x"],"allowed":[{"IPProtocol":"icmp","ports":["1"]}]}]`), Options{})
	if err != nil || len(problems) != 3 {
		t.Fatal(err, problems)
	}
	set.Prepare()
	if d := ask(t, set, "default ingress", "192.0.2.1", 22); d.Verdict != "unknown" {
		t.Errorf("%+v", d)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(tags))
	f.Add([]byte(policyText))
	f.Add([]byte(`{"firewallPolicys":[{"rules":[{}]}],"firewalls":[{"denied":[{"IPProtocol":"all","ports":["1"]}],"allowed":[{}]}]}`))
	f.Add([]byte("- allowed:\n  - IPProtocol: &a tcp\n- match: *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if set, _, _ := Read(strings.NewReader(string(data)), Options{}); set != nil {
			set.Prepare()
		}
	})
}
