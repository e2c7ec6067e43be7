package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
)

// datagramService answers datagrams of its own protocol, and says nothing to
// others, as real ones do: a scanner that asks in the wrong words finds it
// silent.
type datagramService struct {
	port   int
	name   string
	answer func(q []byte) []byte // nil: silence
}

// datagramServices are thirteen services that are found on UDP.
func datagramServices() []datagramService {
	return []datagramService{
		{53, "dns", answerDNS},
		{111, "rpcbind", answerRPC},
		{123, "ntp", answerNTP},
		{137, "nbns", answerDNS},
		{161, "snmp", answerSNMP},
		{500, "ike", answerIKE},
		{623, "ipmi", answerRMCP},
		{1434, "ms-sql-m", answerSQLBrowser},
		{1900, "ssdp", answerSSDP},
		{3478, "stun", answerSTUN},
		{5060, "sip", answerSIP},
		{5683, "coap", answerCoAP},
		{11211, "memcache", answerMemcache},
	}
}

// serveDatagrams answers at every port of the table until the process ends.
func serveDatagrams(addr string) error {
	for _, s := range datagramServices() {
		conn, err := net.ListenPacket("udp4", net.JoinHostPort(addr, fmt.Sprint(s.port)))
		if err != nil {
			return fmt.Errorf("serve %s: %w", s.name, err)
		}
		go s.serve(conn)
	}
	return nil
}

func (s datagramService) serve(conn net.PacketConn) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if a := s.answer(bytes.Clone(buf[:n])); a != nil {
			_, _ = conn.WriteTo(a, from)
		}
	}
}

// answerDNS sends a query back as a response without records (RFC 1035, 4.1.1;
// RFC 1002 has the same header).
func answerDNS(q []byte) []byte {
	if len(q) < 12 || q[2]&0x80 != 0 {
		return nil
	}
	q[2] |= 0x80
	return q
}

// answerRPC accepts any call (RFC 5531, 9).
func answerRPC(q []byte) []byte {
	if len(q) < 40 || binary.BigEndian.Uint32(q[4:]) != 0 || binary.BigEndian.Uint32(q[8:]) != 2 {
		return nil
	}
	reply := make([]byte, 24)
	copy(reply, q[:4])
	reply[7] = 1 // REPLY; accepted, no verifier, success are zeros
	return reply
}

// answerNTP answers a client as a stratum 2 server (RFC 5905, 7.3).
func answerNTP(q []byte) []byte {
	if len(q) < 48 || q[0]&7 != 3 {
		return nil
	}
	reply := make([]byte, 48)
	reply[0], reply[1], reply[2] = q[0]&0x38|4, 2, q[2]
	copy(reply[24:32], q[40:48]) // origin is the client's transmit time
	return reply
}

// answerSNMP answers the community public (RFC 1157, 4.1) and, by an echo,
// the discovery of version 3.
func answerSNMP(q []byte) []byte {
	const public = "\x04\x06public"
	if len(q) < 8 || q[0] != 0x30 {
		return nil
	}
	at := bytes.Index(q, []byte(public))
	switch {
	case bytes.Contains(q[:8], []byte{2, 1, 3}):
		return q
	case at < 0 || at+len(public) >= len(q):
		return nil
	}
	q[at+len(public)] = 0xa2 // GetResponse
	return q
}

// answerIKE is a header with a responder's cookie (RFC 2408, 3.1).
func answerIKE(q []byte) []byte {
	if len(q) < 28 || !bytes.Equal(q[8:16], make([]byte, 8)) {
		return nil
	}
	copy(q[8:16], "portreev")
	return q
}

// answerRMCP answers a presence ping with a pong (ASF 2.0, 3.2.4) and IPMI
// requests with a session header of the same shape.
func answerRMCP(q []byte) []byte {
	if len(q) < 5 || q[0] != 6 || q[3] != 6 && q[3] != 7 {
		return nil
	}
	if q[3] == 6 && len(q) >= 12 {
		q[8], q[11] = 0x40, 16
		return append(q[:12], make([]byte, 16)...)
	}
	return q
}

// answerSQLBrowser lists one instance (MC-SQLR, 2.2.5).
func answerSQLBrowser(q []byte) []byte {
	if len(q) < 1 || q[0] < 2 || q[0] > 4 {
		return nil
	}
	const list = "ServerName;DB;InstanceName;MSSQLSERVER;IsClustered;No;Version;15.0.2000.5;tcp;1433;;"
	return append([]byte{5, byte(len(list)), 0}, list...)
}

// answerSSDP answers a search (UPnP Device Architecture 1.1, 1.3.3).
func answerSSDP(q []byte) []byte {
	if !bytes.HasPrefix(q, []byte("M-SEARCH ")) {
		return nil
	}
	return []byte("HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1800\r\nEXT:\r\nLOCATION: http://10.88.0.2/d.xml\r\n" +
		"SERVER: Linux/6 UPnP/1.1 bench/1\r\nST: upnp:rootdevice\r\nUSN: uuid:1::upnp:rootdevice\r\n\r\n")
}

// answerSTUN answers a binding request (RFC 8489, 5).
func answerSTUN(q []byte) []byte {
	if len(q) < 20 || q[0] != 0 || q[1] != 1 {
		return nil
	}
	reply := bytes.Clone(q[:20])
	reply[0], reply[2], reply[3] = 1, 0, 0
	return reply
}

// answerSIP copies the headers that a response has to repeat (RFC 3261,
// 8.2.6.2).
func answerSIP(q []byte) []byte {
	if !bytes.HasPrefix(q, []byte("OPTIONS ")) {
		return nil
	}
	b := strings.Builder{}
	b.WriteString("SIP/2.0 200 OK\r\n")
	for line := range strings.SplitSeq(string(q), "\r\n") {
		switch name, _, _ := strings.Cut(line, ":"); strings.ToLower(name) {
		case "via", "from", "to", "call-id", "cseq":
			b.WriteString(line + "\r\n")
		}
	}
	b.WriteString("Server: bench\r\nContent-Length: 0\r\n\r\n")
	return []byte(b.String())
}

// answerCoAP acknowledges a request with 2.05 (RFC 7252, 3).
func answerCoAP(q []byte) []byte {
	if len(q) < 4 || q[0]>>6 != 1 || q[1]>>5 != 0 || q[0]&15 > 8 || len(q) < 4+int(q[0]&15) {
		return nil
	}
	reply := bytes.Clone(q[:4+q[0]&15])
	reply[0], reply[1] = q[0]&0x4f|0x20, 0x45
	return reply
}

// answerMemcache answers version and stats behind the UDP frame header
// (memcached's protocol.txt, "UDP protocol").
func answerMemcache(q []byte) []byte {
	if len(q) < 8 {
		return nil
	}
	switch strings.TrimSpace(string(q[8:])) {
	case "version":
		return append(q[:8], "VERSION 1.6.18\r\n"...)
	case "stats":
		return append(q[:8], "STAT version 1.6.18\r\nEND\r\n"...)
	}
	return nil
}
