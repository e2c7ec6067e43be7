package watch

import (
	"slices"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// badPorts judges every listener on the ports 4444 and 5555, and misses 80.
type badPorts struct{}

func (badPorts) Listener(s *exposure.Socket, _ time.Time) []exposure.Finding {
	if s.Port != 4444 && s.Port != 5555 {
		return nil
	}
	f := exposure.Finding{Rule: "bad", Severity: exposure.High, Endpoint: s.Endpoint().String()}
	if s.Port == 5555 {
		f.Severity = exposure.Low
	}
	f.ID = f.Rule + ":" + f.Endpoint
	return []exposure.Finding{f}
}

func (badPorts) Host(open []*exposure.Socket, _ time.Time) []exposure.Finding {
	if slices.ContainsFunc(open, func(s *exposure.Socket) bool { return s.Port == 80 }) {
		return nil
	}
	return []exposure.Finding{{ID: "missing-expected:tcp/0.0.0.0:80", Rule: "missing-expected", Severity: exposure.Medium, Endpoint: "tcp/0.0.0.0:80"}}
}

func judged() Options {
	return Options{Settle: DefaultSettle, Hold: DefaultHold, Missing: DefaultMissing, Clear: DefaultClear, Judge: badPorts{}}
}

// pages are the notices that carry a finding, as text.
func (h *host) pages() []string {
	out := []string{}
	for _, n := range h.e.Take().Notices {
		if n.Finding != nil {
			text := n.Finding.ID
			if n.Resolved {
				text += " over"
			}
			out = append(out, text)
		}
	}
	return out
}

func (h *host) expect(t *testing.T, what string, want ...string) {
	t.Helper()
	if got := h.pages(); !slices.Equal(got, append([]string{}, want...)) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

var (
	evil = listener("nc", 66, "0.0.0.0", 4444)
	web  = listener("web", 1, "0.0.0.0", 80)
)

const bad4444 = "bad:tcp/0.0.0.0:4444"

// A finding is told once after it held, and once when it was gone for long
// enough.
func TestHysteresis(t *testing.T) {
	h := newHost(judged())
	h.open(1, web)
	h.open(2, evil)
	h.wait(DefaultHold - time.Second)
	h.expect(t, "before it held")
	h.wait(2 * time.Second)
	h.expect(t, "after it held", bad4444)
	h.wait(time.Hour)
	h.expect(t, "while it stands")
	h.close(2, evil)
	h.wait(DefaultClear - time.Second)
	h.expect(t, "before it was gone for long")
	h.wait(5 * time.Second)
	h.expect(t, "after it was gone", bad4444+" over")
}

// What is gone before it held is never told, and what comes back before it was
// over is not told twice.
func TestShortFindingsAreNotTold(t *testing.T) {
	h := newHost(judged())
	h.open(1, web)
	for i := range uint64(5) {
		h.open(10+i, evil)
		h.wait(3 * time.Second)
		h.close(10+i, evil)
		h.wait(20 * time.Second)
	}
	h.expect(t, "five short ones")
	h.open(20, evil)
	h.wait(time.Minute)
	h.expect(t, "one that stays", bad4444)
	for i := range uint64(5) {
		h.close(20+i, evil)
		h.wait(10 * time.Second)
		h.open(21+i, evil)
		h.wait(time.Minute)
	}
	h.expect(t, "one that comes back")
}

// A restart pages nobody, and a service that stays away does.
func TestMissing(t *testing.T) {
	h := newHost(judged())
	h.open(1, web)
	h.wait(time.Hour)
	h.expect(t, "all is well")
	for i := range uint64(20) {
		h.close(1+i, web)
		h.wait(time.Duration(i) * time.Second)
		h.open(2+i, web)
		h.wait(5 * time.Minute)
	}
	h.expect(t, "restarts")
	h.close(21, web)
	h.wait(DefaultMissing + 10*time.Second)
	h.expect(t, "it stayed away", "missing-expected:tcp/0.0.0.0:80")
	h.open(30, web)
	h.wait(time.Minute)
	h.expect(t, "it is back", "missing-expected:tcp/0.0.0.0:80 over")
}

// What is below Notify is recorded and not sent.
func TestSilentFindings(t *testing.T) {
	h := newHost(judged())
	h.open(1, web)
	h.open(2, listener("nc", 6, "0.0.0.0", 5555))
	h.wait(time.Minute)
	out := h.e.Take()
	for _, n := range out.Notices {
		if n.Finding != nil {
			t.Errorf("sent: %s", n.Finding.ID)
		}
	}
	if len(out.Verdicts) != 1 || out.Verdicts[0].Resolved {
		t.Errorf("recorded: %+v", out.Verdicts)
	}
}

// In a window nothing is told; what still holds afterwards is.
func TestMaintenanceWindow(t *testing.T) {
	o := judged()
	until := begin.Add(time.Hour)
	o.Maintenance = func(at time.Time, _ *exposure.Socket) string {
		if at.Before(until) {
			return "backup"
		}
		return ""
	}
	h := newHost(o)
	h.open(1, web)
	h.open(2, evil)
	h.wait(30 * time.Minute)
	out := h.e.Take()
	if len(out.Verdicts) != 0 || len(out.Changes) != 2 || out.Changes[1].Maintenance != "backup" {
		t.Errorf("in the window: %+v", out)
	}
	h.wait(31 * time.Minute)
	h.expect(t, "after the window", bad4444)
}

// A window that is taken away while it is open holds nothing back any more.
func TestWindowTakenAway(t *testing.T) {
	o := judged()
	o.Maintenance = func(time.Time, *exposure.Socket) string { return "backup" }
	h := newHost(o)
	h.open(1, web)
	h.open(2, evil)
	h.wait(30 * time.Minute)
	h.expect(t, "in the window")
	h.e.Set(judged(), h.now)
	h.wait(time.Second)
	h.expect(t, "without it", bad4444)
}

// A start after kill -9 tells nothing anew, and tells what is over meanwhile.
func TestResume(t *testing.T) {
	h := newHost(judged())
	other := listener("nc", 66, "127.0.0.1", 4444)
	h.open(1, web)
	h.open(2, evil)
	h.open(3, other)
	h.wait(time.Minute)
	var memory []Remembered
	for _, v := range h.e.Take().Verdicts {
		memory = append(memory, Remember(&v))
	}
	again := newHost(judged())
	again.now = h.now.Add(time.Minute)
	again.e.Resume(memory)
	again.e.Start([]exposure.Socket{web, evil}, again.now)
	again.wait(time.Hour)
	again.expect(t, "after the start", "bad:tcp/127.0.0.1:4444 over")
	again.close(2, evil)
	again.wait(time.Hour)
	again.expect(t, "later", bad4444+" over")
}

// The same finding of an audit and of the watch itself is told once; what an
// audit does not find again is over.
func TestFoundByAnAudit(t *testing.T) {
	o := judged()
	o.Self = "1"
	h := newHost(o)
	h.open(1, web)
	h.open(2, evil)
	h.wait(time.Minute)
	h.expect(t, "by the watch", bad4444)
	same := exposure.Finding{ID: bad4444, Rule: "bad", Severity: exposure.High, Endpoint: "tcp/0.0.0.0:4444"}
	more := exposure.Finding{ID: "stale-permit:tcp/0.0.0.0:99", Rule: "stale-permit", Severity: exposure.Medium, Endpoint: "tcp/0.0.0.0:99"}
	h.e.Found("audit", []exposure.Finding{same, more}, h.now)
	h.wait(time.Minute)
	h.expect(t, "by the audit", more.ID)
	h.e.Found("audit", []exposure.Finding{same, more}, h.now)
	h.wait(time.Minute)
	h.expect(t, "again")
	h.e.Found("audit", []exposure.Finding{same}, h.now)
	h.wait(time.Minute)
	h.expect(t, "gone", more.ID+" over")
}

// A flapping endpoint gives a few notices, with all changes counted in them,
// and pages nobody.
func TestFlapping(t *testing.T) {
	h := newHost(judged())
	h.open(1, web)
	h.wait(time.Minute)
	h.e.Take()
	const rounds = 500
	for i := range uint64(rounds) {
		h.open(100+i, evil)
		h.wait(100 * time.Millisecond)
		h.close(100+i, evil)
		h.wait(900 * time.Millisecond)
	}
	h.wait(2 * time.Hour)
	out := h.e.Take()
	if len(out.Changes) != 2*rounds {
		t.Errorf("%d changes, want %d", len(out.Changes), 2*rounds)
	}
	plain, counted := 0, 0
	for _, n := range out.Notices {
		switch {
		case n.Finding != nil:
			t.Errorf("paged for %s", n.Finding.ID)
		case n.Repeats == 0:
			plain++
		case counted == 0:
			counted = n.Repeats - plain // the first count has those that were sent
		default:
			counted += n.Repeats
		}
	}
	if plain+counted != 2*rounds || len(out.Notices) > 15 {
		t.Errorf("%d notices say %d changes, want few that say %d", len(out.Notices), plain+counted, 2*rounds)
	}
}
