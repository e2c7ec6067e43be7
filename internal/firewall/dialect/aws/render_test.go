package aws

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/firewall/dialect/permits/permitstest"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// groupAsk asks the groups that are attached to a destination: one of them
// has to permit.
func groupAsk(t *rapid.T, set *ruleset.RuleSet, descriptions map[string]string, p rulefile.Packet) bool {
	for _, ch := range set.Chains {
		name, isIngress := strings.CutSuffix(ch.Name, " ingress")
		if !isIngress || !attached(descriptions, name, p.Dst) {
			continue
		}
		d, err := set.Query(permitstest.Query(p), ch.Title)
		if err != nil {
			t.Fatal(err)
		}
		if d.Verdict == ruleset.UnknownPacket {
			t.Fatalf("unknown: %+v", d)
		}
		if d.Verdict == ruleset.PermitPacket {
			return true
		}
	}
	return false
}

// attached reads for which addresses a group is.
func attached(descriptions map[string]string, group string, a netip.Addr) bool {
	words, ok := descriptions[group]
	if !ok || words == "any" {
		return true
	}
	return slices.ContainsFunc(strings.Split(words, ", "), func(s string) bool { return netip.MustParsePrefix(s).Contains(a) })
}

// leftOut are the rules that a group has no words for; see the notes.
func leftOut(r *rulefile.Resolved) bool {
	return r.Action == rulefile.Permit && (r.In != "" || r.FromPorts != nil)
}

// What is written is read back with the meaning of the file.
func TestRenderReadsBack(t *testing.T) {
	for _, terraform := range []bool{false, true} {
		rapid.Check(t, func(t *rapid.T) {
			f := permitstest.File(t)
			var b bytes.Buffer
			notes, err := Render(&b, f, RenderOptions{Terraform: terraform})
			if err != nil {
				t.Fatal(err)
			}
			if !json.Valid(b.Bytes()) {
				t.Fatalf("no JSON: %s", b.Bytes())
			}
			text := b.String()
			set, problems, err := Read(&b, Options{})
			if err != nil || len(problems) > 0 {
				t.Fatalf("%v %v", err, problems)
			}
			set.Prepare()
			where := destinations(set, notes)
			sctp := slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "protocol 132") })
			for range 10 {
				p := permitstest.Packet(t)
				if p.Proto == 132 && sctp {
					continue // left out, as the note says
				}
				want, err := permitstest.Verdict(f, p, leftOut)
				if err != nil {
					t.Fatal(err)
				}
				if got := groupAsk(t, set, where, p); got != want {
					t.Fatalf("%v, the file says %v: %s\n%s\n%q", got, want, permitstest.Show(p), text, notes)
				}
			}
		})
	}
}

// destinations reads the notes that say to what a group is attached, by the
// chains' names or titles.
func destinations(set *ruleset.RuleSet, notes []string) map[string]string {
	out := map[string]string{}
	for _, n := range notes {
		rest, ok := strings.CutPrefix(n, "attach the group ")
		name, to, ok2 := strings.Cut(rest, " to ")
		if !ok || !ok2 {
			continue
		}
		for _, ch := range set.Chains {
			if strings.HasPrefix(ch.Name, name+" ") || strings.Contains(ch.Title, "("+name+")") {
				out[strings.TrimSuffix(ch.Name, " ingress")] = to
			}
		}
	}
	return out
}

func TestRenderOneGroupIsTheCommandsInput(t *testing.T) {
	f := &rulefile.File{Name: "web", Rules: []rulefile.Rule{
		{Name: "https", Action: "permit", Proto: "tcp", From: []string{"192.0.2.0/24"}, Ports: []string{"443"}},
		{Name: "ping", Action: "permit", Proto: "icmp", Types: []string{"8"}},
	}}
	var b bytes.Buffer
	notes, err := Render(&b, f, RenderOptions{GroupID: "sg-0123"})
	if err != nil || len(notes) > 0 {
		t.Fatal(err, notes)
	}
	const want = `{"GroupId":"sg-0123","IpPermissions":[` +
		`{"IpProtocol":"tcp","FromPort":443,"ToPort":443,"IpRanges":[{"CidrIp":"192.0.2.0/24","Description":"https"}]},` +
		`{"IpProtocol":"icmp","FromPort":8,"ToPort":-1,"IpRanges":[{"CidrIp":"0.0.0.0/0","Description":"ping"}]}]}`
	var got bytes.Buffer
	if err := json.Compact(&got, b.Bytes()); err != nil || strings.TrimSpace(got.String()) != want {
		t.Errorf("%v\n%s\n%s", err, got.String(), want)
	}
}

func TestRenderSeveralDestinations(t *testing.T) {
	f := &rulefile.File{Rules: []rulefile.Rule{
		{Action: "permit", Proto: "tcp", To: []string{"192.0.2.1"}, Ports: []string{"80"}},
		{Action: "permit", Proto: "tcp", To: []string{"192.0.2.2"}, Ports: []string{"81"}},
	}}
	if _, err := Render(&bytes.Buffer{}, f, RenderOptions{GroupID: "sg-1"}); !errors.Is(err, ErrSeveral) {
		t.Error(err)
	}
	notes, err := Render(&bytes.Buffer{}, f, RenderOptions{GroupID: "sg-1", For: []netip.Prefix{netip.MustParsePrefix("192.0.2.2/32")}})
	if err != nil || len(notes) > 0 {
		t.Error(err, notes)
	}
}
