package syn

import (
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/scan/rawsock"
	"github.com/portreeve/portreeve/internal/scan/sockaddr"
)

// session is one set of sockets with its own reserved ports and cookie key.
// It asks the pending ports of up to maxChunk targets.
type session struct {
	targets []*target
	index   map[netip.Addr]int // address without zone → first target
	cookie  cookie
	four    *family
	six     *family
	polls   []unix.PollFd
	heard   map[int32]func([]byte, netip.Addr) // by descriptor
	in      *inbox
	queues  []int32 // descriptors whose loss would matter
	stats   sessionStats
}

type sessionStats struct {
	sent, received           int64
	canariesSent, canariesIn int64
}

// family is what the addresses of one IP version share: two reserved ports
// (the second is the canary, and asks the first), a tap and an ICMP socket.
type family struct {
	ports [2]uint16
	fds   []int
	err   error
}

// target is one address with the answers of its ports.
type target struct {
	addr    netip.Addr
	answers []answer // by port
	pending []uint16
	suspect []uint16 // a foreign queue lost packets while these were asked
	gone    error    // why it can be asked no longer

	fd        int
	templates [2]template
	out       *outbox
	batch     []uint16
}

// openSession opens all sockets in the calling goroutine. A target that cannot
// be opened gets its gone error; an error of a family is that of all its
// targets.
func openSession(targets []*target) *session {
	s := &session{targets: targets, index: map[netip.Addr]int{}, cookie: newCookie(),
		heard: map[int32]func([]byte, netip.Addr){}, in: newInbox()}
	for i, t := range targets {
		t.fd = -1
		f := s.family(t.addr.Is4())
		if t.gone = f.err; t.gone == nil {
			t.gone = s.openTarget(t, f)
		}
		if _, seen := s.index[t.addr.WithZone("")]; !seen {
			s.index[t.addr.WithZone("")] = i
		}
	}
	return s
}

func (s *session) family(is4 bool) *family {
	slot := &s.six
	if is4 {
		slot = &s.four
	}
	if *slot == nil {
		*slot = s.openFamily(is4)
	}
	return *slot
}

func (s *session) openFamily(is4 bool) *family {
	f := &family{}
	for i := range f.ports {
		fd, port, err := rawsock.Keep(is4)
		if err != nil {
			f.err = err
			return f
		}
		f.fds, f.ports[i] = append(f.fds, fd), port
	}
	tap, err := openTap(is4, f.ports)
	if err != nil {
		f.err = err
		return f
	}
	f.fds = append(f.fds, tap)
	s.listen(tap, s.hearPacket)
	icmp, err := openICMP(is4)
	if err != nil {
		f.err = err
		return f
	}
	f.fds = append(f.fds, icmp)
	if is4 {
		s.listen(icmp, s.hearICMP4)
	} else {
		s.listen(icmp, s.hearICMP6)
	}
	return f
}

func (s *session) openTarget(t *target, f *family) error {
	name, err := rawName(t.addr)
	if err != nil {
		return &addressError{"ask", t.addr, err}
	}
	t.fd, err = openRaw(t.addr, f.ports)
	if err != nil {
		return err
	}
	for i := range t.templates {
		t.templates[i] = newTemplate(t.addr, t.addr, f.ports[i])
	}
	t.out = newOutbox(freeBatch+1, name, rawControl(t.addr))
	if t.addr.Is4() {
		s.listen(t.fd, s.hearPacket)
	} else {
		s.listen(t.fd, s.hearSegment)
	}
	return nil
}

func (s *session) listen(fd int, hear func([]byte, netip.Addr)) {
	s.polls = append(s.polls, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	s.heard[int32(fd)] = hear
	s.queues = append(s.queues, int32(fd))
}

// inodes adds the session's own sockets, which no pacer should mind.
func (s *session) inodes(own map[uint64]bool) {
	for _, fd := range s.queues {
		own[inodeOf(int(fd))] = true
	}
}

// lost is how many packets the session's own queues lost.
func (s *session) lost() (n uint64) {
	for _, fd := range s.queues {
		n += uint64(drops(int(fd)))
	}
	return n
}

func (s *session) close() {
	for _, t := range s.targets {
		if t.fd >= 0 {
			_ = unix.Close(t.fd)
			t.fd = -1
		}
	}
	for _, f := range []*family{s.four, s.six} {
		if f != nil {
			for _, fd := range f.fds {
				_ = unix.Close(fd)
			}
		}
	}
}

// fill puts probes to ports, and every so often a canary, into the outbox.
func (s *session) fill(index int, t *target, ports []uint16, canary bool) {
	f := s.family(t.addr.Is4())
	t.out.length = 0
	t.batch = append(t.batch[:0], ports...)
	if canary {
		t.batch = append(t.batch, f.ports[1])
	}
	for i, port := range t.batch {
		from := 0
		if port == f.ports[0] {
			from = 1
		}
		seq := s.cookie.seq(uint8(index), port)
		t.templates[from].put(t.out.next(), port, seq)
		if i < len(ports) && t.answers[port] == unasked {
			t.answers[port] = silent
		}
	}
	if canary {
		s.stats.canariesSent++
	}
}

// ask sends one batch. Its error means that the target can be asked no more.
func (s *session) ask(t *target) error {
	tries := 0
	for from := 0; from < t.out.length; {
		n, err := t.out.send(t.fd, from)
		from += n
		s.stats.sent += int64(n)
		if err == nil {
			tries = 0
			continue
		}
		if tries++; transient(err) && tries < maxTries {
			s.drain(time.Millisecond)
			continue
		}
		if err := s.refused(t, t.batch[from], err); err != nil {
			return err
		}
		from, tries = from+1, 0
	}
	return nil
}

// maxTries bounds the milliseconds that a probe waits for the sender's own
// resources.
const maxTries = 500

func transient(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM) ||
		errors.Is(err, unix.EINTR)
}

// refused settles a probe that the kernel would not send: by a rule (the
// port's state), or because the address or the sender's means are gone (the
// target's end).
func (s *session) refused(t *target, port uint16, err error) error {
	switch {
	case transient(err):
		return &addressError{"send a probe to", t.addr, err}
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		t.note(port, notPermitted)
		return nil
	}
	if gone := sockaddr.Ours(t.addr); gone != nil {
		return gone
	}
	t.note(port, unroutable)
	return nil
}

func (t *target) note(port uint16, a answer) { t.answers[port] = t.answers[port].merge(a) }
