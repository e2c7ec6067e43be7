package negotiate

import (
	"bytes"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

const (
	// maxLine is the longest line that is read; FTP and IRC know none near it.
	maxLine = 1024
	// maxMessage is the longest message or record that is read.
	maxMessage = 16 << 10
	// maxHeld and maxHeldBytes limit segments that came before one that is
	// missing.
	maxHeld      = 4
	maxHeldBytes = 8 << 10
	// far is how far back a sequence number is another connection's on the
	// same ports, not a repetition.
	far = 1 << 20
)

// stream is one direction of a control connection, in the order of its
// sequence numbers.
type stream struct {
	begun bool
	next  uint32 // the sequence number that is awaited
	rest  []byte // of a message that is not whole yet
	skip  int    // bytes to come that are passed over
	long  bool   // within a line that is too long
	tail  []byte // the end of the last fragment (dcerpc)
	held  []segment
	bytes int // of held
}

// segment is one that came too early. whole is false when it was captured in
// part.
type segment struct {
	seq   uint32
	data  []byte
	whole uint32 // length on the wire
}

// size is what the stream keeps, bytes.
func (s *stream) size() int { return cap(s.rest) + cap(s.tail) + s.bytes }

func (s *stream) forget() { *s = stream{begun: s.begun, next: s.next} }

// reader takes messages from the front of b; see exchange.consume.
type reader func(s *stream, b []byte) int

// push takes a packet of this direction.
func (s *stream) push(p *wire.Packet, read reader) {
	if p.Flags&syn != 0 {
		*s = stream{begun: true, next: p.Seq + 1}
		return
	}
	if p.PayloadLen == 0 {
		return
	}
	seg := segment{seq: p.Seq, data: p.Payload, whole: max(p.PayloadLen, uint32(len(p.Payload)))}
	if !s.begun {
		s.begun, s.next = true, p.Seq
	}
	if int32(seg.seq-s.next) > 0 {
		s.hold(seg, read)
		return
	}
	s.take(seg, read)
	s.release(read)
}

// hold keeps a segment that came before its turn. When there are too many,
// what is missing was lost.
func (s *stream) hold(seg segment, read reader) {
	if len(s.held) >= maxHeld || s.bytes+len(seg.data) > maxHeldBytes {
		s.lost(s.nearest().seq)
		s.release(read)
		if int32(seg.seq-s.next) > 0 {
			s.lost(seg.seq)
		}
		s.take(seg, read)
		return
	}
	seg.data = bytes.Clone(seg.data)
	s.bytes += len(seg.data)
	s.held = append(s.held, seg)
}

// nearest is the first of the held segments; one that is awaited, when none
// is held.
func (s *stream) nearest() segment {
	first := segment{seq: s.next}
	for i, h := range s.held {
		if i == 0 || int32(h.seq-first.seq) < 0 {
			first = h
		}
	}
	return first
}

// release reads the held segments whose turn has come.
func (s *stream) release(read reader) {
	for len(s.held) > 0 {
		first := s.nearest()
		if int32(first.seq-s.next) > 0 {
			return
		}
		s.unhold(first)
		s.take(first, read)
	}
}

func (s *stream) unhold(seg segment) {
	for i := range s.held {
		if s.held[i].seq == seg.seq {
			s.held = append(s.held[:i], s.held[i+1:]...)
			s.bytes -= len(seg.data)
			return
		}
	}
}

// acked hears from the receiver that it has all before n: what is missing of
// that here was lost by the capture, not on the way.
func (s *stream) acked(n uint32, read reader) {
	for len(s.held) > 0 {
		first := s.nearest()
		if int32(n-first.seq) <= 0 {
			return
		}
		s.lost(first.seq)
		s.release(read)
	}
}

// lost goes on at seq without what was before it.
func (s *stream) lost(seq uint32) {
	if seq == s.next {
		return
	}
	gap := seq - s.next
	s.rest, s.tail, s.long, s.next = nil, nil, false, seq
	s.skip = max(0, s.skip-int(min(gap, 1<<30)))
}

// take reads a segment that begins at or before next.
func (s *stream) take(seg segment, read reader) {
	old := s.next - seg.seq
	if old >= seg.whole {
		if old < far {
			return // seen before
		}
		s.lost(seg.seq)
		old = 0
	}
	s.next = seg.seq + seg.whole
	if old < uint32(len(seg.data)) {
		s.read(seg.data[old:], read)
	}
	if missing := seg.whole - uint32(len(seg.data)); missing > 0 {
		s.rest, s.tail, s.long = nil, nil, false
		s.skip = max(0, s.skip-int(min(missing, 1<<30)))
	}
}

// read gives what is there to the reader and keeps what it leaves.
func (s *stream) read(b []byte, read reader) {
	if s.skip >= len(b) {
		s.skip -= len(b)
		return
	}
	b, s.skip = b[s.skip:], 0
	joined := len(s.rest) > 0
	if joined {
		s.rest = append(s.rest, b...)
		b = s.rest
	}
	for len(b) > 0 {
		n := read(s, b)
		if n == 0 {
			break
		}
		if n > len(b) {
			s.skip, n = n-len(b), len(b)
		}
		b = b[n:]
	}
	s.keep(b, joined)
}

// keep stores the beginning of a message. It is a copy: b may be the
// packet's.
func (s *stream) keep(b []byte, joined bool) {
	switch {
	case len(b) == 0 || len(b) > maxMessage:
		s.rest = nil
	case joined:
		s.rest = s.rest[:copy(s.rest, b)]
	default:
		s.rest = bytes.Clone(b)
	}
}

// line reads one line and hands it on without its end. Of a line that is too
// long nothing is read, however it was cut into segments.
func (x *exchange) line(s *stream, b []byte, read func(*exchange, string)) int {
	end := bytes.IndexByte(b, '\n')
	switch {
	case end < 0 && (s.long || len(b) > maxLine):
		s.long = true
		return len(b)
	case end < 0:
		return 0
	case s.long || end > maxLine:
		s.long = false
		return end + 1
	}
	read(x, string(bytes.TrimRight(b[:end], "\r")))
	return end + 1
}
