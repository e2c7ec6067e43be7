package syn

import (
	"fmt"
	"sync"
	"time"
)

// Pacing figures. One probe on loopback is seen up to four times by a packet
// socket (SYN and RST, each leaving and arriving); a small packet is charged
// with less than 1 KiB.
const (
	freeBatch    = 256     // no foreign queue to mind
	firstBatch   = 8       // until a queue's behaviour is known
	priorCost    = 4 << 10 // bytes a probe costs a queue that hears it, until measured
	fullShare    = 0.6     // of a queue's limit that may ever be used
	calm         = 64      // looks in a row that find a queue empty: it does not hear us, or reads as fast as we send
	stuckAfter   = 250 * time.Millisecond
	pollInterval = time.Millisecond
)

// reader is what is known of one foreign queue.
type reader struct {
	name     string
	cost     uint64 // most bytes that one probe was seen to add; 0: it never heard us
	quiet    int    // looks in a row that found it empty after probes
	used     uint64
	limit    uint64
	drops    uint64
	lost     bool // dropped since the session began
	waiting  time.Duration
	stuck    bool // does not move; minded again once it does
	tired    bool // patience is over; minded no more
	lastSeen int
}

// hears tells that probes reach the queue.
func (r *reader) hears() bool { return r.cost > 0 && r.quiet < calm && !r.stuck && !r.tired }

// allowance is how many probes the queue may take now.
func (r *reader) allowance() int {
	if r.stuck || r.tired {
		return freeBatch
	}
	if !r.hears() {
		return min(freeBatch, firstBatch<<min(r.quiet, 8))
	}
	room := uint64(float64(r.limit) * fullShare)
	if r.used == 0 {
		return max(1, int(room/r.cost))
	}
	if r.used >= room || (room-r.used)/r.cost < firstBatch/2 {
		return 0
	}
	return int((room - r.used) / r.cost)
}

// see takes one look at the queue after sent probes.
func (r *reader) see(q *Queue, sent int) {
	switch {
	case sent == 0:
	case q.Used > r.used:
		r.cost = max(r.cost, priorCost, (q.Used-r.used)/uint64(sent))
		r.quiet = 0
	case q.Used > 0:
		r.quiet = 0
	default:
		r.quiet++
	}
	if q.Used < r.used || q.Used == 0 {
		r.waiting, r.stuck = 0, false
	}
	if q.Drops > r.drops {
		r.cost, r.quiet, r.lost = max(r.cost, priorCost), 0, true
	}
	r.used, r.limit, r.drops = q.Used, q.Limit, q.Drops
}

// pacer decides how many probes may go at once so that no foreign packet
// queue overflows; the workers of one round share it. It knows no clock and
// no socket: the caller tells how long it waited.
type pacer struct {
	turn sync.Mutex // held by the one worker that sends while a queue hears us

	mu       sync.Mutex // guards what follows
	watch    QueueWatch
	own      map[uint64]bool
	readers  map[uint64]*reader
	patience time.Duration
	look     int
	sent     int // probes since the last look
	losses   int // looks that found a loss
	failed   error
}

func newPacer(watch QueueWatch, own map[uint64]bool, patience time.Duration) *pacer {
	p := &pacer{watch: watch, own: own, patience: patience, readers: map[uint64]*reader{}}
	p.observe(0)
	return p
}

// observe reads the queues after a number of probes and gives the count of
// losses so far, in queues that are being minded.
func (p *pacer) observe(sent int) (losses int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent += sent
	if p.watch == nil || p.failed != nil {
		return p.losses
	}
	queues, err := p.watch.Queues()
	if err != nil {
		p.failed = err
		return p.losses
	}
	p.look++
	for i := range queues {
		if q := &queues[i]; !p.own[q.ID] {
			p.see(q)
		}
	}
	for id, r := range p.readers {
		if r.lastSeen != p.look {
			delete(p.readers, id)
		}
	}
	p.sent = 0
	return p.losses
}

func (p *pacer) see(q *Queue) {
	r := p.readers[q.ID]
	if r == nil {
		r = &reader{name: q.Name, drops: q.Drops, used: q.Used}
		if r.name == "" {
			r.name = fmt.Sprintf("socket inode %d", q.ID)
		}
		p.readers[q.ID] = r
	}
	if q.Drops > r.drops && !r.stuck && !r.tired {
		p.losses++
	}
	r.see(q, p.sent)
	r.lastSeen = p.look
}

// allowance is how many probes may be sent now; 0 means wait a pollInterval,
// tell waited and observe again.
func (p *pacer) allowance() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := freeBatch
	for _, r := range p.readers {
		n = min(n, r.allowance())
	}
	return n
}

// hears tells whether any queue hears the probes: then one worker at a time
// should send.
func (p *pacer) hears() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.readers {
		if r.hears() {
			return true
		}
	}
	return false
}

// waited accounts for a wait; a queue that does not move for long, or any
// queue once patience is over, is minded no more.
func (p *pacer) waited(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.patience -= d
	for _, r := range p.readers {
		if r.used > 0 && r.allowance() == 0 {
			r.waiting += d
			r.stuck, r.tired = r.waiting >= stuckAfter, p.patience <= 0
		}
	}
}

// drained tells that every queue that hears us is empty.
func (p *pacer) drained() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.readers {
		if r.used > 0 && r.hears() {
			return false
		}
	}
	return true
}

// unread names the queues that could not be minded.
func (p *pacer) unread() []string {
	return p.names(func(r *reader) bool { return r.stuck || r.tired })
}

// losers names the queues that lost packets during the session.
func (p *pacer) losers() []string {
	return p.names(func(r *reader) bool { return r.lost })
}

func (p *pacer) names(is func(*reader) bool) []string {
	var names []string
	for _, r := range p.readers {
		if is(r) {
			names = append(names, r.name)
		}
	}
	return names
}
