package syn

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// drain reads what has come, waiting up to d for the first packet.
func (s *session) drain(d time.Duration) {
	if d > 0 {
		ts := unix.NsecToTimespec(int64(d))
		if n, err := unix.Ppoll(s.polls, &ts, nil); n <= 0 || err != nil {
			return
		}
	}
	for i := range s.polls {
		s.drainOne(s.polls[i].Fd)
	}
}

func (s *session) drainOne(fd int32) {
	hear := s.heard[fd]
	for {
		n, err := s.in.receive(int(fd))
		if n == 0 || err != nil {
			return
		}
		for i := range n {
			hear(s.in.packet(i), s.in.source(i))
		}
		if n < inboxSize {
			return
		}
	}
}

// source is the sender's address where the socket gave one of IPv6 (without
// zone); the other sockets deliver the IP header.
func (in *inbox) source(i int) netip.Addr {
	if in.names[i].Family != unix.AF_INET6 {
		return netip.Addr{}
	}
	return netip.AddrFrom16(in.names[i].Addr)
}

// hearPacket takes a packet that begins with its IP header.
func (s *session) hearPacket(b []byte, _ netip.Addr) {
	if p, ok := decodeIP(b); ok && p.proto == protoTCP {
		s.hearSegment(p.payload, p.src)
	}
}

// hearSegment takes a TCP segment from an address.
func (s *session) hearSegment(b []byte, src netip.Addr) {
	seg, ok := decodeTCP(b)
	if !ok {
		return
	}
	said := reset
	if seg.isSYNACK() {
		said = synAck
	} else if seg.flags&flagRST == 0 {
		return
	}
	if t, port, ok := s.attribute(seg.ack-1, src, seg.sport); ok {
		s.note(t, port, said)
	}
}

// attribute finds the probe that was answered: by its cookie (translation may
// have changed the sender), else by the sender's own words (an answer with a
// wrong acknowledgment number is an answer all the same).
func (s *session) attribute(seq uint32, src netip.Addr, sport uint16) (*target, uint16, bool) {
	if i, port, ok := s.cookie.open(seq); ok && int(i) < len(s.targets) {
		return s.targets[i], port, true
	}
	if i, ok := s.index[src.WithZone("")]; ok {
		return s.targets[i], sport, true
	}
	return nil, 0, false
}

func (s *session) note(t *target, port uint16, said answer) {
	s.stats.received++
	if f := s.family(t.addr.Is4()); port == f.ports[1] {
		s.stats.canariesIn++
	}
	if t.answers[port] != unasked {
		t.note(port, said)
	}
}

func (s *session) hearICMP4(b []byte, _ netip.Addr) {
	if p, ok := decodeIP(b); ok {
		s.hearUnreachable(false, p.payload)
	}
}

func (s *session) hearICMP6(b []byte, _ netip.Addr) { s.hearUnreachable(true, b) }

// hearUnreachable takes an ICMP error; the quoted sequence number must be ours.
func (s *session) hearUnreachable(v6 bool, icmp []byte) {
	q, ok := decodeQuote(icmp)
	if !ok {
		return
	}
	said, ok := refusal(v6, icmp[0], icmp[1])
	if !ok {
		return
	}
	if i, port, ok := s.cookie.open(q.seq); ok && int(i) < len(s.targets) {
		s.note(s.targets[i], port, said)
	}
}
