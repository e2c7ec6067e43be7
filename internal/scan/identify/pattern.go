package identify

import (
	"regexp"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// match recognises one kind of answer.
type match struct {
	service string
	pattern *regexp.Regexp
	fields  map[string]string // product, version, info, auth, cpe → template
	then    string            // key of the question to go on with
	decode  decoder           // reads what a pattern cannot; nil: none
}

// fieldNames are the words that may follow a pattern.
func fieldNames() []string {
	return []string{"product", "version", "info", "auth", "cpe", "then", "decode"}
}

// recognised is a service and the key of what may be asked next.
type recognised struct {
	exposure.Service
	then    string
	foreign bool // by the patterns of another probe than was asked
}

// match recognises what was heard. Patterns see one character per byte.
func (p *probe) match(heard []byte) (recognised, bool) {
	if len(heard) == 0 {
		return recognised{}, false
	}
	text := widen(heard)
	for i := range p.matches {
		m := &p.matches[i]
		if at := m.pattern.FindStringSubmatchIndex(text); at != nil {
			return m.found(text, at, heard), true
		}
	}
	return recognised{}, false
}

func (m *match) found(text string, at []int, heard []byte) recognised {
	field := func(name string) string {
		if m.fields[name] == "" {
			return ""
		}
		return strings.TrimSpace(narrow(string(m.pattern.ExpandString(nil, m.fields[name], text, at))))
	}
	s := exposure.Service{Name: m.service, Product: field("product"), Version: field("version"),
		Info: field("info"), CPE: strings.TrimRight(field("cpe"), ":"), Auth: field("auth"), Via: "probe"}
	if m.decode != nil {
		m.decode(heard, &s)
	}
	return recognised{Service: s, then: m.then}
}

// complete reports an answer of which nothing more is awaited.
func (p *probe) complete(heard []byte) bool {
	return p.until != nil && p.until.MatchString(widen(heard))
}

// widen makes a string with one character per byte, so that a pattern may
// name any byte as \xNN.
func widen(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// narrow undoes widen.
func narrow(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

// merge lets a later answer speak where it says something.
func merge(s, more exposure.Service) exposure.Service {
	for _, f := range []struct {
		old *string
		say string
	}{{&s.Name, more.Name}, {&s.Product, more.Product}, {&s.Version, more.Version}, {&s.Info, more.Info},
		{&s.CPE, more.CPE}, {&s.Auth, more.Auth}} {
		if f.say != "" {
			*f.old = f.say
		}
	}
	return s
}

// fill takes from more what s leaves open, unless they speak of different
// products.
func fill(s, more exposure.Service) exposure.Service {
	if s.Product != "" && more.Product != "" && !alike(s.Product, more.Product) {
		return s
	}
	for _, f := range []struct {
		text *string
		more string
	}{{&s.Product, more.Product}, {&s.Version, more.Version}, {&s.Info, more.Info}, {&s.CPE, more.CPE}, {&s.Auth, more.Auth}} {
		if *f.text == "" {
			*f.text = f.more
		}
	}
	return s
}

// alike reports two names of one product, as Apache and Apache httpd.
func alike(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	return strings.Contains(a, b) || strings.Contains(b, a)
}

// bounded cuts a text and makes it valid UTF-8.
func bounded(s string, n int) string {
	return strings.ToValidUTF8(s[:min(len(s), n)], "\uFFFD")
}
