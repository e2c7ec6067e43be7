package udp

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/sockaddr"
)

// Figures of the loop.
const (
	lookEvery   = 32                     // datagrams sent between two looks at the sockets
	nap         = 50 * time.Millisecond  // longest sleep: the context is looked at in between
	hardship    = 5 * time.Millisecond   // wait for the sender's own buffers
	hardshipMax = 5 * time.Second        // in all without one success, then a gap
	tellEvery   = 100 * time.Millisecond // between two reports of progress
)

// Sweep asks everything that w lists and tells the state of each number once,
// in no order, from the calling goroutine. A number that is not told was not
// settled; a gap says why. A sweep that could not begin gives an error; a
// cancelled ctx is a gap.
func (t *Transport) Sweep(ctx context.Context, w Work, tell func(i uint64, p exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error) {
	tab, err := parseTable(payloadTable)
	if err != nil {
		return exposure.ScanStats{}, nil, err
	}
	s := &sweep{t: t, began: time.Now(), used: map[uint16]bool{}, pace: newPace(t.Rate, t.maxRate())}
	_, _ = rand.Read(s.key[:]) // never fails (crypto/rand)
	part := newEngine(t, tab, w, tell)
	err = s.run(ctx, part)
	if err == nil && ctx.Err() == nil && len(part.later) > 0 {
		err = s.run(ctx, newEngine(t, tab, chosen{w, part.later}, func(i uint64, p exposure.PortState) { tell(part.later[i], p) }))
	}
	s.stats.Seconds = time.Since(s.began).Seconds()
	return s.stats, s.gaps, err
}

// chosen is a part of a Work.
type chosen struct {
	of      Work
	numbers []uint64
}

func (c chosen) Len() uint64                      { return uint64(len(c.numbers)) }
func (c chosen) At(i uint64) (netip.Addr, uint16) { return c.of.At(c.numbers[i]) }

// sweep is one call of Sweep.
type sweep struct {
	t        *Transport
	began    time.Time
	key      [16]byte
	used     map[uint16]bool
	pace     *pace
	socks    *sockets
	engine   *engine
	stats    exposure.ScanStats
	gaps     []exposure.Gap
	troubled time.Duration
	reported int64
	reportAt instant
}

func (s *sweep) now() instant { return time.Since(s.began) }

// run asks one engine's work from sockets of its own.
func (s *sweep) run(ctx context.Context, e *engine) error {
	s.engine, s.socks = e, newSockets(s.t, s.used)
	e.zones, e.id, e.own = sockaddr.Zone, s.number, s.socks.ports
	defer s.socks.close()
	s.reported = 0
	err := s.loop(ctx, e)
	s.report(e, true)
	s.conclude(ctx, e)
	maps.Copy(s.used, s.socks.ports)
	return err
}

// number is what a request carries for the answer to repeat: it cannot be
// guessed and needs no memory.
func (s *sweep) number(to spot) (id [8]byte) {
	mac := hmac.New(sha256.New, s.key[:])
	a := to.addr.As16()
	mac.Write(a[:])
	mac.Write(binary.BigEndian.AppendUint16(nil, to.port))
	copy(id[:], mac.Sum(nil))
	return id
}

func (s *sweep) loop(ctx context.Context, e *engine) error {
	if err := s.openFirst(e); err != nil {
		return err
	}
	for sent := 0; !e.over() && ctx.Err() == nil; {
		wait, ok, err := s.turn(e)
		if err != nil {
			return err
		}
		if sent++; ok && sent%lookEvery != 0 {
			continue
		}
		if ok {
			wait = 0
		}
		if err := s.hear(e, wait); err != nil {
			return err
		}
		s.pace.adapt(s.now(), e.canaries.recent)
		e.paced(s.pace.rate)
		s.report(e, false)
	}
	return nil
}

// openFirst opens the sockets of the first number's family, so that a sweep
// that cannot begin says so.
func (s *sweep) openFirst(e *engine) error {
	if e.work.Len() == 0 {
		return nil
	}
	addr, _ := e.work.At(0)
	f := family(addr.Unmap())
	if err := s.socks.openFamily(f); err != nil {
		return fmt.Errorf("ask UDP ports: %w", err)
	}
	// The other family's now too, so that all own ports are known; what fails
	// is said when one of its addresses is asked.
	_ = s.socks.openFamily(1 - f)
	return nil
}

// turn sends one datagram; ok is false and wait how long to sleep when none
// is due.
func (s *sweep) turn(e *engine) (wait time.Duration, ok bool, err error) {
	now := s.now()
	if wait := s.pace.allow(now); wait > 0 {
		return min(wait, nap), false, nil
	}
	shot, ok, wake := e.next(now)
	if !ok {
		s.pace.credit++
		return min(max(wake-now, 0), nap), false, nil
	}
	return 0, true, s.send(e, shot)
}

// send sends, and waits where the sender itself is short of something.
func (s *sweep) send(e *engine, shot shot) error {
	message := shot.request.message
	if shot.request.id.size > 0 {
		id := e.id(shot.to)
		message = shot.request.datagram(id[:])
	}
	for {
		err := s.socks.send(shot.to, shot.request.stray, message)
		if err == nil {
			s.troubled = 0
			return nil
		}
		if !short(err) || s.troubled >= hardshipMax {
			s.failed(e, shot, err)
			return nil
		}
		s.troubled += hardship
		s.pace.shortage()
		if err := s.hear(e, hardship); err != nil {
			return err
		}
	}
}

// short tells an error of the sender's own means that may pass.
func short(err error) bool {
	for _, e := range []unix.Errno{unix.ENOBUFS, unix.EAGAIN, unix.ENOMEM, unix.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (s *sweep) failed(e *engine, shot shot, err error) {
	switch {
	case shot.probe == nil:
	case errors.Is(err, unix.EPERM):
		e.denied(shot.probe)
	default:
		e.dropped(shot.probe, err)
	}
}

// hear sleeps until something comes, and takes it.
func (s *sweep) hear(e *engine, wait time.Duration) error {
	if err := s.socks.wait(wait); err != nil {
		return err
	}
	now := s.now()
	s.socks.heard(
		func(from spot, stray bool, b []byte, ttl uint8) { e.answered(now, from, stray, b, ttl) },
		func(to spot, reason string) { e.refused(now, to, reason) })
	return nil
}

func (s *sweep) report(e *engine, last bool) {
	now := s.now()
	if s.t.Progress == nil || !last && now < s.reportAt || e.counts.asked == s.reported {
		return
	}
	s.t.Progress(int(e.counts.asked - s.reported))
	s.reported, s.reportAt = e.counts.asked, now+tellEvery
}

// conclude adds up what an engine did and what it could not.
func (s *sweep) conclude(ctx context.Context, e *engine) {
	s.stats.Sent += e.counts.sent
	s.stats.Received += e.counts.received
	loss := &s.stats.Loss
	loss.CanarySent += e.canaries.sent
	loss.CanaryLost += e.canaries.lost
	if loss.CanarySent > 0 {
		loss.Estimate = float64(loss.CanaryLost) / float64(loss.CanarySent)
	}
	for _, why := range slices.Sorted(maps.Keys(e.unasked)) {
		s.gap("%d UDP ports were not asked (the first of %s): %s", e.unasked[why].ports, e.unasked[why].first, why)
	}
	s.heldBack(e)
	if left := int64(e.work.Len()) - e.counts.told; ctx.Err() != nil && left > 0 {
		s.gap("the scan was interrupted: %d UDP ports are not settled", left)
	}
}

func (s *sweep) gap(format string, args ...any) {
	s.gaps = append(s.gaps, exposure.Gap{View: "network", Why: fmt.Sprintf(format, args...)})
}

// gapHosts bounds how many hosts are named one by one.
const gapHosts = 32

// heldBack names the hosts whose limit was not waited for.
func (s *sweep) heldBack(e *engine) {
	var hosts []*host
	for _, h := range e.hosts {
		if h.unwaited > 0 {
			hosts = append(hosts, h)
		}
	}
	slices.SortFunc(hosts, func(a, b *host) int { return a.addr.Compare(b.addr) })
	say := e.t.Note
	if say == nil {
		say = func(why string) { s.gap("%s", why) }
	}
	for _, h := range hosts[:min(len(hosts), gapHosts)] {
		say(h.why())
	}
	if n := len(hosts) - gapHosts; n > 0 {
		say(fmt.Sprintf("%d more hosts limit their ICMP errors; UDP ports that they did not refuse in time are open|filtered", n))
	}
}
