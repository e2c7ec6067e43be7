package udp

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/portreeve/portreeve/internal/exposure"
)

// What is kept of an answer.
const (
	maxReply  = 2048 // bytes read of one datagram
	maxBanner = 256  // bytes of it shown
	maxField  = 128  // bytes of one field
)

// foreign tells an answer that has the protocol's form but repeats another
// number than the one asked with: it answers somebody else, or guesses.
func (r *request) foreign(reply []byte, id []byte) bool {
	if r.id.size == 0 || r.id.size > len(id) || len(reply) < r.id.back+r.id.size {
		return false
	}
	if bytes.Equal(reply[r.id.back:r.id.back+r.id.size], id[:r.id.size]) {
		return false
	}
	_, ok := r.recognise(reply)
	return ok
}

// datagram is the request with its number set.
func (r *request) datagram(id []byte) []byte {
	if r.id.size == 0 {
		return r.message
	}
	b := bytes.Clone(r.message)
	copy(b[r.id.at:r.id.at+r.id.size], id)
	return b
}

// recognise reads an answer by the patterns of the request that it answers.
// Patterns see one character per byte.
func (r *request) recognise(reply []byte) (exposure.Service, bool) {
	text := widen(reply)
	for i := range r.matches {
		m := &r.matches[i]
		if at := m.pattern.FindStringSubmatchIndex(text); at != nil {
			s := m.found(text, at)
			s.Banner = clean(reply, maxBanner)
			return s, true
		}
	}
	return exposure.Service{}, false
}

// service is what an answer says of who spoke: by the request asked last,
// else by the others that the port was asked.
func service(last *request, all []*request, reply []byte) *exposure.Service {
	if s, ok := last.recognise(reply); ok {
		return &s
	}
	for _, r := range all {
		if r == last {
			continue
		}
		if s, ok := r.recognise(reply); ok {
			return &s
		}
	}
	return nil
}

func (m *match) found(text string, at []int) exposure.Service {
	field := func(name string) string {
		if m.fields[name] == "" {
			return ""
		}
		return clean(narrow(string(m.pattern.ExpandString(nil, m.fields[name], text, at))), maxField)
	}
	return exposure.Service{Name: m.service, Product: field("product"), Version: field("version"),
		Info: field("info"), Auth: field("auth"), Via: "probe"}
}

// widen makes a string with one character per byte, so that a pattern may
// name any byte as \xNN.
func widen(b []byte) string {
	var s strings.Builder
	s.Grow(len(b))
	for _, c := range b {
		s.WriteRune(rune(c))
	}
	return s.String()
}

// narrow undoes widen.
func narrow(s string) []byte {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return b
}

// clean is valid UTF-8 of at most limit bytes.
func clean(b []byte, limit int) string {
	s := strings.TrimSpace(strings.ToValidUTF8(string(b[:min(len(b), limit)]), "\uFFFD"))
	for len(s) > limit {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
