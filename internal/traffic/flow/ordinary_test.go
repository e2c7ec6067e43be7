package flow

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// addSlowly is Add for a TCP packet without the short way.
func (t *Table) addSlowly(p *wire.Packet, when int64) {
	var k key
	keyOf(p, &k)
	hash := hashOf(k.mix(t.seed))
	number, side := t.lookUp(&k, hash)
	if number != none {
		if r := t.record(number); t.over(number, r, side, when) || t.reused(number, r, p) {
			t.supersede(number, r)
			number = none
		}
	}
	if number == none {
		number, side = t.create(&k, hash, p, when), 0
	}
	t.count(t.record(number), side, when, 1, uint64(p.IPLen))
	t.tcp(number, t.record(number), side, p, when)
	t.last = number
}

// conversation is a TCP connection's packets, mostly in order: what a packet
// does is drawn, and the numbers follow from what its sender sent and got.
type conversation struct {
	sent [2]uint32
	when int64
}

func (c *conversation) packet(t *rapid.T) wire.Packet {
	side := rapid.IntRange(0, 1).Draw(t, "side")
	strange := rapid.IntRange(0, 7).Draw(t, "strange") == 0
	p := c.made(side, flagACK, rapid.SampledFrom([]uint32{0, 0, 1, 10, 1400}).Draw(t, "len"))
	if strange {
		c.disturb(t, &p)
	} else {
		c.sent[side] += p.PayloadLen
	}
	c.when += rapid.SampledFrom([]int64{0, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 4e9, 6e9, 301e9}).Draw(t, "wait")
	return p
}

// made is the next packet of a side.
func (c *conversation) made(side int, flags uint16, length uint32) wire.Packet {
	p := wire.Packet{Kind: wire.KindIP, Version: 4, Proto: protoTCP, HasPorts: true, HasTCP: true,
		Flags: flags, Window: 9, SrcPort: 40000, DstPort: 80, IPLen: 100,
		Seq: c.sent[side], Ack: c.sent[1-side], PayloadLen: length, Payload: make([]byte, length)}
	p.Src, p.Dst = [16]byte{15: 1}, [16]byte{15: 2}
	if side == 1 {
		p.Src, p.Dst, p.SrcPort, p.DstPort = p.Dst, p.Src, p.DstPort, p.SrcPort
	}
	return p
}

// disturb makes a packet not the next one.
func (c *conversation) disturb(t *rapid.T, p *wire.Packet) {
	p.Flags = rapid.SampledFrom([]uint16{flagACK, flagACK, flagACK, flagSYN, flagSYN | flagACK,
		flagFIN | flagACK, flagRST, flagRST | flagACK, 0, flagSYN | flagFIN}).Draw(t, "flags")
	offset := func(name string) uint32 {
		return uint32(rapid.SampledFrom([]int64{0, 0, 0, 0, -1, 1, -10, 10, 1400, -1400, 1 << 20, 1 << 21, 1 << 30, 1 << 31}).Draw(t, name))
	}
	p.Seq += offset("seq")
	p.Ack += offset("ack")
	switch rapid.IntRange(0, 5).Draw(t, "what") {
	case 0:
		p.Payload = nil
	case 1:
		p.Window = 0
	}
}

// handshake gives the three packets of it.
func (c *conversation) handshake() []wire.Packet {
	syn := c.made(0, flagSYN, 0)
	c.sent[0]++
	answer := c.made(1, flagSYN|flagACK, 0)
	c.sent[1]++
	return []wire.Packet{syn, answer, c.made(0, flagACK, 0)}
}

// TestOrdinary: the short way for ordinary packets leaves all as the long one.
func TestOrdinary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		quick, slow := NewTable(Options{}), NewTable(Options{})
		c := conversation{sent: [2]uint32{rapid.Uint32().Draw(t, "a"), rapid.Uint32().Draw(t, "b")}}
		var packets []wire.Packet
		if rapid.Bool().Draw(t, "handshake") {
			packets = c.handshake()
		}
		for i := range len(packets) + rapid.IntRange(1, 60).Draw(t, "packets") {
			if i >= len(packets) {
				packets = append(packets, c.packet(t))
			}
			quick.Add(&packets[i], c.when, packets[i].IPLen, packets[i].IPLen)
			slow.addSlowly(&packets[i], c.when)
		}
		if diff := cmp.Diff(all(slow), all(quick)); diff != "" {
			t.Fatalf("slow (-), quick (+):\n%s", diff)
		}
	})
}

func all(t *Table) []Flow {
	var out []Flow
	t.Each(func(f *Flow) bool {
		out = append(out, *f)
		return true
	})
	return out
}
