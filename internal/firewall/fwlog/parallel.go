package fwlog

import (
	"bytes"
	"context"
	"io"
	"sync"
)

// Work is what is done with the lines of a stream on several cores. The
// stream is cut into parts of some thousand lines; each is read into an
// accumulator of its own.
type Work[C any] struct {
	// New is an empty accumulator. It is called from several goroutines.
	New func() C
	// Take is Visit with the part's accumulator. Calls for one accumulator
	// come one after the other, in the order of the lines.
	Take func(c C, line int64, kind Kind, e *Event)
	// Done gets the accumulators in the order of their parts, one at a time.
	// It may empty one and keep it for New. An error ends the work.
	Done func(c C) error
}

// Parallel reads a stream to its end with several workers (at least one). It
// gives the same events as Scan, with the same line numbers; what lines tell
// about those that follow (header lines) holds across the parts.
func Parallel[C any](ctx context.Context, r io.Reader, o Options, workers int, w Work[C]) (Stats, error) {
	return parallel(ctx, r, o, max(workers, 1), usual(), w)
}

func parallel[C any](ctx context.Context, r io.Reader, o Options, workers int, limit limits, w Work[C]) (Stats, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	todo, order := make(chan *part[C], workers), make(chan *part[C], 2*workers)
	free := make(chan []byte, 3*workers+2)
	for range cap(free) {
		free <- nil
	}
	var all sync.WaitGroup
	var believed state
	cut := cutter{r: r, limits: limit}
	all.Go(func() { dispatch(ctx, &cut, &believed, free, todo, order) })
	for range workers {
		all.Go(func() {
			p := New(o)
			for part := range todo {
				part.read(p, w)
				close(part.ready)
			}
		})
	}
	stats, err := collect(ctx, o, w, &believed, free, order)
	stop()
	for range order { // let dispatch see that it shall stop
	}
	all.Wait()
	if err == nil {
		err = cut.failed()
	}
	return stats, err
}

// part is a piece of the stream that ends with a line.
type part[C any] struct {
	text    []byte
	before  int64 // lines before it
	tooLong bool  // it is one line, left out
	start   carried
	end     carried
	stats   Stats
	longest int
	into    C
	ready   chan struct{}
}

// read reads the part with what p.start says.
func (p *part[C]) read(parser *Parser, w Work[C]) {
	parser.carried = p.start
	p.into = w.New()
	s := scanner{p: parser, before: p.before, visit: func(line int64, kind Kind, e *Event) bool {
		w.Take(p.into, line, kind, e)
		return true
	}}
	for text := p.text; len(text) > 0; {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		s.line(line, len(line) > p.longest)
	}
	if p.tooLong {
		s.line(nil, true)
	}
	p.end, p.stats = parser.carried, s.stats
}

// state is what the lines read so far tell about those that follow.
type state struct {
	sync.Mutex
	carried
}

func (s *state) get() carried {
	s.Lock()
	defer s.Unlock()
	return s.carried
}

func (s *state) set(c carried) {
	s.Lock()
	defer s.Unlock()
	s.carried = c
}

// dispatch cuts the stream and hands the parts to the workers and, in their
// order, to collect.
func dispatch[C any](ctx context.Context, cut *cutter, believed *state, free chan []byte, todo, order chan<- *part[C]) {
	defer close(order)
	defer close(todo)
	for {
		var buf []byte
		select {
		case buf = <-free:
		case <-ctx.Done():
			return
		}
		piece, ok := cut.next(buf)
		if !ok {
			return
		}
		p := &part[C]{text: piece.text, before: piece.before, tooLong: piece.tooLong,
			longest: cut.line, start: believed.get(), ready: make(chan struct{})}
		select {
		case order <- p:
		case <-ctx.Done():
			return
		}
		todo <- p
	}
}

// collect takes the parts in their order. A part that was read with another
// state than the one before it left is read again.
func collect[C any](ctx context.Context, o Options, w Work[C], believed *state, free chan<- []byte, order <-chan *part[C]) (Stats, error) {
	var stats Stats
	var now carried
	again := New(o)
	for p := range order {
		<-p.ready
		if p.start != now {
			p.start = now
			p.read(again, w)
		}
		if now != p.end {
			now = p.end
			believed.set(now)
		}
		stats.add(&p.stats)
		if err := w.Done(p.into); err != nil {
			return stats, err
		}
		free <- p.text[:0]
		if err := ctx.Err(); err != nil {
			return stats, err
		}
	}
	return stats, ctx.Err()
}

// cutter cuts a stream into pieces that end at newlines.
type cutter struct {
	limits
	r     io.Reader
	rest  []byte // what stands behind the last piece
	lines int64
	long  bool // within a line that is too long, whose beginning is gone
	err   error
}

// piece is what cutter gives: whole lines, or one that was left out.
type piece struct {
	text    []byte
	before  int64
	tooLong bool
}

// next reads the next piece into buf, which it makes if need be; false at the
// end.
func (c *cutter) next(buf []byte) (piece, bool) {
	if cap(buf) < c.part {
		buf = make([]byte, 0, c.part)
	}
	for {
		buf = c.fill(append(buf[:0], c.rest...))
		c.rest = c.rest[:0]
		if !c.long {
			return c.whole(buf)
		}
		i := bytes.IndexByte(buf, '\n')
		if i < 0 && c.err == nil {
			continue
		}
		if i >= 0 {
			c.rest = append(c.rest, buf[i+1:]...)
		}
		c.long = false
		c.lines++
		return piece{text: buf[:0], before: c.lines - 1, tooLong: true}, true
	}
}

// fill reads until buf is full or the stream ends.
func (c *cutter) fill(buf []byte) []byte {
	for idle := 0; c.err == nil && len(buf) < c.part; {
		n, err := c.r.Read(buf[len(buf):c.part])
		buf = buf[:len(buf)+n]
		if idle++; n > 0 {
			idle = 0
		}
		if c.err = err; err == nil && idle > 100 {
			c.err = errNoProgress
		}
	}
	return buf
}

// whole cuts at the last newline.
func (c *cutter) whole(buf []byte) (piece, bool) {
	end := len(buf)
	if c.err == nil {
		end = bytes.LastIndexByte(buf, '\n') + 1
		if c.long = len(buf)-end > c.line; !c.long {
			c.rest = append(c.rest, buf[end:]...)
		}
	}
	p := piece{text: buf[:end], before: c.lines}
	c.lines += int64(bytes.Count(p.text, newline))
	return p, end > 0 || c.err == nil
}

var newline = []byte{'\n'}

func (c *cutter) failed() error {
	if c.err == io.EOF {
		return nil
	}
	return c.err
}
