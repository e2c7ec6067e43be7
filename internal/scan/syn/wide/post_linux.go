package wide

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Carriers: most of a probe's cost is the kernel's, and on a path without
// hardware (veth, bridges) the target's side of it is paid by who sends. So
// several threads carry batches, as many as there are processors.
const (
	maxCarriers = 4
	fewFrames   = 8 // a batch so small is sent without a carrier
)

// patience is how long a full queue of the device is waited for; probes that
// found no room are lost, and asked again like other lost ones.
const patience = 20 * time.Millisecond

// kinds of sockets.
const (
	byLink = iota
	byRaw4
	byRaw6
	kinds
)

// post takes frames and has them carried to the kernel.
type post struct {
	fds   [kinds]int // -1: not there
	open  [kinds]*batch
	free  chan *batch
	ready chan *batch
	done  sync.WaitGroup

	failed    atomic.Pointer[error] // the way is gone
	forbidden atomic.Int64          // frames that this host's own rules refused
}

func openPost() (*post, error) {
	p := &post{fds: [kinds]int{-1, -1, -1}}
	var err error
	if p.fds[byLink], err = openLink(); err != nil {
		return nil, err
	}
	if p.fds[byRaw4], err = openRaw(unix.AF_INET); err != nil {
		p.closeSockets()
		return nil, err
	}
	if p.fds[byRaw6], err = openRaw(unix.AF_INET6); err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
		p.closeSockets()
		return nil, err
	}
	p.start(min(runtime.NumCPU(), maxCarriers))
	return p, nil
}

func (p *post) start(carriers int) {
	n := 2*carriers + kinds
	p.free, p.ready = make(chan *batch, n), make(chan *batch, n)
	for range n {
		p.free <- newBatch()
	}
	for range carriers {
		p.done.Go(func() {
			for b := range p.ready {
				p.carry(b)
			}
		})
	}
}

// close waits until everything is carried.
func (p *post) close() {
	p.flush()
	close(p.ready)
	p.done.Wait()
	p.closeSockets()
}

func (p *post) closeSockets() {
	for _, fd := range p.fds {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

func kindOf(h *Hop, dst netip.Addr) int {
	switch {
	case !h.Raw:
		return byLink
	case dst.Is6():
		return byRaw6
	}
	return byRaw4
}

var errNoIPv6 = errors.New("this host has no IPv6")

// put adds one frame.
func (p *post) put(h *Hop, dst netip.Addr, sport, dport uint16, seq uint32) error {
	kind := kindOf(h, dst)
	b := p.open[kind]
	if b == nil {
		if p.fds[kind] < 0 {
			return errNoIPv6
		}
		b = <-p.free
		b.fd, b.n = p.fds[kind], 0
		p.open[kind] = b
	}
	b.put(h, dst, sport, dport, seq)
	if b.full() {
		p.dispatch(kind)
	}
	return nil
}

// flush has everything carried that was put.
func (p *post) flush() {
	for kind, b := range p.open {
		if b != nil {
			p.dispatch(kind)
		}
	}
}

func (p *post) dispatch(kind int) {
	b := p.open[kind]
	p.open[kind] = nil
	if b.n <= fewFrames {
		p.carry(b)
		return
	}
	p.ready <- b
}

// carry sends a batch and frees it.
func (p *post) carry(b *batch) {
	defer func() { p.free <- b }()
	from := 0
	for end := time.Now().Add(patience); from < b.n; {
		n, err := b.flush(from)
		from += n
		switch {
		case err == nil:
			return
		case busy(err) && time.Now().Before(end):
			time.Sleep(nap)
		case gone(err):
			err = fmt.Errorf("%w: %w", ErrDown, err)
			p.failed.CompareAndSwap(nil, &err)
			return
		default:
			from++
			if forbidden(err) {
				p.forbidden.Add(1)
			}
		}
	}
}
