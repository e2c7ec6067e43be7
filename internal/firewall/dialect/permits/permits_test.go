package permits_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/firewall/dialect/permits"
	"github.com/portreeve/portreeve/internal/firewall/dialect/permits/permitstest"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

func has(r *permits.Region, p rulefile.Packet) bool {
	values := [...]ruleset.Value{permits.Proto: ruleset.Number(uint64(p.Proto)), permits.From: ruleset.Address(p.Src), permits.To: ruleset.Address(p.Dst),
		permits.FromPorts: ruleset.Number(uint64(p.SrcPort)), permits.Ports: ruleset.Number(uint64(p.DstPort)), permits.Types: ruleset.Number(uint64(p.Type)<<8 | uint64(p.Code))}
	for d, v := range values {
		if !r.Sets[d].Has(v) {
			return false
		}
	}
	return true
}

func anyHas(list []permits.Region, p rulefile.Packet) bool {
	for i := range list {
		if has(&list[i], p) {
			return true
		}
	}
	return false
}

// The regions say without an order what the rules say in theirs.
func TestRegionsAreTheFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := permitstest.File(t)
		policy, err := permits.Of(f, permits.Able{FromPorts: true, Denials: true})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			p := permitstest.Packet(t)
			want, err := permitstest.Verdict(f, p, func(r *rulefile.Resolved) bool { return r.In != "" && r.Action == rulefile.Permit })
			if err != nil {
				t.Fatal(err)
			}
			if got := anyHas(policy.Permits, p); got != want {
				t.Fatalf("permit %v, the rules say %v: %s", got, want, permitstest.Show(p))
			}
			if anyHas(policy.Denials, p) && want {
				t.Fatalf("denied and permitted: %s", permitstest.Show(p))
			}
		}
	})
}

// Whatever cannot be said has a note with the rule's name, and opens nothing.
func TestWhatCannotBeSaidIsSaid(t *testing.T) {
	f := &rulefile.File{Rules: []rulefile.Rule{
		{Name: "by port", Action: "permit", Proto: "tcp", FromPorts: []string{"53"}},
		{Name: "by card", Action: "permit", Proto: "tcp", In: "eth0"},
		{Name: "no card", Action: "deny", Proto: "udp", Out: "eth1"},
		{Name: "ftp", Action: "permit", Proto: "tcp", Ports: []string{"21"}, Dynamic: "ftp"},
	}}
	policy, err := permits.Of(f, permits.Able{})
	if err != nil || len(policy.Permits) != 1 || len(policy.Notes) != 4 {
		t.Fatalf("%v %+v", err, policy)
	}
	for i, name := range []string{"by port", "by card", "no card", "ftp"} {
		if !strings.Contains(policy.Notes[i], name) {
			t.Errorf("note %q does not name %q", policy.Notes[i], name)
		}
	}
}

func TestForKeepsWhatGoesThere(t *testing.T) {
	f := &rulefile.File{Rules: []rulefile.Rule{
		{Action: "permit", Proto: "tcp", To: []string{"192.0.2.0/24"}, Ports: []string{"80"}},
		{Action: "permit", Proto: "tcp", To: []string{"198.51.100.0/24"}, Ports: []string{"81"}},
	}}
	policy, err := permits.Of(f, permits.Able{For: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}})
	if err != nil || len(policy.Permits) != 1 || !policy.Permits[0].Any(permits.To) {
		t.Fatalf("%v %+v", err, policy)
	}
}

// Denials that cut permits into ever more parts end with an error, soon.
func TestTooManyParts(t *testing.T) {
	f := &rulefile.File{}
	for i := range 400 {
		f.Rules = append(f.Rules, rulefile.Rule{Action: "deny", Proto: "tcp", From: []string{fmt.Sprintf("10.0.%d.%d-10.1.%d.%d", i%256, i%256, i%256, i%250)},
			To: []string{fmt.Sprintf("10.2.%d.%d-10.3.%d.%d", i*7%256, i%9, i*3%256, i%256)}, Ports: []string{fmt.Sprintf("%d-%d", i*13%1000, 1000+i*17%60000)}})
	}
	f.Rules = append(f.Rules, rulefile.Rule{Action: "permit", Proto: "any"})
	if _, err := permits.Of(f, permits.Able{}); err != nil && !errors.Is(err, permits.ErrTooMany) {
		t.Fatal(err)
	}
}
