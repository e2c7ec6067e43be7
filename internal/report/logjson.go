package report

import (
	"net/netip"
	"strconv"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/fwlog"
)

// AppendLogJSON adds one log event as the contract's JSON line. line is its
// number, from 1; source the log's name where there are several, else "".
func AppendLogJSON(dst []byte, line uint64, source string, e *fwlog.Event) []byte {
	dst = appendUint(append(dst, '{'), "line", line)
	if source != "" {
		dst = appendField(dst, "source", source)
	}
	dst = appendField(dst, "format", e.Format)
	if e.Time != 0 {
		dst = appendNanos(dst, "time", e.Time)
	}
	if e.Action != fwlog.NoAction {
		dst = appendField(dst, "action", e.Action.String())
	}
	if e.HasProto {
		dst = appendField(dst, "proto", string(exposure.ProtoByNumber(e.Proto)))
	}
	dst = appendLogSide(dst, "src", "src_port", e.Src, e.SrcPort, e.HasPorts)
	dst = appendLogSide(dst, "dst", "dst_port", e.Dst, e.DstPort, e.HasPorts)
	if e.HasICMP {
		dst = appendUint(dst, "icmp_type", uint64(e.ICMPType))
		dst = appendUint(dst, "icmp_code", uint64(e.ICMPCode))
	}
	dst = appendSaid(dst, "in", string(e.In))
	dst = appendSaid(dst, "out", string(e.Out))
	dst = appendSaid(dst, "rule", string(e.Rule))
	dst = appendLogSide(dst, "nat_src", "nat_src_port", e.NATSrc, e.NATSrcPort, e.NATSrcPort != 0)
	dst = appendLogSide(dst, "nat_dst", "nat_dst_port", e.NATDst, e.NATDstPort, e.NATDstPort != 0)
	if e.Packets != 0 {
		dst = appendUint(dst, "packets", e.Packets)
	}
	if e.Bytes != 0 {
		dst = appendUint(dst, "bytes", e.Bytes)
	}
	if e.Ends {
		dst = appendBool(dst, "ends", true)
	}
	return append(trimLast(dst), "}\n"...)
}

// AppendUnknownLog adds a line that is no firewall event.
func AppendUnknownLog(dst []byte, line uint64, source string) []byte {
	dst = appendUint(append(dst, '{'), "line", line)
	if source != "" {
		dst = appendField(dst, "source", source)
	}
	return append(trimLast(appendField(dst, "format", "unknown")), "}\n"...)
}

// AppendUnknownText is AppendUnknownLog for people.
func AppendUnknownText(dst []byte, line uint64, source string) []byte {
	if source != "" {
		dst = append(append(dst, Escape(source)...), ':')
	}
	return append(strconv.AppendUint(dst, line, 10), '\n')
}

func appendLogSide(dst []byte, addrKey, portKey string, addr netip.Addr, port uint16, hasPort bool) []byte {
	if addr.IsValid() {
		dst = append(addr.Unmap().AppendTo(append(appendKey(dst, addrKey), '"')), '"', ',')
	}
	if hasPort {
		dst = appendUint(dst, portKey, uint64(port))
	}
	return dst
}

// AppendLogLine adds one event as a line for people: what is told, and no
// more. The caller has seen to it that a terminal shows it (Escape).
func AppendLogLine(dst []byte, zone func(int64) string, e *fwlog.Event) []byte {
	if e.Time != 0 {
		dst = append(append(dst, zone(e.Time)...), ' ')
	}
	word := e.Action.String()
	if word == "" {
		word = "-"
	}
	dst = append(dst, word...)
	for range 7 - len(word) {
		dst = append(dst, ' ')
	}
	proto := "-"
	if e.HasProto {
		proto = string(exposure.ProtoByNumber(e.Proto))
	}
	dst = append(append(dst, proto...), ' ')
	dst = appendLogEnd(dst, e.Src, e.SrcPort, e.HasPorts)
	dst = append(dst, " > "...)
	dst = appendLogEnd(dst, e.Dst, e.DstPort, e.HasPorts)
	if e.HasICMP {
		dst = strconv.AppendUint(append(dst, " type "...), uint64(e.ICMPType), 10)
	}
	dst = appendLogWord(dst, " in ", e.In)
	dst = appendLogWord(dst, " out ", e.Out)
	dst = appendLogWord(dst, " rule ", e.Rule)
	return append(dst, '\n')
}

func appendLogEnd(dst []byte, addr netip.Addr, port uint16, hasPort bool) []byte {
	if hasPort {
		return netip.AddrPortFrom(addr.Unmap(), port).AppendTo(dst)
	}
	return addr.Unmap().AppendTo(dst)
}

func appendLogWord(dst []byte, key string, word []byte) []byte {
	if len(word) == 0 {
		return dst
	}
	return append(append(dst, key...), Escape(string(word))...)
}
