package negotiate

import (
	"strconv"
	"strings"
)

const (
	maxMedia = 16 // endpoints that are read of one description
	maxPairs = 4  // port pairs of one media line
)

// media is one endpoint at which a description's author wants to receive.
type media struct {
	proto uint8
	at    Endpoint
	name  string // rtp, rtcp, t38, msrp, bfcp
	kind  string // audio, video …
}

// section is a media line with what follows it.
type section struct {
	addr    [16]byte
	hasAddr bool
	port    uint16
	pairs   int
	proto   uint8
	name    string
	kind    string
	rtcp    Endpoint
	ice     []media
}

// parseSDP reads a session description: RFC 8866, RFC 3605 (rtcp), RFC 8839
// (candidate). body may have other things around it.
func parseSDP(body string) []media {
	start := strings.Index("\n"+body, "\nv=0")
	if start < 0 {
		return nil
	}
	var out []media
	var session, now section
	for line := range strings.SplitSeq(body[start:], "\n") {
		line = strings.TrimRight(line, "\r")
		if len(line) < 2 || line[1] != '=' {
			break // the end, or another part's border
		}
		if line[0] == 'm' {
			out = now.finish(out)
			now = section{addr: session.addr, hasAddr: session.hasAddr}
		}
		now.line(line[0], line[2:])
		if now.name == "" {
			session = now
		}
	}
	return now.finish(out)
}

func (s *section) line(kind byte, value string) {
	switch kind {
	case 'c':
		s.addr, s.hasAddr = connection(value)
	case 'm':
		s.mediaLine(value)
	case 'a':
		s.attribute(value)
	}
}

// connection reads "IN IP4 addr[/ttl[/n]]".
func connection(value string) ([16]byte, bool) {
	f := strings.Fields(value)
	if len(f) != 3 || f[0] != "IN" {
		return [16]byte{}, false
	}
	host, _, _ := strings.Cut(f[2], "/")
	return parseAddr(host)
}

// mediaLine reads "kind port[/pairs] proto formats".
func (s *section) mediaLine(value string) {
	s.name = "other"
	f := strings.Fields(value)
	if len(f) < 3 {
		return
	}
	port, pairs, _ := strings.Cut(f[1], "/")
	s.port, _ = parsePort(port)
	n, _ := strconv.Atoi(pairs)
	s.pairs = min(max(n, 1), maxPairs)
	s.kind = mediaKind(f[0])
	s.proto, s.name = mediaProto(strings.ToUpper(f[2]))
}

// mediaKind is the kind when it is one of RFC 8866 section 5.14.
func mediaKind(kind string) string {
	switch kind {
	case "audio", "video", "text", "application", "message", "image":
		return kind
	}
	return "media"
}

func mediaProto(proto string) (uint8, string) {
	switch {
	case strings.Contains(proto, "RTP/") && !strings.HasPrefix(proto, "TCP"):
		return protoUDP, "rtp"
	case proto == "UDPTL" || proto == "UDP/TLS/UDPTL":
		return protoUDP, "t38"
	case proto == "UDP/BFCP" || proto == "UDP/TLS/BFCP":
		return protoUDP, "bfcp"
	case strings.HasPrefix(proto, "TCP/") && strings.HasSuffix(proto, "MSRP"):
		return protoTCP, "msrp"
	case strings.HasPrefix(proto, "TCP/") && strings.Contains(proto, "RTP/"):
		return protoTCP, "rtp"
	}
	return 0, "other"
}

func (s *section) attribute(value string) {
	name, rest, _ := strings.Cut(value, ":")
	switch name {
	case "rtcp":
		f := strings.Fields(rest)
		if len(f) == 0 {
			return
		}
		s.rtcp.Port, _ = parsePort(f[0])
		if len(f) == 4 {
			s.rtcp.Addr, _ = connection(strings.Join(f[1:], " "))
		}
	case "candidate":
		s.candidate(strings.Fields(rest))
	}
}

// candidate reads "foundation component transport priority addr port typ …".
func (s *section) candidate(f []string) {
	if len(f) < 8 || len(s.ice) >= maxMedia || f[6] != "typ" || !strings.EqualFold(f[2], "udp") {
		return
	}
	addr, known := parseAddr(f[4])
	port, ok := parsePort(f[5])
	if !known || !ok {
		return
	}
	name := s.name
	if f[1] == "2" && name == "rtp" {
		name = "rtcp"
	}
	s.ice = append(s.ice, media{protoUDP, Endpoint{addr, port}, name, s.kind})
}

// finish adds the section's endpoints. Ports below 1024 are no media's.
func (s *section) finish(out []media) []media {
	if s.proto == 0 || s.port == 0 {
		return out
	}
	var all []media
	for i := range s.pairs {
		step := 1
		if s.name == "rtp" {
			step = 2
		}
		if at := int(s.port) + i*step; s.hasAddr && at < 1<<16 {
			all = append(all, media{s.proto, Endpoint{s.addr, uint16(at)}, s.name, s.kind})
			all = s.addRTCP(all, at, i)
		}
	}
	for _, m := range append(all, s.ice...) {
		if m.at.Port >= firstFree && len(out) < maxMedia {
			out = append(out, m)
		}
	}
	return out
}

// addRTCP adds the control port of an RTP port: the next one, unless the
// description tells another (RFC 3550 section 11). One that offers to share
// the port (RFC 5761) keeps it too, until the other agreed.
func (s *section) addRTCP(all []media, rtp, pair int) []media {
	at := Endpoint{s.addr, uint16(rtp + 1)}
	if s.rtcp.Port != 0 && pair == 0 {
		at.Port = s.rtcp.Port
		if s.rtcp.Addr != anyone {
			at.Addr = s.rtcp.Addr
		}
	}
	if s.name != "rtp" || s.proto != protoUDP || at.Port == 0 || at.Port == uint16(rtp) {
		return all
	}
	return append(all, media{s.proto, at, "rtcp", s.kind})
}
