package flow

import (
	"encoding/binary"
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
	slots [1 << 14]sighting
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
	// headBytes are how many of the payload are compared.
	headBytes = 16
)

// seen notes a packet and tells whether it is a copy of a recent one.
func (c *copies) seen(seed uint64, p *wire.Packet, when int64) bool {
	h := contentHash(seed, p)
	s := &c.slots[h&uint64(len(c.slots)-1)]
	now := sighting{hash: uint32(h >> 32), when: uint32(uint64(when) >> 10), link: linkHash(p), hops: p.TTL}
	old := *s
	*s = now
	return old.hash == now.hash && old.when != 0 && isCopy(&old, &now, p)
}

func isCopy(old, now *sighting, p *wire.Packet) bool {
	age := now.when - old.when
	if age > copyWindow || old.hops-now.hops > 1 {
		return false
	}
	if p.Version == 4 && p.ID != 0 || old.link != now.link || old.hops != now.hops {
		return true
	}
	return age <= quickWindow && p.HasTCP && (p.PayloadLen > 0 || p.Flags&(flagSYN|flagFIN) != 0)
}

// contentHash is of what a router leaves as it is.
func contentHash(seed uint64, p *wire.Packet) uint64 {
	le := binary.LittleEndian.Uint64
	h := mix(le(p.Src[:])^seed, le(p.Src[8:]))
	h = mix(h^le(p.Dst[:]), le(p.Dst[8:]))
	h = mix(h^uint64(p.ID)<<32^uint64(p.IPLen), uint64(p.SrcPort)<<48|uint64(p.DstPort)<<32|
		uint64(p.Proto)<<24|uint64(p.ICMPType)<<16|uint64(p.ICMPCode)<<8)
	h = mix(h^uint64(p.Seq)<<32^uint64(p.Ack), uint64(p.FragOffset)<<48|uint64(p.Flags)<<32|
		uint64(p.Window)<<16|uint64(p.ICMPID))
	var head [headBytes]byte
	copy(head[:], p.Payload)
	return mix(h^le(head[:]), le(head[8:])^uint64(p.PayloadLen)<<32)
}

// linkHash is of the frame's addresses and tags.
func linkHash(p *wire.Packet) uint16 {
	src := uint64(binary.LittleEndian.Uint32(p.SrcMAC[:]))<<16 | uint64(binary.LittleEndian.Uint16(p.SrcMAC[4:]))
	dst := uint64(binary.LittleEndian.Uint32(p.DstMAC[:]))<<16 | uint64(binary.LittleEndian.Uint16(p.DstMAC[4:]))
	tags := uint64(p.VLANs[0])<<32 | uint64(p.VLANs[1])<<16 | uint64(p.VLANCount)
	return uint16(mix(src^tags<<13, dst) >> 24)
}
