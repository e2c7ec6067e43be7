package connect

import (
	"container/heap"
	"time"
)

// deadlines are the pending probes, the first to time out first.
type deadlines []*probe

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].deadline.Before(d[j].deadline) }
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}

// Push and Pop are heap's; add and drop are what callers use.
func (d *deadlines) Push(x any) {
	s := x.(*probe)
	s.place = len(*d)
	*d = append(*d, s)
}

func (d *deadlines) Pop() any {
	last := len(*d) - 1
	s := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	s.place = idle
	return s
}

func (d *deadlines) add(s *probe) { heap.Push(d, s) }

func (d *deadlines) drop(s *probe) {
	if s.place != idle {
		heap.Remove(d, s.place)
	}
}

// overdue gives the probe that has waited longest beyond its deadline, or nil.
func (d deadlines) overdue(now time.Time) *probe {
	if len(d) == 0 || d[0].deadline.After(now) {
		return nil
	}
	return d[0]
}
