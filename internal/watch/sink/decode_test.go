package sink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// syslogMessage is an RFC 5424 message as its grammar says, read by a reader
// that shares nothing with the writer.
type syslogMessage struct {
	pri                       int
	at                        time.Time
	host, app, pid, id, sdID  string
	params                    map[string]string
	text                      string
	order                     []string
	hadBOM, hadStructuredData bool
}

var syslogHead = regexp.MustCompile(`^<([0-9]{1,3})>1 (-|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9:]{5})) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) `)

func readSyslog(b string) (m syslogMessage, err error) {
	h := syslogHead.FindStringSubmatch(b)
	if h == nil {
		return m, fmt.Errorf("no header: %q", b)
	}
	m.pri, _ = strconv.Atoi(h[1])
	if m.at, err = time.Parse(time.RFC3339Nano, h[2]); err != nil || m.pri > 191 {
		return m, fmt.Errorf("%d %v", m.pri, err)
	}
	m.host, m.app, m.pid, m.id = h[3], h[4], h[5], h[6]
	rest, err := m.readData(b[len(h[0]):])
	if err != nil {
		return m, err
	}
	if rest == "" {
		return m, nil
	}
	if rest[0] != ' ' {
		return m, errors.New("no space before the message")
	}
	m.text, m.hadBOM = strings.CutPrefix(rest[1:], "\xef\xbb\xbf")
	if !utf8.ValidString(m.text) {
		return m, errors.New("the message is no UTF-8")
	}
	return m, nil
}

var sdName = regexp.MustCompile(`^[!#-<>-\\^-~]{1,32}`)

func (m *syslogMessage) readData(s string) (string, error) {
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		return rest, nil
	}
	m.params, m.hadStructuredData = map[string]string{}, true
	for strings.HasPrefix(s, "[") { // several elements: the first is kept
		name := sdName.FindString(s[1:])
		if name == "" {
			return "", fmt.Errorf("no SD-ID: %q", s)
		}
		if m.sdID == "" {
			m.sdID = name
		}
		s = s[1+len(name):]
		for strings.HasPrefix(s, " ") {
			var k, v string
			var err error
			if k, v, s, err = readParam(s[1:]); err != nil {
				return "", err
			}
			m.params[k] = v
			m.order = append(m.order, k)
		}
		if !strings.HasPrefix(s, "]") {
			return "", fmt.Errorf("no ]: %q", s)
		}
		s = s[1:]
	}
	return s, nil
}

func readParam(s string) (name, value, rest string, err error) {
	name = sdName.FindString(s)
	s, ok := strings.CutPrefix(s[len(name):], `="`)
	if name == "" || !ok {
		return "", "", "", fmt.Errorf("no parameter: %q", s)
	}
	var v []byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			if !utf8.Valid(v) {
				return "", "", "", errors.New("a value is no UTF-8")
			}
			return name, string(v), s[i+1:], nil
		case c == ']':
			return "", "", "", errors.New("] is not escaped")
		case c == '\\' && i+1 < len(s) && strings.ContainsRune(`"\]`, rune(s[i+1])):
			i++
			v = append(v, s[i])
		default:
			v = append(v, c)
		}
	}
	return "", "", "", errors.New("a value has no end")
}

// readJournal reads an entry of the journal's native protocol.
func readJournal(b []byte) (map[string]string, error) {
	out := map[string]string{}
	for len(b) > 0 {
		i := strings.IndexAny(string(b), "=\n")
		if i <= 0 {
			return nil, fmt.Errorf("no field: %q", b)
		}
		name := string(b[:i])
		if !regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`).MatchString(name) {
			return nil, fmt.Errorf("the journal takes no field %q", name)
		}
		if _, dup := out[name]; dup {
			return nil, fmt.Errorf("%s twice", name)
		}
		if b[i] == '=' {
			end := strings.IndexByte(string(b), '\n')
			if end < 0 {
				return nil, errors.New("no newline")
			}
			out[name] = string(b[i+1 : end])
			b = b[end+1:]
			continue
		}
		if len(b) < i+9 {
			return nil, errors.New("no length")
		}
		n := binary.LittleEndian.Uint64(b[i+1:])
		b = b[i+9:]
		if n >= uint64(len(b)) || b[n] != '\n' {
			return nil, errors.New("a wrong length")
		}
		out[name] = string(b[:n])
		b = b[n+1:]
	}
	return out, nil
}
