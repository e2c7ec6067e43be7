package sink

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portreeve/portreeve/internal/report"
)

// courier takes spooled notices to their receiver.
type courier interface {
	// encode is a notice as it is kept and sent.
	encode(n *Notice) ([]byte, error)
	// batch is how many go at once, and how long to gather them.
	batch() (most int, gather time.Duration)
	// deliver sends them. lost is how many were dropped before, to be told
	// to the receiver.
	deliver(ctx context.Context, list []record, lost uint64) outcome
}

// outcome of a delivery: taken, refused for good (parked), or to be repeated.
type outcome struct {
	err     error
	forGood bool
	after   time.Duration // at least this long until the next try
}

// spooled is a sink that keeps notices on disk until its courier got rid of
// them.
type spooled struct {
	courier courier
	spool   *spool
	park    *parking
	label   string
	place   *Place
	stop    context.CancelFunc
	over    sync.WaitGroup
	hurry   chan struct{} // closed by Close: do not gather any longer
	closing sync.Once

	sent, failures, parked, lost atomic.Uint64

	mu    sync.Mutex
	state string // the failure that goes on
	since time.Time
	told  time.Time
}

const (
	defaultSpool = 64 << 20
	syncEvery    = 200 * time.Millisecond
	courierFirst = time.Second
	courierMost  = 5 * time.Minute
	peekMost     = 128
)

func newSpooled(ctx context.Context, c *Config, place *Place, co courier) (*spooled, error) {
	if place.Spool == "" {
		return nil, errors.New("there is no folder for its spool")
	}
	size := int64(c.SpoolSize)
	if size == 0 {
		size = defaultSpool
	}
	dir := filepath.Join(place.Spool, c.Label())
	sp, rep, err := openSpool(dir, size)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	s := &spooled{
		courier: co, spool: sp, label: c.Label(), place: place, stop: stop, hurry: make(chan struct{}),
		park: newParking(filepath.Join(dir, "parked.jsonl"), max(size/8, 64<<10)),
	}
	s.tellRepairs(rep)
	s.over.Go(func() { s.run(ctx) })
	s.over.Go(func() { s.syncing(ctx) })
	return s, nil
}

func (s *spooled) tellRepairs(rep repairs) {
	if n, _ := s.spool.usage(); n > 0 {
		s.say("%d notices of before wait in the spool", n)
	}
	if rep.Torn > 0 {
		s.say("the spool ended in %d bytes of a notice that was never whole; they are left away", rep.Torn)
	}
	if rep.Damaged > 0 {
		s.say("the spool has %d damaged bytes: the notices there are lost; look at the disk", rep.Damaged)
	}
}

// Send writes the notice to the spool: then it is this sink's to deliver, also
// after the death of the process.
func (s *spooled) Send(_ context.Context, n *Notice) error {
	body, err := s.courier.encode(n)
	if err != nil {
		return permanentf("write notice %s: %w", n.ID, err)
	}
	err = s.spool.append(n.ID, body)
	if isPermanent(err) {
		s.lost.Add(1)
	}
	return err
}

// run delivers until ctx ends or, after Close, the spool is empty.
func (s *spooled) run(ctx context.Context) {
	wait := backoff{first: courierFirst, most: courierMost}
	for ctx.Err() == nil {
		list, err := s.next(ctx)
		if err == nil && len(list) == 0 {
			return // closed, and nothing is left
		}
		out := outcome{err: err}
		if err == nil {
			out = s.give(ctx, list)
		}
		if out.err == nil || out.forGood {
			wait.reset()
			continue
		}
		if ctx.Err() != nil {
			return
		}
		s.failed(out.err)
		pause(ctx, max(wait.next(), out.after))
	}
}

// next waits for notices and gathers them; none: closed and empty.
func (s *spooled) next(ctx context.Context) ([]record, error) {
	most, gather := s.courier.batch()
	gathered := gather == 0
	for {
		list, err := s.spool.peek(max(most, 1))
		if err != nil {
			return nil, err
		}
		if len(list) >= most || len(list) > 0 && gathered {
			return list, nil
		}
		if len(list) > 0 {
			gathered = s.gather(ctx, gather)
			continue
		}
		select {
		case <-s.spool.wake:
		case <-s.hurry:
			list, err := s.spool.peek(most)
			return list, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *spooled) gather(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.hurry:
	case <-ctx.Done():
	}
	return true
}

// give delivers a batch and writes down that it is done.
func (s *spooled) give(ctx context.Context, list []record) outcome {
	lost := s.lost.Load()
	out := s.courier.deliver(ctx, list, lost)
	if out.err != nil && !out.forGood {
		return out
	}
	if out.forGood {
		s.parkAll(list, out.err)
	} else {
		s.lost.Add(-lost) // told to the receiver
		s.sent.Add(uint64(len(list)))
		s.well()
	}
	for {
		err := s.spool.done(&list[len(list)-1], len(list))
		if err == nil {
			return out
		}
		// The receiver has them: sending again would be wrong, so this waits
		// for the disk.
		s.failed(err)
		if !pause(ctx, courierFirst) {
			return outcome{err: err}
		}
	}
}

func (s *spooled) parkAll(list []record, why error) {
	s.parked.Add(uint64(len(list)))
	for i := range list {
		if err := s.park.put(&list[i], s.place.Now(), why); err != nil {
			s.say("notice %s was refused for good (%v) and could not be kept: %v", list[i].ID, why, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	text := why.Error()
	now := s.place.Now()
	if text != s.state || now.Sub(s.told) >= sayEvery {
		s.state, s.since, s.told = text, now, now
		s.say("given up, kept in %s: %s", s.park.path, text)
	}
}

func (s *spooled) failed(err error) {
	s.failures.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	text, now := err.Error(), s.place.Now()
	if s.state == "" {
		s.since = now
	}
	fresh := s.state != text
	s.state = text
	if s.told.IsZero() || now.Sub(s.told) >= sayEvery || fresh && now.Sub(s.told) >= sayEvery/10 {
		s.told = now
		n, _ := s.spool.usage()
		s.say("%s; %d notices are spooled, it is tried again", text, n)
	}
}

func (s *spooled) well() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != "" {
		s.say("delivers again after %s", s.place.Now().Sub(s.since).Round(time.Second))
		s.state, s.told = "", time.Time{}
	}
}

func (s *spooled) say(format string, args ...any) {
	s.place.Say(report.Escape("sink " + s.label + ": " + fmt.Sprintf(format, args...)))
}

// syncing brings the spool to the disk soon after it was written.
func (s *spooled) syncing(ctx context.Context) {
	for pause(ctx, syncEvery) {
		if err := s.spool.sync(); err != nil {
			s.failed(err)
		}
	}
}

func (s *spooled) report(st *Status) {
	st.Spooled, st.SpoolBytes = s.spool.usage()
	st.Sent, st.Parked = s.sent.Load(), s.parked.Load()
	st.Failures += s.failures.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.LastError == "" {
		st.LastError = s.state
	}
}

// Close delivers what it can until ctx ends. What remains stays in the spool.
func (s *spooled) Close(ctx context.Context) error {
	s.closing.Do(func() { close(s.hurry) })
	ended := make(chan struct{})
	idle := make(chan struct{})
	go func() { s.over.Wait(); close(ended) }()
	go s.untilIdle(ctx, idle)
	<-idle
	s.stop()
	<-ended
	return s.spool.close()
}

// untilIdle waits until nothing is left, a delivery fails, or ctx ends.
func (s *spooled) untilIdle(ctx context.Context, idle chan<- struct{}) {
	defer close(idle)
	failures := s.failures.Load()
	for pause(ctx, 10*time.Millisecond) {
		s.mu.Lock()
		bad := s.state != ""
		s.mu.Unlock()
		if n, _ := s.spool.usage(); n == 0 || bad || s.failures.Load() != failures {
			return
		}
	}
}
