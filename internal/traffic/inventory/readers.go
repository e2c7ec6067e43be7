package inventory

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// reader recognises one protocol that has no fixed beginning, or tells more
// than a signature can; score 0 for "not this".
type reader func(*heard) finding

// readers are tried in this order: the sure ones before those that believe
// the port.
func readers() []reader {
	return []reader{
		readTLS, readSMB, readRDP, readMySQL, readPostgres, readTDS, readMongo, readDCERPC, readONCRPC, readMQTT, readLDAP, readKerberos,
		readSOCKS, readModbus, readS7, readCassandra, readOpenVPN, readDNS, readNTP, readSNMP, readDHCP, readSTUN, readQUIC, readDTLS,
		readWireGuard, readIKE, readNetBIOS, readRADIUS, readTFTP, readCoAP, readNetFlow, readRIP, readTNS, readRDPEUDP,
	}
}

func be16(b []byte) int { return int(binary.BigEndian.Uint16(b)) }
func be32(b []byte) int { return int(binary.BigEndian.Uint32(b)) }
func le32(b []byte) int { return int(binary.LittleEndian.Uint32(b)) }

// by gives a finding whose score tells which side said it.
func by(server bool, service, version, detail string) finding {
	f := finding{service: service, version: version, detail: detail, score: guessed}
	if server {
		f.score = told
		if version != "" {
			f.score = exactly
		}
	}
	return f
}

// either tries a test on what the server said, then on what the client did.
func either(h *heard, service string, is func([]byte) bool) finding {
	switch {
	case len(h.server) > 0 && is(h.server):
		return by(true, service, "", "")
	case len(h.client) > 0 && is(h.client):
		return by(false, service, "", "")
	}
	return finding{}
}

// readSMB: [MS-SMB2] 2.2.1, [MS-CIFS] 2.2.3.1, behind a NetBIOS session
// header (RFC 1002) or direct.
func readSMB(h *heard) finding {
	version := func(b []byte) (string, bool) {
		if len(b) < 8 || b[0] != 0 {
			return "", false
		}
		v, ok := map[string]string{"\xfeSMB": "2", "\xffSMB": "1", "\xfdSMB": "3"}[string(b[4:8])]
		return v, ok
	}
	if h.proto != protoTCP {
		return finding{}
	}
	if v, ok := version(h.server); ok {
		v, more := dialect(h.server, v)
		f := by(true, "microsoft-ds", v, "")
		f.more = more
		return f
	}
	if _, ok := version(h.client); ok {
		return by(false, "microsoft-ds", "", "")
	}
	return finding{}
}

// dialect is the SMB version that a negotiate response tells ([MS-SMB2]
// 2.2.4); more when it has not come yet.
func dialect(b []byte, otherwise string) (version string, more bool) {
	const command, body = 4 + 12, 4 + 64
	switch {
	case otherwise != "2":
		return otherwise, false
	case len(b) < body+6:
		return "", true
	case b[command] != 0 || b[command+1] != 0:
		return otherwise, false
	}
	d := binary.LittleEndian.Uint16(b[body+4:])
	if d>>8 < 2 || d>>8 > 3 {
		return otherwise, false
	}
	return strings.TrimSuffix(fmt.Sprintf("%d.%d.%d", d>>8, d>>4&15, d&15), ".0"), false
}

// readRDP: TPKT (RFC 1006) with X.224 connection request or confirm that
// carries an RDP negotiation: [MS-RDPBCGR] 2.2.1.1.
func readRDP(h *heard) finding {
	return either(h, "ms-wbt-server", func(b []byte) bool {
		if h.proto != protoTCP || len(b) < 11 || b[0] != 3 || b[1] != 0 || be16(b[2:]) > 1024 {
			return false
		}
		code := b[5]
		cookie := bytes.Contains(b[:min(len(b), 64)], []byte("Cookie: mst"))
		negotiation := len(b) >= 19 && (b[11] == 1 || b[11] == 2 || b[11] == 3) && b[13] == 8 && b[14] == 0
		return (code == 0xe0 || code == 0xd0) && (cookie || negotiation)
	})
}

// readS7: TPKT with COTP and the S7 protocol identifier.
func readS7(h *heard) finding {
	return either(h, "iso-tsap", func(b []byte) bool {
		if h.proto != protoTCP || len(b) < 7 || b[0] != 3 || b[1] != 0 || be16(b[2:]) < 7 || be16(b[2:]) > 8192 {
			return false
		}
		return h.port == 102 && int(b[4])+5 <= be16(b[2:]) || b[5] == 0xf0 && len(b) > 7 && b[7] == 0x32
	})
}

// readMySQL: the server's initial handshake, protocol version 10, with its
// version as text; or an error before it.
func readMySQL(h *heard) finding {
	b := h.server
	if h.proto != protoTCP || len(b) < 10 || b[3] != 0 {
		return finding{}
	}
	size := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
	if b[4] == 0xff && h.port == 3306 && size < 256 {
		return by(true, "mysql", "", "")
	}
	end := bytes.IndexByte(b[5:min(len(b), 80)], 0)
	if b[4] != 10 || size < 30 || size > 512 || end < 3 || b[5] < '0' || b[5] > '9' {
		return finding{}
	}
	version := string(b[5 : 5+end])
	f := by(true, "mysql", version, "")
	f.product = "MySQL"
	if strings.Contains(version, "MariaDB") {
		f.product, f.version = "MariaDB", strings.TrimPrefix(strings.SplitN(version, "-MariaDB", 2)[0], "5.5.5-")
	}
	return f
}

// readPostgres: startup, SSLRequest and GSSENCRequest; the server's
// authentication request or error, and its version among the parameters.
func readPostgres(h *heard) finding {
	c, s := h.client, h.server
	started := len(c) >= 8 && be32(c) >= 8 && be32(c) < 10000 && (be32(c[4:]) == 196608 || be32(c[4:]) == 80877103 || be32(c[4:]) == 80877104)
	answered := len(s) >= 9 && s[0] == 'R' && be32(s[1:]) >= 8 && be32(s[1:]) < 256 && be32(s[5:]) < 16
	if h.proto != protoTCP || !started && !(answered && h.port == 5432) {
		return finding{}
	}
	_, rest, found := bytes.Cut(s, []byte("server_version\x00"))
	version, _, ended := bytes.Cut(rest, []byte{0})
	switch {
	case found && ended:
		f := by(true, "postgresql", string(version), "")
		f.product = "PostgreSQL"
		return f
	case answered || len(s) == 1 && (s[0] == 'S' || s[0] == 'N') || len(s) > 5 && s[0] == 'E':
		f := by(true, "postgresql", "", "")
		f.more = len(s) < 100
		return f
	}
	return by(false, "postgresql", "", "")
}

// readTDS: pre-login of Microsoft SQL Server, [MS-TDS] 2.2.3 and 2.2.6.5.
func readTDS(h *heard) finding {
	is := func(b []byte, kind byte) bool {
		return len(b) >= 14 && b[0] == kind && b[1] == 1 && be16(b[2:]) >= 14 && be16(b[2:]) < 4096 && b[7] == 0 && b[8] == 0
	}
	s := h.server
	switch {
	case h.proto != protoTCP || !is(h.client, 0x12) && h.port != 1433:
		return finding{}
	case is(s, 4):
		at := 8 + be16(s[9:])
		if at+4 <= len(s) {
			f := by(true, "ms-sql-s", fmt.Sprintf("%d.%d.%d", s[at], s[at+1], be16(s[at+2:])), "")
			f.product = "Microsoft SQL Server"
			return f
		}
		return by(true, "ms-sql-s", "", "")
	case is(h.client, 0x12):
		return by(false, "ms-sql-s", "", "")
	}
	return finding{}
}

// readMongo: the wire protocol's header with OP_MSG, OP_QUERY or OP_REPLY.
func readMongo(h *heard) finding {
	return either(h, "mongodb", func(b []byte) bool {
		if h.proto != protoTCP || len(b) < 21 || le32(b) < 21 || le32(b) > 48<<20 {
			return false
		}
		op := le32(b[12:])
		return op == 2013 || op == 2004 && bytes.Contains(b[:min(len(b), 64)], []byte(".$cmd\x00")) || op == 1 && h.port == 27017
	})
}

// readDCERPC: a PDU's common header, C706 section 12.6.3.1.
func readDCERPC(h *heard) finding {
	return either(h, "msrpc", func(b []byte) bool {
		if h.proto != protoTCP || len(b) < 16 || b[0] != 5 || b[1] > 1 || b[2] > 19 || b[4]&0xee != 0 || b[5]|b[6]|b[7] != 0 {
			return false
		}
		n := int(binary.LittleEndian.Uint16(b[8:]))
		if b[4]&0x10 == 0 {
			n = be16(b[8:])
		}
		return n >= 16 && n <= 8192
	})
}

// readONCRPC: a call, RFC 5531 section 9, by record or datagram; its program
// goes to Detail.
func readONCRPC(h *heard) finding {
	c, s := h.client, h.server
	if h.proto == protoTCP {
		if len(c) < 4 || c[0]&0x80 == 0 || be32(c)&0x7fffffff > 1<<20 {
			return finding{}
		}
		c, s = c[4:], s[min(4, len(s)):]
	}
	if len(c) < 24 || be32(c[4:]) != 0 || be32(c[8:]) != 2 || be32(c[16:]) > 10 || be32(c[12:]) < 100000 {
		return finding{}
	}
	answered := len(s) >= 12 && bytes.Equal(s[:4], c[:4]) && be32(s[4:]) == 1 && be32(s[8:]) <= 1
	program := be32(c[12:])
	service := map[int]string{100000: "sunrpc", 100003: "nfs", 100005: "mountd", 100021: "nlockmgr", 100024: "status", 100227: "nfs_acl"}[program]
	if service == "" {
		service = "onc-rpc"
	}
	return by(answered, service, "", fmt.Sprintf("program %d version %d", program, be32(c[16:])))
}

// readMQTT: CONNECT, OASIS MQTT 3.1.1 and 5 section 3.1, and CONNACK.
func readMQTT(h *heard) finding {
	c, s := h.client, h.server
	acked := len(s) >= 4 && s[0] == 0x20 && s[1] >= 2 && s[1] < 128 && s[2] <= 1
	if len(c) > 12 && c[0] == 0x10 {
		at := bytes.Index(c[:12], []byte("\x00\x04MQTT"))
		if at < 0 {
			at = bytes.Index(c[:12], []byte("\x00\x06MQIsdp"))
		}
		if at >= 2 && at <= 5 {
			return by(acked, "mqtt", "", "")
		}
	}
	if acked && h.port == 1883 && len(s) == 4 && s[1] == 2 {
		return by(true, "mqtt", "", "")
	}
	return finding{}
}

// readCassandra: CQL binary protocol header, by its port.
func readCassandra(h *heard) finding {
	if h.proto != protoTCP || h.port != 9042 {
		return finding{}
	}
	return either(h, "cassandra", func(b []byte) bool {
		return len(b) >= 9 && b[0]&0x7f >= 3 && b[0]&0x7f <= 5 && b[4] <= 0x10 && be32(b[5:]) < 1<<20
	})
}

// readSOCKS: RFC 1928; version 4 by its port. The greeting is so short that
// the whole of it must fit.
func readSOCKS(h *heard) finding {
	c, s := h.client, h.server
	if h.proto != protoTCP || len(c) < 3 {
		return finding{}
	}
	five := c[0] == 5 && c[1] > 0 && len(c) == int(c[1])+2
	answer := len(s) >= 2 && s[0] == 5 && (s[1] <= 2 || s[1] == 0xff)
	four := c[0] == 4 && (c[1] == 1 || c[1] == 2) && len(c) >= 9 && c[len(c)-1] == 0 && h.port == 1080
	switch {
	case five && answer && len(s) == 2:
		return by(true, "socks", "5", "")
	case five && h.port == 1080:
		return by(false, "socks", "", "")
	case four:
		return by(len(s) == 8 && s[0] == 0, "socks", "4", "")
	}
	return finding{}
}

// readModbus: MODBUS/TCP's header, by its port.
func readModbus(h *heard) finding {
	if h.proto != protoTCP || h.port != 502 {
		return finding{}
	}
	return either(h, "mbap", func(b []byte) bool {
		return len(b) >= 8 && b[2] == 0 && b[3] == 0 && be16(b[4:]) >= 2 && be16(b[4:]) <= 254 && b[7]&0x7f > 0 && b[7]&0x7f < 0x70
	})
}

// readTNS: a connect descriptor, and accept, refuse or redirect.
func readTNS(h *heard) finding {
	c, s := h.client, h.server
	if h.proto != protoTCP || len(c) < 58 || c[4] != 1 || be16(c) < 58 || !bytes.Contains(c, []byte("(CONNECT_DATA")) && h.port != 1521 {
		return finding{}
	}
	return by(len(s) >= 8 && (s[4] == 2 || s[4] == 4 || s[4] == 5 || s[4] == 11), "oracle-tns", "", "")
}
