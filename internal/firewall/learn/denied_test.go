package learn

import (
	"errors"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// deny marks the last n flows as denied.
func (b *flows) deny(n int) *flows {
	for _, f := range b.list[len(b.list)-n:] {
		f.Action, f.Answered, f.PacketsToClient = "deny", exposure.FlowUnanswered, 0
	}
	return b
}

func TestProposalsAreOrderedByNeedAndLeaveScannersOut(t *testing.T) {
	b := from(monday)
	for d := range 3 {
		b.now = monday.AddDate(0, 0, d)
		b.add(exposure.TCP, "10.1.1.5", "10.2.2.2", 1433, 4).deny(4)
		b.add(exposure.TCP, "203.0.113.9", "10.2.2.2", 25, 4).deny(4)
	}
	b.add(exposure.TCP, "10.1.1.7", "10.2.2.4", 8080, 50).deny(50)
	for i := range 40 { // a scanner inside, and the internet's background
		b.add(exposure.TCP, "10.1.1.66", "10.2.2.2", uint16(100+i), 1).deny(1)
		b.add(exposure.TCP, "198.51.100.7", "10.2.2.2", 23, 1).deny(1)
	}
	props, report, err := Proposals(seq(b.list), nil, Defaults())
	if err != nil || len(report.Scanners) != 1 {
		t.Fatalf("%v %+v", err, report)
	}
	var got []string
	for _, p := range props {
		got = append(got, p.Rule.String())
	}
	want := []string{
		"ask tcp from 10.1.1.5 to 10.2.2.2 port 1433",
		"ask tcp from 10.1.1.7 to 10.2.2.4 port 8080",
		"ask tcp from 203.0.113.9 to 10.2.2.2 port 25",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	if p := props[0]; p.Denied != 12 || !p.Internal || props[2].Internal || p.Rule.Evidence.Denied != 12 {
		t.Errorf("%+v", props)
	}
}

// A proposal does nothing before a person's yes; what was decided is not asked
// again.
func TestApply(t *testing.T) {
	b := from(monday).add(exposure.TCP, "10.1.1.5", "10.2.2.2", 1433, 9).deny(9).
		add(exposure.TCP, "10.1.1.6", "10.2.2.3", 22, 6).deny(6).add(exposure.TCP, "10.1.1.7", "10.2.2.4", 80, 4).deny(4)
	props, _, err := Proposals(seq(b.list), nil, Defaults())
	if err != nil || len(props) != 3 {
		t.Fatalf("%v %+v", err, props)
	}
	old := &rulefile.File{Schema: rulefile.Schema, Rules: []rulefile.Rule{{Action: "deny", Proto: "tcp", To: []string{"10.0.0.0/8"}, Ports: []string{"1-99"}}}}
	edited := props[1].Rule
	edited.From = []string{"10.1.1.0/24"}
	f, err := Apply(old, props, []Decision{{Answer: Yes}, {Answer: Yes, Edited: &edited}, {Answer: Later}})
	if err != nil {
		t.Fatal(err)
	}
	want := "permit tcp from 10.1.1.5 to 10.2.2.2 port 1433\npermit tcp from 10.1.1.0/24 to 10.2.2.3 port 22\n" +
		"deny tcp to 10.0.0.0/8 port 1-99\nask tcp from 10.1.1.7 to 10.2.2.4 port 80\n"
	if rules(f) != want || len(old.Rules) != 1 {
		t.Errorf("%s", rules(f))
	}
	if r := replay(t, f, b.list); r.Permitted != 15 {
		t.Errorf("%+v", r)
	}
	f, err = Apply(nil, props, []Decision{{Answer: No}, {Answer: No}, {Answer: Later}})
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := Proposals(seq(b.list), f, Defaults())
	if err != nil || len(again) != 1 || again[0].Rule.Ports[0] != "80" {
		t.Errorf("%v %+v", err, again)
	}
	if _, err := Apply(nil, props, nil); !errors.Is(err, ErrDecisions) {
		t.Error(err)
	}
	bad := props[0].Rule
	bad.Proto = "tpc"
	if _, err := Apply(nil, props[:1], []Decision{{Answer: Yes, Edited: &bad}}); err == nil {
		t.Error("an unsound rule was taken")
	}
}

// Round by round: what was answered is not asked again, what was put off is
// asked once, a question is about one service.
func TestRepeatUntilQuiet(t *testing.T) {
	for _, tightness := range []float64{0, 0.5, 1} {
		o := Defaults()
		o.Tightness = tightness
		b := from(monday)
		for d := range 3 {
			b.now = monday.AddDate(0, 0, d)
			for _, port := range []uint16{1433, 8443, 9200} {
				b.add(exposure.TCP, "10.1.1.5", "10.2.2.2", port, 4).deny(4)
			}
		}
		var f *rulefile.File
		for round, answer := range []Answer{Later, Yes, Later, No, Yes} {
			props, _, err := Proposals(seq(b.list), f, o)
			if err != nil || len(props) != []int{3, 3, 2, 2, 1}[round] {
				t.Fatalf("tightness %v, round %d: %v, %d proposals", tightness, round, err, len(props))
			}
			decisions := make([]Decision, len(props))
			decisions[0].Answer = answer
			if f, err = Apply(f, props, decisions); err != nil || len(f.Rules) != 3 {
				t.Fatalf("tightness %v, round %d: %v\n%s", tightness, round, err, rules(f))
			}
			for _, r := range f.Rules {
				if len(r.Ports) != 1 {
					t.Errorf("%s", r.String())
				}
			}
			// The next log has a little more of the same.
			b.now = monday.AddDate(0, 0, 3+round)
			b.add(exposure.TCP, "10.1.1.5", "10.2.2.2", 9200, 1).deny(1)
		}
		if props, _, err := Proposals(seq(b.list), f, o); err != nil || len(props) != 0 {
			t.Errorf("not quiet: %v %+v", err, props)
		}
	}
}

func TestSampledLogIsSaid(t *testing.T) {
	b := from(monday).add(exposure.TCP, "10.1.1.5", "10.2.2.2", 1433, 4).deny(4)
	o := Defaults()
	o.Sampled = true
	props, _, err := Proposals(seq(b.list), nil, o)
	if err != nil || len(props) != 1 || !strings.Contains(props[0].Rule.Evidence.Why, "sample") {
		t.Errorf("%v %+v", err, props)
	}
}

// Denials in the log never teach a permit.
func TestDenialsAreNoEvidence(t *testing.T) {
	b := from(monday).add(exposure.TCP, "10.1.1.5", "10.2.2.2", 443, 9).add(exposure.TCP, "10.1.1.5", "10.2.2.2", 22, 500).deny(500)
	if got := learned(t, b, Defaults()); got != "permit tcp from 10.1.1.5 to 10.2.2.2 port 443\n" {
		t.Errorf("%s", got)
	}
}

func TestSurplusIsMeasured(t *testing.T) {
	b := from(monday).add(exposure.TCP, "10.1.1.5", "10.2.2.2", 443, 9).add(exposure.TCP, "10.1.1.6", "10.2.2.2", 443, 9)
	f := &rulefile.File{Rules: []rulefile.Rule{
		{Action: "permit", Proto: "tcp", From: []string{"10.1.1.4/30"}, To: []string{"10.2.2.2"}, Ports: []string{"443", "440-449"}},
		{Action: "permit", Proto: "icmp", Types: []string{"8"}, From: []string{"10.1.1.5"}, To: []string{"10.2.2.0/24"}},
	}}
	got, err := Surplus(f, seq(b.list))
	if err != nil || len(got) != 2 {
		t.Fatal(err, got)
	}
	if got[0].Index != 1 || got[0].Surplus() != 256 || got[1].Surplus() != 38 || got[1].SeenClients != 2 || got[1].Ports != 10 {
		t.Errorf("%+v", got)
	}
}

// Who began a connection that was there before is not known.
func TestConnectionUnderwayPassesEitherWay(t *testing.T) {
	f := &rulefile.File{Rules: []rulefile.Rule{{Action: "permit", Proto: "tcp", To: []string{"10.2.2.2"}, Ports: []string{"524"}}}}
	b := from(monday).add(exposure.TCP, "10.2.2.2", "10.1.1.5", 1034, 1)
	b.last().ClientPort = 524
	for state, want := range map[string]uint64{"OTH": 1, "SF": 0, "": 0} {
		b.last().State = state
		if r := replay(t, f, b.list); r.EstablishedPermitted != want {
			t.Errorf("%q: %+v", state, r)
		}
	}
	b.last().State, b.last().Answered = "OTH", exposure.FlowUnanswered
	if r := replay(t, f, b.list); r.AttemptsPermitted != 0 {
		t.Errorf("an attempt: %+v", r)
	}
}

func TestCheckTellsNeedsFromAttempts(t *testing.T) {
	b := from(monday).add(exposure.TCP, "10.1.1.5", "10.2.2.2", 443, 2).add(exposure.TCP, "10.1.1.6", "10.2.2.2", 80, 3).failing("10.1.1.5", "10.2.2.2", 443, 4)
	b.list = append(b.list, &exposure.Flow{Proto: "tcp"})
	f := &rulefile.File{Rules: []rulefile.Rule{{Name: "web", Action: "permit", Proto: "tcp", Ports: []string{"443"}}}}
	r := replay(t, f, b.list)
	if r.Flows != 10 || r.Permitted != 6 || r.Denied != 3 || r.Unknown != 1 || r.Established != 6 || r.EstablishedPermitted != 2 || r.AttemptsPermitted != 4 {
		t.Errorf("%+v", r)
	}
	if len(r.Examples) != 4 || r.Examples[0].Flow.ServerPort != 80 {
		t.Errorf("%+v", r.Examples)
	}
	f.Rules[0].In = "eth0"
	if r := replay(t, f, b.list); r.Unknown != 7 {
		t.Errorf("%+v", r)
	}
}
