package live

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// A reader that sleeps loses packets, and knows exactly how many: what it got
// and what is told as dropped is what was sent. Reading goes on after it.
func TestOverflowIsCountedExactly(t *testing.T) {
	l := newLab(t)
	r := open(t, l.to, small("eth0"))[0]
	s := newSender(t, l.from, "eth0")
	const sent = 40_000
	s.flood(t, mixed(), sent, 0)
	var b capture.Batch
	n := 0
	for len(b.Packets) > 0 || n == 0 {
		if err := r.Next(&b); err != nil {
			t.Fatal(err)
		}
		n += len(b.Packets)
	}
	first := r.Stats()
	s.flood(t, mixed(), 1000, 100_000)
	more := len(rest(t, r))
	st := r.Stats()
	lost := st.Dropped + st.IfDropped
	if n+more+int(lost) != sent+1000 || st.Received-st.Dropped != uint64(n+more) {
		t.Errorf("%d and %d packets and %+v of %d", n, more, st, sent+1000)
	}
	if first.Dropped == 0 || more < 900 {
		t.Errorf("nothing dropped at first (%+v), or not read on (%d)", first, more)
	}
	if again := r.Stats(); again != st {
		t.Errorf("asked again: %+v, before %+v", again, st)
	}
}

// Batches stay as they are while they are out, whatever comes after; given
// back in any order, the ring fills again.
func TestSeveralBatchesOut(t *testing.T) {
	l := newLab(t)
	r := open(t, l.to, small("eth0"))[0]
	s := newSender(t, l.from, "eth0")
	frames := mixed()
	for round := range 3 {
		s.flood(t, frames, 10_000, 0)
		var out []*capture.Batch
		kept := map[*byte]string{}
		for {
			b := new(capture.Batch)
			if err := r.Next(b); err != nil {
				t.Fatal(err)
			}
			if len(b.Packets) == 0 {
				break // all blocks are out, or it is empty
			}
			out = append(out, b)
			for _, p := range b.Packets {
				if kept[&p.Data[0]] != "" {
					t.Fatal("one place given twice")
				}
				kept[&p.Data[0]] = string(p.Data)
			}
		}
		if len(out) < 16 {
			t.Fatalf("round %d: %d batches", round, len(out))
		}
		s.flood(t, frames, 2000, 0)
		for i := range out {
			b := out[(i*7+3)%len(out)]
			if len(out)%7 == 0 {
				b = out[i]
			}
			for _, p := range b.Packets {
				if kept[&p.Data[0]] != string(p.Data) {
					t.Fatal("a packet changed while it was out")
				}
			}
			b.Release()
		}
	}
	s.flood(t, frames, 500, 100_000)
	if n := len(rest(t, r)); n < 500 {
		t.Errorf("%d packets after that", n)
	}
}

// While a block is out, waiting does not turn into spinning.
func TestWaitingIsIdle(t *testing.T) {
	l := newLab(t)
	r := open(t, l.to, small("eth0"))[0]
	newSender(t, l.from, "eth0").send(t, mixed()[:3]...)
	var b, none capture.Batch
	defer b.Release()
	for len(b.Packets) == 0 {
		if err := r.Next(&b); err != nil {
			t.Fatal(err)
		}
	}
	var before, after unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
	begun := time.Now()
	for range 5 {
		if err := r.Next(&none); err != nil || len(none.Packets) != 0 {
			t.Fatal(err, len(none.Packets))
		}
	}
	_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
	took := time.Since(begun)
	used := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	if took < 400*time.Millisecond || used > took/4 {
		t.Errorf("five empty batches in %v, %v of processor time", took, used)
	}
}

// Close wakes a Next that waits; the memory of a batch that is out stays until
// it is released.
func TestCloseWhileWaiting(t *testing.T) {
	l := newLab(t)
	before := openFiles(t)
	for range 5 {
		var r *Ring
		l.to.Do(func() {
			rings, err := Open(small("eth0"))
			if err != nil {
				t.Error(err)
				return
			}
			r = rings[0]
		})
		newSender(t, l.from, "eth0").send(t, mixed()[0])
		var b capture.Batch
		for len(b.Packets) == 0 {
			if err := r.Next(&b); err != nil {
				t.Fatal(err)
			}
		}
		ended := make(chan error, 1)
		go func() {
			var other capture.Batch
			for {
				if err := r.Next(&other); err != nil {
					ended <- err
					return
				}
			}
		}()
		time.Sleep(20 * time.Millisecond)
		closed := time.Now()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != io.EOF || time.Since(closed) > 60*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(closed))
		}
		if p := b.Packets[0]; string(p.Data) != string(mixed()[0]) {
			t.Error("a packet is gone while its batch is out")
		}
		b.Release()
		if r.mem != nil {
			t.Error("still mapped after the last batch")
		}
		if s := r.Stats(); s.Received != 1 || !s.Known || r.Close() != nil || r.Stop() != nil {
			t.Errorf("after Close: %+v", s)
		}
	}
	runtime.GC()
	if after := openFiles(t); after > before+5 { // the senders' are closed at the end
		t.Errorf("%d open files, %d before", after, before)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// Everything at once, for the race detector: one reads, others release, ask
// and close.
func TestManyGoroutines(t *testing.T) {
	l := newLab(t)
	s := newSender(t, l.from, "eth0")
	for range 3 {
		r := open(t, l.to, small("eth0"))[0]
		batches := make(chan *capture.Batch, 4)
		var all sync.WaitGroup
		all.Go(func() {
			defer close(batches)
			for {
				b := new(capture.Batch)
				if err := r.Next(b); err != nil {
					return
				}
				batches <- b
			}
		})
		sum := 0
		for range 2 {
			all.Go(func() {
				n := 0
				for b := range batches {
					for _, p := range b.Packets {
						n += int(p.Data[0])
					}
					b.Release()
					_ = r.Stats()
					_ = r.Interfaces()
				}
				_ = n
			})
		}
		s.flood(t, mixed(), 5000, 0)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
		_ = sum
		if r.mem != nil {
			t.Error("still mapped")
		}
	}
}

// An interface that goes away or down ends its ring after what came, with the
// kernel's number, its name and what to do.
func TestInterfaceLost(t *testing.T) {
	for _, c := range []struct {
		how  string
		want error
		says string
	}{
		{"ip link del eth0", unix.ENXIO, "capture on eth0: the interface disappeared"},
		{"ip link set eth0 down", unix.ENETDOWN, "ip link set eth0 up"},
	} {
		l := newLab(t)
		r := open(t, l.to, small("eth0"))[0]
		all := open(t, l.to, small(Any))[0]
		newSender(t, l.from, "eth0").send(t, mixed()[:100]...)
		type end struct {
			packets []got
			err     error
		}
		ended := make(chan end)
		go func() {
			packets, err := toEnd(r)
			ended <- end{packets, err}
		}()
		time.Sleep(5 * time.Millisecond) // it waits, and the block is not yet full
		l.to.Script(c.how)
		e := <-ended
		var typed *Error
		if len(e.packets) != 100 || !errors.Is(e.err, c.want) || !errors.As(e.err, &typed) || typed.Interface != "eth0" || !strings.Contains(e.err.Error(), c.says) {
			t.Errorf("%s: %d packets, %v", c.how, len(e.packets), e.err)
		}
		var b capture.Batch
		if again := r.Next(&b); again != e.err {
			t.Errorf("%s, asked again: %v", c.how, again)
		}
		talk(t, l.to, "127.0.0.1:9", 1)
		n := 0
		for _, p := range rest(t, all) {
			if p.name == "lo" {
				n++
			}
		}
		if n == 0 {
			t.Errorf("%s: %s does not go on", c.how, Any)
		}
	}
}

// What cannot be captured from is refused with what to do.
func TestRefusals(t *testing.T) {
	l := newLab(t)
	l.to.Script("ip link add idle type veth peer name eldi")
	refused := errors.New("refused")
	for _, c := range []struct {
		o    Options
		want error
		says string
	}{
		{small("nosuch"), unix.ENODEV, "capture on nosuch: no such interface: no such device; there are: lo, eth0, eldi, idle, any"},
		{small("a-name-that-is-too-long"), unix.ENODEV, "there are: lo, "},
		{small(""), unix.ENODEV, "there are: lo, "},
		{small("eth0", "nosuch"), unix.ENODEV, "nosuch"},
		{small("idle"), unix.ENETDOWN, "ip link set idle up"},
		{small("eth0", Any), nil, "name it alone"},
		{small(), nil, "name one"},
		{Options{Interfaces: []string{"eth0"}, BlockSize: 100_000}, nil, "power of two"},
		{Options{Interfaces: []string{"eth0"}, Blocks: 1}, nil, "at least 2"},
		{Options{Interfaces: []string{"eth0"}, SnapLen: -1}, nil, "out of range"},
		{Options{Interfaces: []string{"eth0"}, Filter: func(wire.LinkType) ([]bpf.RawInstruction, error) { return nil, refused }}, refused, "refused"},
		{Options{Interfaces: []string{Any}, Filter: func(wire.LinkType) ([]bpf.RawInstruction, error) { return nil, refused }}, refused, "refused"},
		{Options{Interfaces: []string{"eth0"}, Filter: func(wire.LinkType) ([]bpf.RawInstruction, error) {
			return make([]bpf.RawInstruction, 5000), nil
		}}, unix.E2BIG, "the kernel takes 4096"},
		{Options{Interfaces: []string{"eth0"}, Filter: func(wire.LinkType) ([]bpf.RawInstruction, error) {
			return make([]bpf.RawInstruction, 5), nil
		}}, unix.EINVAL, "set the filter"},
	} {
		before := openFiles(t)
		var rings []*Ring
		var err error
		l.to.Do(func() { rings, err = Open(c.o) })
		if err == nil || len(rings) != 0 || !strings.Contains(err.Error(), c.says) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%v: %v; want %v and %q", c.o.Interfaces, err, c.want, c.says)
		}
		if after := openFiles(t); after != before {
			t.Errorf("%v: %d files left open", c.o.Interfaces, after-before)
		}
	}
}

// Without the capability the error names it and says how to give it.
func TestWithoutCapability(t *testing.T) {
	ns := nettest.New(t)
	var err error
	ns.Do(func() {
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err = unix.Capset(&head, &none[0]); err == nil { // of this thread, which ends with the test
			_, err = Open(small("lo"))
		}
	})
	if !errors.Is(err, unix.EPERM) || !strings.Contains(fmt.Sprint(err), "CAP_NET_RAW") || !strings.Contains(fmt.Sprint(err), "setcap cap_net_raw+ep /") {
		t.Errorf("%v", err)
	}
}

// Reading allocates nothing per packet.
func TestReadingAllocatesNothing(t *testing.T) {
	l := newLab(t)
	r := open(t, l.to, Options{Interfaces: []string{"eth0"}})[0]
	s := newSender(t, l.from, "eth0")
	var b capture.Batch
	defer func() { b.Release() }()
	frames := mixed()
	n := 0
	read := func() {
		s.flood(t, frames, 2048, 0)
		for got := 0; got < 1500; {
			if err := r.Next(&b); err != nil {
				t.Fatal(err)
			}
			got, n = got+len(b.Packets), n+len(b.Packets)
		}
	}
	if allocs := testing.AllocsPerRun(5, read); allocs > 2 { // in all, for 2048 packets
		t.Errorf("%v allocations", allocs)
	}
}
