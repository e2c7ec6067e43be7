package connect

import (
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/unreach"
)

// meaning is what the outcome of an attempt says.
type meaning int

const (
	unknown  meaning = iota
	waiting          // no answer yet
	settled          // the port's state
	silence          // the kernel gave up
	itself           // the socket connected to itself
	shortage         // of the asker's own means: try again later
	trouble          // with the asker's way to that host: it cannot be asked
)

// verdict is the meaning and, where settled, the state and its reason.
type verdict struct {
	meaning
	state  exposure.PortStateName
	reason string
}

func closedBy(reason string) verdict   { return verdict{settled, exposure.Closed, reason} }
func filteredBy(reason string) verdict { return verdict{settled, exposure.Filtered, reason} }

// judge tells what errno of s's connect(2) means; began is true for the call
// that began the attempt, whose errors come from this host itself.
func (l *line) judge(s *probe, errno unix.Errno, began bool) verdict {
	switch errno {
	case unix.EINPROGRESS, unix.EALREADY:
		return verdict{meaning: waiting}
	case 0:
		if l.selfConnected(s) {
			return verdict{meaning: itself}
		}
		return verdict{settled, exposure.Open, "syn-ack"}
	case unix.ECONNRESET, unix.EPIPE: // only after a SYN-ACK (tcp_reset in the kernel)
		return verdict{settled, exposure.Open, "syn-ack"}
	}
	if began {
		return ownVerdict(errno)
	}
	if reason, ok := l.icmp(s); ok {
		return filteredBy(reason)
	}
	return lateVerdict(errno)
}

// icmp gives the reason of an ICMP error about what s asks now; the kernel
// reports a port-unreachable and a RST alike.
func (l *line) icmp(s *probe) (reason string, ok bool) {
	e, ok := l.errors.Take(s.fd, s.to)
	if !ok {
		return "", false
	}
	return unreach.Reason(e.V6, e.Type, e.Code)
}

// ownVerdict judges an error of the call that began an attempt: no packet of
// the target made it.
func ownVerdict(errno unix.Errno) verdict {
	switch errno {
	case unix.ECONNREFUSED: // a packet filter of this host answered within the call
		return closedBy("conn-refused")
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EAGAIN, unix.EADDRNOTAVAIL, unix.EADDRINUSE:
		return verdict{meaning: shortage}
	case unix.EHOSTUNREACH, unix.EHOSTDOWN: // an unreachable route
		return filteredBy("host-unreach")
	case unix.EACCES, unix.EPERM: // a prohibit route, a policy of this host
		return filteredBy("not-permitted")
	}
	return verdict{meaning: trouble} // ENETUNREACH, ENETDOWN, ENODEV, EINVAL (blackhole route), …
}

// lateVerdict judges an error that came after the attempt had begun, so from
// the network, where no ICMP error says more.
func lateVerdict(errno unix.Errno) verdict {
	switch errno {
	case unix.ECONNREFUSED:
		return closedBy("conn-refused")
	case unix.EHOSTUNREACH, unix.EHOSTDOWN:
		return filteredBy("host-unreach")
	case unix.ENETUNREACH:
		return filteredBy("net-unreach")
	case unix.EACCES, unix.EPERM:
		return filteredBy("admin-prohibited")
	case unix.ENOPROTOOPT, unix.EPROTO:
		return filteredBy("proto-unreach")
	case unix.ENETDOWN, unix.ENODEV:
		return verdict{meaning: trouble}
	}
	return verdict{meaning: silence} // ETIMEDOUT, ECONNABORTED
}
