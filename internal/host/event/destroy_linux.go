package event

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/sockdiag"
	"golang.org/x/sys/unix"
)

// openDestroy is a listing that is told by the kernel when sockets end.
func openDestroy(ctx context.Context, o Options) (source, []exposure.Gap, error) {
	l := newListing(o, SourceDestroy)
	l.destroyed = make(chan destroyed, 1024)
	gaps, err := l.start(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := l.deaf(); err != nil {
		return nil, nil, errors.Join(unavailable("join the kernel's multicast of ended sockets", err), l.close())
	}
	return l, append(gaps,
		gap("listeners that open are known by listing every %v: one that lives shorter is not seen, but for datagram sockets on a port outside of those that the kernel chooses from, which are told without their process", o.Interval)), nil
}

// deaf is why the own namespace's ends are not told, if so.
func (l *listing) deaf() error {
	var failed error
	for _, s := range l.spaces {
		if s.ended != nil {
			return nil
		}
		failed = errors.Join(failed, s.refusal)
	}
	if failed == nil {
		failed = unix.EOPNOTSUPP
	}
	return failed
}

// destroyed is one socket that the kernel said has ended.
type destroyed struct {
	space  *space
	proto  sockdiag.Protocol
	socket sockdiag.Socket // without slices
	lost   bool            // the kernel dropped some of them instead
}

// groups is a netlink socket in the multicast groups of ended sockets.
type groups struct {
	file *os.File
	done chan struct{}
	wg   sync.WaitGroup
}

// destroyGroups are SKNLGRP_INET_TCP_DESTROY to SKNLGRP_INET6_UDP_DESTROY, 1 to
// 4, as bits (linux/sock_diag.h).
const destroyGroups = 0xf

const (
	messageHeader = 16 // struct nlmsghdr
	peerPortAt    = messageHeader + 4 + 2
	groupBuffer   = 1 << 20
)

// withoutPeer is a classic BPF program that keeps the messages of sockets
// without a peer: a busy server's connections wake nobody.
func withoutPeer() []unix.SockFilter {
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: peerPortAt},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
}

// join listens in the calling thread's namespace.
func (l *listing) join(s *space) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return err
	}
	program := withoutPeer()
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	if err == nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, groupBuffer)
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: destroyGroups})
	}
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	s.ended = &groups{file: os.NewFile(uintptr(fd), "sock_diag"), done: make(chan struct{})}
	s.ended.wg.Go(func() { s.ended.listen(s, l.destroyed) })
	return nil
}

func (g *groups) close() {
	close(g.done)
	_ = g.file.Close()
	g.wg.Wait()
}

func (g *groups) listen(s *space, out chan<- destroyed) {
	buf := make([]byte, 8<<10)
	for {
		n, err := g.file.Read(buf)
		d := destroyed{space: s, lost: errors.Is(err, unix.ENOBUFS)}
		if err != nil && !d.lost {
			return // closed
		}
		if !d.lost && !d.decode(buf[:n]) {
			continue
		}
		select {
		case out <- d:
		case <-g.done:
			return
		}
	}
}

// decode reads one message: a header and an inet_diag_msg with the protocol
// among its attributes.
func (d *destroyed) decode(b []byte) bool {
	if len(b) < messageHeader || sockdiag.DecodeInet(b[messageHeader:], &d.socket) != nil {
		return false
	}
	d.proto = sockdiag.Protocol(d.socket.Protocol)
	d.socket.ULP, d.socket.Info = nil, nil
	return d.proto != 0 && d.socket.SrcPort != 0 && d.socket.DstPort == 0
}

// ended tells of a socket that the kernel said has ended. One that no listing
// saw lived shorter than the interval: a datagram socket is told as opened and
// closed when its port shows that a program chose it. A stream socket without
// a peer may as well be a connection that was never accepted.
func (l *listing) ended(d destroyed, fn func(Event) error) error {
	if d.lost {
		l.drops.n.Add(1)
		return fn(Event{Kind: Lost, At: time.Now().UTC(), Source: l.label})
	}
	if inode, ok := l.cookies[d.socket.Cookie]; ok {
		return l.closed(inode, fn)
	}
	chosen := d.socket.SrcPort >= d.space.low && d.socket.SrcPort <= d.space.high
	if chosen || d.proto == sockdiag.TCP || l.past.has(d.socket.Cookie) || d.space.subflows[d.socket.Cookie] {
		return nil
	}
	e := Event{Kind: Opened, At: time.Now().UTC(), Source: l.label, Cookie: d.socket.Cookie,
		Socket: plain(d.space.NetNS, d.proto, &d.socket)}
	e.Socket.OwnerUnknown = "it ended before it was listed"
	if err := fn(e); err != nil {
		return err
	}
	e.Kind = Closed
	return fn(e)
}

// recent remembers some thousand numbers, in two halves.
type recent struct{ new, old map[uint64]bool }

const recentHalf = 4096

func (r *recent) add(n uint64) {
	if len(r.new) >= recentHalf {
		r.old, r.new = r.new, nil
	}
	if r.new == nil {
		r.new = map[uint64]bool{}
	}
	r.new[n] = true
}

func (r *recent) has(n uint64) bool { return r.new[n] || r.old[n] }
