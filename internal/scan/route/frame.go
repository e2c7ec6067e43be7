package route

import (
	"encoding/binary"
	"net/netip"

	"github.com/portreeve/portreeve/internal/scan/inetsum"
)

// Sizes and codes of ARP for IPv4 over Ethernet (RFC 826) and of neighbour
// discovery (RFC 4861 sections 4.3, 4.4 and 4.6.1).
const (
	arpLen       = 28
	arpRequest   = 1
	arpReply     = 2
	ip6Len       = 40
	solicitLen   = 32 // with the source link-layer address option
	protoICMP6   = 58
	solicitation = 135
	advertising  = 136
	optSourceHW  = 1
	optTargetHW  = 2
)

// putARP writes an ARP request; src may be 0.0.0.0 (RFC 5227).
func putARP(b []byte, hw []byte, src, dst [4]byte) []byte {
	b = b[:arpLen]
	clear(b)
	copy(b, []byte{0, 1, 8, 0, 6, 4, 0, arpRequest})
	copy(b[8:14], hw)
	copy(b[14:18], src[:])
	copy(b[24:28], dst[:])
	return b
}

// readARP reads an ARP reply.
func readARP(b []byte) (from netip.Addr, hw [6]byte, ok bool) {
	if len(b) < arpLen || string(b[:8]) != "\x00\x01\x08\x00\x06\x04\x00\x02" {
		return from, hw, false
	}
	hw = [6]byte(b[8:14])
	return netip.AddrFrom4([4]byte(b[14:18])), hw, isStation(hw)
}

// isStation tells a unicast hardware address that is not all zeros.
func isStation(hw [6]byte) bool { return hw[0]&1 == 0 && hw != [6]byte{} }

// putSolicitation writes an IPv6 packet with a neighbour solicitation for dst
// and gives the Ethernet address of its solicited-node group (RFC 4291
// section 2.7.1, RFC 2464 section 7).
func putSolicitation(b []byte, hw []byte, src, dst [16]byte) (packet []byte, to [6]byte) {
	b = b[:ip6Len+solicitLen]
	clear(b)
	b[0] = 0x60
	binary.BigEndian.PutUint16(b[4:], solicitLen)
	b[6], b[7] = protoICMP6, 255
	copy(b[8:24], src[:])
	copy(b[24:40], []byte{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, dst[13], dst[14], dst[15]})
	m := b[ip6Len:]
	m[0] = solicitation
	copy(m[8:24], dst[:])
	m[24], m[25] = optSourceHW, 1
	copy(m[26:32], hw)
	binary.BigEndian.PutUint16(m[2:], checksum6(b))
	return b, [6]byte{0x33, 0x33, 0xff, dst[13], dst[14], dst[15]}
}

// readAdvertisement reads an IPv6 packet with a neighbour advertisement that
// is valid by RFC 4861 section 7.1.2. Without the option that tells it, hw is
// zero and the frame's sender stands in.
func readAdvertisement(b []byte) (target netip.Addr, hw [6]byte, ok bool) {
	if len(b) < ip6Len+24 || b[0]>>4 != 6 || b[6] != protoICMP6 || b[7] != 255 {
		return target, hw, false
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length < 24 || ip6Len+length > len(b) {
		return target, hw, false
	}
	b = b[:ip6Len+length]
	m := b[ip6Len:]
	if m[0] != advertising || m[1] != 0 || checksum6(b) != 0 {
		return target, hw, false
	}
	target = netip.AddrFrom16([16]byte(m[8:24]))
	hw, ok = targetHW(m[24:])
	return target, hw, ok && !target.IsMulticast()
}

// targetHW walks the options; ok is false where one is malformed.
func targetHW(options []byte) (hw [6]byte, ok bool) {
	for len(options) > 0 {
		if len(options) < 2 || options[1] == 0 || int(options[1])*8 > len(options) {
			return hw, false
		}
		if options[0] == optTargetHW && options[1] == 1 {
			hw = [6]byte(options[2:8])
			if !isStation(hw) {
				return hw, false
			}
		}
		options = options[int(options[1])*8:]
	}
	return hw, true
}

// checksum6 is the ICMPv6 checksum (RFC 4443 section 2.3) of an IPv6 packet
// without extension headers: what to write where the field is 0, and 0 for a
// packet that is whole.
func checksum6(b []byte) uint16 {
	sum := uint32(protoICMP6) + uint32(len(b)-ip6Len)
	return ^inetsum.Fold(inetsum.Add(sum, b[8:]))
}
