package connect

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/scan/sockaddr"
)

// job is one thing to ask.
type job struct {
	i      uint64 // its number in the work
	to     netip.AddrPort
	host   *host
	missed int // tries without an answer
	selfs  int // times that it connected to itself
	canary bool
}

// probe is a socket and, while it is pending, what it asks.
type probe struct {
	job
	fd       int
	kind     kind
	watched  bool // by epoll, edge-triggered, until it is closed
	eager    bool // look for an answer at once
	failed   bool // epoll reported an error
	spoilt   bool // cannot be used again
	began    time.Time
	deadline time.Time
	place    int // among the deadlines; idle where it is not pending

	errno   unix.Errno // of the last connect(2)
	outcome verdict
	took    time.Duration // from began to the outcome
}

const idle = -1

// kind tells sockets apart that cannot stand for each other: a socket that
// asked a link-local address stays bound to its interface.
type kind struct {
	v6       bool
	zone     uint32
	anchored bool // bound to a port of its own
}

// pool holds sockets. They are used again without being closed: a refused
// connect leaves a socket as it was, and AF_UNSPEC dissolves all else.
type pool struct {
	from     netip.Addr
	iface    string
	synCount int
	spare    map[kind][]*probe
	byFD     map[int]*probe
	zones    map[string]uint32
	anchors  int // that may still be opened
}

func newPool(t *Network) *pool {
	return &pool{from: t.From.Unmap(), iface: t.Iface, synCount: synCount(t.timeout()),
		anchors: mostAnchors(),
		spare:   map[kind][]*probe{}, byFD: map[int]*probe{}, zones: map[string]uint32{}}
}

// synCount is the least TCP_SYNCNT (tcp(7)) with which the kernel does not
// give up within d: it sends again after 1, 3, 7 … seconds.
func synCount(d time.Duration) int {
	n := 1
	for d >= time.Second<<(n+1)-time.Second {
		n++
	}
	return n
}

func (p *pool) close() {
	for fd := range p.byFD {
		_ = unix.Close(fd)
	}
}

func (p *pool) kindOf(addr netip.Addr) (kind, error) {
	k := kind{v6: !addr.Is4()}
	name := addr.Zone()
	if name == "" {
		return k, nil
	}
	zone, known := p.zones[name]
	if !known {
		var err error
		if zone, err = sockaddr.Zone(name); err != nil {
			return k, err
		}
		p.zones[name] = zone
	}
	k.zone = zone
	return k, nil
}

// take gives a socket fit to ask k; most bounds how many there are in all.
// Where no more may be anchored it gives one that is not.
func (p *pool) take(k kind, most int) (*probe, error) {
	if list := p.spare[k]; len(list) > 0 {
		s := list[len(list)-1]
		p.spare[k] = list[:len(list)-1]
		return s, nil
	}
	if len(p.byFD) >= most {
		p.closeSpare()
	}
	if k.anchored {
		if s := p.anchor(k); s != nil {
			return s, nil
		}
		k.anchored = false
		return p.take(k, most)
	}
	s, err := p.open(k, 0)
	if err != nil && exhausted(err) && p.closeSpare() {
		return p.open(k, 0)
	}
	return s, err
}

// closeSpare closes one idle socket of any kind; false where there is none.
func (p *pool) closeSpare() bool {
	for k, list := range p.spare {
		if n := len(list); n > 0 {
			p.spare[k] = list[:n-1]
			p.shut(list[n-1])
			return true
		}
	}
	return false
}

// open makes a socket, bound to a port where it is not 0.
func (p *pool) open(k kind, port uint16) (*probe, error) {
	fd, err := p.socket(k, port)
	if err != nil {
		return nil, err
	}
	s := &probe{fd: fd, kind: k, place: idle}
	p.byFD[fd] = s
	return s, nil
}

func (p *pool) socket(k kind, port uint16) (fd int, err error) {
	family := unix.AF_INET
	if k.v6 {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, fmt.Errorf("open a socket: %w", err)
	}
	if err = p.prepare(fd, k.v6); err == nil {
		err = p.source(fd, k, port)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// prepare sets what every socket needs: reset on close, ICMP errors queued,
// few SYNs.
func (p *pool) prepare(fd int, v6 bool) error {
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return fmt.Errorf("set SO_LINGER: %w", err)
	}
	level, option := unix.IPPROTO_IP, unix.IP_RECVERR
	if v6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
		return fmt.Errorf("ask for ICMP errors: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, p.synCount); err != nil {
		return fmt.Errorf("set TCP_SYNCNT: %w", err)
	}
	return nil
}

// source binds to the interface and address asked for, leaving the port to
// connect(2) where it is 0.
func (p *pool) source(fd int, k kind, port uint16) error {
	if err := p.device(fd); err != nil {
		return err
	}
	if port == 0 {
		if !p.from.IsValid() {
			return nil
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return fmt.Errorf("set IP_BIND_ADDRESS_NO_PORT: %w", err)
		}
	}
	return bind(fd, netip.AddrPortFrom(p.sourceAddr(k), port))
}

// sourceAddr is the address to bind to, the unspecified one where the kernel
// chooses.
func (p *pool) sourceAddr(k kind) netip.Addr {
	switch {
	case p.from.IsValid():
		return p.from
	case k.v6:
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

func bind(fd int, from netip.AddrPort) error {
	sa, err := sockaddr.New(from)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, sa); err != nil {
		return fmt.Errorf("bind to source address %s: %w", from.Addr(), err)
	}
	return nil
}

func (p *pool) device(fd int) error {
	if p.iface == "" {
		return nil
	}
	err := unix.BindToDevice(fd, p.iface)
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("bind to interface %s: %w (before Linux 5.7 it needs CAP_NET_RAW; a source address does not)", p.iface, err)
	}
	if err != nil {
		return fmt.Errorf("bind to interface %s: %w", p.iface, err)
	}
	return nil
}

// errnoOf is the system's own number of an error, EIO where it has none.
func errnoOf(err error) unix.Errno {
	errno, plain := err.(unix.Errno)
	if plain { // as package unix gives it: no search, and nothing to allocate
		return errno
	}
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EIO
}

// give takes back a socket that is free to connect again.
func (p *pool) give(s *probe) {
	s.job = job{}
	p.spare[s.kind] = append(p.spare[s.kind], s)
}

func (p *pool) shut(s *probe) {
	delete(p.byFD, s.fd)
	_ = unix.Close(s.fd)
}
