package audit

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// minWindow is how long clients must have been watched before "only these
// came" weighs anything; shorter windows only inform.
const minWindow = 24 * time.Hour

// ruleBeyondNeed compares how wide a row is bound with who really came.
func ruleBeyondNeed(in *Input, r *row) {
	if !r.serves() || !r.reachable() || r.expected || in.Traffic == nil || len(in.Traffic.Doubts) > 0 {
		return
	}
	u := in.usageOf(r)
	if u == nil || u.Count == 0 || u.AtLeast || !onlyLocal(in, u) {
		return
	}
	sev := exposure.Info
	if in.Traffic.Window() >= minWindow {
		sev = exposure.Low
	}
	r.raise(exposure.Finding{Rule: "exposed-beyond-need", Severity: sev,
		Title: "bound wider than its clients: only this host itself used it",
		Because: []string{r.bound() + "; " + r.wallSays(),
			fmt.Sprintf("%d client addresses seen, all of this host: %s (%s)", u.Count, addrList(u.Clients, 3), windowText(in.Traffic))},
		SafeBecause: append([]string{"the time watched may miss clients that come rarely"}, in.Traffic.Cannot...),
	})
}

func onlyLocal(in *Input, u *exposure.Usage) bool {
	return len(u.Clients) == u.Count && !slices.ContainsFunc(u.Clients, notOwn(in))
}

// addrList names some addresses and counts the others.
func addrList(addrs []netip.Addr, most int) string {
	var out []string
	for _, a := range addrs[:min(most, len(addrs))] {
		out = append(out, a.String())
	}
	if more := len(addrs) - most; more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return strings.Join(out, ", ")
}

func windowText(t *exposure.Traffic) string {
	d := t.Window()
	if d <= 0 {
		return t.Source + " at one moment"
	}
	if d > time.Minute {
		d = d.Round(time.Second)
	}
	return fmt.Sprintf("%s over %s", t.Source, d.Round(time.Millisecond))
}

// unusedAfter is how long nobody must have come before a listener is called
// unused.
const unusedAfter = 30 * 24 * time.Hour

// ruleUnused raises listeners that nobody used in a long time watched: by this
// audit's own watching, or by the history's.
func ruleUnused(in *Input, r *row) {
	if r.sock == nil || r.loopbackOnly() {
		return
	}
	for _, t := range []*exposure.Traffic{in.Traffic, in.Past} {
		if t != nil && t.Window() >= unusedAfter && len(t.Doubts) == 0 && in.neverUsed(t, r) {
			r.unused(t)
			return
		}
	}
}

// neverUsed: nobody came in that time, nor in the time that this audit saw.
func (in *Input) neverUsed(t *exposure.Traffic, r *row) bool {
	if now := in.usageOf(r); now != nil && now.Count > 0 {
		return false
	}
	u := usageIn(t, r)
	return u != nil && u.Count == 0 && !u.AtLeast
}

func (r *row) unused(t *exposure.Traffic) {
	f := exposure.Finding{Rule: "unused-listener", Severity: exposure.Low,
		Title:       "nobody used it",
		Because:     []string{fmt.Sprintf("no client in %s", windowText(t)), r.bound()},
		SafeBecause: append([]string{"monthly or yearly jobs may need it"}, t.Cannot...),
	}
	if began := r.began(); began.After(t.From) {
		f.SafeBecause = append(f.SafeBecause, "its program began to run on "+began.UTC().Format(time.DateOnly)+"; what was before says little of it")
	}
	r.raise(f)
}

// began is when the oldest of the row's processes started; zero: not known.
func (r *row) began() time.Time {
	var first time.Time
	for _, p := range r.Processes {
		if !p.Started.IsZero() && (first.IsZero() || p.Started.Before(first)) {
			first = p.Started
		}
	}
	return first
}

// watch is what the report says of the traffic view.
func (in *Input) watch() *Watch {
	t := in.Traffic
	if t == nil {
		return nil
	}
	return &Watch{From: t.From, To: t.To, Seconds: t.Window().Seconds(), Source: t.Source, Packets: t.Packets, Dropped: t.Dropped,
		Grade: t.Grade, Doubts: notNil(t.Doubts), Cannot: notNil(t.Cannot)}
}

func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// aLook is shorter than any watch: a single look at the connection table, of
// which the reader need not be told.
const aLook = time.Second

// trafficNotes are what a reader must know of USED.
func trafficNotes(t *exposure.Traffic) []string {
	if t.Watched == 0 && t.Window() < aLook {
		return nil
	}
	out := []string{fmt.Sprintf("USED rests on %s, %s to %s", windowText(t), t.From.UTC().Format(time.DateTime), t.To.UTC().Format(time.DateTime))}
	for _, d := range t.Doubts {
		out = append(out, "USED does not show that nobody else came: "+d)
	}
	if len(t.Cannot) > 0 {
		out = append(out, "USED cannot know: "+strings.Join(t.Cannot, "; "))
	}
	return out
}
