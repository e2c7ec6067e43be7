package discover

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/scan/discover/rounds"
	"github.com/portreeve/portreeve/internal/scan/sockaddr"
)

// Waits of connect: the kernel repeats a SYN after a second by itself.
const (
	connectGap  = 200 * time.Millisecond
	connectLast = 1300 * time.Millisecond
	connectLife = 1500 * time.Millisecond
	maxPending  = 4096
)

// askConnect asks by connect(2), and by echo where a ping socket may be had.
func (f *finder) askConnect(ctx context.Context, g *group) {
	if len(g.addrs) == 0 {
		return
	}
	if f.ended != nil {
		f.fail(f.ended.Error(), g.addrs...)
		return
	}
	f.sum.Connected = true
	l, err := newConnectLine(f, g)
	if err != nil {
		f.fail(err.Error(), g.addrs...)
		return
	}
	defer l.close()
	tries := f.o.Tries
	if tries == 0 {
		tries = 1 // the kernel has repeated the SYN
	}
	l.run = rounds.New(rounds.Plan{
		Targets: len(g.addrs), Kinds: len(l.kinds), Tries: tries, Rate: f.o.rate(connectRate),
		Gap: connectGap, Last: connectLast, Told: f.told(g),
	}, l)
	err = l.run.Run(ctx)
	f.count(l.run.Stats())
	f.end(ctx, g, l.run.Asked, err)
}

// connectLine is the Line of those who may send no packets of their own.
type connectLine struct {
	f      *finder
	g      *group
	run    *rounds.Run
	kinds  []uint16 // ports in order of asking; 0: echo
	index  map[netip.Addr]int32
	tokens tokens
	from   unix.Sockaddr // nil: the kernel's choice
	limit  int

	ping    int // -1: not permitted
	epoll   int
	events  []unix.EpollEvent
	pending map[int32]attempt // by descriptor
	oldest  []opening         // in order; some have ended
	buf     [512]byte
}

// attempt is one connect under way.
type attempt struct {
	i, kind int
	at      time.Time
}

// opening is the begin of an attempt; the descriptor may be another's by now.
type opening struct {
	fd int32
	at time.Time
}

func newConnectLine(f *finder, g *group) (*connectLine, error) {
	l := &connectLine{
		f: f, g: g, tokens: newTokens(), index: make(map[netip.Addr]int32, len(g.addrs)), ping: -1,
		events: make([]unix.EpollEvent, 256), pending: map[int32]attempt{}, limit: pendingLimit(),
	}
	for i, addr := range g.addrs {
		l.index[addr.WithZone("")] = int32(i)
	}
	var err error
	if f.o.From.IsValid() {
		if l.from, err = sockaddr.New(netip.AddrPortFrom(f.o.From.Unmap(), 0)); err != nil {
			return nil, err
		}
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make an epoll descriptor: %w", err)
	}
	if l.openPing(g.addrs[0].Is4()) {
		l.kinds = append(l.kinds, 0)
	}
	l.kinds = append(l.kinds, portACK, portSYN)
	return l, nil
}

// pendingLimit is how many connects may be under way: a share of the
// descriptors that this process may have.
func pendingLimit() int {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil {
		return 128
	}
	return int(max(16, min(maxPending, r.Cur/2)))
}

// openPing opens a ping socket (icmp(7)) where that is permitted.
func (l *connectLine) openPing(is4 bool) bool {
	family, proto := unix.AF_INET6, unix.IPPROTO_ICMPV6
	if is4 {
		family, proto = unix.AF_INET, unix.IPPROTO_ICMP
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return false
	}
	err = l.prepare(fd)
	if err == nil {
		err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}
	if err != nil {
		_ = unix.Close(fd)
		return false
	}
	l.ping = fd
	return true
}

// prepare applies the choice of source and interface.
func (l *connectLine) prepare(fd int) error {
	if l.f.o.Iface != "" {
		if err := unix.BindToDevice(fd, l.f.o.Iface); err != nil {
			return fmt.Errorf("bind to interface %s: %w", l.f.o.Iface, err)
		}
	}
	if l.from != nil {
		if err := unix.Bind(fd, l.from); err != nil {
			return fmt.Errorf("bind to %s: %w", l.f.o.From, err)
		}
	}
	return nil
}

func (l *connectLine) close() {
	for fd := range l.pending {
		_ = unix.Close(int(fd))
	}
	if l.ping >= 0 {
		_ = unix.Close(l.ping)
	}
	_ = unix.Close(l.epoll)
}

// Send begins one kind of asking.
func (l *connectLine) Send(i, kind int) error {
	l.expire()
	if l.kinds[kind] == 0 {
		return l.echo(i)
	}
	if len(l.pending) >= l.limit {
		return rounds.ErrBusy
	}
	sa, err := sockaddr.New(netip.AddrPortFrom(l.g.addrs[i], l.kinds[kind]))
	if err != nil {
		return err
	}
	fd, err := unix.Socket(sockaddr.Family(l.g.addrs[i]), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return shortage(err)
	}
	// Closing resets: nothing is left behind on either side.
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	if err = l.prepare(fd); err == nil {
		err = unix.Connect(fd, sa)
	}
	if errors.Is(err, unix.EINPROGRESS) {
		return l.await(fd, i, kind)
	}
	_ = unix.Close(fd)
	return l.outcome(i, kind, err)
}

// await has the kernel tell how a connect ends.
func (l *connectLine) await(fd, i, kind int) error {
	err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLONESHOT, Fd: int32(fd)})
	if err != nil {
		_ = unix.Close(fd)
		return shortage(err)
	}
	now := time.Now()
	l.pending[int32(fd)] = attempt{i, kind, now}
	l.oldest = append(l.oldest, opening{int32(fd), now})
	return nil
}

// outcome takes how a connect ended. What says that the way is barred says
// nothing of the host.
func (l *connectLine) outcome(i, kind int, err error) error {
	switch {
	case err == nil:
		l.up(i, kind, reasonSYNACK)
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.ECONNRESET):
		l.up(i, kind, reasonRefused)
	default:
		return shortage(err)
	}
	return nil
}

// shortage tells an error of this side's own means.
func shortage(err error) error {
	for _, e := range []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EAGAIN, unix.EADDRNOTAVAIL, unix.ENOSPC} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", rounds.ErrBusy, err)
		}
	}
	return nil
}

func (l *connectLine) up(i, kind int, reason string) {
	if rtt, first := l.run.Answer(i, kind); first {
		l.f.up(l.g.index[i], Host{Addr: l.g.addrs[i], Reason: reason, RTT: rtt})
	}
}

// expire gives up connects that have been under way for long.
func (l *connectLine) expire() {
	for len(l.oldest) > 0 {
		o := l.oldest[0]
		if a, ok := l.pending[o.fd]; ok && a.at.Equal(o.at) {
			if time.Since(a.at) < connectLife {
				return
			}
			delete(l.pending, o.fd)
			_ = unix.Close(int(o.fd))
		}
		l.oldest = l.oldest[1:]
	}
}

func (l *connectLine) echo(i int) error {
	addr := l.g.addrs[i]
	sa, err := sockaddr.New(netip.AddrPortFrom(addr, 0))
	if err != nil {
		return err
	}
	b := putEcho(l.buf[:], addr.Is4(), l.tokens.of(addr.WithZone(""), kindEcho))
	return shortage(unix.Sendto(l.ping, b, unix.MSG_DONTWAIT, sa))
}

// Hear waits for what connects and echoes came to.
func (l *connectLine) Hear(d time.Duration) error {
	ms := int((d + time.Millisecond - 1) / time.Millisecond)
	for {
		n, err := unix.EpollWait(l.epoll, l.events, ms)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for connections: %w", err)
		}
		for _, e := range l.events[:max(n, 0)] {
			l.event(e.Fd)
		}
		if n < len(l.events) {
			l.expire()
			return nil
		}
		ms = 0
	}
}

func (l *connectLine) event(fd int32) {
	if int(fd) == l.ping {
		l.hearEchoes()
		return
	}
	a, ok := l.pending[fd]
	if !ok {
		return
	}
	delete(l.pending, fd)
	no, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && no != 0 {
		err = unix.Errno(no)
	}
	_ = unix.Close(int(fd))
	_ = l.outcome(a.i, a.kind, err) // a shortage now is silence
}

// hearEchoes reads a ping socket, which delivers from the ICMP header on.
func (l *connectLine) hearEchoes() {
	for range drainMost {
		n, from, err := unix.Recvfrom(l.ping, l.buf[:], unix.MSG_DONTWAIT)
		if err != nil {
			return
		}
		addr := sockaddr.AddrPort(from).Addr()
		if i, ok := l.index[addr]; ok && n >= 12 && binary.BigEndian.Uint32(l.buf[8:]) == l.tokens.of(addr, kindEcho) {
			l.up(int(i), 0, reasonEcho)
		}
	}
}
