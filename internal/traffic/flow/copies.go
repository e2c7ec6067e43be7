package flow

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// copies tells packets that the capture holds twice because a mirror port sent
// them twice: where they came in and where they went out, there perhaps with
// another VLAN tag, other MAC addresses and one hop less to live.
//
// What is sent twice is another thing. An IPv4 sender gives its retransmissions
// another identification. Where there is none (IPv6; zero, as Linux sends it
// in SYN-ACKs and RSTs) only what cannot be the sender's own repetition counts:
// the frame's header or the hop count differs, or a TCP segment with content
// comes again sooner than any sender would.
type copies struct {
	slots [1 << 12]sighting
}

type sighting struct {
	hash uint32
	when uint32 // units of 1024 ns
	link uint16
	hops uint8
}

const (
	copyWindow  = uint32(100 * time.Millisecond >> 10)
	quickWindow = uint32(500 * time.Microsecond >> 10)
	// headBytes are how many of the payload are compared; of one that has no
	// more than shortBytes the last 8 too: what tells the messages of different
	// senders apart stands there (neighbour discovery, group reports).
	headBytes  = 16
	shortBytes = 64
)

// seen notes a packet and tells whether it is a copy of a recent one.
func (c *copies) seen(l *Looked) bool {
	s := c.at(l.content)
	now := sighting{hash: uint32(l.content >> 32), when: uint32(uint64(l.seen.When) >> 10), link: l.link, hops: l.hops}
	old := *s
	*s = now
	return old.hash == now.hash && old.when != 0 && isCopy(&old, &now, l)
}

func (c *copies) at(content uint64) *sighting { return &c.slots[content&uint64(len(c.slots)-1)] }

func isCopy(old, now *sighting, l *Looked) bool {
	age := now.when - old.when
	if age > copyWindow || old.hops-now.hops > 1 {
		return false
	}
	if l.numbered || old.link != now.link || old.hops != now.hops {
		return true
	}
	return age <= quickWindow && l.tcp && (l.payload > 0 || l.flags&(flagSYN|flagFIN) != 0)
}

// contentHash is of what a router leaves as it is. TCP's numbers say enough of
// the payload.
func contentHash(flow uint64, p *wire.Packet) uint64 {
	h := mix(flow^uint64(p.SrcPort)<<48^uint64(p.IPLen)<<16^uint64(p.Src[15]), uint64(p.ID)<<32|uint64(p.FragOffset))
	if p.HasTCP {
		return mix(h^uint64(p.Flags)<<16^uint64(p.Window), uint64(p.Seq)<<32|uint64(p.Ack))
	}
	h ^= uint64(p.ICMPType)<<24 | uint64(p.ICMPCode)<<16 | uint64(p.ICMPID)
	return payloadHash(h, p.Payload, p.PayloadLen)
}

// briefHash is contentHash of the packet in full.
func briefHash(flow uint64, b *wire.Brief) uint64 {
	h := mix(flow^uint64(b.SrcPort)<<48^uint64(b.IPLen)<<16^uint64(uint8(b.Src)), uint64(b.ID)<<32)
	if b.Proto == protoTCP {
		return mix(h^uint64(b.Flags)<<16^uint64(b.Window), uint64(b.Seq)<<32|uint64(b.Ack))
	}
	return payloadHash(h, b.Payload, b.PayloadLen)
}

func payloadHash(h uint64, payload []byte, length uint32) uint64 {
	if n := len(payload); n > headBytes {
		if n <= shortBytes && uint32(n) >= length {
			h ^= bits.RotateLeft64(le64(payload[n-8:]), 23)
		}
		return mix(h^le64(payload), le64(payload[8:])^uint64(length)<<32)
	}
	var head [headBytes]byte
	copy(head[:], payload)
	return mix(h^le64(head[:]), le64(head[8:])^uint64(length)<<32)
}

// linkHash is of the frame's addresses and tags.
func linkHash(p *wire.Packet) uint16 {
	h := macHash(p.SrcMAC[2:], p.DstMAC[2:])
	h ^= (uint32(p.VLANs[0])<<16 | uint32(p.VLANs[1]) | uint32(p.VLANCount)<<12) * 0xc2b2ae35
	return uint16(h >> 16)
}

// macHash is of the last four bytes of both.
func macHash(src, dst []byte) uint32 {
	return (binary.BigEndian.Uint32(src)*0x9e3779b1 ^ binary.BigEndian.Uint32(dst)) * 0x85ebca6b
}
