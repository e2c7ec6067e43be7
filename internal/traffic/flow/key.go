package flow

import (
	"encoding/binary"
	"math/bits"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// keyOf gives the key of a packet. ok is false where it cannot be known: a
// protocol with ports whose ports are not there.
func keyOf(p *wire.Packet, k *key) (ok bool) {
	k.src, k.dst, k.proto, k.bits = p.Src, p.Dst, p.Proto, 0
	if p.Version == 6 {
		k.bits = bitIPv6
	}
	switch {
	case hasPorts(p.Proto):
		k.srcPort, k.dstPort = p.SrcPort, p.DstPort
		return p.HasPorts
	case p.Proto == protoICMP || p.Proto == protoICMP6:
		counterpart, answered := icmpCounterpart(p.Proto, p.ICMPType, p.ICMPCode)
		k.srcPort, k.dstPort = uint16(p.ICMPType), uint16(counterpart)
		if !answered {
			k.bits |= bitOneWay
		}
		return p.HasICMP
	}
	k.srcPort, k.dstPort = 0, 0
	return true
}

// icmpCounterpart gives the type that answers a type; where none does, the code
// and false. The pairs are those that Zeek joins (RFC 792, 950, 1256; RFC 4443,
// 4861, 2710, 4620, 6275).
func icmpCounterpart(proto, kind, code uint8) (other uint8, answered bool) {
	pairs := icmpPairs[:]
	if proto == protoICMP6 {
		pairs = icmp6Pairs[:]
	}
	for _, p := range pairs {
		switch kind {
		case p[0]:
			return p[1], true
		case p[1]:
			return p[0], true
		}
	}
	return code, false
}

var (
	icmpPairs  = [...][2]uint8{{8, 0}, {13, 14}, {15, 16}, {10, 9}, {17, 18}}
	icmp6Pairs = [...][2]uint8{{128, 129}, {135, 136}, {133, 134}, {130, 131}, {139, 140}, {144, 145}}
)

// mix is the same for both directions. The seed is the table's own, so that
// nobody can send packets whose flows meet in the index.
func (k *key) mix(seed uint64) uint64 {
	if k.bits&bitIPv6 == 0 {
		return mix4(binary.BigEndian.Uint32(k.src[12:]), binary.BigEndian.Uint32(k.dst[12:]), k.srcPort, k.dstPort, k.proto, seed)
	}
	a, b := k.end(seed, &k.src, k.srcPort), k.end(seed, &k.dst, k.dstPort)
	return mix(a+b, uint64(k.proto)^seed)
}

// mix4 is mix for IPv4, whose two ends fit into one multiplication.
func mix4(src, dst uint32, srcPort, dstPort uint16, proto uint8, seed uint64) uint64 {
	a, b := uint64(src)<<16|uint64(srcPort), uint64(dst)<<16|uint64(dstPort)
	return mix(min(a, b)^seed, max(a, b)^uint64(proto)<<56^bits.RotateLeft64(seed, 32))
}

// hashOf is what the index uses of a mixed key.
func hashOf(mixed uint64) uint32 { return uint32(mixed >> 16) }

func (k *key) end(seed uint64, addr *[16]byte, port uint16) uint64 {
	hi, lo := le64(addr[:8]), le64(addr[8:])
	return mix(hi^seed, lo^(uint64(port)+1)*0x9e3779b97f4a7c15)
}

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// mix is the folded multiplication of wyhash and its kind; the constants keep a
// zero operand from making the result zero.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0xa0761d6478bd642f, b^0xe7037ed1a0b428db)
	return hi ^ lo
}
