package flow

import "github.com/portreeve/portreeve/internal/traffic/wire"

// TCP's flags (RFC 9293 3.1).
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

// tooFar is where Zeek no longer believes a sequence number that jumps.
const tooFar = 1 << 20

// after is how far a is behind b in sequence space; negative if before it.
func after(a, b uint32) int32 { return int32(a - b) }

// segment is one TCP packet at work on a flow.
type segment struct {
	t      *Table
	number uint32
	r      *record
	rest   *rest
	side   int
	orig   bool // it comes from the side taken for the originator
	e, o   *endpoint
	ep, op *past
	flags  uint16
	seq    uint32
	ack    uint32
	end    uint32 // one past it in sequence space
	len    uint32 // of payload
	whole  bool   // all of the payload was captured
}

// far is so much of a stream that sequence numbers may have come round; half
// of it, for safety.
const far = 1 << 30

// ordinary takes the next data or acknowledgement of a connection that is up,
// which changes neither states nor history. It tells false, having changed
// nothing, when there is more to it; then tcp is asked.
func (r *record) ordinary(side int, l *Looked) bool {
	e, o := &r.end[side], &r.end[1-side]
	if l.flags&(flagSYN|flagFIN|flagRST|flagACK) != flagACK || l.shut ||
		!e.state.up() || !o.state.up() || (e.marks|o.marks)&markHole != 0 {
		return false
	}
	want := markSeen | markACK
	if l.payload > 0 {
		want = markSeen | markData
	}
	end := l.seq + l.payload
	grown, acked := after(end, e.last), after(l.ack, o.ack)
	if e.marks&want != want || acked < 0 || after(l.ack, o.next) > 0 || acked > tooFar {
		return false
	}
	if l.payload > 0 {
		if l.seq != e.last || l.seq != e.next || grown > tooFar ||
			!l.whole || r.bytes[side] > far {
			return false
		}
		e.last, e.next = end, end
	} else if grown > 0 {
		return false
	}
	o.ack = l.ack
	return true
}

// tcp takes a packet into a connection's states and history, in the order in
// which Zeek does it.
func (t *Table) tcp(number uint32, r *record, side int, p *wire.Packet, when int64) {
	more := t.rest(number)
	s := segment{
		t: t, number: number, r: r, rest: more, side: side, orig: side == r.originator(),
		e: &r.end[side], o: &r.end[1-side], ep: &more.past[side], op: &more.past[1-side],
		flags: p.Flags, seq: p.Seq, ack: p.Ack, len: p.PayloadLen,
		whole: uint32(len(p.Payload)) >= p.PayloadLen,
	}
	s.end = s.seq + s.space()
	s.partialStatus()
	s.begin()
	relative := s.seq - s.ep.start
	underflow := s.below(s.e, s.ep, s.seq)
	s.record(relative)
	if p.Window == 0 && !s.has(flagRST) && s.o.state != closed && s.e.state != reset {
		s.t.scaled(number, side, &s.ep.shut, 'W')
	}
	if s.has(flagFIN) {
		s.e.marks |= markFINSeen
		s.ep.fin = s.end
	}
	acked, known := s.acknowledge()
	s.advance()
	closing := s.step(when)
	if known {
		s.delivered(acked)
	}
	s.e.marks |= markSeen
	if s.len > 0 && s.whole && !s.has(flagRST) && !underflow {
		s.data()
	}
	if closing {
		s.close(when)
	}
}

func (s *segment) has(flag uint16) bool { return s.flags&flag != 0 }

// space is how much sequence space the segment takes.
func (s *segment) space() uint32 {
	n := s.len
	if s.has(flagRST) {
		n = 0
	}
	if s.has(flagSYN) {
		n++
	}
	if s.has(flagFIN) {
		n++
	}
	return n
}

// below tells a number before the endpoint's first, as far as one can tell.
func (s *segment) below(e *endpoint, ep *past, number uint32) bool {
	return e.marks&markFar == 0 && after(number, ep.start) < 0
}

func (s *segment) partialStatus() {
	if s.e.marks&markSeen != 0 {
		return
	}
	switch {
	case s.orig:
		s.setPartial(!s.has(flagSYN) || s.has(flagACK))
	case !s.r.has(bitPartial):
		s.setPartial(!s.has(flagSYN))
	}
}

func (s *segment) setPartial(yes bool) {
	s.r.bits &^= bitPartial
	if yes {
		s.r.bits |= bitPartial
	}
}

// begin sets the endpoint's numbers by its first packet, or by a SYN that makes
// a new beginning.
func (s *segment) begin() {
	syn := s.has(flagSYN)
	switch s.e.state {
	case inactive:
		if syn {
			s.e.begin(s.ep, s.seq, s.end)
			return
		}
		// As though its SYN had been seen.
		s.e.begin(s.ep, s.seq-1, s.seq)
	case synSent, synACKSent:
		if syn && s.seq != s.ep.start {
			s.e.begin(s.ep, s.seq, s.end)
		}
	case established, partial:
		if syn && s.seq != s.ep.start {
			s.e.begin(s.ep, s.seq, s.end)
		} else if syn {
			s.e.ack, s.e.last = s.seq, s.end
		}
	case reset:
		if syn && s.e.prev == inactive {
			s.e.begin(s.ep, s.seq, s.end)
		}
	}
}

func (e *endpoint) begin(ep *past, start, last uint32) {
	e.ack, e.last, e.next = start, last, start+1
	e.marks &^= markFar | markHole
	ep.start = start
}

// record appends the letters of the segment's flags.
func (s *segment) record(relative uint32) {
	switch control := s.flags & (flagSYN | flagFIN | flagRST); control {
	case 0:
		if s.len > 0 {
			s.once(markData, 'D')
		} else if s.has(flagACK) {
			s.once(markACK, 'A')
		}
	case flagSYN:
		c := byte('S')
		if s.has(flagACK) {
			c = 'H'
		}
		s.again(markSYN, c, &s.ep.histSYN, relative)
	case flagFIN:
		s.again(markFIN, 'F', &s.ep.histFIN, relative+s.len)
	case flagRST:
		s.again(markRST, 'R', &s.ep.histRST, relative)
	case flagSYN | flagRST, flagSYN | flagFIN:
		s.once(markMulti, 'Q')
	default:
		s.once(markFINRST, 'I')
	}
}

func (s *segment) once(m marks, c byte) { s.t.once(s.number, s.r, s.side, m, c) }

// again appends a letter when it is the first or has another sequence number
// than the last.
func (s *segment) again(m marks, c byte, last *uint32, number uint32) {
	if s.t.once(s.number, s.r, s.side, m, c) && number != *last {
		s.t.letter(s.number, s.side, c)
	}
	*last = number
}

// acknowledge takes the acknowledgement number; known tells that there is one
// to be believed.
func (s *segment) acknowledge() (acked uint32, known bool) {
	if !s.has(flagACK) {
		return 0, false
	}
	o := s.o
	if o.state == inactive {
		// As though the other's SYN had been seen.
		o.begin(s.op, s.ack-1, s.ack-1)
		return s.ack, true
	}
	if s.below(o, s.op, s.ack) {
		return 0, false
	}
	if delta := after(s.ack, o.ack); !s.has(flagRST) && delta > 0 && !(s.ack == 0 && delta > tooFar) {
		o.ack = s.ack
	}
	return s.ack, true
}

// advance moves the last number seen, or notes a retransmission.
func (s *segment) advance() {
	e, delta := s.e, after(s.end, s.e.last)
	switch {
	case s.has(flagSYN|flagRST) && (delta > tooFar || delta < -tooFar):
	case s.has(flagFIN) && e.last == s.ep.start+1:
		e.last = s.end
	case e.state == reset:
	case delta > 0:
		e.last = s.end
		if e.last-s.ep.start > far || s.r.bytes[s.side] > far {
			e.marks |= markFar
		}
	case s.len > 0:
		s.t.scaled(s.number, s.side, &s.ep.again, 'T')
	}
}

// clean tells endpoints between which a hole is really one.
func (e *endpoint) clean() bool {
	return e.state == established || e.state == closed && e.prev == established
}

// delivered handles that this segment acknowledged the other side's stream up
// to a number: what was not seen of it by now was never captured.
func (s *segment) delivered(acked uint32) {
	o, op := s.o, s.op
	if o.marks&markFINSeen != 0 && after(acked, op.fin) >= 0 {
		acked = op.fin - 1
	}
	if after(acked, o.next) <= 0 || s.r.has(bitPartial) && acked-op.start <= 2 {
		return
	}
	if o.marks&markHole != 0 && after(acked, op.lo) > 0 {
		s.gap()
		o.next = op.lo
		o.fill(op)
	}
	if after(acked, o.next) > 0 {
		s.gap()
		o.next = acked
		o.fill(op)
	}
}

func (s *segment) gap() {
	if s.e.clean() && s.o.clean() {
		s.t.scaled(s.number, 1-s.side, &s.op.gaps, 'G')
	}
}

// data takes the segment's payload as seen.
func (s *segment) data() {
	from := s.seq
	if s.has(flagSYN) {
		from++
	}
	e, ep, to := s.e, s.ep, from+s.len
	switch {
	case after(to, e.next) <= 0:
	case after(from, e.next) <= 0:
		e.next = to
		e.fill(ep)
	case e.marks&markHole == 0:
		e.marks |= markHole
		ep.lo, ep.hi = from, to
	default:
		// One stretch is kept: a hole inside it is not seen.
		if after(from, ep.lo) < 0 {
			ep.lo = from
		}
		if after(to, ep.hi) > 0 {
			ep.hi = to
		}
	}
}

// fill goes over what was seen behind the hole when the hole is gone.
func (e *endpoint) fill(ep *past) {
	if e.marks&markHole == 0 || after(ep.lo, e.next) > 0 {
		return
	}
	if after(ep.hi, e.next) > 0 {
		e.next = ep.hi
	}
	e.marks &^= markHole
}
