//go:build !linux

package discover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Figures of asking with the standard library's dialer.
const (
	dialers  = 256
	dialTime = 1500 * time.Millisecond
)

// Windows' numbers (winerror.h) of what others call ECONNREFUSED and
// ECONNRESET; no other system has errors so high.
const (
	wsaReset   = syscall.Errno(10054)
	wsaRefused = syscall.Errno(10061)
)

// Find asks which of the targets are up and tells each that is, once, with
// its number, by connecting to ports 80 and 443.
func Find(ctx context.Context, targets Targets, o Options, tell func(i uint64, h Host)) (Summary, error) {
	if o.Method == Raw {
		return Summary{}, ErrUnsupported
	}
	f := &finder{o: o, targets: targets, order: newOrder(targets.Len()), work: make(chan uint64), found: make(chan find)}
	f.dialer.Timeout = dialTime
	if o.From.IsValid() {
		f.dialer.LocalAddr = &net.TCPAddr{IP: o.From.AsSlice(), Zone: o.From.Zone()}
	}
	begun := time.Now()
	go f.deal(ctx)
	var crew sync.WaitGroup
	for range dialers {
		crew.Go(func() { f.dial(ctx) })
	}
	go func() { crew.Wait(); close(f.found) }()
	sum := f.gather(tell)
	sum.Stats.Seconds = time.Since(begun).Seconds()
	return sum, nil
}

type finder struct {
	o       Options
	targets Targets
	order   order
	dialer  net.Dialer
	work    chan uint64
	found   chan find
}

// find is the outcome of one target; Reason is empty where it is silent.
type find struct {
	i    uint64
	host Host
	sent int64
	cut  bool // interrupted: not settled
}

// deal hands out the targets at the rate.
func (f *finder) deal(ctx context.Context) {
	defer close(f.work)
	tick := time.NewTicker(time.Duration(2 / f.o.rate(connectRate) * float64(time.Second))) // two probes each
	defer tick.Stop()
	for at := range f.targets.Len() {
		select {
		case <-tick.C:
			f.work <- f.order.at(at)
		case <-ctx.Done():
			return
		}
	}
}

func (f *finder) dial(ctx context.Context) {
	for i := range f.work {
		x := find{i: i, host: Host{Addr: f.targets.At(i).Unmap()}}
		for _, port := range []uint16{portACK, portSYN} {
			if x.host.Reason == "" && !x.host.Addr.IsMulticast() {
				x.sent++
				x.host.Reason, x.host.RTT = f.ask(ctx, netip.AddrPortFrom(x.host.Addr, port))
			}
		}
		x.cut = ctx.Err() != nil && x.host.Reason == ""
		f.found <- x
	}
}

func (f *finder) ask(ctx context.Context, to netip.AddrPort) (reason string, rtt time.Duration) {
	begun := time.Now()
	c, err := f.dialer.DialContext(ctx, "tcp", net.JoinHostPort(to.Addr().String(), strconv.Itoa(int(to.Port()))))
	rtt = time.Since(begun)
	switch {
	case err == nil:
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		_ = c.Close()
		return reasonSYNACK, rtt
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, wsaRefused), errors.Is(err, wsaReset):
		return reasonRefused, rtt
	}
	return "", 0
}

// gather tells what the dialers found, in the caller's goroutine.
func (f *finder) gather(tell func(i uint64, h Host)) Summary {
	sum := Summary{Targets: f.targets.Len(), Connected: true}
	for x := range f.found {
		sum.Stats.Sent += x.sent
		if !x.cut {
			sum.Asked++
		}
		if x.host.Reason != "" {
			sum.Up++
			tell(x.i, x.host)
		}
		if f.o.Progress != nil && sum.Asked%256 == 0 {
			f.o.Progress(sum.Asked, sum.Targets)
		}
	}
	if left := sum.Targets - sum.Asked; left > 0 {
		sum.Gaps = append(sum.Gaps, exposure.Gap{View: "network", Why: fmt.Sprintf(
			"host discovery was interrupted: %d of %d addresses were not asked", left, sum.Targets)})
	}
	return sum
}
