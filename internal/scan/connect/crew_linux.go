package connect

import (
	"runtime"
	"sync"
)

const (
	mostHands = 4  // goroutines that make calls at once
	handful   = 16 // probes that are worth handing to another
)

// crew makes the system calls of a batch on several threads at once. All else
// in a sweep is done by the goroutine that called it, which opens every socket
// too; a socket keeps its namespace wherever it is used.
type crew struct {
	lines []*line
	work  chan task
	done  sync.WaitGroup // the hands themselves
}

// task is a part of a batch for one hand.
type task struct {
	probes []*probe
	do     func(*line, *probe)
	ready  *sync.WaitGroup
}

func newCrew() *crew {
	return &crew{lines: []*line{new(line)}}
}

// each calls do for every probe and returns when all are done.
func (c *crew) each(probes []*probe, do func(*line, *probe)) {
	hands := min(runtime.GOMAXPROCS(0), mostHands, max(1, len(probes)/handful))
	c.hire(hands)
	var ready sync.WaitGroup
	size := (len(probes) + hands - 1) / hands
	for len(probes) > size {
		ready.Add(1)
		c.work <- task{probes[:size], do, &ready}
		probes = probes[size:]
	}
	for _, s := range probes {
		do(c.lines[0], s)
	}
	ready.Wait()
}

// hire starts what is missing of so many hands beside the caller.
func (c *crew) hire(hands int) {
	if hands > 1 && c.work == nil {
		c.work = make(chan task, mostHands)
	}
	for len(c.lines) < hands {
		l := new(line)
		c.lines = append(c.lines, l)
		c.done.Go(func() {
			for t := range c.work {
				for _, s := range t.probes {
					t.do(l, s)
				}
				t.ready.Done()
			}
		})
	}
}

func (c *crew) close() {
	if c.work != nil {
		close(c.work)
	}
	c.done.Wait()
}
