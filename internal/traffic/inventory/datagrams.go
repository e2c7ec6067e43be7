package inventory

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// ber reads the head of an ASN.1 BER element: its tag, content and what
// follows. ok is false where the length cannot be; content may be cut.
func ber(b []byte) (tag byte, content, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, nil, false
	}
	tag, n, at := b[0], int(b[1]), 2
	if n&0x80 != 0 {
		size := n & 0x7f
		if size == 0 || size > 4 || len(b) < 2+size {
			return 0, nil, nil, false
		}
		n = 0
		for _, c := range b[2 : 2+size] {
			n = n<<8 | int(c)
		}
		at += size
	}
	if n > 1<<24 {
		return 0, nil, nil, false
	}
	end := min(len(b), at+n)
	return tag, b[at:end], b[end:], true
}

// readLDAP: RFC 4511 section 4.1.1, a sequence of a message number and an
// operation.
func readLDAP(h *heard) finding {
	is := func(b []byte, operations string) bool {
		tag, in, _, ok := ber(b)
		if !ok || tag != 0x30 {
			return false
		}
		tag, id, in, ok := ber(in)
		if !ok || tag != 2 || len(id) == 0 || len(id) > 4 {
			return false
		}
		operation, _, _, ok := ber(in)
		return ok && bytes.IndexByte([]byte(operations), operation) >= 0
	}
	service := "ldap"
	if h.proto == protoUDP {
		service = "cldap"
	}
	const requests, responses = "\x60\x63\x66\x68\x6c\x6e\x77", "\x61\x64\x65\x67\x69\x6b\x6d\x6f\x73\x78\x79"
	switch {
	case h.proto == protoUDP && h.port != 389:
		return finding{}
	case is(h.server, responses) && (is(h.client, requests) || len(h.client) == 0):
		return by(true, service, "", "")
	case is(h.client, requests):
		return by(false, service, "", "")
	}
	return finding{}
}

// readKerberos: RFC 4120 section 5.10, application tags, over UDP or with a
// length over TCP.
func readKerberos(h *heard) finding {
	if h.port != 88 && h.port != 464 && h.port != 750 {
		return finding{}
	}
	return either(h, "kerberos", func(b []byte) bool {
		if h.proto == protoTCP {
			b = b[min(4, len(b)):]
		}
		tag, in, _, ok := ber(b)
		return ok && (tag >= 0x6a && tag <= 0x6f || tag == 0x7e) && len(in) > 2 && in[0] == 0x30
	})
}

// readSNMP: RFC 3412 and RFC 1157: a sequence that begins with the version.
func readSNMP(h *heard) finding {
	version := func(b []byte) (string, bool) {
		tag, in, _, ok := ber(b)
		if !ok || tag != 0x30 {
			return "", false
		}
		tag, v, rest, ok := ber(in)
		if !ok || tag != 2 || len(v) != 1 || len(rest) < 2 {
			return "", false
		}
		name, known := map[byte]string{0: "1", 1: "2c", 3: "3"}[v[0]]
		return name, known && (rest[0] == 4 && v[0] != 3 || rest[0] == 0x30 && v[0] == 3)
	}
	if h.proto != protoUDP {
		return finding{}
	}
	if v, ok := version(h.server); ok {
		return by(true, snmpName(h.port), v, "")
	}
	if v, ok := version(h.client); ok {
		return by(false, snmpName(h.port), v, "")
	}
	return finding{}
}

func snmpName(port uint16) string {
	if port == 162 {
		return "snmptrap"
	}
	return "snmp"
}

// dnsHead reports a DNS message whose counts and first question are sound:
// RFC 1035 section 4.1.
func dnsHead(b []byte) (response, ok bool) {
	if len(b) < 12 {
		return false, false
	}
	questions, opcode := be16(b[4:]), b[2]>>3&15
	if questions > 1 && be16(b[6:]) > 0 || questions > 4 || opcode > 6 || opcode == 3 || be16(b[6:]) > 512 || b[3]&0x40 != 0 && opcode != 5 {
		return false, false
	}
	if questions == 0 {
		return b[2]&0x80 != 0, len(b) == 12 || be16(b[6:])+be16(b[8:])+be16(b[10:]) > 0
	}
	_, rest, ok := dnsName(b, b[12:])
	return b[2]&0x80 != 0, ok && (len(rest) >= 4 && be16(rest)>>10 == 0)
}

// readDNS: by the port, or where question and answer have the same number
// and question.
func readDNS(h *heard) finding {
	c, s := h.client, h.server
	if h.proto == protoTCP {
		if h.port != 53 || len(c) > 2 && be16(c) < 12 {
			return finding{}
		}
		c, s = c[min(2, len(c)):], s[min(2, len(s)):]
	}
	service, usual := map[uint16]string{53: "domain", 5353: "mdns", 5355: "llmnr", 5054: "domain"}[h.port], true
	if service == "" {
		service, usual = "domain", false
	}
	reply, ok := dnsHead(s)
	asked, sound := dnsHead(c)
	same := len(c) > 14 && len(s) > 14 && bytes.Equal(c[:2], s[:2]) && bytes.Equal(c[12:15], s[12:15])
	switch {
	case ok && reply && (usual || same && sound && !asked):
		return by(true, service, "", "")
	case sound && usual:
		return by(false, service, "", "")
	}
	return finding{}
}

// readNTP: RFC 5905 section 7.3; the server's stratum goes to Detail. A packet
// in client mode is no server's; modes 6 and 7 are control messages.
func readNTP(h *heard) finding {
	is := func(b []byte, modes string) bool {
		if len(b) < 8 || b[0]>>3&7 < 1 || b[0]>>3&7 > 4 || strings.IndexByte(modes, b[0]&7) < 0 {
			return false
		}
		return len(b) >= 48 || b[0]&7 >= 6
	}
	s := h.server
	switch {
	case h.proto != protoUDP || h.port != 123:
		return finding{}
	case is(s, "\x01\x02\x04\x05"):
		return by(true, "ntp", fmt.Sprint(s[0]>>3&7), fmt.Sprintf("stratum %d", s[1]))
	case is(s, "\x06\x07"):
		return by(true, "ntp", "", "")
	case is(h.client, "\x01\x03\x05\x06\x07"):
		return by(false, "ntp", "", "")
	}
	return finding{}
}

// readRDPEUDP: a SYN datagram of [MS-RDPEUDP] 2.2.2.1, by its port.
func readRDPEUDP(h *heard) finding {
	if h.proto != protoUDP || h.port != 3389 {
		return finding{}
	}
	return either(h, "ms-wbt-server", func(b []byte) bool {
		return len(b) >= 16 && (uint32(be32(b)) == 0xffffffff || len(h.client) > 0 && len(h.server) > 0) && b[7]&1 == 1
	})
}

// readDHCP: RFC 2131 with its cookie, RFC 8415 by its ports.
func readDHCP(h *heard) finding {
	switch {
	case h.proto != protoUDP:
		return finding{}
	case h.port == 67 || h.port == 68:
		f := either(h, "bootps", isDHCP)
		f.detail = serverID(h.server)
		return f
	case h.port == 547 || h.port == 546:
		return either(h, "dhcpv6-server", func(b []byte) bool { return len(b) >= 8 && b[0] >= 1 && b[0] <= 36 && be16(b[4:]) < 200 })
	}
	return finding{}
}

func serverID(b []byte) string {
	if id := dhcpOption(b, 54); len(id) == 4 {
		return fmt.Sprintf("server %d.%d.%d.%d", id[0], id[1], id[2], id[3])
	}
	return ""
}

// readSTUN: RFC 8489 section 5, with the magic cookie.
func readSTUN(h *heard) finding {
	return either(h, "stun", func(b []byte) bool {
		return len(b) >= 20 && b[0]>>6 == 0 && be32(b[4:]) == 0x2112a442 && be16(b[2:])&3 == 0 && (h.proto == protoTCP || be16(b[2:])+20 == len(b))
	})
}

// readQUIC: the invariants, RFC 8999 section 5.1: a long header with a known
// version or version negotiation.
func readQUIC(h *heard) finding {
	version := func(b []byte) (string, bool) {
		if len(b) < 7 || b[0]&0x80 == 0 || b[5] > 20 || len(b) < 7+int(b[5]) || b[6+int(b[5])] > 20 {
			return "", false
		}
		switch v := binary.BigEndian.Uint32(b[1:]); {
		case v == 0:
			return "", b[5] > 0 && (len(b)-7)&3 == (int(b[5])+int(b[6+int(b[5])]))&3
		case v == 1:
			return "1", b[0]&0x40 != 0
		case v == 0x6b3343cf:
			return "2", b[0]&0x40 != 0
		case v>>8 == 0xff0000 && v&0xff <= 34:
			return fmt.Sprintf("draft %d", v&0xff), b[0]&0x40 != 0
		case v>>24 == 'Q' && v>>16&0xff == '0':
			return fmt.Sprintf("Q%s", b[2:5]), true
		}
		return "", false
	}
	if h.proto != protoUDP {
		return finding{}
	}
	if v, ok := version(h.server); ok {
		return by(true, "quic", v, "")
	}
	if v, ok := version(h.client); ok {
		return by(false, "quic", v, "")
	}
	return finding{}
}

// readDTLS: RFC 6347 sections 4.1 and 4.2, handshake records: the client's
// hello, the server's or its request to verify.
func readDTLS(h *heard) finding {
	is := func(b []byte, messages string) bool {
		return h.proto == protoUDP && len(b) >= 25 && b[0] == 22 && b[1] == 0xfe && b[2] >= 0xfd &&
			be16(b[11:]) <= len(b)-13 && strings.IndexByte(messages, b[13]) >= 0
	}
	switch {
	case is(h.server, "\x02\x03"):
		return by(true, "dtls", "", "")
	case is(h.client, "\x01"):
		return by(false, "dtls", "", "")
	}
	return finding{}
}

// readWireGuard: handshake messages have a type, three zero bytes, and their
// one length.
func readWireGuard(h *heard) finding {
	is := func(kind byte, size int) func([]byte) bool {
		return func(b []byte) bool { return len(b) == size && b[0] == kind && b[1]|b[2]|b[3] == 0 }
	}
	c, s := h.client, h.server
	switch {
	case h.proto != protoUDP:
		return finding{}
	case is(1, 148)(c) && is(2, 92)(s), is(1, 148)(c) && is(3, 64)(s):
		return by(true, "wireguard", "", "")
	case is(1, 148)(c), h.port == 51820 && len(c) >= 32 && c[0] == 4 && c[1]|c[2]|c[3] == 0 && len(c)&15 == 0:
		return by(false, "wireguard", "", "")
	}
	return finding{}
}

// readOpenVPN: a client's hard reset and the server's: an opcode, a session
// number, and no packets to acknowledge; over TCP with a length before it.
func readOpenVPN(h *heard) finding {
	is := func(b []byte, opcodes string) bool {
		if h.proto == protoTCP {
			if len(b) < 16 || be16(b) < 14 || be16(b) > 1500 {
				return false
			}
			b = b[2:]
		}
		return len(b) >= 14 && len(b) <= 1500 && b[0]&7 == 0 && bytes.IndexByte([]byte(opcodes), b[0]>>3) >= 0
	}
	client, server := is(h.client, "\x01\x07\x0a"), is(h.server, "\x02\x08")
	switch {
	case client && server:
		return by(true, "openvpn", "", "")
	case h.port == 1194 && (client || server):
		return by(server, "openvpn", "", "")
	}
	return finding{}
}

// readIKE: RFC 7296 section 3.1; behind port 4500 a marker comes first.
func readIKE(h *heard) finding {
	if h.proto != protoUDP || h.port != 500 && h.port != 4500 {
		return finding{}
	}
	version := ""
	f := either(h, "isakmp", func(b []byte) bool {
		if h.port == 4500 && len(b) > 4 && be32(b) == 0 {
			b = b[4:]
		}
		ok := len(b) >= 28 && (b[17] == 0x10 || b[17] == 0x20) && be32(b[24:]) >= 28 && be32(b[24:]) < 1<<16
		if ok {
			version = map[byte]string{0x10: "1", 0x20: "2"}[b[17]]
		}
		return ok
	})
	f.version = version
	return f
}

// readNetBIOS: RFC 1002 sections 4.2 and 4.4.
func readNetBIOS(h *heard) finding {
	switch {
	case h.proto != protoUDP:
	case h.port == 137:
		return either(h, "netbios-ns", func(b []byte) bool { return len(b) >= 12 && be16(b[4:]) <= 1 && b[2]>>3&15 <= 9 })
	case h.port == 138:
		return either(h, "netbios-dgm", func(b []byte) bool { return len(b) >= 14 && b[0] >= 0x10 && b[0] <= 0x16 })
	}
	return finding{}
}

// readRADIUS: RFC 2865 section 3.
func readRADIUS(h *heard) finding {
	service := map[uint16]string{1812: "radius", 1645: "radius", 1813: "radius-acct", 1646: "radius-acct", 3799: "radius-dynauth"}[h.port]
	if service == "" || h.proto != protoUDP {
		return finding{}
	}
	return either(h, service, func(b []byte) bool { return len(b) >= 20 && be16(b[2:]) <= len(b) && be16(b[2:]) >= 20 && b[0] < 50 })
}

// readTFTP: RFC 1350, requests.
func readTFTP(h *heard) finding {
	if h.proto != protoUDP || h.port != 69 {
		return finding{}
	}
	return either(h, "tftp", func(b []byte) bool {
		return len(b) > 5 && b[0] == 0 && (b[1] == 1 || b[1] == 2) && bytes.Count(b, []byte{0}) >= 3
	})
}

// readCoAP: RFC 7252 section 3, by its port.
func readCoAP(h *heard) finding {
	if h.proto != protoUDP || h.port != 5683 {
		return finding{}
	}
	return either(h, "coap", func(b []byte) bool { return len(b) >= 4 && b[0]>>6 == 1 && b[0]&15 <= 8 })
}

// readNetFlow: versions 5, 9 and 10 (IPFIX) at collectors' ports.
func readNetFlow(h *heard) finding {
	switch h.port {
	case 2055, 4739, 9995, 9996, 6343:
	default:
		return finding{}
	}
	b := h.client
	if h.proto == protoUDP && len(b) >= 16 && (be16(b) == 5 || be16(b) == 9 || be16(b) == 10 && be16(b[2:]) == len(b)) {
		return by(false, "netflow", fmt.Sprint(be16(b)), "")
	}
	if h.proto == protoUDP && h.port == 6343 && len(b) >= 28 && be32(b) == 5 {
		return by(false, "sflow", "5", "")
	}
	return finding{}
}

// readRIP: RFC 2453, by its port.
func readRIP(h *heard) finding {
	if h.proto != protoUDP || h.port != 520 {
		return finding{}
	}
	return either(h, "router", func(b []byte) bool {
		return len(b) >= 4 && (b[0] == 1 || b[0] == 2) && (b[1] == 1 || b[1] == 2) && (len(b)-4)%20 == 0
	})
}
