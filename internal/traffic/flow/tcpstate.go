package flow

import (
	"time"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Zeek's times (scripts/base/init-bare.zeek).
const (
	attemptDelay = int64(5 * time.Second) // tcp_attempt_delay
	closeDelay   = int64(5 * time.Second) // tcp_close_delay
	silence      = int64(time.Minute)     // udp_ and icmp_inactivity_timeout
	silenceTCP   = int64(5 * time.Minute) // tcp_inactivity_timeout
	noDeadline   = 0
)

// step moves the endpoints' states; closing tells that this one is closed now.
func (s *segment) step(when int64) (closing bool) {
	s.evidence()
	switch s.e.state {
	case inactive:
		return s.stepInactive(when)
	case synSent, synACKSent:
		return s.stepSYNSent()
	case established, partial:
		return s.stepEstablished()
	case closed:
		return s.stepClosed()
	}
	return false
}

// evidence notes who sent a SYN or a SYN-ACK.
func (s *segment) evidence() {
	if s.flags&(flagSYN|flagFIN|flagRST) != flagSYN {
		return
	}
	b := bitSYN0
	if s.has(flagACK) {
		b = bitSYNACK0
	}
	s.r.bits |= b << s.side
}

func (s *segment) stepInactive(when int64) (closing bool) {
	if s.has(flagSYN) {
		s.stepFirstSYN(when)
	}
	if s.has(flagFIN) {
		s.e.become(closed)
		closing = true
	}
	if s.has(flagRST) {
		s.e.become(reset)
		closing = true
	}
	if s.e.state != inactive {
		return closing
	}
	switch {
	case !s.orig && s.len == 0 && s.o.state == synSent:
		// Some acknowledge a SYN before they send theirs.
	case s.has(flagACK) && s.o.state == established:
		// The SYN was missed.
		s.e.become(established)
		s.setPartial(false)
	default:
		s.e.become(partial)
	}
	return closing
}

func (s *segment) stepFirstSYN(when int64) {
	switch {
	case s.orig && s.o.state == established && !s.has(flagACK):
		// The SYN came after the SYN-ACK that answers it, as happens when two
		// interfaces are captured.
		s.e.become(established)
		s.setPartial(false)
	case s.orig && s.has(flagACK):
		s.e.become(synACKSent)
		s.rest.deadline = when + attemptDelay
	case s.orig:
		s.e.become(synSent)
		s.rest.deadline = when + attemptDelay
	case !s.has(flagACK) && s.o.state == synACKSent && s.seq == s.ep.start:
		// The same, when the SYN-ACK's sender was taken for the originator.
		s.r.bits ^= bitTurned
		s.orig = true
		s.setPartial(false)
		s.o.become(established)
		s.e.become(established)
	default:
		if s.o.state == synSent {
			s.o.become(established)
		}
		s.e.become(established)
	}
}

func (s *segment) stepSYNSent() (closing bool) {
	if s.has(flagFIN) {
		s.e.become(closed)
		closing = true
	}
	if s.has(flagRST) {
		s.e.become(reset)
		closing = true
	}
	return closing
}

func (s *segment) stepEstablished() (closing bool) {
	if s.has(flagSYN) && !s.has(flagACK) && s.e.state == partial && s.o.state == inactive {
		s.e.become(synSent)
	}
	if s.has(flagFIN) && !s.has(flagRST) {
		s.e.become(closed)
		if s.o.state == reset && s.o.prev == closed {
			// The other one's FIN and RST were a normal end after all.
			s.o.become(closed)
		}
		closing = true
	}
	if s.has(flagRST) {
		s.e.become(reset)
		closing = true
	}
	return closing
}

func (s *segment) stepClosed() (closing bool) {
	if s.has(flagRST) && s.o.state != closed {
		s.e.become(reset)
		return s.e.marks&markClosed == 0
	}
	return false
}

// close notes that an endpoint is closed, and when the flow ends by that.
func (s *segment) close(when int64) {
	if s.e.marks&markClosed != 0 {
		return
	}
	s.e.marks |= markClosed
	if s.e.state == reset || s.o.marks&markClosed != 0 || s.o.state == inactive {
		s.r.bits |= bitClosing
		s.rest.deadline = when + closeDelay
	}
}

// over tells whether Zeek would have ended the flow before a packet at when
// from a side; but an answer that comes late is the attempt's all the same.
func (t *Table) over(number uint32, r *record, side int, when int64) bool {
	idle := when - r.last
	if r.proto != protoTCP {
		return idle >= silence
	}
	if r.has(bitClosing) {
		return when >= t.rest(number).deadline
	}
	orig, resp := &r.end[r.originator()], &r.end[1-r.originator()]
	if side == r.originator() && resp.state == inactive && (orig.state == synSent || orig.state == synACKSent) {
		if d := t.rest(number).deadline; d != noDeadline && when >= d {
			return true
		}
	}
	if orig.state.handshaking() && resp.state.handshaking() {
		return idle >= silence
	}
	return idle >= silenceTCP
}

// reused tells a SYN, or after a SYN-ACK alone a SYN-ACK, that begins another
// connection between the same endpoints.
func (t *Table) reused(number uint32, r *record, p *wire.Packet) bool {
	if !p.HasTCP || p.Flags&flagSYN == 0 || r.proto != protoTCP {
		return false
	}
	o, past := r.originator(), &t.rest(number).past
	orig, resp, first := &r.end[o], &r.end[1-o], &past[o]
	if p.Flags&flagACK != 0 {
		if orig.state != inactive {
			return false
		}
		first = &past[1-o]
	}
	if orig.marks&markClosed != 0 && resp.marks&markClosed != 0 {
		return true
	}
	if p.Seq == first.start {
		return false
	}
	late := p.Flags&flagACK == 0 && orig.state == synACKSent && resp.state == inactive && p.Seq == past[1-o].start
	return !late
}

// sentNothing tells an endpoint that sent no payload, by its sequence numbers.
func (r *record) sentNothing(side int, more *rest) bool {
	e, start := &r.end[side], more.past[side].start
	n := max(after(e.last, start), after(e.ack, start))
	if n > 0 {
		n--
	}
	if n > 0 && e.marks&markFINSeen != 0 {
		n--
	}
	return n == 0 && e.marks&markFar == 0
}

// connState is Zeek's conn_state of a TCP connection with the given client side
// and history.
func (r *record) connState(more *rest, client int, history string) State {
	c, s := r.end[client], r.end[1-client]
	if client != r.originator() {
		// A SYN-ACK's sender was followed in the other part.
		c.state, s.state = turnedState(c.state), turnedState(s.state)
	}
	idleC, idleS := c.state == inactive || c.state == partial, s.state == inactive || s.state == partial
	switch {
	case s.state == reset:
		return r.resetByServer(more, c.state, idleC)
	case c.state == reset && idleS:
		return resetByClient(history)
	case c.state == reset:
		return RSTO
	case s.state == closed && c.state == closed:
		return SF
	case c.state == closed && idleS:
		return SH
	case c.state == closed:
		return S2
	case s.state == closed && idleC:
		return SHR
	case s.state == closed:
		return S3
	case c.state == synSent && s.state == inactive:
		return S0
	case c.state == established && s.state == established:
		return S1
	}
	return OTH
}

func (r *record) resetByServer(more *rest, client endState, idle bool) State {
	switch {
	case client == synSent || client == synACKSent:
		return REJ
	case client == reset && r.sentNothing(0, more) && r.sentNothing(1, more):
		return REJ
	case idle:
		return RSTRH
	}
	return RSTR
}

// resetByClient tells a SYN and then a RST, with nothing in between but what
// does not count, from a stray RST.
func resetByClient(history string) State {
	if len(history) > 0 && history[0] == '^' {
		history = history[1:]
	}
	if len(history) == 0 || history[0] != 'S' {
		return OTH
	}
	for i := 1; i < len(history); i++ {
		switch history[i] {
		case 'R':
			return RSTOS0
		case 'H', 'A', 'F', 'G', 'I', 'Q':
			return OTH
		}
	}
	return OTH
}
