package syn

import (
	"fmt"
	"time"
)

// Pacing figures. One probe on loopback is seen up to four times by a packet
// socket (SYN and RST, each leaving and arriving); a small packet is charged
// with about 1 KiB.
const (
	freeBatch    = 256     // no foreign queue to mind
	firstBatch   = 8       // until a queue's behaviour is known
	priorCost    = 5 << 10 // bytes a probe costs a queue, until measured
	fullShare    = 0.6     // of a queue's limit that may ever be used
	stuckAfter   = 250 * time.Millisecond
	pollInterval = 200 * time.Microsecond
)

// reader is what is known of one foreign queue.
type reader struct {
	name     string
	cost     uint64 // most bytes that one probe was seen to add; 0: none yet
	used     uint64
	limit    uint64
	drops    uint64
	lost     bool // dropped since the sweep began
	waiting  time.Duration
	stuck    bool
	lastSeen int
}

// pacer decides how many probes may go at once so that no foreign packet
// queue overflows. It knows no clock and no socket: the caller tells how long
// it waited.
type pacer struct {
	watch    QueueWatch
	own      map[uint64]bool
	readers  map[uint64]*reader
	patience time.Duration
	share    float64 // of a queue's limit that this pacer may use
	batch    int
	look     int
	sent     int // probes since the last look
	failed   error
}

// newPacer makes one of n pacers that mind the same queues.
func newPacer(watch QueueWatch, own map[uint64]bool, n int, patience time.Duration) *pacer {
	p := &pacer{watch: watch, own: own, patience: patience, share: fullShare / float64(n), batch: firstBatch,
		readers: map[uint64]*reader{}}
	p.observe()
	return p
}

// observe reads the queues and says whether one that is being paced lost
// packets since the last look.
func (p *pacer) observe() (lost bool) {
	if p.watch == nil || p.failed != nil {
		return false
	}
	queues, err := p.watch.Queues()
	if err != nil {
		p.failed = err
		return false
	}
	p.look++
	for i := range queues {
		if q := &queues[i]; !p.own[q.ID] {
			lost = p.see(q) || lost
		}
	}
	for id, r := range p.readers {
		if r.lastSeen != p.look {
			delete(p.readers, id)
		}
	}
	p.sent = 0
	return lost
}

func (p *pacer) see(q *Queue) (lost bool) {
	r := p.readers[q.ID]
	if r == nil {
		r = &reader{name: q.Name, drops: q.Drops, used: q.Used}
		if r.name == "" {
			r.name = fmt.Sprintf("socket inode %d", q.ID)
		}
		p.readers[q.ID] = r
	}
	if q.Used > r.used && p.sent > 0 {
		r.cost = max(r.cost, priorCost, (q.Used-r.used)/uint64(p.sent))
	}
	if q.Used < r.used || q.Used == 0 {
		r.waiting, r.stuck = 0, false
	}
	if q.Drops > r.drops {
		r.cost = max(r.cost, priorCost)
		r.lost, lost = true, !r.stuck
	}
	r.used, r.limit, r.drops, r.lastSeen = q.Used, q.Limit, q.Drops, p.look
	return lost
}

// allowance is how many probes may be sent now; 0 means wait a pollInterval,
// tell waited and observe again.
func (p *pacer) allowance() int {
	if len(p.readers) == 0 {
		return freeBatch
	}
	n := p.batch
	for _, r := range p.readers {
		n = min(n, r.allowance(p.share))
	}
	return n
}

func (r *reader) allowance(share float64) int {
	if r.stuck || r.cost == 0 {
		return freeBatch
	}
	room := uint64(float64(r.limit) * share)
	if r.used == 0 {
		return max(1, int(room/r.cost))
	}
	if r.used >= room {
		return 0
	}
	return int((room - r.used) / r.cost)
}

// probed tells how many probes just went; the batch grows while nothing
// stands in the way.
func (p *pacer) probed(n int) {
	p.sent += n
	p.batch = min(p.batch*2, freeBatch)
}

// waited accounts for a wait; a queue that does not move for long, or any
// queue once patience is over, is minded no more.
func (p *pacer) waited(d time.Duration) {
	p.patience -= d
	for _, r := range p.readers {
		if r.allowance(p.share) > 0 {
			continue
		}
		r.waiting += d
		r.stuck = r.waiting >= stuckAfter || p.patience <= 0
	}
}

// drained tells that every moving queue is empty.
func (p *pacer) drained() bool {
	for _, r := range p.readers {
		if r.used > 0 && !r.stuck {
			return false
		}
	}
	return true
}

// unread names the queues that could not be paced.
func (p *pacer) unread() []string {
	var names []string
	for _, r := range p.readers {
		if r.stuck {
			names = append(names, r.name)
		}
	}
	return names
}

// losers names the queues that lost packets during the sweep.
func (p *pacer) losers() []string {
	var names []string
	for _, r := range p.readers {
		if r.lost {
			names = append(names, r.name)
		}
	}
	return names
}
