package traffic

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/negotiate"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Matcher selects packets.
type Matcher interface {
	Match(c *capture.Packet) bool
}

// Options say which packets are handed on and how far they are decoded.
type Options struct {
	// Matcher gives the filter for a link type; nil: every packet. An error
	// ends the run (the filter cannot be asked of such frames).
	Matcher func(wire.LinkType) (Matcher, error)
	// Outer stops decoding at the outermost IP packet.
	Outer bool
	// Table, where set, is asked beside the reading what it will need to know
	// of each packet (Items.Looked).
	Table *flow.Table
	// Watch, where set, is asked beside the reading whether a payload concerns
	// it (Items.Begins).
	Watch *negotiate.Watcher
	// Brief leaves decoding a packet in full to Items.Packet where a Table can
	// count it without.
	Brief bool
	// Thrifty reads, decodes and calls the sink in one goroutine for each
	// source, the sink never twice at once: slower where there is a queue, and
	// half the CPU time, for nobody is woken and nothing goes from one core to
	// another.
	Thrifty bool
	// Count ends the run after so many selected packets; 0: never.
	Count uint64
	// Tick, where set, is called beside the packets whenever a source had
	// none for a while, and at least after every batch.
	Tick func()
}

// Items are selected packets, one at each index: as captured, as decoded, and
// with Options.Table and Watch what those know of them already.
//
// With Options.Brief what is in Decoded of a packet counts only after Packet
// was asked for it.
type Items struct {
	Captured []capture.Packet
	Decoded  []wire.Packet
	Looked   []flow.Looked
	Begins   []bool

	late *wire.Decoder // decodes what was only looked at in brief
}

// Packet gives a packet decoded.
func (it *Items) Packet(i int) *wire.Packet {
	w := &it.Decoded[i]
	if it.late != nil && it.Looked[i].Brief() {
		c := &it.Captured[i]
		it.late.Decode(c.Link, c.Data, c.Wire, w)
	}
	return w
}

// Len is how many packets there are.
func (it Items) Len() int { return len(it.Captured) }

// Sink takes the selected packets, some at a time, in the order in which each
// source has them. They are valid during the call. An error ends the run.
type Sink interface {
	Take(it Items) error
}

// errEnough ends a run whose count is reached.
var errEnough = errors.New("enough packets")

// piece is how many packets go from a reader to the sink at once: few enough
// to stay in the second-level cache.
const piece = 256

// ahead is how many pieces a reader may be ahead of the sink.
const ahead = 12

// grace is how long a source that cannot be stopped is waited for when its
// packets are no longer wanted: a pipe that nobody writes to may never answer.
// patience is how long one that can is waited for between two batches.
const (
	grace    = 300 * time.Millisecond
	patience = 5 * time.Second
)

// Run reads the sources to their end, or until ctx is done, and closes them.
// When ctx ends, a source with a Stop method is stopped and what it took
// before that is still handed on; of any other the batch at hand. The error is
// what the sources and the sink gave, after everything that was read before it
// was taken; ctx's end is none.
//
// A source that waits for ever does not keep Run, but the goroutine that reads
// it lives until it answers.
func Run(ctx context.Context, sources []capture.Source, o Options, sink Sink) error {
	r := &run{o: o, sources: sources, full: make(chan *chunk, ahead), sink: sink}
	defer r.end()
	defer r.whenDone(ctx)()
	for _, src := range sources {
		if o.Thrifty {
			r.readers.Go(func() { r.readAlone(src) })
			continue
		}
		r.readers.Go(func() { r.read(src) })
	}
	go func() {
		r.readers.Wait()
		close(r.full)
	}()
	err := errors.Join(r.feed(ctx, sink), r.leave())
	if errors.Is(err, errEnough) {
		err = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(append([]error{err}, r.failed...)...)
}

type run struct {
	o       Options
	sources []capture.Source
	full    chan *chunk
	readers sync.WaitGroup

	// Of thrifty runs: the sink's, how much it took, and why it takes no more.
	alone sync.Mutex
	sink  Sink
	taken uint64
	left  error

	mu      sync.Mutex
	stopped bool // no further packets are to be taken
	ended   bool // nor is what was taken of use
	failed  []error
}

// chunk is a piece on its way: n packets. The last of a batch carries
// the batch, whose storage all its pieces use.
type chunk struct {
	captured []capture.Packet // of the batch's
	decoded  [piece]wire.Packet
	looked   [piece]flow.Looked
	begins   [piece]bool
	n        int
	batch    *capture.Batch
	from     *reader
}

// items are the first n.
func (c *chunk) items(n int) Items {
	it := Items{Captured: c.captured[:n], Decoded: c.decoded[:n]}
	if c.from.run.o.Brief {
		it.late = &c.from.decoder
	}
	if c.from.run.o.Table != nil {
		it.Looked = c.looked[:n]
	}
	if c.from.run.o.Watch != nil {
		it.Begins = c.begins[:n]
	}
	return it
}

// stopper is a source that can stop taking packets and still give those that
// it has, and then io.EOF.
type stopper interface{ Stop() error }

// whenDone stops the sources when ctx is done, also while the sink is busy.
// The function that it returns ends the watching.
func (r *run) whenDone(ctx context.Context) func() {
	stopped := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(stopped)
		r.stop()
	})
	return func() {
		if !cancel() {
			<-stopped
		}
	}
}

// stop has the sources give what they have and then end.
func (r *run) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	for _, s := range r.sources {
		if t, ok := s.(stopper); ok && t.Stop() != nil {
			_ = s.Close() // it would go on
		}
	}
}

// end closes the sources.
func (r *run) end() {
	r.mu.Lock()
	before := r.ended
	r.stopped, r.ended = true, true
	r.mu.Unlock()
	if before {
		return
	}
	for _, s := range r.sources {
		_ = s.Close() // there is nothing left that could be lost
	}
}

// wants tells whether a source is to be read on.
func (r *run) wants(s capture.Source) bool {
	_, ends := s.(stopper)
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.ended && (!r.stopped || ends)
}

// feed hands pieces to the sink until the readers are done. After an end it
// only gives storage back, so that no reader waits for ever.
func (r *run) feed(ctx context.Context, sink Sink) error {
	var taken uint64
	var end error
	var late <-chan time.Time
	done := ctx.Done()
	for {
		select {
		case c, more := <-r.full:
			if !more {
				return end
			}
			if end == nil {
				if end = r.take(c, sink, &taken); end != nil {
					r.end()
				}
			}
			c.release(len(r.full) == 0)
		case <-done:
			done = nil
		case <-late:
			r.end()
			go r.discard()
			return end
		}
		if end != nil || ctx.Err() != nil {
			late = time.After(r.patience())
		}
	}
}

// patience is how long a silent source is waited for.
func (r *run) patience() time.Duration {
	for _, s := range r.sources {
		if _, ok := s.(stopper); !ok {
			return grace
		}
	}
	return patience
}

// discard lets readers that come late end.
func (r *run) discard() {
	for c := range r.full {
		c.release(true)
	}
}

func (r *run) take(c *chunk, sink Sink, taken *uint64) error {
	n := c.n
	if left := r.o.Count - *taken; r.o.Count > 0 && uint64(n) >= left {
		n = int(left)
	}
	*taken += uint64(n)
	if n > 0 {
		if err := sink.Take(c.items(n)); err != nil {
			return err
		}
	}
	if r.o.Tick != nil {
		r.o.Tick()
	}
	if r.o.Count > 0 && *taken >= r.o.Count {
		return errEnough
	}
	return nil
}

// release gives a piece back. A reader that waits is not woken for each: that
// costs more than the piece.
func (c *chunk) release(idle bool) {
	if c.batch != nil {
		c.batch.Release()
		c.from.batches <- c.batch
	}
	c.n, c.batch = 0, nil
	c.from.spent = append(c.from.spent, c)
	if len(c.from.spent) >= ahead/2 || idle {
		c.from.refill()
	}
}

func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stopped && !errors.Is(err, io.EOF) {
		r.failed = append(r.failed, err)
	}
}

// read takes one source to its end.
func (r *run) read(src capture.Source) {
	rd := newReader(r)
	for r.wants(src) {
		b := <-rd.batches
		err := src.Next(b)
		if refused := rd.hand(b); refused != nil {
			err = refused
		}
		if err != nil {
			r.fail(err)
			return
		}
	}
}
