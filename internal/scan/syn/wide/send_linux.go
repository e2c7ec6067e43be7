package wide

import (
	"errors"
	"net/netip"
	"time"
)

// send sends up to n tries: canaries that are due, then what is asked again,
// then what was never asked. It returns how many.
func (s *sweep) send(now time.Time, n int) int {
	c, level := since(s.begun, now), s.control.Level()
	sent, unsent := 0, 0
	for sent < n && s.way == nil {
		switch {
		case s.canaries.due():
			s.sendCanary(c, level)
		case s.again.n > 0:
			w := s.again.pop()
			if a := s.win.answer(w.number); a != 0 {
				s.settleAnswered(now, w, a)
				continue
			}
			w.sent, w.level, w.was = c, level, w.level
			w.try++
			if !s.sendTry(w) {
				continue
			}
		case s.win.next.Load() < s.work.Len() && s.win.room() > 0:
			if !s.sendTry(waiting{number: s.win.begin(), sent: c, level: level}) {
				if unsent++; unsent >= burst {
					n = sent // time to look at the answers
				}
				continue
			}
		default:
			n = sent
			continue
		}
		sent++
	}
	s.post.flush()
	if err := s.post.failed.Load(); err != nil {
		s.way = *err
	}
	s.control.Sent(now, sent)
	s.sent += int64(sent)
	return sent
}

// sendTry sends one try; false means that there is no way, which settles it.
func (s *sweep) sendTry(w waiting) bool {
	addr, port := s.work.At(w.number)
	seq := s.cookie.seq(s.win.slot(w.number), w.number, false)
	if err := s.put(addr, port, w.try, seq); err != nil {
		s.noWay(w.number, err)
		return false
	}
	s.queues[w.try].push(w)
	s.waits++
	s.canaries.owed++
	return true
}

// noWay settles a probe that cannot be sent: a host that is not on its link is
// told as a router before it would, all else is the asker's and no state.
func (s *sweep) noWay(number uint64, err error) {
	if errors.Is(err, ErrNoHost) {
		s.settle(number, hostUnreach, 0, 0)
		return
	}
	s.unroutable[err.Error()]++
	s.win.settle(number)
	s.settled++
}

func (s *sweep) sendCanary(c clock, level uint8) {
	k, slot := s.canaries.begin(c, level)
	// It answered once, so there is a hop to it. The source port changes: a
	// connection that the target still holds half open would answer otherwise.
	_ = s.put(k.to.addr, k.to.port, uint8(k.number%maxTries), s.cookie.seq(slot, k.number, true))
}

// put adds one frame for addr.
func (s *sweep) put(addr netip.Addr, port uint16, try uint8, seq uint32) error {
	hop, err := s.t.Router.Hop(addr)
	if err != nil {
		return err
	}
	return s.post.put(hop, addr, s.ports.first+uint16(try), port, seq)
}
