package connect

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The deadlines give the earliest first, as sorting does, whatever was dropped
// in between.
func TestDeadlines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d deadlines
		var twin []*probe
		for _, ms := range rapid.SliceOfN(rapid.IntRange(0, 50), 0, 40).Draw(t, "deadlines") {
			s := &probe{place: idle, deadline: time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond)}
			d.add(s)
			twin = append(twin, s)
			if rapid.Bool().Draw(t, "drop") {
				i := rapid.IntRange(0, len(twin)-1).Draw(t, "which")
				d.drop(twin[i])
				d.drop(twin[i]) // twice does nothing
				twin = slices.Delete(twin, i, i+1)
			}
		}
		now := time.Unix(0, 0).Add(30 * time.Millisecond)
		due := slices.DeleteFunc(slices.Clone(twin), func(s *probe) bool { return s.deadline.After(now) })
		slices.SortFunc(due, func(a, b *probe) int { return a.deadline.Compare(b.deadline) })
		for _, want := range due {
			s := d.overdue(now)
			if s == nil || !s.deadline.Equal(want.deadline) {
				t.Fatalf("overdue %v, want %v", s, want.deadline)
			}
			d.drop(s)
		}
		if d.overdue(now) != nil || len(d) != len(twin)-len(due) {
			t.Fatalf("%d left", len(d))
		}
	})
}

// The kernel outlasts the wait: 2^(n+1)-1 seconds after n retransmissions.
func TestSynCount(t *testing.T) {
	for d, want := range map[time.Duration]int{
		100 * time.Millisecond: 1, 2 * time.Second: 1, 3 * time.Second: 2, 6 * time.Second: 2, 7 * time.Second: 3, time.Minute: 5,
	} {
		if got := synCount(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
}
