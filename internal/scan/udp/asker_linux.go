package udp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/sockaddr"
	"github.com/portreeve/portreeve/internal/scan/unreach"
)

// maxSockets bounds the endpoints asked at once.
const maxSockets = 512

// Ask asks each endpoint (its address must be a unicast address of this host)
// and tells its state once, in order. An endpoint that could not be asked is
// not told; a gap says why. A cancelled ctx is a gap.
func (a *Asker) Ask(ctx context.Context, eps []exposure.Endpoint, tell func(exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error) {
	tab, err := parseTable(payloadTable)
	if err != nil {
		return exposure.ScanStats{}, nil, err
	}
	r := &round{asker: a, table: tab}
	begun := time.Now()
	for part := range slices.Chunk(eps, maxSockets) {
		r.ask(ctx, part, tell)
	}
	if ctx.Err() != nil {
		r.gap("the scan was interrupted before every UDP endpoint was asked")
	}
	r.stats.Seconds = time.Since(begun).Seconds()
	return r.stats, r.gaps, nil
}

// round asks endpoints together.
type round struct {
	asker *Asker
	table *table
	stats exposure.ScanStats
	gaps  []exposure.Gap
}

// question is one endpoint with the socket that asks it.
type question struct {
	to      netip.AddrPort
	fd      int
	dest    unix.Sockaddr
	began   time.Time
	asks    int
	said    *exposure.PortState
	failure error
}

func (r *round) gap(format string, args ...any) {
	r.gaps = append(r.gaps, exposure.Gap{View: "network", Why: fmt.Sprintf(format, args...)})
}

func (r *round) ask(ctx context.Context, eps []exposure.Endpoint, tell func(exposure.PortState)) {
	var open []*question
	for _, e := range eps {
		q := &question{to: netip.AddrPortFrom(e.Addr.IP, e.Port), fd: -1}
		if q.failure = q.open(); q.failure != nil {
			r.gap("%s was not asked: %v", e, q.failure)
			continue
		}
		defer func() { _ = unix.Close(q.fd) }()
		open = append(open, q)
	}
	for range r.asker.tries() {
		r.try(ctx, open)
	}
	for _, q := range open {
		r.tell(ctx, q, tell)
	}
}

func (r *round) tell(ctx context.Context, q *question, tell func(exposure.PortState)) {
	switch {
	case q.said != nil:
		tell(*q.said)
	case q.failure != nil:
		r.gap("udp/%s was not asked: %v", q.to, q.failure)
	case ctx.Err() == nil:
		q.settle(exposure.OpenFiltered, "no-response", 0)
		tell(*q.said)
	}
}

// open makes the asking socket. Its port differs from the asked one, so that
// it cannot hear itself.
func (q *question) open() error {
	for range 8 {
		if err := q.openOnce(); err != nil {
			return err
		}
		local, err := sockaddr.LocalPort(q.fd)
		if err == nil && local != q.to.Port() {
			return nil
		}
		_ = unix.Close(q.fd)
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("find a local port other than %d: %w", q.to.Port(), unix.EADDRINUSE)
}

func (q *question) openOnce() (err error) {
	level, option := unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	if q.to.Addr().Is4() {
		level, option = unix.IPPROTO_IP, unix.IP_RECVERR
	}
	q.fd, err = unix.Socket(sockaddr.Family(q.to.Addr()), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	if err = q.prepare(level, option); err != nil {
		_ = unix.Close(q.fd)
	}
	return err
}

func (q *question) prepare(level, option int) error {
	if err := unix.SetsockoptInt(q.fd, level, option, 1); err != nil {
		return fmt.Errorf("ask for ICMP errors: %w", err)
	}
	from, err := sockaddr.New(netip.AddrPortFrom(q.to.Addr(), 0))
	if err != nil {
		return err
	}
	if err := unix.Bind(q.fd, from); err != nil {
		return fmt.Errorf("bind to %s: %w", q.to.Addr(), err)
	}
	q.dest, err = sockaddr.New(q.to)
	return err
}

// try asks all unsettled questions once and waits for answers.
func (r *round) try(ctx context.Context, all []*question) {
	waiting := make([]*question, 0, len(all))
	for _, q := range all {
		if q.said == nil && ctx.Err() == nil {
			r.send(q)
			waiting = append(waiting, q)
		}
	}
	for end := time.Now().Add(r.asker.wait()); len(waiting) > 0 && ctx.Err() == nil; {
		rest := time.Until(end)
		if rest <= 0 {
			return
		}
		waiting = r.hear(waiting, min(rest, 50*time.Millisecond))
	}
}

func (r *round) send(q *question) {
	if q.began.IsZero() {
		q.began = time.Now()
	}
	all := r.table.requestsFor(q.to.Port())
	request := all[q.asks%len(all)].message
	q.asks++
	err := unix.Sendto(q.fd, request, unix.MSG_DONTWAIT, q.dest)
	r.stats.Sent++
	switch {
	case err == nil:
		q.failure = nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		q.settle(exposure.Filtered, "not-permitted", 0)
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH):
		// An earlier try's ICMP error, or no route: the error queue tells
		// which; without an entry it is the asker's own trouble.
		q.failure = fmt.Errorf("send a datagram: %w", err)
	default:
		q.failure = fmt.Errorf("send a datagram: %w", err)
	}
}

// hear waits for one round of answers and returns who is still waiting.
func (r *round) hear(waiting []*question, d time.Duration) []*question {
	polls := make([]unix.PollFd, len(waiting))
	for i, q := range waiting {
		polls[i] = unix.PollFd{Fd: int32(q.fd), Events: unix.POLLIN}
	}
	ts := unix.NsecToTimespec(int64(d))
	if n, err := unix.Ppoll(polls, &ts, nil); n <= 0 || err != nil {
		return waiting
	}
	for i, q := range waiting {
		if polls[i].Revents != 0 {
			r.read(q)
		}
	}
	return slices.DeleteFunc(waiting, func(q *question) bool { return q.said != nil })
}

// read takes an answer: a datagram from the asked address wins over an error.
func (r *round) read(q *question) {
	var b [1]byte
	for range 64 {
		_, from, err := unix.Recvfrom(q.fd, b[:], unix.MSG_DONTWAIT)
		if err == nil && sockaddr.AddrPort(from).Addr() == q.to.Addr().WithZone("") {
			r.stats.Received++
			q.settle(exposure.Open, "udp-response", time.Since(q.began))
			return
		}
		if errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	if q.said == nil {
		r.readError(q)
	}
}

// readError takes an ICMP error from the socket's error queue.
func (r *round) readError(q *question) {
	e, ok := sockaddr.LastICMP(q.fd)
	if !ok {
		return
	}
	reason, ok := unreach.Reason(e.V6, e.Type, e.Code)
	if !ok {
		return
	}
	r.stats.Received++
	state := exposure.Filtered
	if reason == unreach.PortUnreach {
		state = exposure.Closed
	}
	q.settle(state, reason, time.Since(q.began))
}

func (q *question) settle(state exposure.PortStateName, reason string, rtt time.Duration) {
	q.failure = nil
	q.said = &exposure.PortState{Addr: q.to.Addr(), Port: q.to.Port(), Proto: exposure.UDP, State: state,
		Reason: reason, RTT: rtt, RTTus: rtt.Microseconds()}
}
