package negotiate

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// maxHead is the longest header of a message that is read.
const maxHead = 8 << 10

// message is a message of SIP, RTSP or MGCP.
type message struct {
	first  string // request or status line
	header string // all lines, the first too
	body   string
}

// headEnd is where the body begins; 0 when the header has no end yet.
func headEnd(b []byte) int {
	for at := 0; ; {
		n := bytes.IndexByte(b[at:], '\n')
		if n < 0 {
			return 0
		}
		at += n + 1
		switch rest := b[at:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return at + 1
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return at + 2
		}
	}
}

func newMessage(b []byte, body int) message {
	m := message{header: string(b[:body]), body: string(b[body:])}
	first, _, _ := strings.Cut(m.header, "\n")
	m.first = strings.TrimRight(first, "\r")
	return m
}

// field is a header field's value, by its name or its short form.
func (m *message) field(name, short string) string {
	for line := range strings.SplitSeq(m.header, "\n") {
		key, value, ok := strings.Cut(line, ":")
		if key = strings.TrimSpace(key); ok && (strings.EqualFold(key, name) || short != "" && strings.EqualFold(key, short)) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// length is the body's length by its header field; 0 without one, -1 for one
// that cannot be.
func (m *message) length() int {
	text := m.field("Content-Length", "l")
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 24)
	if err != nil {
		return -1
	}
	return int(n)
}

// whole takes a message with its body from the front of a stream: how many
// bytes it has, and whether it was read. start tells a first line of the
// protocol; others are passed over.
func (x *exchange) whole(b []byte, start func(string) bool) (m message, n int, ok bool) {
	end := bytes.IndexByte(b, '\n')
	switch {
	case end > maxLine || end < 0 && len(b) > maxLine:
		x.conn.deaf = true
		return m, len(b), false
	case end < 0:
		return m, 0, false
	case !start(strings.TrimRight(string(b[:end]), "\r")):
		return m, end + 1, false
	}
	body := headEnd(b)
	switch {
	case body > maxHead || body == 0 && len(b) > maxHead:
		x.conn.deaf = true
		return m, len(b), false
	case body == 0:
		return m, 0, false
	}
	m = newMessage(b, body)
	n = m.length()
	switch {
	case n < 0:
		return m, body, false
	case n > maxMessage-maxHead:
		return m, body + n, false
	case len(b) < body+n:
		return m, 0, false
	}
	m.body = m.body[:n]
	return m, body + n, true
}

func isSIP(first string) bool {
	return strings.HasPrefix(first, "SIP/2.0 ") || strings.HasSuffix(first, " SIP/2.0")
}

// sipStream reads SIP over TCP: RFC 3261 section 18.3.
func (x *exchange) sipStream(b []byte) int {
	m, n, ok := x.whole(b, isSIP)
	if ok {
		x.sip(&m)
	}
	return n
}

// sipDatagram reads SIP over UDP, where a message may go without its length.
func (w *Watcher) sipDatagram(p *wire.Packet, when int64) {
	x := exchange{w: w, server: Endpoint{p.Dst, p.DstPort}, client: Endpoint{p.Src, p.SrcPort}, when: when, proto: protoUDP}
	if bytes.HasPrefix(p.Payload, []byte("SIP/2.0 ")) {
		x.server, x.client, x.fromServer = x.client, x.server, true
	}
	body := headEnd(p.Payload)
	if body == 0 || body > maxHead {
		return
	}
	m := newMessage(p.Payload, body)
	if n := m.length(); n > 0 && n <= len(m.body) {
		m.body = m.body[:n]
	}
	if isSIP(m.first) {
		x.sip(&m)
	}
}

// sip reads a message: its session description, or the end of a call.
func (x *exchange) sip(m *message) {
	id := m.field("Call-ID", "i")
	status, answer := strings.CutPrefix(m.first, "SIP/2.0 ")
	method, _, _ := strings.Cut(m.first, " ")
	switch {
	case !answer && (method == "BYE" || method == "CANCEL"):
		x.hangUp("sip", id)
	case answer && (len(status) < 3 || status[0] != '1' && status[0] != '2'):
	case m.body != "":
		x.describe(id, "sip", description{answer: answer, media: parseSDP(m.body), via: x.sender().Addr})
	}
}

// hangUp ends a call.
func (x *exchange) hangUp(protocol, id string) {
	if c := x.w.calls.byID[protocol+" "+id]; c != nil {
		c.life.finish(x.when)
	}
}

// mgcp reads a command or response of MGCP (RFC 3435): a command's
// description is the remote side's, a response's the gateway's own. The
// response names no call: it is matched by the transaction.
func (x *exchange) mgcp(b []byte) {
	body := headEnd(b)
	if body == 0 {
		body = len(b)
	}
	m := newMessage(b, min(body, maxHead))
	f := strings.Fields(m.first)
	switch {
	case len(f) == 5 && f[3] == "MGCP" && !x.fromServer:
		x.mgcpCommand(&m, f)
	case len(f) >= 2 && len(f[0]) == 3 && f[0] == "200" && x.fromServer:
		if q, ok := x.w.asked.answered(x.askedKey(mgcp, []byte(f[1]))); ok {
			x.describe(q.call, "mgcp", description{answer: true, media: parseSDP(m.body), via: x.sender().Addr})
		}
	}
}

func (x *exchange) mgcpCommand(m *message, f []string) {
	id := m.field("C", "")
	if id == "" || len(id) > maxCallID || len(f[1]) > 9 {
		return
	}
	if f[0] == "DLCX" {
		x.hangUp("mgcp", id)
		return
	}
	x.w.asked.add(x.askedKey(mgcp, []byte(f[1])), question{call: id})
	x.describe(id, "mgcp", description{media: parseSDP(m.body)})
}
