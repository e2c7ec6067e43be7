package identify

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// line reads one line of a table.
func (t *table) line(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("%q: too few words", words[0])
	}
	rest := words[1:]
	switch words[0] {
	case "silent":
		return portSet(rest[0], t.silent)
	case "spoken":
		t.spoken[rest[0]] = rest[len(rest)-1]
		return nil
	case "tls":
		return t.tlsLine(rest)
	case "probe":
		return t.probeLine(rest)
	case "then":
		return t.thenLine(rest)
	case "starttls":
		return t.upgradeLine(rest)
	case "of":
		t.last = t.byName[rest[0]]
		return nil
	case "match":
		return t.matchLine(rest)
	case "until":
		return t.untilLine(rest)
	}
	return fmt.Errorf("%q is no word of the table", words[0])
}

// tlsLine adds ports of TLS; a name says what is asked inside.
func (t *table) tlsLine(words []string) error {
	p := t.byName["tls"]
	if p == nil {
		p = &probe{name: "tls", tls: true, rank: always, ports: map[uint16]bool{}}
		t.probes, t.byName[p.name] = append(t.probes, p), p
	}
	set := map[uint16]bool{}
	if err := portSet(words[0], set); err != nil {
		return err
	}
	for port := range set {
		p.ports[port] = true
		if len(words) > 1 {
			t.inside[port] = words[1]
		}
	}
	return nil
}

func (t *table) probeLine(words []string) error {
	p := &probe{name: words[0], ports: map[uint16]bool{}}
	if len(words) < 3 {
		return fmt.Errorf("probe %s: no message", p.name)
	}
	if t.byName[p.name] != nil {
		return fmt.Errorf("probe %s: a second of that name", p.name)
	}
	ports := words[1]
	if err := portSet(ports, p.ports); err != nil {
		return err
	}
	words = words[2:]
	for r, word := range []string{always: "always", late: "late"} {
		if word != "" && words[0] == word {
			p.rank, words = rank(r), words[1:]
			ports = strings.TrimPrefix(ports+", any", "-, ")
		}
	}
	t.last, t.probes, t.byName[p.name] = p, append(t.probes, p), p
	return t.say(p, p.name, ports, words)
}

func (t *table) thenLine(words []string) error {
	p := &probe{name: words[0]}
	for len(words) > 1 && (words[1] == "again" || words[1] == "long") {
		p.again, p.long = p.again || words[1] == "again", p.long || words[1] == "long"
		words = words[1:]
	}
	if t.follow[p.name] != nil {
		return fmt.Errorf("then %s: a second of that key", p.name)
	}
	t.last, t.follow[p.name] = p, p
	return t.say(p, p.name, "then", words[1:])
}

// say reads a message and its meaning.
func (t *table) say(p *probe, name, ports string, words []string) error {
	if p.name == "greeting" {
		return nil
	}
	i := slices.Index(words, "means")
	if i < 1 || i+2 != len(words) {
		return fmt.Errorf("%s: no message, or not said what it means", name)
	}
	p.message = strings.Join(words[:i], "")
	t.messages = append(t.messages, message{name, ports, p.message, words[i+1]})
	return nil
}

func (t *table) upgradeLine(words []string) error {
	if len(words) < 2 || t.upgrades[words[0]] != nil {
		return fmt.Errorf("starttls %s: no offer, or a second", words[0])
	}
	u, name := &upgrade{}, words[0]
	var err error
	if u.offered, err = regexp.Compile("(?s)" + words[1]); err != nil {
		return err
	}
	t.upgrades[name] = u
	if len(words) == 2 {
		return nil
	}
	words = words[2:]
	if i := slices.Index(words, "agreed"); i >= 0 && i+2 == len(words) {
		if u.agreed, err = regexp.Compile("(?s)" + words[i+1]); err != nil {
			return err
		}
		words = words[:i]
	}
	p := &probe{name: name}
	err = t.say(p, name, "STARTTLS", words)
	u.message = p.message
	return err
}

func (t *table) matchLine(words []string) error {
	if t.last == nil || len(words) < 2 || len(words)%2 != 0 {
		return fmt.Errorf("match %s: not a service, a pattern and pairs of field and template", words[0])
	}
	pattern, err := regexp.Compile("(?s)" + words[1])
	if err != nil {
		return err
	}
	m := match{service: words[0], pattern: pattern, fields: map[string]string{}, then: words[0]}
	for pair := range slices.Chunk(words[2:], 2) {
		if err := m.field(pair[0], pair[1]); err != nil {
			return err
		}
	}
	if m.decode == nil && strings.HasPrefix(t.last.message, "GET ") {
		m.decode = decodeHTTP
	}
	t.last.matches = append(t.last.matches, m)
	return nil
}

func (m *match) field(name, value string) error {
	switch {
	case name == "then":
		m.then = value
	case name == "decode":
		if m.decode = decoders()[value]; m.decode == nil {
			return fmt.Errorf("match %s: no decoder %q", m.service, value)
		}
	case slices.Contains(fieldNames(), name):
		m.fields[name] = value
	default:
		return fmt.Errorf("match %s: %q is no field", m.service, name)
	}
	return nil
}

func (t *table) untilLine(words []string) error {
	if t.last == nil {
		return fmt.Errorf("until: of no probe")
	}
	var err error
	t.last.until, err = regexp.Compile("(?s)" + words[0])
	return err
}
