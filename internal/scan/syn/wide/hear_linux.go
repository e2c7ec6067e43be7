package wide

import (
	"time"

	"golang.org/x/sys/unix"
)

// listen reads answers until stopListening.
func (s *sweep) listen() {
	polls := make([]unix.PollFd, 0, len(s.rings)+1)
	for _, r := range s.rings {
		polls = append(polls, unix.PollFd{Fd: int32(r.fd), Events: unix.POLLIN})
	}
	polls = append(polls, unix.PollFd{Fd: int32(s.wake), Events: unix.POLLIN})
	stop := &polls[len(polls)-1]
	for stop.Revents == 0 {
		begun := since(s.begun, time.Now())
		_, _ = unix.Poll(polls, hearEvery) // an interrupted call is made again
		s.woke = time.Now()
		for _, r := range s.rings {
			for r.take(s.hear) {
			}
		}
		s.heardUntil(begun)
	}
}

// hearEvery is how often, in milliseconds, the listener looks at the clock
// when nothing comes.
const hearEvery = 2

// heardUntil notes that all that came before c was heard. The kernel hands a
// block over a millisecond or more after its first packet.
func (s *sweep) heardUntil(c clock) {
	if delay := clock(blockDelay.Microseconds()); c > delay {
		s.heard.Store(uint32(c - delay))
	}
}

func (s *sweep) stopListening() {
	_, _ = unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// hear takes one received packet.
func (s *sweep) hear(ip []byte, at time.Time) {
	h, ok := read(ip)
	if !ok || h.sport&^(maxTries-1) != s.ports.first {
		return
	}
	slot, canary := s.cookie.slot(h.seq)
	if canary {
		s.hearCanary(slot, h, at)
		return
	}
	number, ok := s.win.number(slot)
	if !ok || !s.cookie.valid(h.seq, number) {
		return
	}
	if addr, port := s.work.At(number); port != h.port || addr.WithZone("") != h.target {
		return
	}
	s.received.Add(1)
	a := newAnswer(h.code, uint8(h.sport-s.ports.first), h.ttl, lapOf(number), arrival(s.begun, s.woke, at))
	if s.win.answers.hear(slot, a) {
		s.answered.Add(1)
	}
}

func (s *sweep) hearCanary(slot uint32, h heard, at time.Time) {
	if slot >= maxCanaries {
		return
	}
	k := s.canaries.out[slot].Load()
	if k == nil || !s.cookie.valid(h.seq, k.number) || k.to.port != h.port || k.to.addr.WithZone("") != h.target {
		return
	}
	s.received.Add(1)
	s.canaries.answers.hear(slot, newAnswer(h.code, 0, h.ttl, 0, arrival(s.begun, s.woke, at)))
}
