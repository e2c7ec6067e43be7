package identify

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/portreeve/portreeve/internal/exposure"
)

//go:embed probes.txt
var probeText string

// loadTable reads the embedded table once; a test reads it all, so that an
// error cannot be shipped.
var loadTable = sync.OnceValue(func() *table {
	t, err := parseTable(probeText)
	if err != nil {
		return &table{greeting: &probe{}, byName: map[string]*probe{}, silent: map[uint16]bool{}}
	}
	return t
})

// table is probes.txt. It is not changed once read.
type table struct {
	greeting *probe
	probes   []*probe
	byName   map[string]*probe
	silent   map[uint16]bool // ports that are never sent anything
}

// probe is one message with the patterns of its answers.
type probe struct {
	name    string
	message string
	tls     bool
	always  bool // asked at every port, not only its own
	ports   map[uint16]bool
	matches []match
}

// match recognises one kind of answer.
type match struct {
	service string
	pattern *regexp.Regexp
	fields  map[string]string // product, version, info, auth → template
}

// order lists the probes for a port: those of the port, then those for every
// port, each in the table's order.
func (t *table) order(port uint16) []*probe {
	var own, rest []*probe
	for _, p := range t.probes {
		switch {
		case p.ports[port]:
			own = append(own, p)
		case p.always:
			rest = append(rest, p)
		}
	}
	return append(own, rest...)
}

// match recognises what was heard. Patterns see one character per byte.
func (p *probe) match(heard []byte) (exposure.Service, bool) {
	if len(heard) == 0 {
		return exposure.Service{}, false
	}
	text := widen(heard)
	for i := range p.matches {
		m := &p.matches[i]
		if at := m.pattern.FindStringSubmatchIndex(text); at != nil {
			return m.found(text, at), true
		}
	}
	return exposure.Service{}, false
}

func (m *match) found(text string, at []int) exposure.Service {
	field := func(name string) string {
		return narrow(string(m.pattern.ExpandString(nil, m.fields[name], text, at)))
	}
	return exposure.Service{Name: m.service, Product: field("product"), Version: field("version"),
		Info: field("info"), Auth: field("auth"), Via: "probe"}
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

var errTable = errors.New("probe table")

// parseTable reads lines of words and Go string literals:
//
//	silent PORTS
//	probe NAME PORTS [always] "message"…   (PORTS: numbers, ranges, commas, or -)
//	tls PORTS
//	match SERVICE "pattern" [field "template"]…   (of the probe above)
func parseTable(text string) (*table, error) {
	t := &table{byName: map[string]*probe{}, silent: map[uint16]bool{}}
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		words, err := split(lines.Text())
		if err == nil && len(words) > 0 {
			err = t.line(words)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", errTable, n, err)
		}
	}
	t.greeting = t.byName["greeting"]
	if t.greeting == nil || t.byName["http"] == nil {
		return nil, fmt.Errorf("%w: no greeting or no http", errTable)
	}
	t.probes = slices.DeleteFunc(t.probes, func(p *probe) bool { return p == t.greeting })
	return t, lines.Err()
}

// split cuts a line into words and literals; literals keep their quote.
func split(line string) ([]string, error) {
	var words []string
	for line = strings.TrimSpace(line); line != "" && line[0] != '#'; line = strings.TrimSpace(line) {
		if line[0] == '"' || line[0] == '`' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, err
			}
			value, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			words, line = append(words, value), line[len(quoted):]
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		words, line = append(words, word), rest
	}
	return words, nil
}

func (t *table) line(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("%q: too few words", words[0])
	}
	switch words[0] {
	case "silent":
		return portSet(words[1], t.silent)
	case "tls":
		p := &probe{name: "tls", tls: true, always: true, ports: map[uint16]bool{}}
		t.add(p)
		return portSet(words[1], p.ports)
	case "probe":
		return t.probeLine(words[1:])
	case "match":
		return t.matchLine(words[1:])
	}
	return fmt.Errorf("%q is no word of the table", words[0])
}

func (t *table) add(p *probe) {
	t.probes, t.byName[p.name] = append(t.probes, p), p
}

func (t *table) probeLine(words []string) error {
	p := &probe{name: words[0], ports: map[uint16]bool{}}
	t.add(p)
	if len(words) < 3 {
		return fmt.Errorf("probe %s: no message", p.name)
	}
	if err := portSet(words[1], p.ports); err != nil {
		return err
	}
	words = words[2:]
	if words[0] == "always" {
		p.always, words = true, words[1:]
	}
	p.message = strings.Join(words, "")
	return nil
}

func (t *table) matchLine(words []string) error {
	if len(t.probes) == 0 || len(words) < 2 || len(words)%2 != 0 {
		return fmt.Errorf("match %s: not a service, a pattern and pairs of field and template", words[0])
	}
	pattern, err := regexp.Compile("(?s)" + words[1])
	if err != nil {
		return err
	}
	m := match{service: words[0], pattern: pattern, fields: map[string]string{}}
	for pair := range slices.Chunk(words[2:], 2) {
		if !slices.Contains([]string{"product", "version", "info", "auth"}, pair[0]) {
			return fmt.Errorf("match %s: %q is no field", m.service, pair[0])
		}
		m.fields[pair[0]] = pair[1]
	}
	p := t.probes[len(t.probes)-1]
	p.matches = append(p.matches, m)
	return nil
}

// portSet adds "80,8000-8010" to a set; "-" is none.
func portSet(text string, set map[uint16]bool) error {
	if text == "-" {
		return nil
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.ParseUint(first, 10, 16)
		b, errB := strconv.ParseUint(last, 10, 16)
		if errA != nil || errB != nil || b < a {
			return fmt.Errorf("%q is no port or range", part)
		}
		for p := a; p <= b; p++ {
			set[uint16(p)] = true
		}
	}
	return nil
}
