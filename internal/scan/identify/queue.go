package identify

import (
	"sync"

	"github.com/portreeve/portreeve/internal/exposure"
)

// queue hands out endpoints, host after host in turn, so that no host has more
// than its share of connections and none waits behind another's silence. A
// slot is one connection to a host.
type queue struct {
	perHost int

	mu     sync.Mutex
	change *sync.Cond
	line   []*hostQueue // hosts with endpoints left and a slot free
	hosts  map[exposure.Address]*hostQueue
	left   int
	closed bool
}

type hostQueue struct {
	waiting []exposure.Endpoint
	slots   int  // taken
	own     bool // this machine's: no bound
	listed  bool // is in the line
}

// newQueue takes the TCP endpoints among eps.
func newQueue(eps []exposure.Endpoint, perHost int) *queue {
	q := &queue{perHost: perHost, hosts: map[exposure.Address]*hostQueue{}}
	q.change = sync.NewCond(&q.mu)
	for _, e := range eps {
		if e.Proto != exposure.TCP || !e.Addr.IP.IsValid() {
			continue
		}
		h := q.hosts[e.Addr]
		if h == nil {
			h = &hostQueue{}
			q.hosts[e.Addr] = h
		}
		h.waiting = append(h.waiting, e)
		q.list(h)
		q.left++
	}
	return q
}

// next waits for an endpoint whose host has a slot free, and takes both.
func (q *queue) next() (exposure.Endpoint, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.closed || q.left == 0 {
			return exposure.Endpoint{}, false
		}
		if e, ok := q.take(); ok {
			return e, true
		}
		q.change.Wait()
	}
}

// take pops the first host in line that still has a slot free: an extra one
// may have been taken since. Those without come back with release.
func (q *queue) take() (exposure.Endpoint, bool) {
	var h *hostQueue
	for h == nil || !q.free(h) {
		if len(q.line) == 0 {
			return exposure.Endpoint{}, false
		}
		h = q.line[0]
		q.line, h.listed = q.line[1:], false
	}
	e := h.waiting[0]
	h.waiting = h.waiting[1:]
	h.slots++
	q.left--
	q.list(h)
	if q.left == 0 {
		q.change.Broadcast()
	}
	return e, true
}

// list puts a host at the end of the line, if there is something to do and a
// slot to do it with.
func (q *queue) list(h *hostQueue) {
	if !h.listed && len(h.waiting) > 0 && q.free(h) {
		q.line, h.listed = append(q.line, h), true
		q.change.Signal()
	}
}

func (q *queue) free(h *hostQueue) bool { return h.own || h.slots < q.perHost }

// extra takes one more slot of e's host, if there is one.
func (q *queue) extra(e exposure.Endpoint) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	h := q.hosts[e.Addr]
	if q.closed || !q.free(h) {
		return false
	}
	h.slots++
	return true
}

// release gives a slot back.
func (q *queue) release(e exposure.Endpoint) {
	q.mu.Lock()
	defer q.mu.Unlock()
	h := q.hosts[e.Addr]
	h.slots--
	q.list(h)
}

// isOwn lifts the bound for an address of this machine.
func (q *queue) isOwn(e exposure.Endpoint) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if h := q.hosts[e.Addr]; !h.own {
		h.own = true
		q.list(h)
	}
}

// close ends the handing out.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.change.Broadcast()
}
