package connect

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/sockaddr"
)

// asker asks the ports of one address.
type asker struct {
	*sweep
	addr    netip.Addr
	limit   int // probes that may be pending
	timeout time.Duration
	tell    func(exposure.PortState)

	spare    *source         // bound, ready to ask
	pending  map[int]*source // by descriptor
	fifo     []*source       // pending in order of deadline; settled ones are skipped
	canary   *source         // bound, never listening
	silent   []uint16
	told     int
	waited   time.Duration // for the asker's own means
	hardship error         // why ports could not be asked
	gone     error         // why no port can be asked any longer
}

// openCanary holds a port closed whose answer is known.
func (a *asker) openCanary() {
	if s, err := openSource(a.addr); err == nil {
		a.canary = s
	}
}

func (a *asker) close() {
	for _, s := range a.pending {
		s.close()
	}
	for _, s := range []*source{a.spare, a.canary} {
		if s != nil {
			s.close()
		}
	}
}

// round asks ports and waits for every answer or its timeout.
func (a *asker) round(ctx context.Context, ports []uint16, first bool) {
	for i, port := range ports {
		if ctx.Err() != nil || a.gone != nil {
			break
		}
		if i%canaryEvery == 0 {
			a.askCanary()
		}
		a.ask(ctx, port)
		if first && a.t.Progress != nil && (i+1)%256 == 0 {
			a.t.Progress(256)
		}
	}
	if first && a.t.Progress != nil && ctx.Err() == nil {
		a.t.Progress(len(ports) % 256)
	}
	for len(a.pending) > 0 && ctx.Err() == nil {
		a.collect(a.patience())
	}
}

// askCanary asks the port that this process holds closed. Loopback answers
// within connect(2), so what is still pending is lost.
func (a *asker) askCanary() {
	if a.canary == nil {
		return
	}
	s, err := a.source(a.canary.local)
	if err != nil {
		return
	}
	a.stats.Loss.CanarySent++
	a.stats.Sent++
	if err = a.connect(s, a.canary.local); errors.Is(err, unix.ECONNREFUSED) {
		a.stats.Received++
		return
	}
	if err != nil {
		a.stats.Loss.CanaryLost++
	}
	a.discard(s)
}

// ask starts one probe, waiting where the asker's own means are short.
func (a *asker) ask(ctx context.Context, port uint16) {
	for len(a.pending) >= a.limit && ctx.Err() == nil {
		a.collect(a.patience())
	}
	for ctx.Err() == nil {
		err := a.try(port)
		if err == nil {
			return
		}
		a.hardship = err
		if !exhausted(err) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			a.gone = err
			return
		}
		if errors.Is(err, unix.EADDRNOTAVAIL) && a.vanished() {
			return
		}
		if a.waited >= maxHardship {
			return
		}
		a.relax()
	}
}

// vanished tells whether the address itself is gone rather than a local port.
func (a *asker) vanished() bool {
	a.gone = sockaddr.Ours(a.addr)
	if a.gone != nil {
		a.hardship = a.gone
	}
	return a.gone != nil
}

// relax gives descriptors and local ports time to come free. While probes are
// pending theirs will, so only waiting without any counts as hardship.
func (a *asker) relax() {
	if a.spare != nil {
		a.discard(a.spare)
	}
	if n := len(a.pending); n > 0 {
		a.limit = n
		a.collect(a.patience())
		return
	}
	time.Sleep(hardshipPause)
	a.waited += hardshipPause
}

// source gives the spare source, or a new one where there is none or it has
// the asked port's number.
func (a *asker) source(port uint16) (*source, error) {
	if a.spare != nil && a.spare.local != port {
		return a.spare, nil
	}
	s, err := openSource(a.addr)
	if err != nil {
		return nil, err
	}
	if a.spare != nil {
		a.spare.close()
	}
	a.spare = s
	if s.local == port { // the kernel gave the asked port itself: hold it while taking another
		a.spare = nil
		defer s.close()
		return a.source(port)
	}
	return s, nil
}

func (a *asker) discard(s *source) {
	s.close()
	if a.spare == s {
		a.spare = nil
	}
}

// try asks one port. Its error is one of the asker, not of the port.
func (a *asker) try(port uint16) error {
	s, err := a.source(port)
	if err != nil {
		return err
	}
	s.began = time.Now()
	err = a.connect(s, port)
	if err == nil || errors.Is(err, unix.ECONNREFUSED) || refusal(err) != "" {
		a.stats.Sent++
		a.result(s, port, err)
		if err == nil {
			a.discard(s)
		}
		return nil
	}
	if !errors.Is(err, unix.EINPROGRESS) {
		a.discard(s)
		return fmt.Errorf("connect to %s: %w", netip.AddrPortFrom(a.addr, port), err)
	}
	a.stats.Sent++
	return a.park(s, port)
}

// connect asks twice: the first call holds the socket while loopback answers,
// so only the second returns the answer (and leaves a refused socket fit for
// use again). EINPROGRESS means that there is none yet.
func (a *asker) connect(s *source, port uint16) error {
	sa, err := sockaddr.New(netip.AddrPortFrom(a.addr, port))
	if err != nil {
		return err
	}
	if err = connectOnce(s.fd, sa); !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	if err = connectOnce(s.fd, sa); errors.Is(err, unix.EALREADY) {
		return unix.EINPROGRESS
	}
	return err
}

func connectOnce(fd int, sa unix.Sockaddr) error {
	for {
		if err := unix.Connect(fd, sa); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// park puts a probe without an answer among the pending.
func (a *asker) park(s *source, port uint16) error {
	a.spare = nil
	ev := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(s.fd)}
	if err := unix.EpollCtl(a.ep, unix.EPOLL_CTL_ADD, s.fd, &ev); err != nil {
		s.close()
		return fmt.Errorf("wait for %s: %w", netip.AddrPortFrom(a.addr, port), err)
	}
	s.port, s.deadline = port, s.began.Add(a.timeout)
	a.pending[s.fd] = s
	a.fifo = append(a.fifo, s)
	return nil
}

// patience is how long until the first pending probe times out.
func (a *asker) patience() time.Duration {
	for len(a.fifo) > 0 && a.pending[a.fifo[0].fd] != a.fifo[0] {
		a.fifo = a.fifo[1:]
	}
	if len(a.fifo) == 0 {
		return 0
	}
	return max(0, min(time.Until(a.fifo[0].deadline), 100*time.Millisecond))
}

// collect takes answers for up to d and gives up on probes that are overdue.
func (a *asker) collect(d time.Duration) {
	n, _ := unix.EpollWait(a.ep, a.events, int((d+time.Millisecond-1)/time.Millisecond))
	for i := range max(n, 0) {
		if s := a.pending[int(a.events[i].Fd)]; s != nil {
			a.finish(s)
		}
	}
	now := time.Now()
	for len(a.fifo) > 0 && !a.fifo[0].deadline.After(now) {
		if s := a.fifo[0]; a.pending[s.fd] == s {
			a.drop(s)
			a.silent = append(a.silent, s.port)
		}
		a.fifo = a.fifo[1:]
	}
}

// finish settles a pending probe that has an answer.
func (a *asker) finish(s *source) {
	code, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	a.result(s, s.port, err)
	a.drop(s)
}

func (a *asker) drop(s *source) {
	delete(a.pending, s.fd)
	s.close()
}

// result turns what connect(2) said into the port's state.
func (a *asker) result(s *source, port uint16, err error) {
	rtt := time.Since(s.began)
	if err == nil && s.selfConnected() {
		a.silent = append(a.silent, port) // it spoke to itself: ask again
		return
	}
	if err == nil {
		a.stats.Received++
		a.settle(port, exposure.Open, "syn-ack", rtt)
		return
	}
	if reason, ok := s.unreachable(); ok {
		a.stats.Received++
		a.settle(port, exposure.Filtered, reason, rtt)
		return
	}
	if errors.Is(err, unix.ECONNREFUSED) {
		a.stats.Received++
		a.settle(port, exposure.Closed, "conn-refused", rtt)
		return
	}
	switch reason := refusal(err); reason {
	case "", "no-response":
		a.silent = append(a.silent, port)
	default:
		a.settle(port, exposure.Filtered, reason, rtt)
	}
}

func (a *asker) settle(port uint16, state exposure.PortStateName, reason string, rtt time.Duration) {
	a.told++
	a.tell(exposure.PortState{Addr: a.addr, Port: port, Proto: exposure.TCP, State: state, Reason: reason,
		RTT: rtt, RTTus: rtt.Microseconds()})
}
