package discover

import (
	"net/netip"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/scan/discover/rounds"
	"github.com/portreeve/portreeve/internal/scan/rawsock"
	"github.com/portreeve/portreeve/internal/scan/route/packet"
)

// rawSockets send and hear beyond the link, for a whole search.
type rawSockets struct {
	send    *packet.Socket
	hear    [2]*packet.Socket // IPv4, IPv6; nil where the family is not there
	reserve [2]int            // TCP sockets that hold the source ports; -1: none
	port    [2]uint16
	polls   []unix.PollFd
	tokens  tokens
}

// openRaw opens all of them; without CAP_NET_RAW the error is
// os.ErrPermission.
func openRaw() (r *rawSockets, err error) {
	r = &rawSockets{reserve: [2]int{-1, -1}, tokens: newTokens()}
	if r.send, err = packet.Open(0, 0, nil); err != nil {
		return nil, err
	}
	for family, proto := range []uint16{unix.ETH_P_IP, unix.ETH_P_IPV6} {
		if r.reserve[family], r.port[family], err = rawsock.Keep(family == 0); err != nil {
			if family == 1 {
				return r, nil // no IPv6 in this kernel
			}
			r.close()
			return nil, err
		}
		filter := answers4(r.port[family])
		if family == 1 {
			filter = answers6(r.port[family])
		}
		if r.hear[family], err = packet.Open(proto, 0, filter); err != nil {
			r.close()
			return nil, err
		}
		r.polls = append(r.polls, r.hear[family].Poll())
	}
	return r, nil
}

func (r *rawSockets) close() {
	for _, s := range []*packet.Socket{r.send, r.hear[0], r.hear[1]} {
		if s != nil {
			s.Close()
		}
	}
	for _, fd := range r.reserve {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// answers4 accepts IPv4 packets with an ICMP answer or error, or TCP to port;
// no fragments but the first.
func answers4(port uint16) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 11},
		bpf.LoadMemShift{Off: 0},
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoICMP, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protoTCP, SkipTrue: 7},
		bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipTrue: 4, SkipFalse: 5},
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: echoReply, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: stampReply, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unreachable, SkipTrue: 1},
		bpf.RetConstant{Val: 0xffff},
		bpf.RetConstant{},
	}
}

// answers6 does the same for IPv6 without extension headers.
func answers6(port uint16) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoICMP6, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protoTCP, SkipTrue: 6},
		bpf.LoadAbsolute{Off: head6 + 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipTrue: 3, SkipFalse: 4},
		bpf.LoadAbsolute{Off: head6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: echoReply6, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unreachable6, SkipTrue: 1},
		bpf.RetConstant{Val: 0xffff},
		bpf.RetConstant{},
	}
}

// rawLine is the Line of a group beyond the link.
type rawLine struct {
	f      *finder
	g      *group
	run    *rounds.Run
	family int
	index  map[netip.Addr]int32 // without zones
	out    [longestPacket]byte
	in     [2048]byte
}

func newRawLine(f *finder, g *group) *rawLine {
	l := &rawLine{f: f, g: g, index: make(map[netip.Addr]int32, len(g.addrs))}
	if g.addrs[0].Is6() {
		l.family = 1
	}
	for i, addr := range g.addrs {
		l.index[addr.WithZone("")] = int32(i)
	}
	return l
}

// Send sends one kind of probe to target i.
func (l *rawLine) Send(i, kind int) error {
	dst := l.g.addrs[i].WithZone("")
	h := &l.g.hops[l.g.via[i]]
	src, proto := h.path.Src, uint16(unix.ETH_P_IP)
	if l.family == 1 {
		proto = unix.ETH_P_IPV6
	}
	raw := l.f.raw
	b := putProbe(l.out[:], kind, src, dst, raw.port[l.family], raw.tokens.of(dst, kind))
	busy, err := raw.send.Send(b, proto, h.path.Index, h.hw)
	if busy {
		return rounds.ErrBusy
	}
	return err
}

// Hear reads what has come.
func (l *rawLine) Hear(d time.Duration) error {
	raw := l.f.raw
	if d > 0 {
		packet.Wait(raw.polls, d)
	}
	for _, s := range raw.hear {
		if err := l.drain(s); err != nil {
			return err
		}
	}
	return nil
}

// drainMost bounds what is read before the asking goes on: a flood of answers
// must not hold it up.
const drainMost = 4096

func (l *rawLine) drain(s *packet.Socket) error {
	if s == nil {
		return nil
	}
	var hw [8]byte
	for range drainMost {
		n, _, ok, err := s.Receive(l.in[:], &hw)
		if err != nil || !ok {
			return err
		}
		l.heard(l.in[:n])
	}
	return nil
}

func (l *rawLine) heard(b []byte) {
	raw := l.f.raw
	h, ok := decode(b, raw.port[l.family])
	if !ok {
		return
	}
	i, ok := l.index[h.from]
	if !ok || raw.tokens.of(h.from, h.kind) != h.token {
		return
	}
	if rtt, first := l.run.Answer(int(i), h.kind); first {
		l.f.up(l.g.index[i], Host{Addr: l.g.addrs[i], Reason: h.reason, RTT: rtt, TTL: h.ttl})
	}
}
