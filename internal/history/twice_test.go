package history

import (
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// Two watches that write to one file tell a change once; what is another
// socket's, or another time's, is another change.
func TestTwoWatchesTellOneChange(t *testing.T) {
	at := noon
	change := func(kind drift.Kind, before, after *exposure.Socket, when time.Time) Event {
		ep := orElse(after, before).Endpoint()
		return Event{Change: drift.Change{Kind: kind, Endpoint: ep, Before: before, After: after, At: when}, Source: "bpf"}
	}
	one, other := listener("0.0.0.0", 80, 10, "/usr/sbin/nginx"), listener("0.0.0.0", 80, 11, "/usr/sbin/nginx")
	blind := one
	blind.Inodes = nil
	for _, c := range []struct {
		name   string
		events []Event
		want   int
		lives  int
	}{
		{"both see it open", []Event{change(drift.Opened, nil, &one, at), change(drift.Opened, nil, &one, at.Add(41*time.Microsecond))}, 1, 1},
		{"both see it close", []Event{change(drift.Opened, nil, &one, at), change(drift.Closed, &one, nil, at.Add(time.Minute)), change(drift.Closed, &one, nil, at.Add(time.Minute-41*time.Microsecond))}, 2, 1},
		{"an ending has no inodes", []Event{change(drift.Opened, nil, &one, at), change(drift.Closed, &blind, nil, at.Add(time.Minute)), change(drift.Closed, &blind, nil, at.Add(time.Minute+41*time.Microsecond))}, 2, 1},
		{"the second is late", []Event{change(drift.Opened, nil, &one, at), change(drift.Closed, &blind, nil, at.Add(time.Millisecond)), change(drift.Opened, nil, &other, at.Add(2*time.Millisecond)),
			change(drift.Closed, &blind, nil, at.Add(time.Millisecond+41*time.Microsecond)), change(drift.Closed, &blind, nil, at.Add(3*time.Millisecond))}, 4, 2},
		{"both see it replaced", []Event{change(drift.Opened, nil, &one, at), change(drift.Replaced, &one, &other, at.Add(time.Minute)), change(drift.Replaced, &one, &other, at.Add(time.Minute))}, 2, 2},
		{"twice within a second", []Event{change(drift.Opened, nil, &one, at), change(drift.Closed, &one, nil, at.Add(time.Millisecond)), change(drift.Opened, nil, &other, at.Add(2*time.Millisecond))}, 3, 2},
		{"long after", []Event{change(drift.Opened, nil, &one, at), change(drift.Closed, &one, nil, at.Add(time.Second)), change(drift.Opened, nil, &one, at.Add(time.Hour))}, 3, 2},
		{"no inode tells too little", []Event{change(drift.Opened, nil, &blind, at), change(drift.Closed, &blind, nil, at.Add(time.Millisecond)), change(drift.Opened, nil, &blind, at.Add(2*time.Millisecond))}, 3, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, Options{})
			for _, e := range c.events {
				if err := s.Record(t.Context(), []Event{e}); err != nil {
					t.Fatal(err)
				}
			}
			got, err := s.Events(t.Context(), at, -1)
			if err != nil || len(got) != c.want {
				t.Errorf("%d changes, want %d (%v)", len(got), c.want, err)
			}
			var lives int
			if err := s.db.QueryRow("SELECT count(*) FROM life").Scan(&lives); err != nil || lives != c.lives {
				t.Errorf("%d lives, want %d (%v)", lives, c.lives, err)
			}
		})
	}
}

func orElse(a, b *exposure.Socket) *exposure.Socket {
	if a != nil {
		return a
	}
	return b
}
