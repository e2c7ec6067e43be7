package mirror

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
	"github.com/portreeve/portreeve/internal/traffic/wire/wiretest"
)

// This file is a naive switch with stations that talk, and one port at which
// the judge sits: what a mirror or a plain port gets is known here.

const here = 0 // the judge's station; its port is of the same number

func mac(n int) [6]byte     { return [6]byte{2, 0, 0, 0, 1, byte(n)} }
func addr(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}) }
func newJudge() *Judge      { return New([]netip.Addr{addr(here)}, [][6]byte{mac(here)}) }
func at(s float64) int64    { return int64(1e18 + s*1e9) }

// ports are those of the stations 1 to n.
func ports(n int) (out []int) {
	for i := range n {
		out = append(out, i+1)
	}
	return out
}

// frame is what one station sends another; to < 0: to all.
type frame struct {
	from, to int
	bytes    []byte
	at       int64
}

// deck is a mirror session: copies of what enters or leaves ports.
type deck struct{ rx, tx []int }

// model is the switch.
type model struct {
	mirror  deck
	knows   map[int]bool // stations whose port is known
	forgets time.Duration
	forgot  int64
	out     []capture.Packet
}

// pass sends a frame through the switch.
func (m *model) pass(f frame) {
	if m.knows == nil || m.forgets > 0 && f.at-m.forgot >= int64(m.forgets) {
		m.knows, m.forgot = map[int]bool{}, f.at
	}
	m.knows[f.from] = true
	mine := f.to == here || f.from == here
	flooded := f.to < 0 || !m.knows[f.to]
	switch {
	case f.from == here:
		m.deliver(f, capture.Outbound)
	case mine || flooded:
		m.deliver(f, capture.Inbound)
	}
	for _, p := range m.mirror.rx {
		if p == f.from && p != here {
			m.deliver(f, capture.Inbound)
		}
	}
	for _, p := range m.mirror.tx {
		if p != here && p != f.from && (p == f.to || flooded) {
			m.deliver(f, capture.Inbound)
		}
	}
}

func (m *model) deliver(f frame, d capture.Direction) {
	m.out = append(m.out, capture.Packet{Data: f.bytes, Wire: uint32(len(f.bytes)), Time: f.at, Link: wire.LinkEthernet, Direction: d})
}

// judged gives what comes out of the port to a judge.
func (m *model) judged(j *Judge) *Judge {
	var d wire.Decoder
	var p wire.Packet
	for i := range m.out {
		c := &m.out[i]
		d.Decode(c.Link, c.Data, c.Wire, &p)
		if c.HasVLAN {
			p.AddVLAN(c.VLANTCI)
		}
		j.Add(&p, c)
	}
	return j
}

// chatter makes frames of stations that talk for so many seconds: TCP
// connections, questions and answers, reports that nobody answers, broadcasts.
type chatter struct {
	r        *rand.Rand
	stations int
	id       uint16
	frames   []frame
}

func newChatter(seed uint64, stations int) *chatter {
	return &chatter{r: rand.New(rand.NewPCG(seed, 1)), stations: stations}
}

func (c *chatter) ip(from, to int, layers ...wiretest.Layer) []byte {
	c.id++
	if c.id == 0 {
		c.id++
	}
	head := []wiretest.Layer{wiretest.Ethernet{Src: mac(from), Dst: mac(to)}, wiretest.IPv4{Src: addr(from), Dst: addr(to), ID: c.id}}
	return wiretest.Frame(append(head, layers...)...)
}

func (c *chatter) add(from, to int, when float64, bytes []byte) {
	c.frames = append(c.frames, frame{from, to, bytes, at(when)})
}

func (c *chatter) tcp(a, b int, when float64, rounds int) {
	port := uint16(30000 + c.r.IntN(20000))
	seq := [2]uint32{1, 1}
	send := func(from int, flags uint16, n int) {
		src, dst, sp, dp := a, b, port, uint16(443)
		if from == 1 {
			src, dst, sp, dp = b, a, dp, sp
		}
		c.add(src, dst, when, c.ip(src, dst, wiretest.TCP{SrcPort: sp, DstPort: dp, Seq: seq[from], Ack: seq[1-from], Flags: flags}, wiretest.Bytes(make([]byte, n))))
		seq[from] += uint32(n)
		when += 0.0005 + c.r.Float64()/200
	}
	send(0, wiretest.SYN, 0)
	send(1, wiretest.SYN|wiretest.ACK, 0)
	send(0, wiretest.ACK, 0)
	for range rounds {
		send(0, wiretest.ACK, 100)
		send(1, wiretest.ACK, 1000)
		send(0, wiretest.ACK, 0)
		when += c.r.Float64() / 20
	}
	send(0, wiretest.ACK|wiretest.FIN, 0)
	send(1, wiretest.ACK|wiretest.FIN, 0)
}

func (c *chatter) udp(a, b int, when float64, answered bool) {
	port := uint16(30000 + c.r.IntN(20000))
	c.add(a, b, when, c.ip(a, b, wiretest.UDP{SrcPort: port, DstPort: 53}, wiretest.Bytes(make([]byte, 40))))
	if answered {
		c.add(b, a, when+0.003, c.ip(b, a, wiretest.UDP{SrcPort: 53, DstPort: port}, wiretest.Bytes(make([]byte, 90))))
	}
}

func (c *chatter) broadcast(from int, when float64) {
	everyone := [6]byte{255, 255, 255, 255, 255, 255}
	b := wiretest.Frame(wiretest.Ethernet{Src: mac(from), Dst: everyone, Min: 60}, wiretest.ARP{})
	binary.BigEndian.PutUint32(b[38:], c.r.Uint32())
	c.add(from, -1, when, b)
}

// talk makes so many seconds of it between stations first…last.
func (c *chatter) talk(first, last int, seconds float64) *chatter {
	pick := func() (a, b int) {
		a = first + c.r.IntN(last-first+1)
		for b = a; b == a; {
			b = first + c.r.IntN(last-first+1)
		}
		return a, b
	}
	for when := 0.0; when < seconds; when += 0.2 {
		a, b := pick()
		c.tcp(a, b, when, 1+c.r.IntN(5))
		a, b = pick()
		c.udp(a, b, when+0.05, c.r.IntN(3) > 0)
		c.broadcast(a, when+0.07)
	}
	return c
}

// through sends it all through a switch, in order of time.
func (c *chatter) through(m *model) *model {
	frames := append([]frame(nil), c.frames...)
	slices.SortStableFunc(frames, func(a, b frame) int { return cmp.Compare(a.at, b.at) })
	for _, f := range frames {
		m.pass(f)
	}
	return m
}
