package negotiate

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// ftpHold is how long a data connection is awaited, as Linux's
// nf_conntrack_ftp does.
const ftpHold = 5 * time.Minute

// ftpLine reads a command or a reply: RFC 959, RFC 1639, RFC 2428.
func (x *exchange) ftpLine(line string) {
	if x.fromServer {
		x.ftpReply(line)
		return
	}
	command, rest, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
	var at namedPort
	var ok bool
	switch strings.ToUpper(command) {
	case "PORT":
		at, ok = shortPort(rest)
	case "EPRT":
		at, ok = extendedPort(strings.TrimSpace(rest))
	case "LPRT":
		at, ok = longPort(rest)
	}
	if ok {
		x.ftpTold(at, "active")
	}
}

// ftpReply reads a reply that names a port. After 234 all is encrypted (RFC
// 4217).
func (x *exchange) ftpReply(line string) {
	code, text, _ := strings.Cut(line, " ")
	var at namedPort
	var ok bool
	switch code {
	case "227":
		at, ok = shortPort(fromDigit(text))
	case "228":
		at, ok = longPort(fromDigit(text[max(0, strings.IndexByte(text, '(')):]))
	case "229":
		at, ok = extendedPort(between(text, '(', ')'))
	case "234":
		x.conn.deaf = true
	}
	if ok {
		x.ftpTold(at, "passive")
	}
}

// ftpTold notes a data connection. Its other end may have any port: servers
// use 20, or what they like.
func (x *exchange) ftpTold(at namedPort, detail string) {
	if !at.hasAddr {
		at.addr = x.sender().Addr
	}
	x.told(protoTCP, at.addr, at.port, Agreement{Name: "ftp-data", ControlProto: "ftp", Detail: detail}, ftpHold)
}

// namedPort is a port as text names it, maybe with an address.
type namedPort struct {
	addr    [16]byte
	hasAddr bool
	port    uint16
}

// shortPort reads "h1,h2,h3,h4,p1,p2".
func shortPort(text string) (namedPort, bool) {
	b, ok := numbers(text)
	if !ok || len(b) != 6 {
		return namedPort{}, false
	}
	return portOf(b[:4], b[4:])
}

// longPort reads "af,hal,h1,…,pal,p1,…" of RFC 1639: 4 with 4 bytes, 6 with
// 16.
func longPort(text string) (namedPort, bool) {
	b, ok := numbers(text)
	if !ok || len(b) < 2 || len(b) != int(b[1])+5 || b[b[1]+2] != 2 {
		return namedPort{}, false
	}
	if b[0] == 4 && b[1] != 4 || b[0] == 6 && b[1] != 16 || b[0] != 4 && b[0] != 6 {
		return namedPort{}, false
	}
	return portOf(b[2:2+b[1]], b[3+b[1]:])
}

func portOf(addr, port []byte) (namedPort, bool) {
	a, ok := netip.AddrFromSlice(addr)
	n := namedPort{addr: a.As16(), hasAddr: true, port: uint16(port[0])<<8 | uint16(port[1])}
	return n, ok && n.port != 0
}

// extendedPort reads "|2|address|port|" with any delimiter; "|||port|" leaves
// the address out.
func extendedPort(text string) (n namedPort, ok bool) {
	if len(text) < 5 || text[0] < 33 || text[0] > 126 || text[0] >= '0' && text[0] <= '9' {
		return n, false
	}
	f := strings.Split(text, text[:1])
	if len(f) != 5 || f[4] != "" {
		return n, false
	}
	if n.port, ok = parsePort(f[3]); !ok {
		return n, false
	}
	if f[2] == "" {
		return n, f[1] == "" || f[1] == "1" || f[1] == "2"
	}
	n.addr, n.hasAddr = parseAddr(f[2])
	return n, n.hasAddr
}

// numbers reads bytes between commas, up to the first other character.
func numbers(text string) ([]byte, bool) {
	if end := strings.IndexFunc(text, func(r rune) bool { return r != ',' && (r < '0' || r > '9') }); end >= 0 {
		text = text[:end]
	}
	var out []byte
	for _, f := range strings.Split(strings.TrimRight(text, ","), ",") {
		n, err := strconv.ParseUint(f, 10, 8)
		if err != nil || len(out) == 32 {
			return nil, false
		}
		out = append(out, byte(n))
	}
	return out, true
}

// parsePort reads a port number; 0 is none.
func parsePort(text string) (uint16, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err == nil && n != 0
}

// fromDigit cuts what stands before the first digit.
func fromDigit(text string) string {
	return strings.TrimLeftFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// between is what stands between two characters; "" when they are not there.
func between(text string, left, right byte) string {
	_, text, _ = strings.Cut(text, string(left))
	text, _, _ = strings.Cut(text, string(right))
	return text
}
