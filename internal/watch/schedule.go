package watch

import (
	"fmt"
	"strings"
	"time"
)

// Times say when something is due: each Every, or each day At (seconds since
// midnight of Zone). Both zero: never.
type Times struct {
	Every time.Duration
	At    time.Duration
	Daily bool
	Zone  *time.Location // nil: UTC
}

// Next is the first moment after t.
func (w Times) Next(t time.Time) time.Time {
	switch {
	case w.Daily:
		return nextDaily(t, w.At, w.zone())
	case w.Every > 0:
		return t.Add(w.Every)
	}
	return time.Time{}
}

func (w Times) zone() *time.Location {
	if w.Zone == nil {
		return time.UTC
	}
	return w.Zone
}

// nextDaily: a wall-clock time that a change of the clock skips is taken at
// the time that time.Date gives it; one that comes twice, once.
func nextDaily(t time.Time, at time.Duration, zone *time.Location) time.Time {
	for day := 0; ; day++ {
		next := onDay(t.In(zone), day, at)
		if next.After(t) {
			return next
		}
	}
}

func onDay(t time.Time, days int, at time.Duration) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d+days, int(at/time.Hour), int(at/time.Minute)%60, 0, 0, t.Location())
}

// clockTime reads 03:30.
func clockTime(text string) (time.Duration, error) {
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, fmt.Errorf("%q is no time of day (write it as \"03:30\")", text)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// weekday reads mon … sun, or the whole name.
func weekday(text string) (time.Weekday, error) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		name := strings.ToLower(d.String())
		if t := strings.ToLower(text); t == name || t == name[:3] {
			return d, nil
		}
	}
	return 0, fmt.Errorf("%q is no day (mon, tue, wed, thu, fri, sat, sun)", text)
}
