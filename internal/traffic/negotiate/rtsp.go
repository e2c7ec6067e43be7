package negotiate

import (
	"strings"
	"time"
)

// rtspHold is how long media is awaited, or awaited again after silence,
// unless the control connection ends.
const rtspHold = time.Hour

func isRTSP(first string) bool {
	return strings.HasPrefix(first, "RTSP/") || strings.HasSuffix(first, " RTSP/1.0") || strings.HasSuffix(first, " RTSP/2.0")
}

// rtspStream reads RTSP (RFC 2326, RFC 7826): messages, and between them
// interleaved media, which is passed over.
func (x *exchange) rtspStream(b []byte) int {
	if b[0] == '$' {
		if len(b) < 4 {
			return 0
		}
		return 4 + int(b[2])<<8 + int(b[3])
	}
	m, n, ok := x.whole(b, isRTSP)
	if !ok {
		return n
	}
	// A refusal has no Transport; what a client asked for counts at once,
	// since the media may come before the answer is seen.
	if status, answer := strings.CutPrefix(m.first, "RTSP/"); !answer || strings.Contains(status, " 200") {
		for spec := range strings.SplitSeq(m.field("Transport", ""), ",") {
			x.transport(spec)
		}
	}
	return n
}

// transport reads one specification of a Transport header: RFC 2326 section
// 12.39.
func (x *exchange) transport(spec string) {
	var t rtspTransport
	for i, f := range strings.Split(strings.TrimSpace(spec), ";") {
		if key, value, _ := strings.Cut(f, "="); i == 0 {
			t.proto(strings.ToUpper(f))
		} else {
			t.set(strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value))
		}
	}
	if t.name != "" && !t.interleaved {
		x.toldRTSP(&t)
	}
}

// rtspTransport is a specification's fields.
type rtspTransport struct {
	name                string // rtp, rdt
	interleaved         bool
	client, server      []uint16
	source, destination [16]byte
	multicast           bool
}

func (t *rtspTransport) proto(p string) {
	switch {
	case strings.HasSuffix(p, "/TCP"):
	case strings.HasPrefix(p, "RTP/"):
		t.name = "rtp"
	case strings.HasPrefix(p, "X-REAL-RDT"), strings.HasPrefix(p, "X-PN-TNG"):
		t.name = "rdt"
	}
}

func (t *rtspTransport) set(key, value string) {
	switch key {
	case "interleaved":
		t.interleaved = true
	case "multicast":
		t.multicast = true
	case "client_port":
		t.client = portRange(value)
	case "server_port":
		t.server = portRange(value)
	case "source":
		t.source, _ = parseAddr(value)
	case "destination":
		t.destination, _ = parseAddr(value)
	}
}

// portRange reads "a" or "a-b" where b is the next: RTP and RTCP.
func portRange(value string) []uint16 {
	low, high, two := strings.Cut(value, "-")
	a, ok := parsePort(low)
	if !ok || a < firstFree {
		return nil
	}
	if b, ok := parsePort(high); two && ok && b == a+1 {
		return []uint16{a, b}
	}
	return []uint16{a}
}

// toldRTSP notes the client's ports for what the server sends, and the
// server's for what the client does.
func (x *exchange) toldRTSP(t *rtspTransport) {
	if t.multicast {
		return // a group's ports are no two hosts' agreement
	}
	servers, clients := either(x.server.Addr, t.source), either(x.client.Addr, t.destination)
	if !x.fromServer {
		servers, clients = servers[:1], clients[:1]
	}
	x.bothWays(t, t.client, clients, servers)
	if x.fromServer {
		x.bothWays(t, t.server, servers, clients)
	}
}

func either(seen, named [16]byte) [][16]byte {
	if named == anyone || named == seen {
		return [][16]byte{seen}
	}
	return [][16]byte{seen, named}
}

func (x *exchange) bothWays(t *rtspTransport, list []uint16, at, peers [][16]byte) {
	for i, port := range list {
		a := Agreement{Name: t.name, ControlProto: "rtsp"}
		if i == 1 && t.name == "rtp" {
			a.Name = "rtcp"
		}
		for _, addr := range at {
			for _, peer := range peers {
				x.agree(protoUDP, Endpoint{addr, port}, peer, a, rtspHold)
			}
		}
	}
}
