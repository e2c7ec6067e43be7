package nmapprobes

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/scan/identify/bytepattern"
)

// ErrFile is wrapped by every error of Load that is not the reader's.
var ErrFile = errors.New("not a usable nmap-service-probes file")

// Note is something in the file that was left out.
type Note struct {
	Line int // from 1
	Why  string
}

func (n Note) String() string { return fmt.Sprintf("line %d: %s", n.Line, n.Why) }

// Load reads a file. Lines that are wrong are left out and noted; a file
// without any probe is an error.
func Load(r io.Reader) (*DB, []Note, error) {
	var text strings.Builder
	n, err := io.Copy(&text, io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read nmap-service-probes: %w", err)
	}
	if n > maxFile {
		return nil, nil, fmt.Errorf("%w: more than %d MiB", ErrFile, maxFile>>20)
	}
	l := &loader{db: &DB{time: maxTime, exclude: map[string]Ports{}, shelf: &bytepattern.Shelf{Room: maxKept}}}
	for line := range strings.Lines(text.String()) {
		l.number++
		if err := l.line(strings.TrimRight(line, "\r\n")); err != nil {
			l.notes = append(l.notes, Note{Line: l.number, Why: err.Error()})
		}
	}
	if len(l.db.probes) == 0 {
		return nil, l.notes, fmt.Errorf("%w: it has no Probe line", ErrFile)
	}
	l.link()
	return l.db, l.notes, nil
}

// loader is one Load.
type loader struct {
	db     *DB
	probe  *Probe // that the lines belong to
	number int
	notes  []Note
}

// line takes one line.
func (l *loader) line(text string) error {
	if text == "" || text[0] == '#' {
		return nil
	}
	if len(text) > maxLine {
		return fmt.Errorf("more than %d bytes", maxLine)
	}
	word, rest, _ := strings.Cut(text, " ")
	switch word {
	case "Exclude":
		return l.exclude(rest)
	case "Probe":
		return l.newProbe(rest)
	}
	if l.probe == nil {
		return fmt.Errorf("%.40q before the first Probe", text)
	}
	if word == "match" || word == "softmatch" {
		return l.match(rest, word == "softmatch")
	}
	return l.directive(word, strings.TrimSpace(rest))
}

// directive takes one of the lines that describe a probe.
func (l *loader) directive(word, rest string) (err error) {
	p := l.probe
	switch word {
	case "ports":
		p.Ports, err = parsePorts(rest)
	case "sslports":
		p.TLSPorts, err = parsePorts(rest)
	case "totalwaitms":
		p.Wait, err = parseWait(rest)
	case "tcpwrappedms":
		p.WrappedWait, err = parseWait(rest)
	case "rarity":
		p.Rarity, err = parseRarity(rest)
	case "fallback":
		p.Fallback = strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == ' ' })
	default:
		err = fmt.Errorf("directive %.40q is not known", word)
	}
	return err
}

// newProbe reads "TCP Name q|text| [no-payload]". Lines that follow a probe
// which cannot be read belong to no probe.
func (l *loader) newProbe(rest string) error {
	l.probe = nil
	proto, rest, _ := strings.Cut(rest, " ")
	name, rest, _ := strings.Cut(rest, " ")
	proto = strings.ToLower(proto)
	if proto != "tcp" && proto != "udp" || name == "" {
		return fmt.Errorf("a probe of protocol %.20q and name %.20q", proto, name)
	}
	if len(l.db.probes) >= maxProbes {
		return fmt.Errorf("more than %d probes", maxProbes)
	}
	if l.db.Probe(proto, name) != nil {
		return fmt.Errorf("a second probe %s/%.40s", proto, name)
	}
	if !strings.HasPrefix(rest, "q") {
		return fmt.Errorf("probe %.40s has no q string", name)
	}
	text, rest, err := delimited(rest[1:])
	if err != nil {
		return fmt.Errorf("probe %.40s: %w", name, err)
	}
	payload, err := unescape(text)
	if err != nil {
		return fmt.Errorf("probe %.40s: %w", name, err)
	}
	l.probe = &Probe{Proto: proto, Name: name, Payload: payload, Rarity: defaultRarity, Wait: defaultWait,
		NoPayload: strings.TrimSpace(rest) == "no-payload"}
	l.db.probes = append(l.db.probes, l.probe)
	return nil
}

// delimited reads a text between two of its first byte and what follows it.
func delimited(s string) (text, rest string, err error) {
	if s == "" {
		return "", "", errors.New("a delimiter is missing")
	}
	end := strings.IndexByte(s[1:], s[0])
	if end < 0 {
		return "", "", fmt.Errorf("the closing %q is missing", s[0])
	}
	return s[1 : end+1], s[end+2:], nil
}

// unescape reads C's escapes; \0 is one zero byte whatever digits follow it.
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i >= len(s) {
			return "", errors.New("a backslash ends the string")
		}
		if s[i] != 'x' {
			b.WriteByte(unescaped(s[i]))
			continue
		}
		if i+2 >= len(s) {
			return "", errors.New(`\x without two digits`)
		}
		value, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf(`\x%s is no byte`, s[i+1:i+3])
		}
		b.WriteByte(byte(value))
		i += 2
	}
	return b.String(), nil
}

// unescaped is the byte of a one-letter escape, or the letter.
func unescaped(c byte) byte {
	if i := strings.IndexByte("0abfnrtv", c); i >= 0 {
		return "\x00\a\b\f\n\r\t\v"[i]
	}
	return c
}

// exclude reads a list such as 53,T:9100-9107,U:30000: what comes before any
// letter is excluded for both.
func (l *loader) exclude(list string) error {
	into := []string{"tcp", "udp"}
	for item := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		if letter, rest, found := strings.Cut(item, ":"); found {
			item = rest
			switch letter {
			case "T":
				into = []string{"tcp"}
			case "U":
				into = []string{"udp"}
			default:
				into = []string{letter} // S: and the like, which no probe asks
			}
		}
		ports, err := parsePorts(item)
		if err != nil {
			return fmt.Errorf("exclude: %w", err)
		}
		for _, proto := range into {
			l.db.exclude[proto] = append(l.db.exclude[proto], ports...)
		}
	}
	return nil
}

// parsePorts reads 21,43,110-113.
func parsePorts(list string) (Ports, error) {
	var ports Ports
	for item := range strings.SplitSeq(list, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(item), "-")
		if !isRange {
			high = low
		}
		from, err := strconv.ParseUint(low, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("ports %.40q: %w", item, err)
		}
		to, err := strconv.ParseUint(high, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("ports %.40q: %w", item, err)
		}
		if to < from {
			return nil, fmt.Errorf("ports %.40q run backwards", item)
		}
		ports = append(ports, [2]uint16{uint16(from), uint16(to)})
	}
	return ports, nil
}

func parseWait(s string) (time.Duration, error) {
	ms, err := strconv.ParseUint(s, 10, 20)
	if err != nil {
		return 0, fmt.Errorf("milliseconds %.40q: %w", s, err)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

func parseRarity(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 9 {
		return defaultRarity, fmt.Errorf("rarity %.40q is not 1 to 9", s)
	}
	return n, nil
}

// fallback is the probe that a fallback names: of the same protocol, else of
// another (a DNS answer over TCP is recognised by the lines of UDP's).
func (db *DB) fallback(proto, name string) *Probe {
	if p := db.Probe(proto, name); p != nil {
		return p
	}
	i := slices.IndexFunc(db.probes, func(p *Probe) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return db.probes[i]
}

// link finds the probes that fallbacks name.
func (l *loader) link() {
	for _, p := range l.db.probes {
		p.chain = []*Probe{p}
		for _, name := range p.Fallback {
			if other := l.db.fallback(p.Proto, name); other != nil {
				p.chain = append(p.chain, other)
			} else {
				l.notes = append(l.notes, Note{Why: fmt.Sprintf("probe %s falls back to %.40q, which is not there", p.Name, name)})
			}
		}
		if null := l.db.Probe(p.Proto, nullProbe); null != nil && null != p && p.Proto == "tcp" {
			p.chain = append(p.chain, null)
		}
	}
}
