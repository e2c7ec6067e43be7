package watch

import (
	"path"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
)

// Window is a time in which nobody is paged: each of Days (none: every day)
// from At for For, or once from From to To.
type Window struct {
	Name     string
	Days     []time.Weekday
	At       time.Duration // since midnight of Zone
	For      time.Duration
	Zone     *time.Location // nil: UTC
	From, To time.Time
	// Ports and Units (globs) are what it is about; none of both: everything.
	Ports []policy.PortRange
	Units []string
}

// Open reports whether the window is open at t.
func (w *Window) Open(t time.Time) bool {
	if !w.To.IsZero() {
		return !t.Before(w.From) && t.Before(w.To)
	}
	zone := w.Zone
	if zone == nil {
		zone = time.UTC
	}
	back := int(w.For/(24*time.Hour)) + 1
	for days := -back; days <= 0; days++ {
		begin := onDay(t.In(zone), days, w.At)
		if len(w.Days) > 0 && !slices.Contains(w.Days, begin.Weekday()) {
			continue
		}
		if !t.Before(begin) && t.Before(begin.Add(w.For)) {
			return true
		}
	}
	return false
}

// Covers reports whether the window is about a socket; what is about no socket
// is covered by windows for everything only.
func (w *Window) Covers(s *exposure.Socket) bool {
	if len(w.Ports) == 0 && len(w.Units) == 0 {
		return true
	}
	if s == nil {
		return false
	}
	return slices.ContainsFunc(w.Ports, func(p policy.PortRange) bool { return p.Covers(s.Proto, s.Port) }) ||
		slices.ContainsFunc(w.Units, func(g string) bool { ok, _ := path.Match(g, s.Unit); return ok && s.Unit != "" })
}

// Maintained names the first window that is open for a socket; "" none.
func Maintained(windows []Window, at time.Time, s *exposure.Socket) string {
	for i := range windows {
		if w := &windows[i]; w.Open(at) && w.Covers(s) {
			return w.Name
		}
	}
	return ""
}
