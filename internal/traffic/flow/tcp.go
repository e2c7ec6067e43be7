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
	side   int
	orig   bool // it comes from the side taken for the originator
	e, o   *endpoint
	flags  uint16
	seq    uint32
	ack    uint32
	end    uint32 // one past it in sequence space
	len    uint32 // of payload
	whole  bool   // all of the payload was captured
}

// tcp takes a packet into a connection's states and history, in the order in
// which Zeek does it.
func (t *Table) tcp(number uint32, r *record, side int, p *wire.Packet, when int64) {
	s := segment{
		t: t, number: number, r: r, side: side, orig: side == r.originator(),
		e: &r.end[side], o: &r.end[1-side],
		flags: p.Flags, seq: p.Seq, ack: p.Ack, len: p.PayloadLen,
		whole: uint32(len(p.Payload)) >= p.PayloadLen,
	}
	s.end = s.seq + s.space()
	s.partialStatus()
	s.begin()
	relative := s.seq - s.e.start
	underflow := s.below(s.e, s.seq)
	s.record(relative)
	if p.Window == 0 && !s.has(flagRST) && s.o.state != closed && s.e.state != reset {
		s.t.scaled(number, r, side, &s.e.shut, 'W')
	}
	if s.has(flagFIN) {
		s.e.marks |= markFINSeen
		s.e.fin = s.end
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
func (s *segment) below(e *endpoint, number uint32) bool {
	return e.marks&markFar == 0 && after(number, e.start) < 0
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
	e, syn := s.e, s.has(flagSYN)
	switch e.state {
	case inactive:
		if syn {
			e.begin(s.seq, s.end)
			return
		}
		// As though its SYN had been seen.
		e.begin(s.seq-1, s.seq)
	case synSent, synACKSent:
		if syn && s.seq != e.start {
			e.begin(s.seq, s.end)
		}
	case established, partial:
		if syn && s.seq != e.start {
			e.begin(s.seq, s.end)
		} else if syn {
			e.ack, e.last = s.seq, s.end
		}
	case reset:
		if syn && e.prev == inactive {
			e.begin(s.seq, s.end)
		}
	}
}

func (e *endpoint) begin(start, last uint32) {
	e.start, e.ack, e.last, e.next = start, start, last, start+1
	e.lo, e.hi = 0, 0
	e.marks &^= markFar
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
		s.again(markSYN, c, &s.e.histSYN, relative)
	case flagFIN:
		s.again(markFIN, 'F', &s.e.histFIN, relative+s.len)
	case flagRST:
		s.again(markRST, 'R', &s.e.histRST, relative)
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
		s.t.letter(s.number, s.r, s.side, c)
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
		o.begin(s.ack-1, s.ack-1)
		return s.ack, true
	}
	if s.below(o, s.ack) {
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
	case s.has(flagFIN) && e.last == e.start+1:
		e.last = s.end
	case e.state == reset:
	case delta > 0:
		e.last = s.end
		if e.last-e.start > 1<<30 {
			e.marks |= markFar
		}
	case s.len > 0:
		s.t.scaled(s.number, s.r, s.side, &e.again, 'T')
	}
}

// clean tells endpoints between which a hole is really one.
func (e *endpoint) clean() bool {
	return e.state == established || e.state == closed && e.prev == established
}

// delivered handles that this segment acknowledged the other side's stream up
// to a number: what was not seen of it by now was never captured.
func (s *segment) delivered(acked uint32) {
	o := s.o
	if o.marks&markFINSeen != 0 && after(acked, o.fin) >= 0 {
		acked = o.fin - 1
	}
	if after(acked, o.next) <= 0 || s.r.has(bitPartial) && acked-o.start <= 2 {
		return
	}
	if o.lo != o.hi && after(acked, o.lo) > 0 {
		s.gap()
		o.next = o.lo
		o.fill()
	}
	if after(acked, o.next) > 0 {
		s.gap()
		o.next = acked
		o.fill()
	}
}

func (s *segment) gap() {
	if s.e.clean() && s.o.clean() {
		s.t.scaled(s.number, s.r, 1-s.side, &s.o.gaps, 'G')
	}
}

// data takes the segment's payload as seen.
func (s *segment) data() {
	from := s.seq
	if s.has(flagSYN) {
		from++
	}
	e, to := s.e, from+s.len
	switch {
	case after(to, e.next) <= 0:
	case after(from, e.next) <= 0:
		e.next = to
		e.fill()
	case e.lo == e.hi:
		e.lo, e.hi = from, to
	default:
		// One stretch is kept: a hole inside it is not seen.
		if after(from, e.lo) < 0 {
			e.lo = from
		}
		if after(to, e.hi) > 0 {
			e.hi = to
		}
	}
}

// fill goes over what was seen behind the hole when the hole is gone.
func (e *endpoint) fill() {
	if e.lo == e.hi || after(e.lo, e.next) > 0 {
		return
	}
	if after(e.hi, e.next) > 0 {
		e.next = e.hi
	}
	e.lo, e.hi = 0, 0
}
