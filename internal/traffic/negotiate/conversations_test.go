package negotiate

import (
	"encoding/binary"
	"strings"
)

// conversation is what two or three hosts say, and how flows are to be named
// afterwards. ports are the numbers that another program finds in it.
type conversation struct {
	name  string
	said  []sent
	flows map[string]string
	field string // tshark's, of the port; "" where it has none
	ports string // what tshark tells, in order, with blanks between
}

const (
	clientHost = "10.0.0.2"
	serverHost = "10.0.0.1"
	drs        = "e3514235-4b06-11d1-ab04-00c04fc2dcd2"
	unheardOf  = "0badcafe-1234-5678-9abc-def012345678"
)

func utf16(s string) string {
	var b []byte
	for i := range len(s) {
		b = append(b, s[i], 0)
	}
	return string(append(b, 0, 0))
}

func be16(n int) string { return string(binary.BigEndian.AppendUint16(nil, uint16(n))) }

func stunMessage(kind int, attributes string) string {
	return be16(kind) + be16(len(attributes)) + "\x21\x12\xa4\x42" + "transactions" + attributes
}

func xorRelayed(a, b, c, d byte, port int) string {
	return be16(relayedAddress) + be16(8) + "\x00\x01" + be16(port^0x2112) + string([]byte{a ^ 0x21, b ^ 0x12, c ^ 0xa4, d ^ 0x42})
}

func pptpMessage(kind int, rest string) string {
	body := be16(1) + "\x1a\x2b\x3c\x4d" + be16(kind) + "\x00\x00" + rest
	return be16(len(body)+2) + body
}

func tnsPacket(kind byte, data string) string {
	return be16(8+len(data)) + "\x00\x00" + string([]byte{kind, 0, 0, 0}) + data
}

// conversations are composed from the standards that the readers cite.
func conversations() []conversation {
	c21, s21 := clientHost+":40000", serverHost+":21"
	c111, s111 := clientHost+":700", serverHost+":111"
	c135, s135 := clientHost+":50000", serverHost+":135"
	a, b := "192.0.2.10:5060", "192.0.2.20:5060"
	tower := towerOf(drs, floorNCAN, floorTCP, 49664, [4]byte{10, 0, 0, 1})
	redirect := "(ADDRESS=(PROTOCOL=tcp)(HOST=10.0.0.9)(PORT=40123))"
	return []conversation{
		{
			name: "ftp passive", field: "ftp.passive.port", ports: "50001",
			said: []sent{
				tcp(s21, c21, "220 ready\r\n"), tcp(c21, s21, "PASV\r\n"),
				tcp(s21, c21, "227 Entering Passive Mode (10,0,0,1,195,81).\r\n"),
			},
			flows: map[string]string{
				"tcp 10.0.0.2:41000 10.0.0.1:50001": "ftp-data", "tcp 10.0.0.1:50001 10.0.0.2:41000": "ftp-data",
				"tcp 10.0.0.3:41000 10.0.0.1:50001": "", "tcp 10.0.0.2:41000 10.0.0.1:50002": "", "udp 10.0.0.2:41000 10.0.0.1:50001": "",
				"tcp 10.0.0.1:41000 10.0.0.2:50001": "",
			},
		},
		{
			name: "ftp active from port 20", field: "ftp.active.port", ports: "50002",
			said: []sent{tcp(c21, s21, "PORT 10,0,0,2,195,82\r\n"), tcp(s21, c21, "200 ok\r\n")},
			flows: map[string]string{
				"tcp 10.0.0.1:20 10.0.0.2:50002": "ftp-data", "tcp 10.0.0.1:6000 10.0.0.2:50002": "ftp-data", "tcp 10.0.0.2:1 10.0.0.1:50002": "",
			},
		},
		{
			name: "ftp behind address translation", field: "ftp.passive.port", ports: "50001",
			said: []sent{tcp(s21, c21, "227 Entering Passive Mode (192,168,7,7,195,81)\r\n")},
			flows: map[string]string{
				"tcp 10.0.0.2:41000 10.0.0.1:50001": "ftp-data", "tcp 10.0.0.2:41000 192.168.7.7:50001": "ftp-data",
				"tcp 10.0.0.3:41000 192.168.7.7:50001": "",
			},
		},
		{
			name: "ftp extended", field: "ftp.eprt.port", ports: "5282",
			said: []sent{
				tcp("[2001:db8::2]:40000", "[2001:db8::1]:21", "EPRT |2|2001:db8::2|5282|\r\n"),
				tcp("[2001:db8::1]:21", "[2001:db8::2]:40000", "229 Entering Extended Passive Mode (|||6446|)\r\n"),
			},
			flows: map[string]string{
				"tcp [2001:db8::1]:20 [2001:db8::2]:5282": "ftp-data", "tcp [2001:db8::2]:999 [2001:db8::1]:6446": "ftp-data",
			},
		},
		{
			name: "ftp long",
			said: []sent{
				tcp(c21, s21, "LPRT 4,4,10,0,0,2,2,195,83\r\n"),
				tcp("[2001:db8::1]:21", "[2001:db8::2]:40000", "228 Entering Long Passive Mode (6,16,32,1,13,184,0,0,0,0,0,0,0,0,0,0,0,1,2,195,84)\r\n"),
			},
			flows: map[string]string{
				"tcp 10.0.0.1:20 10.0.0.2:50003": "ftp-data", "tcp [2001:db8::2]:999 [2001:db8::1]:50004": "ftp-data",
			},
		},
		{
			name: "ftp on another port",
			said: []sent{tcp(clientHost+":40000", serverHost+":2121", "EPSV\r\n"), tcp(serverHost+":2121", clientHost+":40000", "229 Entering Extended Passive Mode (|||6446|)\r\n")},
			flows: map[string]string{
				"tcp 10.0.0.2:41000 10.0.0.1:6446": "ftp-data",
			},
		},
		{
			name:  "ftp names what it may not",
			said:  []sent{tcp(s21, c21, "227 Entering Passive Mode (8,8,8,8,0,53)\r\n"), tcp(c21, s21, "PORT 10,0,0,2,0,25\r\n"), tcp(s21, c21, "227 Entering Passive Mode (10,0,0,1,0,0)\r\n")},
			flows: map[string]string{"tcp 10.0.0.2:41000 8.8.8.8:53": "", "tcp 10.0.0.1:20 10.0.0.2:25": "", "tcp 10.0.0.2:41000 10.0.0.1:0": ""},
		},
		{
			name: "portmap getport over udp", field: "portmap.port", ports: "20048",
			said: []sent{udp(c111, s111, rpcCalled(7, 2, 3, 100005, 3, 17, 0)), udp(s111, c111, rpcReplied(7, 20048))},
			flows: map[string]string{
				"udp 10.0.0.2:800 10.0.0.1:20048": "mountd", "udp 10.0.0.9:800 10.0.0.1:20048": "mountd", "tcp 10.0.0.2:800 10.0.0.1:20048": "",
			},
		},
		{
			name:  "portmap answers without a question",
			said:  []sent{udp(c111, s111, rpcCalled(7, 2, 3, 100005, 3, 17, 0)), udp(s111, c111, rpcReplied(8, 20048)), udp("10.0.0.66:111", c111, rpcReplied(7, 20048))},
			flows: map[string]string{"udp 10.0.0.2:800 10.0.0.1:20048": "", "udp 10.0.0.2:800 10.0.0.66:20048": ""},
		},
		{
			name: "portmap dump over tcp", field: "portmap.port", ports: "111 2049 32803 40000",
			said: []sent{
				tcp(c111, s111, record(rpcCalled(9, 2, 4))),
				tcp(s111, c111, record(rpcReplied(9, 1, 100000, 2, 6, 111, 1, 100003, 3, 6, 2049, 1, 100021, 4, 17, 32803, 1, 400999, 1, 6, 40000, 0))),
			},
			flows: map[string]string{
				"tcp 10.0.0.2:800 10.0.0.1:2049": "nfs", "udp 10.0.0.2:800 10.0.0.1:32803": "nlockmgr", "tcp 10.0.0.2:800 10.0.0.1:40000": "onc-rpc",
				"tcp 10.0.0.3:800 10.0.0.1:111": "",
			},
		},
		{
			name: "rpcbind getaddr", field: "portmap.uaddr", ports: "10.0.0.1.130.4 ::.130.5",
			said: []sent{
				udp(c111, s111, rpcCalled(10, 4, 3, 100024, 1, "tcp", "0.0.0.0.0.0", "rpc")), udp(s111, c111, rpcReplied(10, "10.0.0.1.130.4")),
				udp(c111, s111, rpcCalled(11, 3, 3, 100021, 4, "udp6", "", "")), udp(s111, c111, rpcReplied(11, "::.130.5")),
			},
			flows: map[string]string{"tcp 10.0.0.2:800 10.0.0.1:33284": "status", "udp 10.0.0.2:800 10.0.0.1:33285": "nlockmgr"},
		},
		{
			name: "rpcbind dump, callit", field: "portmap.rpcb.addr", ports: "0.0.0.0.8.1 127.0.0.1.8.9",
			said: []sent{
				udp(c111, s111, rpcCalled(12, 4, 4)),
				udp(s111, c111, rpcReplied(12, 1, 100003, 4, "tcp", "0.0.0.0.8.1", "superuser", 1, 100068, 4, "tcp", "127.0.0.1.8.9", "superuser", 0)),
				udp(c111, s111, rpcCalled(13, 2, 5, 100007, 2, 0, "")), udp(s111, c111, rpcReplied(13, 834, "")),
			},
			flows: map[string]string{
				"tcp 10.0.0.2:800 10.0.0.1:2049": "nfs", "tcp 10.0.0.2:800 10.0.0.1:2057": "", "udp 10.0.0.2:800 10.0.0.1:834": "ypbind",
			},
		},
		{
			name: "endpoint mapper", field: "epm.proto.tcp_port", ports: "49664 49700",
			said: []sent{
				tcp(c135, s135, bindEPM), tcp(s135, c135, bindEPMAck), tcp(c135, s135, mapAsked),
				tcp(s135, c135, mapReply(tower, towerOf(unheardOf, floorNCAN, floorTCP, 49700, [4]byte{10, 9, 9, 9}))),
			},
			flows: map[string]string{
				"tcp 10.0.0.2:50001 10.0.0.1:49664": "drsuapi", "tcp 10.0.0.8:50001 10.0.0.1:49664": "drsuapi", "udp 10.0.0.2:50001 10.0.0.1:49664": "",
				"tcp 10.0.0.2:50001 10.9.9.9:49700": "msrpc", "tcp 10.0.0.8:50001 10.9.9.9:49700": "",
			},
		},
		{
			name:  "endpoint mapper asks, does not tell",
			said:  []sent{tcp(c135, s135, pdu(0, 3, tower))},
			flows: map[string]string{"tcp 10.0.0.2:50001 10.0.0.1:49664": ""},
		},
		{
			name: "tower in two fragments",
			said: []sent{tcp(s135, c135, pdu(response, 1, "xxxxxxxx"+tower[:30])+pdu(response, 2, tower[30:]))},
			flows: map[string]string{
				"tcp 10.0.0.2:50001 10.0.0.1:49664": "drsuapi",
			},
		},
		{
			name: "dcom bindings",
			said: []sent{tcp(s135, c135, pdu(response, 3, strings.Repeat("\x00", 8)+"\x07\x00"+utf16("SERVER[49667]")+"\x07\x00"+utf16("10.0.0.1[49667]")+"\x07\x00"+utf16("172.16.1.1[49667]")+"\x00\x00"))},
			flows: map[string]string{
				"tcp 10.0.0.2:50001 10.0.0.1:49667": "dcom", "tcp 10.0.0.2:50001 172.16.1.1:49667": "dcom", "tcp 10.0.0.3:50001 172.16.1.1:49667": "",
			},
		},
		{
			name: "sip call", field: "sdp.media.port", ports: "30000 40000",
			said: []sent{
				udp(a, b, sipped("INVITE sip:b@example.org SIP/2.0", "x1", sdp("c=IN IP4 192.0.2.11", "t=0 0", "m=audio 30000 RTP/AVP 0", "a=rtcp:30009"))),
				udp(b, a, sipped("SIP/2.0 200 OK", "x1", sdp("c=IN IP4 192.0.2.21", "t=0 0", "m=audio 40000 RTP/AVP 0"))),
			},
			flows: map[string]string{
				"udp 192.0.2.11:30000 192.0.2.21:40000": "rtp", "udp 192.0.2.11:30009 192.0.2.21:40001": "rtcp", "udp 192.0.2.21:5 192.0.2.11:30000": "rtp",
				"udp 192.0.2.10:7 192.0.2.21:40000": "rtp", "udp 192.0.2.99:7 192.0.2.21:40000": "", "udp 192.0.2.21:5 192.0.2.11:30001": "",
			},
		},
		{
			name: "sip offer without an answer, and refused",
			said: []sent{
				udp(a, b, sipped("INVITE sip:b@example.org SIP/2.0", "x2", sdp("c=IN IP4 192.0.2.11", "m=audio 30000 RTP/AVP 0"))),
				udp(b, a, sipped("SIP/2.0 488 Not Acceptable Here", "x2", sdp("c=IN IP4 192.0.2.21", "m=audio 40000 RTP/AVP 0"))),
			},
			flows: map[string]string{"udp 192.0.2.21:40000 192.0.2.11:30000": "", "udp 192.0.2.10:7 192.0.2.21:40000": ""},
		},
		{
			name: "sip names a name server",
			said: []sent{
				udp(a, b, sipped("INVITE sip:b@example.org SIP/2.0", "x3", sdp("c=IN IP4 8.8.8.8", "m=audio 53 RTP/AVP 0"))),
				udp(b, a, sipped("SIP/2.0 200 OK", "x3", sdp("c=IN IP4 192.0.2.20", "m=audio 40000 RTP/AVP 0"))),
			},
			flows: map[string]string{"udp 192.0.2.20:777 8.8.8.8:53": ""},
		},
		{
			name: "sip over tcp on another port, ice", field: "sdp.media.port", ports: "30000 40000",
			said: []sent{
				tcp("192.0.2.10:33333", "192.0.2.20:5080", sipped("INVITE sip:b@example.org SIP/2.0", "x4",
					sdp("c=IN IP4 192.0.2.11", "t=0 0", "m=video 30000 UDP/TLS/RTP/SAVPF 96", "a=candidate:1 1 UDP 2130706431 198.51.100.7 8998 typ host", "a=candidate:1 2 udp 2130706430 198.51.100.7 8999 typ host"))),
				tcp("192.0.2.20:5080", "192.0.2.10:33333", sipped("SIP/2.0 183 Session Progress", "x4", sdp("c=IN IP4 192.0.2.20", "t=0 0", "m=video 40000 UDP/TLS/RTP/SAVPF 96"))),
			},
			flows: map[string]string{
				"udp 192.0.2.20:40000 198.51.100.7:8998": "rtp", "udp 198.51.100.7:8999 192.0.2.20:40001": "rtcp", "udp 192.0.2.20:6 198.51.100.7:8999": "rtcp",
			},
		},
		{
			name: "rtsp", field: "rtsp.transport", ports: "RTP/AVP;unicast;client_port=4588-4589 RTP/AVP;unicast;client_port=4588-4589;server_port=6256-6257",
			said: []sent{
				tcp(clientHost+":3000", serverHost+":554", "SETUP rtsp://10.0.0.1/a RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=4588-4589\r\n\r\n"),
				tcp(serverHost+":554", clientHost+":3000", "RTSP/1.0 200 OK\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=4588-4589;server_port=6256-6257\r\n\r\n"),
			},
			flows: map[string]string{
				"udp 10.0.0.1:6256 10.0.0.2:4588": "rtp", "udp 10.0.0.1:6257 10.0.0.2:4589": "rtcp", "udp 10.0.0.2:1 10.0.0.1:6257": "rtcp", "udp 10.0.0.3:1 10.0.0.1:6257": "",
			},
		},
		{
			name: "rtsp interleaved, then not",
			said: []sent{
				tcp(serverHost+":554", clientHost+":3000", "RTSP/1.0 200 OK\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1;client_port=4588-4589\r\n\r\n$\x00\x00\x05ab"),
				tcp(serverHost+":554", clientHost+":3000", "cde$\x00\x00\x00RTSP/1.0 200 OK\r\nTransport: RTP/AVP;client_port=5588-5589\r\n\r\n"),
			},
			flows: map[string]string{"udp 10.0.0.1:6256 10.0.0.2:4588": "", "udp 10.0.0.1:6256 10.0.0.2:5588": "rtp"},
		},
		{
			name: "tftp", field: "tftp.opcode", ports: "1",
			said: []sent{udp(clientHost+":2000", serverHost+":69", "\x00\x01file\x00octet\x00")},
			flows: map[string]string{
				"udp 10.0.0.1:3333 10.0.0.2:2000": "tftp-data", "udp 10.0.0.2:2000 10.0.0.1:3333": "tftp-data", "udp 10.0.0.2:2000 10.0.0.1:69": "",
				"udp 10.0.0.3:3333 10.0.0.2:2000": "",
			},
		},
		{
			name: "irc dcc", field: "irc.request.command", ports: "PRIVMSG",
			said: []sent{
				tcp(clientHost+":2000", serverHost+":6667", "PRIVMSG bob :\x01DCC SEND \"a file\" 167772162 5001 1000\x01\r\n"),
				tcp(serverHost+":6667", "10.0.0.3:2000", ":alice!a@h PRIVMSG bob :\x01DCC CHAT chat 167772162 5002\x01\r\n"),
				tcp(serverHost+":6667", "10.0.0.3:2000", ":mallory!a@h PRIVMSG bob :\x01DCC SEND x 134744072 53\x01\r\n"),
			},
			flows: map[string]string{
				"tcp 10.0.0.77:1 10.0.0.2:5001": "irc-dcc", "tcp 10.0.0.3:1 10.0.0.2:5002": "irc-dcc", "tcp 10.0.0.4:1 10.0.0.2:5002": "", "tcp 10.0.0.3:1 8.8.8.8:53": "",
			},
		},
		{
			name: "pptp", field: "pptp.control_message_type", ports: "7 8",
			said: []sent{
				tcp(clientHost+":2000", serverHost+":1723", pptpMessage(7, strings.Repeat("\x00", 156))),
				tcp(serverHost+":1723", clientHost+":2000", pptpMessage(8, "\x00\x01\x00\x02\x01\x00\x00\x00"+strings.Repeat("\x00", 12))),
			},
			flows: map[string]string{"gre 10.0.0.2:0 10.0.0.1:0": "pptp-gre", "gre 10.0.0.3:0 10.0.0.1:0": ""},
		},
		{
			name: "turn", field: "stun.att.port-xord", ports: "574d 5772",
			said: []sent{
				udp(clientHost+":2000", serverHost+":3478", stunMessage(allocateRequest, be16(0x19)+be16(4)+"\x11\x00\x00\x00")),
				udp(serverHost+":3478", clientHost+":2000", stunMessage(allocateSuccess, xorRelayed(10, 0, 0, 1, 30303))),
				udp(serverHost+":3478", clientHost+":2000", stunMessage(allocateSuccess, xorRelayed(8, 8, 8, 8, 30304))),
			},
			flows: map[string]string{"udp 10.0.0.9:1 10.0.0.1:30303": "turn-relay", "udp 10.0.0.9:1 8.8.8.8:30304": ""},
		},
		{
			name: "nat-pmp and pcp", field: "nat-pmp.internal_port", ports: "6000 6000",
			said: []sent{
				udp(clientHost+":2000", serverHost+":5351", "\x00\x02\x00\x00"+be16(6000)+be16(6001)+"\x00\x00\x0e\x10"),
				udp(serverHost+":5351", clientHost+":2000", "\x00\x82\x00\x00\x00\x00\x00\x01"+be16(6000)+be16(6001)+"\x00\x00\x0e\x10"),
				udp(clientHost+":2000", serverHost+":5351", "\x02\x01\x00\x00\x00\x00\x0e\x10"+strings.Repeat("\x00", 16)+"nonce nonce!\x11\x00\x00\x00"+be16(7000)+be16(0)+strings.Repeat("\x00", 16)),
				udp(serverHost+":5351", clientHost+":2000", "\x02\x81\x00\x00\x00\x00\x0e\x10"+strings.Repeat("\x00", 16)+"nonce nonce!\x11\x00\x00\x00"+be16(7000)+be16(9)+strings.Repeat("\x00", 16)),
			},
			flows: map[string]string{"tcp 10.0.0.9:1 10.0.0.2:6000": "nat-mapping", "udp 10.0.0.9:1 10.0.0.2:6000": "", "udp 10.0.0.9:1 10.0.0.2:7000": "nat-mapping"},
		},
		{
			name: "oracle redirect", field: "tns.type", ports: "1 5",
			said: []sent{
				tcp(clientHost+":2000", serverHost+":1521", tnsPacket(1, strings.Repeat("\x00", 50))),
				tcp(serverHost+":1521", clientHost+":2000", tnsPacket(5, be16(len(redirect))+redirect)),
			},
			flows: map[string]string{"tcp 10.0.0.2:1 10.0.0.9:40123": "oracle-tns", "tcp 10.0.0.2:1 10.0.0.1:40123": "oracle-tns", "tcp 10.0.0.3:1 10.0.0.9:40123": ""},
		},
		{
			name: "mgcp", field: "sdp.media.port", ports: "30000 40000",
			said: []sent{
				udp("192.0.2.1:2727", "192.0.2.2:2427", "CRCX 1204 aaln/1@gw MGCP 1.0\r\nC: A3\r\nM: sendrecv\r\n\r\n"+sdp("c=IN IP4 192.0.2.3", "t=0 0", "m=audio 30000 RTP/AVP 0")),
				udp("192.0.2.2:2427", "192.0.2.1:2727", "200 1204 OK\r\nI: FDE\r\n\r\n"+sdp("c=IN IP4 192.0.2.2", "t=0 0", "m=audio 40000 RTP/AVP 0")),
			},
			flows: map[string]string{"udp 192.0.2.2:40000 192.0.2.3:30000": "rtp", "udp 192.0.2.3:9 192.0.2.2:40001": "rtcp"},
		},
	}
}

// A bind to the endpoint mapper in NDR and its acceptance, for tshark, which
// reads no response without them.
var (
	bindEPM    = bind(uuidBytes("e1af8308-5d1f-11c9-91a4-08002b14a0fa"), 3)
	bindEPMAck = pdu(12, 3, "")[:8] + "\x3c\x00\x00\x00\x01\x00\x00\x00\xb8\x10\xb8\x10\x01\x00\x00\x00\x04\x00135\x00\x00\x00" +
		"\x01\x00\x00\x00\x00\x00\x00\x00" + uuidBytes("8a885d04-1ceb-11c9-9fe8-08002b104860") + "\x02\x00\x00\x00"
)

// mapAsked is a request for ept_map; what it asks is left out.
var mapAsked = pdu(0, 3, strings.Repeat("\x00", 64))[:22] + "\x03\x00" + strings.Repeat("\x00", 64)

func bind(id string, version byte) string {
	body := "\xb8\x10\xb8\x10\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01\x00" + id + string([]byte{version, 0, 0, 0}) +
		uuidBytes("8a885d04-1ceb-11c9-9fe8-08002b104860") + "\x02\x00\x00\x00"
	return "\x05\x00\x0b\x03\x10\x00\x00\x00" + string(binary.LittleEndian.AppendUint16(nil, uint16(16+len(body)))) + "\x00\x00\x01\x00\x00\x00" + body
}

func uuidBytes(text string) string {
	id, err := parseUUID(text)
	if err != nil {
		panic(err)
	}
	return string(id[:])
}
