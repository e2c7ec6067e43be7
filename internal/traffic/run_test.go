package traffic

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/negotiate"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen keeps which packets came, by source, in their order.
type seen struct {
	numbers map[uint16][]uint32
	total   int
	problem string
	fail    func(total int) error
	took    chan<- int
}

func (s *seen) Take(items Items) error {
	if s.numbers == nil {
		s.numbers = map[uint16][]uint32{}
	}
	for i := range items.Captured {
		c, w := &items.Captured[i], &items.Decoded[i]
		n := binary.BigEndian.Uint32(c.Data[len(c.Data)-4:])
		if w.Kind != wire.KindIP || w.DstPort != 7 || binary.BigEndian.Uint32(w.Payload) != n || c.Time != int64(n)+1 || items.Looked != nil && items.Looked[i].When() != c.Time {
			s.problem = fmt.Sprintf("packet %d of source %d: decoded %v, at %d", n, w.SrcPort, w, c.Time)
		}
		s.numbers[w.SrcPort] = append(s.numbers[w.SrcPort], n)
	}
	s.total += items.Len()
	if s.took != nil {
		s.took <- s.total
	}
	if s.fail != nil {
		return s.fail(s.total)
	}
	return nil
}

// inOrder checks that the packets of a source are the first that it gave, or
// all of them, and returns how many.
func (s *seen) inOrder(t *rapid.T, f *fake) int {
	got := s.numbers[f.port]
	for i, n := range got {
		if n != uint32(i) {
			t.Fatalf("source %d: packet %d stands at %d", f.port, n, i)
		}
	}
	return len(got)
}

// sizes of batches around those of the pieces and of all that a reader has.
func sizesGen() *rapid.Generator[[]int] {
	size := rapid.OneOf(rapid.SampledFrom([]int{0, 1, piece - 1, piece, piece + 1, piece*ahead - 1, piece * ahead, piece*ahead + 1, piece*ahead + piece + 1}), rapid.IntRange(0, 600))
	return rapid.SliceOfN(size, 0, 5)
}

func sourcesGen(t *rapid.T) (fakes []*fake, sources []capture.Source, total int) {
	for i := range rapid.IntRange(0, 3).Draw(t, "sources") {
		f := &fake{port: uint16(i + 1), sizes: sizesGen().Draw(t, "sizes"), link: wire.LinkEthernet}
		for _, n := range f.sizes {
			total += n
		}
		fakes, sources = append(fakes, f), append(sources, f)
	}
	return fakes, sources, total
}

// Whatever the sizes of batches and the number of sources: every packet comes
// once, each source's in their order, and --count is exact.
func TestEveryPacketOnceAndInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fakes, sources, total := sourcesGen(t)
		o := Options{Outer: rapid.Bool().Draw(t, "outer"), Thrifty: rapid.Bool().Draw(t, "thrifty")}
		if rapid.Bool().Draw(t, "counted") {
			o.Count = rapid.Uint64Range(1, uint64(total)+2).Draw(t, "count")
		}
		if rapid.Bool().Draw(t, "looked") {
			o.Table, o.Watch = flow.NewTable(flow.Options{}), negotiate.New(negotiate.Options{})
		}
		want := total
		if o.Count > 0 {
			want = min(total, int(o.Count))
		}
		s := new(seen)
		if err := Run(context.Background(), sources, o, s); err != nil || s.problem != "" {
			t.Fatalf("%v %s", err, s.problem)
		}
		sum := 0
		for _, f := range fakes {
			sum += s.inOrder(t, f)
			f.settled(t)
		}
		if sum != want || s.total != want {
			t.Fatalf("%d packets, %d by source, want %d", s.total, sum, want)
		}
	})
}

// odd selects packets of odd numbers.
type odd struct{}

func (odd) Match(c *capture.Packet) bool { return c.Data[len(c.Data)-1]&1 == 1 }

// The filter is asked for once per source while its link type stays, selects
// before --count counts, and is refused behind what was selected before.
func TestFilterPerLinkType(t *testing.T) {
	refused := errors.New("no such field")
	var asked atomic.Int64
	matcher := func(l wire.LinkType) (Matcher, error) {
		if asked.Add(1); l != wire.LinkEthernet {
			return nil, refused
		}
		return odd{}, nil
	}
	f := &fake{port: 1, sizes: []int{1000, 5000}, link: wire.LinkEthernet}
	s := new(seen)
	if err := Run(context.Background(), []capture.Source{f}, Options{Matcher: matcher}, s); err != nil || s.total != 3000 || asked.Load() != 1 {
		t.Errorf("%v, %d packets, asked %d times", err, s.total, asked.Load())
	}
	f.settled(t)

	f, s = &fake{port: 1, sizes: []int{1000}, link: wire.LinkEthernet}, new(seen)
	if err := Run(context.Background(), []capture.Source{f}, Options{Matcher: matcher, Count: 7}, s); err != nil || s.total != 7 {
		t.Errorf("%v, %d packets", err, s.total)
	}
	f.settled(t)

	mixed := &changing{fake{port: 1, sizes: []int{500, 500, 500}, link: wire.LinkEthernet}}
	s = new(seen)
	if err := Run(context.Background(), []capture.Source{mixed}, Options{Matcher: matcher}, s); !errors.Is(err, refused) || s.total != 500/2+123/2 {
		t.Errorf("%v, %d packets", err, s.total)
	}
	mixed.settled(t)
}

// changing has another link type from packet 123 of the second batch on, as a
// pcapng of several interfaces.
type changing struct{ fake }

func (c *changing) Next(b *capture.Batch) error {
	err := c.fake.Next(b)
	if c.next == 2 {
		for i := 123; i < len(b.Packets); i++ {
			b.Packets[i].Link = wire.LinkRaw
		}
	}
	return err
}

// A source's error comes after everything before it; other sources go on.
func TestSourceErrorComesLast(t *testing.T) {
	cut := &capture.DamageError{Kind: capture.ErrCutOff}
	a := &fake{port: 1, sizes: []int{10, 4000}, err: cut, link: wire.LinkEthernet}
	b := &fake{port: 2, sizes: []int{3000, 3000, 3000}, link: wire.LinkEthernet}
	s := new(seen)
	err := Run(context.Background(), []capture.Source{a, b}, Options{}, s)
	if !errors.Is(err, capture.ErrCutOff) || len(s.numbers[1]) != 4010 || len(s.numbers[2]) != 9000 {
		t.Errorf("%v, %d and %d packets", err, len(s.numbers[1]), len(s.numbers[2]))
	}
	a.settled(t)
	b.settled(t)
}

// A sink's error ends the run at once, closes the sources, and nothing is
// handed on after it.
func TestSinkErrorEndsTheRun(t *testing.T) {
	for _, thrifty := range []bool{false, true} {
		sinkErrorEndsTheRun(t, Options{Thrifty: thrifty})
	}
}

func sinkErrorEndsTheRun(t *testing.T, o Options) {
	full := errors.New("disk full")
	calls := 0
	s := &seen{fail: func(total int) error {
		if calls++; total >= 1000 {
			return full
		}
		return nil
	}}
	forever := &endless{fake: fake{port: 1, link: wire.LinkEthernet}}
	other := &fake{port: 2, sizes: make([]int, 100), link: wire.LinkEthernet}
	err := Run(context.Background(), []capture.Source{forever, other}, o, s)
	if !errors.Is(err, full) || s.total < 1000 || s.total >= 1000+piece {
		t.Errorf("%v after %d packets in %d calls", err, s.total, calls)
	}
	forever.settled(t)
	other.settled(t)
}

// endless never ends of itself.
type endless struct{ fake }

func (e *endless) Next(b *capture.Batch) error {
	e.sizes = append(e.sizes, 100)
	return e.fake.Next(b)
}

// When ctx ends, a source without Stop is read no further, and what was read
// is handed on.
func TestEndOfContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	src := &endless{fake: fake{port: 1, link: wire.LinkEthernet}}
	s := &seen{fail: func(total int) error {
		if total >= 2000 {
			cancel()
		}
		return nil
	}}
	if err := Run(ctx, []capture.Source{src}, Options{}, s); err != nil {
		t.Error(err)
	}
	if s.total != int(src.sequence) {
		t.Errorf("%d packets were read, %d handed on", src.sequence, s.total)
	}
	src.settled(t)
}

// live gives packets until it is stopped, then those of its ring, and then
// ends.
type live struct {
	fake
	mu      sync.Mutex
	rest    []int // the sizes of what is in the ring when it is stopped
	stopped atomic.Bool
	stop    error
}

func (l *live) Next(b *capture.Batch) error {
	if !l.stopped.Load() {
		b.Release()
		time.Sleep(time.Millisecond)
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() > 0 {
		b.Release()
		return io.EOF
	}
	l.sizes = l.rest
	return l.fake.Next(b)
}

func (l *live) Stop() error {
	l.stopped.Store(true)
	return l.stop
}

// When ctx ends, a live source is stopped, and all that it took before comes:
// more than fits in the reader's pieces, and past the first batch.
func TestStoppedSourceGivesWhatItTook(t *testing.T) {
	for _, c := range []struct{ already, thrifty bool }{{}, {already: true}, {thrifty: true}, {true, true}} {
		ctx, cancel := context.WithCancel(context.Background())
		src := &live{fake: fake{port: 1, link: wire.LinkEthernet}, rest: []int{300, 0, 5000, 1, 700}}
		if c.already {
			cancel()
		}
		go func() {
			time.Sleep(5 * time.Millisecond)
			cancel()
		}()
		s := new(seen)
		if err := Run(ctx, []capture.Source{src}, Options{Thrifty: c.thrifty}, s); err != nil || s.total != 6001 {
			t.Errorf("%v, %d packets, want 6001", err, s.total)
		}
		src.settled(t)
	}
}

// A source that cannot be stopped is closed.
func TestSourceThatCannotBeStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	src := &live{fake: fake{port: 1, link: wire.LinkEthernet}, stop: errors.New("operation not permitted"), rest: []int{1}}
	if err := Run(ctx, []capture.Source{src}, Options{}, new(seen)); err != nil {
		t.Error(err)
	}
	if src.closed.Load() == 0 {
		t.Error("it was not closed")
	}
}

// A source that waits for ever keeps nobody, and when it answers at last what
// it gives is released and its goroutine ends.
func TestSilentSourceKeepsNobody(t *testing.T) {
	full := errors.New("disk full")
	for _, c := range []struct {
		name string
		o    Options
		fail func(int) error
	}{
		{"the end of ctx", Options{}, nil},
		{"enough packets", Options{Count: 3}, nil},
		{"an error", Options{}, func(int) error { return full }},
		{"the end of ctx, thrifty", Options{Thrifty: true}, nil},
		{"enough packets, thrifty", Options{Thrifty: true, Count: 3}, nil},
		{"an error, thrifty", Options{Thrifty: true}, func(int) error { return full }},
	} {
		t.Run(c.name, func(t *testing.T) {
			others := goleak.IgnoreCurrent()
			gate := make(chan struct{}, 1)
			gate <- struct{}{}
			src := &fake{port: 1, sizes: []int{3, piece * ahead * 3}, link: wire.LinkEthernet, gate: gate}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			took := make(chan int, 1)
			s := &seen{took: took, fail: c.fail}
			ended := make(chan error, 1)
			go func() { ended <- Run(ctx, []capture.Source{src}, c.o, s) }()
			<-took
			if c.fail == nil && c.o.Count == 0 {
				cancel()
			}
			select {
			case err := <-ended:
				if c.fail != nil && !errors.Is(err, full) || c.fail == nil && err != nil || s.total != 3 {
					t.Errorf("%v, %d packets", err, s.total)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("it waits for the source")
			}
			close(gate)
			goleak.VerifyNone(t, others)
			src.settled(t)
		})
	}
}

// Tick comes at least with every batch, empty ones included.
func TestTickComesWithoutPackets(t *testing.T) {
	ticks := 0
	src := &fake{port: 1, sizes: make([]int, 50), link: wire.LinkEthernet}
	if err := Run(context.Background(), []capture.Source{src}, Options{Tick: func() { ticks++ }}, new(seen)); err != nil || ticks < 50 {
		t.Errorf("%v, %d ticks", err, ticks)
	}
}

// Tags that were taken out of a frame count as the frame's.
func TestTagOfTheMetadata(t *testing.T) {
	var got []wire.Packet
	sink := sinkFunc(func(items Items) error {
		got = append(got, items.Decoded...)
		return nil
	})
	if err := Run(context.Background(), []capture.Source{&tagged{fake{port: 1, sizes: []int{2}, link: wire.LinkEthernet}}}, Options{}, sink); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].VLANCount != 1 || got[0].VLANs[0] != 0x123 {
		t.Errorf("%+v", got)
	}
}

type tagged struct{ fake }

func (g *tagged) Next(b *capture.Batch) error {
	err := g.fake.Next(b)
	for i := range b.Packets {
		b.Packets[i].HasVLAN, b.Packets[i].VLANTCI = true, 0xe123
		b.Packets[i].Wire += 4
	}
	return err
}

type sinkFunc func(Items) error

func (f sinkFunc) Take(items Items) error { return f(items) }

// repeated gives the same packets again and again, of storage that it has.
type repeated struct {
	fake
	packets []capture.Packet
	left    int
	free    func()
}

func (r *repeated) Next(b *capture.Batch) error {
	b.Release()
	if r.left--; r.left < 0 {
		return io.EOF
	}
	b.Packets = append(b.Packets[:0], r.packets...)
	b.Free = r.free
	return nil
}

// A packet costs no memory on its way.
func TestPacketsAllocateNothing(t *testing.T) {
	var packets []capture.Packet
	for i := range uint32(1000) {
		d := datagram(9, i)
		packets = append(packets, capture.Packet{Data: d, Wire: uint32(len(d)), Link: wire.LinkEthernet})
	}
	o := Options{Table: flow.NewTable(flow.Options{}), Watch: negotiate.New(negotiate.Options{}),
		Matcher: func(wire.LinkType) (Matcher, error) { return odd{}, nil }}
	var n int
	sink := sinkFunc(func(items Items) error { n += items.Len(); return nil })
	allocated := func(batches int) float64 {
		return testing.AllocsPerRun(5, func() {
			src := &repeated{packets: packets, left: batches, free: func() {}}
			if err := Run(context.Background(), []capture.Source{src}, o, sink); err != nil {
				t.Error(err)
			}
		})
	}
	few, many := allocated(20), allocated(120)
	if n != 6*(20+120)*500 {
		t.Errorf("%d packets", n)
	}
	if more := many - few; more > 20 { // the runtime's own, of waiting goroutines
		t.Errorf("%.0f allocations for 50,000 packets more", more)
	}
}

// What is handed on is as captured, byte by byte, at the time of the call.
func TestBytesAreValidDuringTheCall(t *testing.T) {
	src := &fake{port: 3, sizes: []int{700, 5000, 2}, link: wire.LinkEthernet}
	var n uint32
	sink := sinkFunc(func(items Items) error {
		for i := range items.Captured {
			if want := datagram(3, n); !bytes.Equal(items.Captured[i].Data, want) || items.Captured[i].Wire != uint32(len(want)) {
				return fmt.Errorf("packet %d is % x", n, items.Captured[i].Data)
			}
			n++
		}
		return nil
	})
	if err := Run(context.Background(), []capture.Source{src}, Options{}, sink); err != nil || n != 5702 {
		t.Errorf("%v, %d packets", err, n)
	}
}
