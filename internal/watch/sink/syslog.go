package sink

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/portreeve/portreeve/internal/exposure"
)

// syslogFormat writes RFC 5424 messages.
type syslogFormat struct {
	facility   int
	host, app  string
	pid        string
	enterprise uint32
	most       int // bytes of one message
}

// severityNumber maps to RFC 5424's severities (table 2): high is critical,
// what needs nobody is informational.
func severityNumber(s exposure.Severity) int {
	switch s {
	case exposure.High:
		return 2
	case exposure.Medium:
		return 4
	case exposure.Low:
		return 5
	}
	return 6
}

// byteOrderMark begins a message in UTF-8 (RFC 5424, section 6.4).
const byteOrderMark = "\ufeff"

// message writes one. When it would be too long, first the text is cut, then
// the last fields go; the rest stays well-formed.
func (f *syslogFormat) message(n *Notice) []byte {
	head := fmt.Sprintf("<%d>1 %s %s %s %s %s ", f.facility*8+severityNumber(n.Severity()),
		n.At.UTC().Format("2006-01-02T15:04:05.000000Z07:00"), headerField(f.host, 255), headerField(f.app, 48),
		headerField(f.pid, 128), headerField(string(n.Kind), 32))
	text := Text(n)
	room := f.most - len(head) - len(byteOrderMark) - 1
	sd := f.data(n, max(room-min(len(text), room/3), 0))
	text = cutText(text, room-len(sd))
	return []byte(head + sd + " " + byteOrderMark + text)
}

// headerField is printable ASCII without spaces, or the nil value.
func headerField(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}

// fields of a notice as names and values, the most telling first.
func fields(n *Notice) [][2]string {
	s := n.socket()
	out := [][2]string{{"id", n.ID}, {"kind", string(n.Kind)}, {"endpoint", n.Endpoint.String()}}
	add := func(k, v string) {
		if v != "" {
			out = append(out, [2]string{k, v})
		}
	}
	if n.Finding != nil {
		add("severity", string(n.Finding.Severity))
		add("rule", n.Finding.Rule)
		add("finding", n.Finding.ID)
		if n.Resolved {
			add("resolved", "true")
		}
	}
	add("scope", string(s.Scope))
	if len(s.Processes) > 0 {
		p := &s.Processes[0]
		add("process", p.Name)
		add("pid", fmt.Sprint(p.PID))
		add("user", p.User)
		add("exe", p.Exe)
	}
	add("unit", s.Unit)
	if s.Container != nil {
		add("container", s.Container.Name)
	}
	add("package", s.Package)
	if n.Repeats > 0 {
		add("repeats", fmt.Sprint(n.Repeats))
	}
	add("maintenance", n.Maintenance)
	return out
}

// data is the structured data, in at most room bytes.
func (f *syslogFormat) data(n *Notice, room int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[portreeve@%d", f.enterprise)
	for _, kv := range fields(n) {
		param := " " + kv[0] + `="` + escapeParam(kv[1]) + `"`
		if b.Len()+len(param)+1 <= room {
			b.WriteString(param)
		}
	}
	return b.String() + "]"
}

// escapeParam writes a PARAM-VALUE (RFC 5424, section 6.3.3): UTF-8, with ",
// \ and ] escaped. Control characters are left away there, which some readers
// take for the end of a message.
func escapeParam(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case r == '"' || r == '\\' || r == ']':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// cutText shortens UTF-8 text at the boundary of a character.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	const more = "..."
	if most < len(more) {
		return ""
	}
	end := most - len(more)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + more
}

// frame adds what separates messages on a stream: octet counting for TCP and
// TLS (RFC 6587, 3.4.1; RFC 5425, 4.3), a NUL for a local stream socket, as
// syslog(3) does.
func frame(network string, msg []byte) []byte {
	switch network {
	case "tcp", "tls":
		return append(fmt.Appendf(nil, "%d ", len(msg)), msg...)
	case "unix":
		return append(msg, 0)
	}
	return msg
}

const (
	syslogApp         = "portreeve"
	exampleEnterprise = 32473 // RFC 5612
	syslogTimeout     = 10 * time.Second
)
