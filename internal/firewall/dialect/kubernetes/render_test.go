package kubernetes

import (
	"bytes"
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

// leftOut are the rules that a policy has no words for; see the notes.
func leftOut(r *rulefile.Resolved) bool {
	return r.Action == rulefile.Permit && (r.In != "" || r.FromPorts != nil)
}

// podAsk asks about a pod with the destination's address: it has the labels of
// all the policies that name the address, which the notes say.
func podAsk(t *rapid.T, set *ruleset.RuleSet, notes []string, p rulefile.Packet) bool {
	labels := map[string]string{}
	for _, n := range notes {
		rest, ok := strings.CutPrefix(n, "label the pods with the addresses ")
		if list, label, ok2 := strings.Cut(rest, ": "+LabelKey); ok && ok2 {
			labels[LabelKey+label] = list
		}
	}
	for _, ch := range set.Chains {
		name, isIngress := strings.CutSuffix(ch.Name, " ingress")
		name = strings.TrimPrefix(name, "default/")
		list, named := labels[name]
		if !isIngress || named && !slices.ContainsFunc(strings.Split(list, ", "), func(s string) bool { return netip.MustParsePrefix(s).Contains(p.Dst) }) {
			continue
		}
		d, err := set.Query(permitstest.Query(p), ch.Title)
		if err != nil {
			t.Fatal(err)
		}
		if d.Verdict == ruleset.PermitPacket {
			return true
		}
	}
	return false
}

// What is written is read back with the meaning of the file, for the
// protocols that a policy knows.
func TestRenderReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := permitstest.File(t)
		var b bytes.Buffer
		notes, err := Render(&b, f, RenderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		text := b.String()
		set, problems, err := Read(&b, Options{})
		if err != nil || len(problems) > 0 {
			t.Fatalf("%v %v\n%s", err, problems, text)
		}
		set.Prepare()
		for range 10 {
			p := permitstest.Packet(t)
			if p.Proto != 6 && p.Proto != 17 && p.Proto != 132 {
				continue
			}
			want, err := permitstest.Verdict(f, p, leftOut)
			if err != nil {
				t.Fatal(err)
			}
			if got := podAsk(t, set, notes, p); got != want {
				t.Fatalf("%v, the file says %v: %s\n%s", got, want, permitstest.Show(p), text)
			}
		}
	})
}

// Other protocols are never opened by what is written for one, and are named
// when they are left out.
func TestRenderOtherProtocols(t *testing.T) {
	f := &rulefile.File{Rules: []rulefile.Rule{{Name: "ping", Action: "permit", Proto: "icmp", Types: []string{"8"}}, {Name: "gre", Action: "permit", Proto: "47"}}}
	var b bytes.Buffer
	notes, err := Render(&b, f, RenderOptions{PodSelector: map[string]string{"app": "web\n  x: y"}})
	if err != nil || len(notes) != 2 || !strings.Contains(notes[0], "ping") || !strings.Contains(notes[1], "gre") {
		t.Fatal(err, notes)
	}
	if !strings.Contains(b.String(), "# left out: rule 1 (ping)") || !strings.Contains(b.String(), "ingress: []") && strings.Contains(b.String(), "- {}") {
		t.Error(b.String())
	}
	set, _, err := Read(&b, Options{})
	if err != nil || set.Chains[0].Policy != ruleset.Drop || len(set.Chains[0].Rules) != 0 {
		t.Fatal(err)
	}
}

func TestRenderSeveralDestinations(t *testing.T) {
	f := &rulefile.File{Rules: []rulefile.Rule{
		{Action: "permit", Proto: "tcp", To: []string{"192.0.2.1"}, Ports: []string{"80"}},
		{Action: "permit", Proto: "tcp", To: []string{"192.0.2.2"}, Ports: []string{"81"}},
	}}
	if _, err := Render(&bytes.Buffer{}, f, RenderOptions{PodSelector: map[string]string{}}); !errors.Is(err, ErrSeveral) {
		t.Error(err)
	}
}
