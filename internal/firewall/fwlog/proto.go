package fwlog

// IANA protocol numbers that dialects treat apart.
const (
	protoICMP    = 1
	protoIGMP    = 2
	protoTCP     = 6
	protoUDP     = 17
	protoDCCP    = 33
	protoGRE     = 47
	protoESP     = 50
	protoAH      = 51
	protoICMPv6  = 58
	protoSCTP    = 132
	protoUDPLite = 136
)

// parseProto reads an IANA protocol number or name, in any case, all of b.
func parseProto(b []byte) (uint8, bool) {
	switch string(b) { // as netfilter writes nearly all
	case "TCP":
		return protoTCP, true
	case "UDP":
		return protoUDP, true
	}
	if len(b) > 0 && digit(b[0]) {
		return parseByte(b)
	}
	var buf [12]byte
	if len(b) > len(buf) {
		return 0, false
	}
	for i, c := range b {
		buf[i] = lower(c)
	}
	return protoName(buf[:len(b)])
}

// protoName knows the names that logs use, by the registry's keywords
// (https://www.iana.org/assignments/protocol-numbers) and common variants.
func protoName(b []byte) (uint8, bool) {
	switch string(b) {
	case "tcp":
		return protoTCP, true
	case "udp":
		return protoUDP, true
	case "icmp", "icmpv4":
		return protoICMP, true
	case "icmpv6", "icmp6", "ipv6-icmp":
		return protoICMPv6, true
	case "igmp":
		return protoIGMP, true
	case "gre":
		return protoGRE, true
	case "esp", "ipsec-esp":
		return protoESP, true
	case "ah", "ipsec-ah":
		return protoAH, true
	case "sctp":
		return protoSCTP, true
	case "udplite", "udp-lite":
		return protoUDPLite, true
	case "dccp":
		return protoDCCP, true
	}
	return protoRare(b)
}

func protoRare(b []byte) (uint8, bool) {
	switch string(b) {
	case "hopopt":
		return 0, true
	case "ggp":
		return 3, true
	case "ipip", "ipencap", "ip-in-ip", "ipinip", "ipv4":
		return 4, true
	case "egp":
		return 8, true
	case "igp", "igrp":
		return 9, true
	case "rdp":
		return 27, true
	case "ipv6":
		return 41, true
	case "rsvp":
		return 46, true
	case "eigrp":
		return 88, true
	case "ospf", "ospfigp":
		return 89, true
	case "ipcomp":
		return 108, true
	case "pim":
		return 103, true
	case "carp", "vrrp":
		return 112, true
	case "l2tp":
		return 115, true
	case "pfsync":
		return 240, true
	}
	return 0, false
}

// setPorts tells e its ports.
func (e *Event) setPorts(src, dst uint16) {
	e.SrcPort, e.DstPort, e.HasPorts = src, dst, true
}

// setProto tells e its protocol.
func (e *Event) setProto(n uint8) { e.Proto, e.HasProto = n, true }

// setICMP tells e an ICMP type and code.
func (e *Event) setICMP(kind, code uint8) {
	e.ICMPType, e.ICMPCode, e.HasICMP = kind, code, true
}

// actionWord is what the words of most products mean, in any case; NoAction
// for others.
func actionWord(b []byte) Action {
	var buf [12]byte
	if len(b) > len(buf) {
		return NoAction
	}
	for i, c := range b {
		buf[i] = lower(c)
	}
	switch string(buf[:len(b)]) {
	case "deny", "denied", "drop", "dropped", "block", "blocked", "reject", "rejected":
		return Deny
	case "permit", "permitted", "allow", "allowed", "accept", "accepted", "pass", "passed":
		return Permit
	}
	return NoAction
}
