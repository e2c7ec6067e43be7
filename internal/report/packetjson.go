package report

import (
	"time"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// AppendPacketJSON adds one packet as a JSON line: `bytes` on the wire,
// `stored` of them in the capture.
func AppendPacketJSON(dst []byte, c *capture.Packet, p *wire.Packet) []byte {
	dst = appendNanos(append(dst, '{'), "time", c.Time)
	dst = appendUint(dst, "bytes", uint64(c.Wire))
	dst = appendUint(dst, "stored", uint64(len(c.Data)))
	if p.VLANCount > 0 {
		dst = appendUint(dst, "vlan", uint64(p.VLANs[0]&0xfff))
	}
	switch p.Kind {
	case wire.KindIP:
		dst = appendPacketIP(dst, p)
	case wire.KindOther:
		dst = appendKey(dst, "other")
		dst = append(append(appendOther(append(dst, '"'), p), '"'), ',')
	}
	if p.Problem != wire.NoProblem {
		dst = appendField(dst, "problem", p.Problem.String())
	}
	return append(trimLast(dst), "}\n"...)
}

func appendPacketIP(dst []byte, p *wire.Packet) []byte {
	dst = appendProtoField(dst, p.Proto)
	dst = appendPacketSide(dst, "src", "src_port", p.Src, p.SrcPort, p.HasPorts)
	dst = appendPacketSide(dst, "dst", "dst_port", p.Dst, p.DstPort, p.HasPorts)
	dst = appendUint(dst, "payload", uint64(p.PayloadLen))
	dst = appendUint(dst, "ttl", uint64(p.TTL))
	if p.HasTCP && p.Proto == protoTCP {
		dst = append(appendTCPFlags(append(appendKey(dst, "flags"), '"'), p.Flags), '"', ',')
		dst = appendUint(dst, "seq", uint64(p.Seq))
		dst = appendUint(dst, "ack", uint64(p.Ack))
		dst = appendUint(dst, "window", uint64(p.Window))
	}
	if p.HasICMP {
		dst = appendUint(dst, "type", uint64(p.ICMPType))
		dst = appendUint(dst, "code", uint64(p.ICMPCode))
	}
	if p.IsFragment {
		dst = appendUint(dst, "fragment_offset", uint64(p.FragOffset))
	}
	return appendTunnelList(dst, p.Tunnels[:min(int(p.Depth), len(p.Tunnels))])
}

// appendTunnelList leaves an empty list out.
func appendTunnelList(dst []byte, tunnels []wire.Tunnel) []byte {
	if len(tunnels) == 0 {
		return dst
	}
	dst = append(appendKey(dst, "tunnels"), '[')
	for _, t := range tunnels {
		dst = append(appendString(dst, t.String()), ',')
	}
	return append(closeList(dst), ',')
}

func appendPacketSide(dst []byte, addrKey, portKey string, addr [16]byte, port uint16, hasPort bool) []byte {
	dst = append(appendIPAddr(append(appendKey(dst, addrKey), '"'), addr), '"', ',')
	if hasPort {
		dst = appendUint(dst, portKey, uint64(port))
	}
	return dst
}

func appendProtoField(dst []byte, proto uint8) []byte {
	return append(appendProto(append(appendKey(dst, "proto"), '"'), proto), '"', ',')
}

// appendNanos writes a time as RFC 3339, UTC, with nanoseconds. Years that
// RFC 3339 cannot say do not occur: 64 bits of nanoseconds end in 2262.
func appendNanos(dst []byte, key string, ns int64) []byte {
	dst = append(appendKey(dst, key), '"')
	sec, frac := ns/1e9, ns%1e9
	if frac < 0 {
		sec, frac = sec-1, frac+1e9
	}
	dst = appendDay(dst, sec)
	dst = appendDigits(append(dst, '.'), uint64(frac), 9)
	return append(dst, 'Z', '"', ',')
}

// appendDay writes a second's date and time of day; by hand, because a
// million flows have two each.
func appendDay(dst []byte, sec int64) []byte {
	t := time.Unix(sec, 0).UTC()
	year, month, day := t.Date()
	dst = appendDigits(dst, uint64(year), 4)
	dst = appendDigits(append(dst, '-'), uint64(month), 2)
	dst = appendDigits(append(dst, '-'), uint64(day), 2)
	dst = appendDigits(append(dst, 'T'), uint64(t.Hour()), 2)
	dst = appendDigits(append(dst, ':'), uint64(t.Minute()), 2)
	return appendDigits(append(dst, ':'), uint64(t.Second()), 2)
}
