package cli

import (
	"context"
	"io"
)

// untilDone reads r until ctx is done; then the error is ctx's, also while r
// waits for somebody to write: a pipe or a terminal, which closing does not
// wake. What r gives after that is lost.
func untilDone(ctx context.Context, r io.Reader) io.Reader {
	return &stoppable{ctx: ctx, r: r}
}

// stoppable reads in a goroutine of its own, which ends with r or ctx, or, if
// r never gives anything again, with the program.
type stoppable struct {
	ctx   context.Context // for the time of one reading
	r     io.Reader
	parts chan []byte
	rest  []byte
	err   error // valid when parts is closed
}

// Read gives what came.
func (s *stoppable) Read(p []byte) (int, error) {
	if s.parts == nil {
		s.parts = make(chan []byte)
		go s.pump()
	}
	for len(s.rest) == 0 {
		var open bool
		select {
		case <-s.ctx.Done():
			return 0, s.ctx.Err()
		case s.rest, open = <-s.parts:
		}
		if !open {
			return 0, s.err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// pump fills two buffers in turn: one that was handed over is free again when
// the next one is taken.
func (s *stoppable) pump() {
	defer close(s.parts)
	var bufs [2][64 << 10]byte
	for i := 0; ; i ^= 1 {
		n, err := s.r.Read(bufs[i][:])
		select {
		case s.parts <- bufs[i][:n]:
		case <-s.ctx.Done():
			s.err = s.ctx.Err()
			return
		}
		if err != nil {
			s.err = err
			return
		}
	}
}

// stoppableInput is s with a standard input that ends with ctx.
func (s *streams) stoppableInput(ctx context.Context) *streams {
	c := *s
	c.in = untilDone(ctx, s.in)
	return &c
}

// whileRunning gives up between two reads when ctx is done: for files, which
// never make one wait.
type whileRunning struct {
	ctx context.Context
	r   io.Reader
}

func (w whileRunning) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(p)
}
