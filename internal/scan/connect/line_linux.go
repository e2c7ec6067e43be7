package connect

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/sockaddr"
)

// line makes the system calls of probes, with buffers of its own: one for each
// goroutine that does.
type line struct {
	errors sockaddr.ErrorQueue
}

// attempt calls connect(2), and for eager probes a second time at once: on a
// link without latency the first call holds the socket while the answer comes
// in, and only the second returns it.
func (l *line) attempt(s *probe) {
	s.began = time.Now()
	l.step(s, true)
	if s.outcome.meaning == waiting && s.eager {
		l.step(s, false)
	}
	l.conclude(s)
}

// look asks how an attempt stands.
func (l *line) look(s *probe) {
	l.step(s, false)
	if s.outcome.meaning == waiting && s.failed {
		if reason, ok := l.icmp(s); ok { // it came while connect(2) held the socket
			s.outcome = filteredBy(reason)
		}
	}
	l.conclude(s)
}

// lastLook is a look after which nothing is waited for.
func (l *line) lastLook(s *probe) {
	s.failed = true
	l.step(s, false)
	if s.outcome.meaning == waiting {
		s.outcome.meaning = silence
	}
	l.conclude(s)
}

func (l *line) step(s *probe, begin bool) {
	s.errno = l.connect(s)
	s.outcome = l.judge(s, s.errno, begin)
}

// conclude makes the socket of a probe that has its outcome fit to connect
// again. A refused one is so already.
func (l *line) conclude(s *probe) {
	if s.outcome.meaning == waiting {
		return
	}
	s.took = time.Since(s.began)
	if s.outcome.state != exposure.Closed {
		s.spoilt = sockaddr.Disconnect(s.fd) != nil
	}
}

// connect begins the attempt of s, or asks how it stands.
func (l *line) connect(s *probe) unix.Errno {
	return sockaddr.Connect(s.fd, s.to, s.kind.zone)
}

// selfConnected compares the near end of a connection with the far one.
func (l *line) selfConnected(s *probe) bool {
	local, err := unix.Getsockname(s.fd)
	return err == nil && sockaddr.AddrPort(local) == netip.AddrPortFrom(s.to.Addr().WithZone(""), s.to.Port())
}
