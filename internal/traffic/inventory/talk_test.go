package inventory

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/wire"
	"pgregory.net/rapid"
)

const (
	clientSide = "192.0.2.2:40000"
	serverHost = "192.0.2.1"
)

// said is one message of a conversation.
type said struct {
	server bool
	data   string
}

// packetOf makes a packet from one endpoint to another.
func packetOf(proto uint8, from, to, data string, seq uint32) *wire.Packet {
	a, b := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	return &wire.Packet{
		Kind: wire.KindIP, Proto: proto, HasPorts: true, HasTCP: proto == protoTCP, Flags: ack, Seq: seq,
		Src: a.Addr().As16(), Dst: b.Addr().As16(), SrcPort: a.Port(), DstPort: b.Port(),
		Payload: []byte(data), PayloadLen: uint32(len(data)),
	}
}

// converse feeds a conversation with a port of the server, each message cut by
// cut.
func converse(i *Inventory, proto uint8, port int, messages []said, cut func(string) []string) {
	server := fmt.Sprintf("%s:%d", serverHost, port)
	seq := map[bool]uint32{}
	for n, m := range messages {
		for _, part := range cut(m.data) {
			from, to := clientSide, server
			if m.server {
				from, to = to, from
			}
			i.Packet(packetOf(proto, from, to, part, seq[m.server]), int64(n+1))
			seq[m.server] += uint32(len(part))
		}
	}
}

func whole(s string) []string { return []string{s} }

func serviceAt(i *Inventory, proto uint8, port int) Service {
	s, _ := i.Service(proto, netip.MustParseAddr(serverHost).As16(), uint16(port))
	return s
}

func be(n int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }
func le(n int) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }

// cases are conversations composed from the protocols' documents, and what
// they tell: service, product, version, detail.
var cases = []struct {
	proto    uint8
	port     int
	messages []said
	want     [4]string
}{
	{protoTCP, 2222, []said{{true, "SSH-2.0-OpenSSH_9.6p1 Debian-4\r\n"}}, [4]string{"ssh", "OpenSSH", "9.6p1", "Debian-4"}},
	{protoTCP, 22, []said{{true, "SSH-2.0-dropbear_2022.83\r\n"}}, [4]string{"ssh", "Dropbear", "2022.83", ""}},
	{protoTCP, 8123, []said{{false, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"}, {true, "HTTP/1.1 200 OK\r\nServer: nginx/1.25.3 (x)\r\n\r\n"}}, [4]string{"http", "nginx", "1.25.3", "host a.example"}},
	{protoTCP, 25, []said{{true, "220 mx.example ESMTP Postfix (Debian)\r\n"}}, [4]string{"smtp", "Postfix", "", "host mx.example"}},
	{protoTCP, 21, []said{{true, "220 (vsFTPd 3.0.5)\r\n"}}, [4]string{"ftp", "vsFTPd", "3.0.5", ""}},
	{protoTCP, 110, []said{{true, "+OK Dovecot ready.\r\n"}}, [4]string{"pop3", "Dovecot", "", ""}},
	{protoTCP, 143, []said{{true, "* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n"}}, [4]string{"imap", "Dovecot", "", ""}},
	{protoTCP, 5900, []said{{true, "RFB 003.008\n"}}, [4]string{"vnc", "", "03.008", ""}},
	{protoTCP, 873, []said{{true, "@RSYNCD: 31.0 sha512\n"}}, [4]string{"rsync", "", "31.0", ""}},
	{protoTCP, 6379, []said{{false, "*1\r\n$4\r\nPING\r\n"}, {true, "+PONG\r\n"}}, [4]string{"redis", "", "", ""}},
	{protoTCP, 16000, []said{{false, "*1\r\n$4\r\nINFO\r\n"}, {true, "$300\r\n# Server\r\nredis_version:7.2.4\r\n"}}, [4]string{"redis", "Redis", "7.2.4", ""}},
	{protoTCP, 11211, []said{{false, "version\r\n"}, {true, "VERSION 1.6.23\r\n"}}, [4]string{"memcache", "memcached", "1.6.23", ""}},
	{protoTCP, 3306, []said{{true, "\x6e\x00\x00\x00\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\x00" + strings.Repeat("x", 60)}}, [4]string{"mysql", "MariaDB", "10.11.6", ""}},
	{protoTCP, 5432, []said{{false, be(8) + be(80877103)}, {true, "N"}}, [4]string{"postgresql", "", "", ""}},
	{protoTCP, 5432, []said{{false, be(20) + be(196608) + "user\x00me\x00\x00"}, {true, "R" + be(8) + be(0) + "S" + be(23) + "server_version\x0016.2\x00"}}, [4]string{"postgresql", "PostgreSQL", "16.2", ""}},
	{protoTCP, 1433, []said{
		{false, "\x12\x01\x00\x1a\x00\x00\x00\x00\x00\x00\x0b\x00\x06\xff\x00\x00\x00\x00\x00\x00"},
		{true, "\x04\x01\x00\x1a\x00\x00\x00\x00\x00\x00\x06\x00\x06\xff\x10\x00\x03\xe8\x00\x00"},
	}, [4]string{"ms-sql-s", "Microsoft SQL Server", "16.0.1000", ""}},
	{protoTCP, 27017, []said{{false, le(60) + le(1) + le(0) + le(2013) + le(0) + strings.Repeat("x", 40)}, {true, le(60) + le(2) + le(1) + le(2013) + le(0) + strings.Repeat("x", 40)}}, [4]string{"mongodb", "", "", ""}},
	{protoTCP, 3389, []said{
		{false, "\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00"},
		{true, "\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x00\x08\x00\x02\x00\x00\x00"},
	}, [4]string{"ms-wbt-server", "", "", ""}},
	{protoTCP, 445, []said{{true, "\x00\x00\x00\x80\xfeSMB\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("\x00", 50) + "\x41\x00\x01\x00\x11\x03" + strings.Repeat("\x00", 30)}}, [4]string{"microsoft-ds", "", "3.1.1", ""}},
	{protoTCP, 88, []said{{false, be(10) + "\x6a\x08\x30\x06\x01\x02\x03\x04\x05\x06"}, {true, be(10) + "\x7e\x08\x30\x06\x01\x02\x03\x04\x05\x06"}}, [4]string{"kerberos", "", "", ""}},
	{protoUDP, 161, []said{{false, "\x30\x10\x02\x01\x01\x04\x06public\xa0\x03\x01\x02\x03"}, {true, "\x30\x10\x02\x01\x01\x04\x06public\xa2\x03\x01\x02\x03"}}, [4]string{"snmp", "", "2c", ""}},
	{protoTCP, 9050, []said{{false, "\x05\x01\x00"}, {true, "\x05\x00"}}, [4]string{"socks", "", "5", ""}},
	{protoTCP, 1883, []said{{false, "\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04abcd"}, {true, "\x20\x02\x00\x00"}}, [4]string{"mqtt", "", "", ""}},
	{protoTCP, 5672, []said{{false, "AMQP\x00\x00\x09\x01"}}, [4]string{"amqp", "", "", ""}},
	{protoTCP, 9042, []said{{false, "\x04\x00\x00\x00\x05\x00\x00\x00\x00"}, {true, "\x84\x00\x00\x00\x06\x00\x00\x00\x00"}}, [4]string{"cassandra", "", "", ""}},
	{protoTCP, 2049, []said{
		{false, be(1<<31|40) + be(7) + be(0) + be(2) + be(100003) + be(3) + be(0) + be(0) + be(0) + be(0) + be(0)},
		{true, be(1<<31|24) + be(7) + be(1) + be(0) + be(0) + be(0) + be(0)},
	}, [4]string{"nfs", "", "", "program 100003 version 3"}},
	{protoUDP, 51000, []said{{false, "\x01\x00\x00\x00" + strings.Repeat("k", 144)}, {true, "\x02\x00\x00\x00" + strings.Repeat("k", 88)}}, [4]string{"wireguard", "", "", ""}},
	{protoUDP, 1194, []said{{false, "\x38" + strings.Repeat("s", 8) + "\x00" + be(0)}, {true, "\x40" + strings.Repeat("s", 8) + "\x01" + be(0) + "12345678"}}, [4]string{"openvpn", "", "", ""}},
	{protoUDP, 53, []said{{false, "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"}, {true, "\x12\x34\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"}}, [4]string{"domain", "", "", ""}},
	{protoUDP, 123, []said{{false, "\x23" + strings.Repeat("\x00", 47)}, {true, "\x24\x02" + strings.Repeat("\x00", 46)}}, [4]string{"ntp", "", "4", "stratum 2"}},
	{protoUDP, 514, []said{{false, "<34>1 2026-01-01T00:00:00Z host app - - - hi"}}, [4]string{"syslog", "", "", ""}},
	{protoUDP, 4433, []said{{false, "\x16\xfe\xfd" + strings.Repeat("\x00", 8) + "\x00\x0c\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}}, [4]string{"dtls", "", "", ""}},
	{protoUDP, 6881, []said{{false, "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"}}, [4]string{"bittorrent", "", "", ""}},
	{protoTCP, 4444, []said{{false, strings.Repeat("\x01\x02\x03", 200)}, {true, strings.Repeat("\x04\x05\x06", 200)}}, [4]string{}},
	{protoTCP, 6000, []said{{true, "SSH-2.0-\xff\xfe\x1b[31mevil\r\n"}}, [4]string{"ssh", "\uFFFD\x1b[31mevil", "", "protocol 2.0"}},
}

func TestServices(t *testing.T) {
	for _, c := range cases {
		i := New(Options{})
		converse(i, c.proto, c.port, c.messages, whole)
		s := serviceAt(i, c.proto, c.port)
		if got := [4]string{s.Service, s.Product, s.Version, s.Detail}; got != c.want {
			t.Errorf("%q: %q, want %q", c.messages[0].data, got, c.want)
		}
		sane(t, s)
	}
}

// How a stream was cut into segments does not matter: the same service, and
// nothing that is said in half.
func TestCutsDoNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := rapid.SampledFrom(cases).Draw(rt, "case")
		if c.proto == protoUDP {
			return
		}
		one, many := New(Options{}), New(Options{})
		converse(one, c.proto, c.port, c.messages, whole)
		converse(many, c.proto, c.port, c.messages, func(s string) []string {
			at := rapid.IntRange(0, len(s)).Draw(rt, "at")
			return slices.DeleteFunc([]string{s[:at], s[at:]}, func(s string) bool { return s == "" })
		})
		a, b := serviceAt(one, c.proto, c.port), serviceAt(many, c.proto, c.port)
		if a.Service != b.Service || b.Product != "" && b.Product != a.Product || b.Version != "" && b.Version != a.Version {
			rt.Fatalf("%q: %+v whole, %+v in parts", c.messages[0].data, a, b)
		}
	})
}

func TestAnswersAndClients(t *testing.T) {
	i := New(Options{Clients: 3})
	for n := range 5 {
		p := packetOf(protoTCP, "192.0.2.1:80", fmt.Sprintf("192.0.2.%d:5000", 10+n), "", 0)
		p.Flags = syn | ack
		i.Packet(p, int64(100+n))
	}
	s := serviceAt(i, protoTCP, 80)
	if !s.Answers || s.Clients != 3 || !s.More || s.First != 100 || s.Last != 104 || s.Service != "" {
		t.Errorf("%+v", s)
	}
	if _, ok := i.Service(protoTCP, netip.MustParseAddr("192.0.2.10").As16(), 5000); ok {
		t.Error("a client is no server")
	}
	p := packetOf(protoTCP, "192.0.2.10:5000", "192.0.2.9:81", "", 0)
	p.Flags = syn
	i.Packet(p, 200)
	if _, ok := i.Service(protoTCP, netip.MustParseAddr("192.0.2.9").As16(), 81); ok {
		t.Error("an attempt makes no server")
	}
}

// SYN-ACK tells the server where the ports would tell the other.
func TestServerByHandshake(t *testing.T) {
	i := New(Options{})
	p := packetOf(protoTCP, "192.0.2.1:50000", "192.0.2.2:443", "", 0)
	p.Flags = syn | ack
	i.Packet(p, 1)
	i.Packet(packetOf(protoTCP, "192.0.2.2:443", "192.0.2.1:50000", "GET / HTTP/1.0\r\n\r\n", 1), 2)
	if s := serviceAt(i, protoTCP, 50000); s.Service != "http" {
		t.Errorf("%+v", s)
	}
}

func TestBounds(t *testing.T) {
	i := New(Options{Max: 40, Hosts: 5, Talks: 7, Clients: 2})
	for n := range 500 {
		host := fmt.Sprintf("198.51.%d.%d", n/200, n%200)
		i.Packet(packetOf(protoTCP, host+":7777", clientSide, strings.Repeat("\x01", 1400), 0), 1)
		i.Packet(packetOf(protoTCP, host+":22", clientSide, "SSH-2.0-x\r\n", 0), 1)
		p := packetOf(protoTCP, host+":81", clientSide, "", 0)
		p.Flags = syn | ack
		i.Packet(p, 1)
		m := packetOf(protoUDP, host+":5353", "224.0.0.251:5353", "", 0)
		m.HasMAC, m.Payload = true, []byte("x")
		i.Packet(m, 1)
	}
	if len(i.kept) > 40 || len(i.hosts.order) > 5 || len(i.talks.byHash) > 7 || i.named < 10 {
		t.Errorf("%d endpoints (%d named), %d hosts, %d talks", len(i.kept), i.named, len(i.hosts.order), len(i.talks.byHash))
	}
	if s := i.Stats(); s.Endpoints == 0 || s.Hosts == 0 {
		t.Errorf("%+v", s)
	}
}

func TestSteadyCost(t *testing.T) {
	i := New(Options{})
	converse(i, protoTCP, 22, []said{{true, "SSH-2.0-OpenSSH_9.6p1\r\n"}}, whole)
	more := packetOf(protoTCP, serverHost+":22", clientSide, strings.Repeat("x", 1000), 500)
	empty := packetOf(protoTCP, serverHost+":22", clientSide, "", 500)
	other := packetOf(protoTCP, "192.0.2.77:3000", serverHost+":22", "more", 500)
	i.Packet(other, 8)
	for _, p := range []*wire.Packet{more, empty, other} {
		if n := testing.AllocsPerRun(100, func() { i.Packet(p, 9) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
	if s := serviceAt(i, protoTCP, 22); s.Last != 9 || s.Clients != 2 {
		t.Errorf("%+v", s)
	}
}

func BenchmarkSteady(b *testing.B) {
	i := New(Options{})
	converse(i, protoTCP, 22, []said{{true, "SSH-2.0-OpenSSH_9.6p1\r\n"}}, whole)
	p := packetOf(protoTCP, serverHost+":22", clientSide, strings.Repeat("x", 1000), 500)
	for b.Loop() {
		i.Packet(p, 9)
	}
}

func BenchmarkNewFlows(b *testing.B) {
	i := New(Options{})
	converse(i, protoTCP, 22, []said{{true, "SSH-2.0-OpenSSH_9.6p1\r\n"}}, whole)
	p := packetOf(protoTCP, serverHost+":22", clientSide, strings.Repeat("x", 1000), 500)
	for n := 0; b.Loop(); n++ {
		p.DstPort, p.Dst[15] = uint16(n), byte(n>>16)
		i.Packet(p, 9)
	}
}

func TestHosts(t *testing.T) {
	i := New(Options{})
	mac := [6]byte{2, 0, 0, 0, 0, 7}
	dhcp := func(op byte, yours [4]byte, options string) string {
		b := make([]byte, 236)
		b[0], b[1], b[2] = op, 1, 6
		copy(b[16:], yours[:])
		copy(b[28:], mac[:])
		return string(b) + "\x63\x82\x53\x63" + options
	}
	i.Packet(packetOf(protoUDP, "0.0.0.0:68", "255.255.255.255:67", dhcp(1, [4]byte{}, "\x35\x01\x03\x0c\x06laptop\xff"), 0), 1)
	i.Packet(packetOf(protoUDP, "192.0.2.1:67", "255.255.255.255:68", dhcp(2, [4]byte{192, 0, 2, 50}, "\x35\x01\x05\x36\x04\xc0\x00\x02\x01\xff"), 0), 2)
	if h, ok := i.Host(netip.MustParseAddr("192.0.2.50").As16()); !ok || h.DHCPName != "laptop" || h.MAC != mac {
		t.Errorf("%+v", h)
	}
	if s := serviceAt(i, protoUDP, 67); s.Service != "bootps" || s.Detail != "server 192.0.2.1" {
		t.Errorf("%+v", s)
	}

	answer := "\x00\x00\x84\x00\x00\x00\x00\x02\x00\x00\x00\x00\x04desk\x05local\x00\x00\x01\x80\x01\x00\x00\x00\x78\x00\x04\xc0\x00\x02\x33" +
		"\xc0\x0c\x00\x01\x80\x01\x00\x00\x00\x78\x00\x04\xc0\x00\x02\x34"
	p := packetOf(protoUDP, "192.0.2.51:5353", "224.0.0.251:5353", answer, 0)
	p.HasMAC, p.SrcMAC = true, mac
	i.Packet(p, 3)
	for _, a := range []string{"192.0.2.51", "192.0.2.52"} {
		if h, _ := i.Host(netip.MustParseAddr(a).As16()); h.MDNSName != "desk.local" {
			t.Errorf("%s: %+v", a, h)
		}
	}
	i.Packet(packetOf(protoUDP, "192.0.2.66:5353", "224.0.0.251:5353", answer, 0), 4)
	if h, _ := i.Host(netip.MustParseAddr("192.0.2.66").As16()); h.MDNSName != "" {
		t.Errorf("named by addresses that are not its own: %+v", h)
	}

	name := "FHEPFCELEHFCEPFFFACACACACACACAAA" // WORKGROUP, padded, suffix 0
	registers := "\x00\x01\x29\x10\x00\x01\x00\x00\x00\x00\x00\x01\x20" + name + "\x00\x00\x20\x00\x01\xc0\x0c\x00\x20\x00\x01\x00\x00\x00\x00\x00\x06"
	i.Packet(packetOf(protoUDP, "192.0.2.53:137", "192.0.2.255:137", registers+"\x00\x00\xc0\x00\x02\x35", 0), 5)
	i.Packet(packetOf(protoUDP, "192.0.2.54:137", "192.0.2.255:137", registers+"\x80\x00\xc0\x00\x02\x36", 0), 5)
	if h, _ := i.Host(netip.MustParseAddr("192.0.2.53").As16()); h.NetBIOSName != "WORKGROUP" {
		t.Errorf("%+v", h)
	}
	if h, _ := i.Host(netip.MustParseAddr("192.0.2.54").As16()); h.NetBIOSName != "" {
		t.Errorf("a group's name: %+v", h)
	}
}

// Whatever both sides say, at whatever port: no panic, sane results, bounds.
func FuzzTalk(f *testing.F) {
	for _, c := range cases {
		var client, server string
		for _, m := range c.messages {
			if m.server {
				server += m.data
			} else {
				client += m.data
			}
		}
		f.Add(c.proto == protoTCP, uint16(c.port), []byte(client), []byte(server))
	}
	f.Fuzz(func(t *testing.T, tcp bool, port uint16, client, server []byte) {
		proto := uint8(protoUDP)
		if tcp {
			proto = protoTCP
		}
		i := New(Options{})
		for _, h := range []*heard{{proto, port, server, client, false}, {proto, port, client, server, true}} {
			if f := i.table.recognise(h); (f.score == 0) != (f.service == "") {
				t.Errorf("%+v", f)
			}
		}
		converse(i, proto, int(port), []said{{false, string(client)}, {true, string(server)}, {false, string(server)}}, whole)
		for s := range i.Services() {
			sane(t, s)
		}
	})
}

func FuzzHosts(f *testing.F) {
	f.Add(uint16(5353), []byte("\x00\x00\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00\x04desk\x05local\x00\x00\x01\x80\x01\x00\x00\x00\x78\x00\x04\xc0\x00\x02\x33"))
	f.Add(uint16(137), bytes.Repeat([]byte("A"), 68))
	f.Add(uint16(67), append(bytes.Repeat([]byte{1}, 236), "\x63\x82\x53\x63\x0c\x02ab\xff"...))
	f.Fuzz(func(t *testing.T, port uint16, b []byte) {
		i := New(Options{Hosts: 8})
		p := packetOf(protoUDP, "192.0.2.51:5353", fmt.Sprintf("224.0.0.251:%d", port), string(b), 0)
		p.HasMAC = true
		i.Packet(p, 1)
		for h := range i.Hosts() {
			if len(h.DHCPName)+len(h.MDNSName)+len(h.NetBIOSName) > 3*maxText {
				t.Errorf("%+v", h)
			}
		}
	})
}
