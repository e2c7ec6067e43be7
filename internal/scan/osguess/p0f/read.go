package p0f

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/scan/osguess/synack"
)

// Bounds on a database: p0f's own has 1,500 lines.
const (
	maxBytes      = 4 << 20
	maxSignatures = 20_000
	maxName       = 80
)

// ErrFormat says that a file is no p0f 3 database.
var ErrFormat = errors.New("not a p0f 3 database")

// Table is the [tcp:response] section of a database.
type Table struct {
	signatures []signature
}

// Len is how many signatures were read.
func (t *Table) Len() int { return len(t.signatures) }

// anything stands for a number that the signature leaves open.
const anything = -1

type signature struct {
	name    string
	generic bool
	version byte // '4', '6' or '*'
	ttl     int
	ttlBad  bool // "64-": the system draws its TTL below that
	ipOpts  int
	mss     int
	window  window
	scale   int
	layout  string
	pad     int
	quirks  quirks
	payload byte // '0', '+' or '*'
}

// window is how a signature tells the window field.
type window struct {
	kind byte // '=', 'm' (times MSS), 't' (times MTU), '%' (divisible by) or '*'
	n    int
}

// Read reads a database; signatures that cannot be read make an error with the
// line.
func Read(r io.Reader) (*Table, error) {
	t := &Table{}
	lines := bufio.NewScanner(io.LimitReader(r, maxBytes))
	section, label := "", ""
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		key, text, ok := strings.Cut(line, "=")
		if section != "[tcp:response]" || !ok || line[0] == ';' {
			continue
		}
		text = strings.TrimSpace(text)
		switch strings.TrimSpace(key) {
		case "label":
			label = text
		case "sig":
			if err := t.add(label, text); err != nil {
				return nil, fmt.Errorf("%w: line %d: %w", ErrFormat, n, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(t.signatures) == 0 {
		return nil, fmt.Errorf("%w: no signature in a section [tcp:response]", ErrFormat)
	}
	return t, nil
}

func (t *Table) add(label, text string) error {
	parts := strings.SplitN(label, ":", 4)
	if len(parts) < 3 {
		return fmt.Errorf("signature under the label %q, which is no type:class:name", label)
	}
	if parts[1] == "!" {
		return nil // a program, not a system
	}
	if len(t.signatures) >= maxSignatures {
		return fmt.Errorf("more than %d signatures", maxSignatures)
	}
	s, err := parse(text)
	s.generic = parts[0] == "g"
	s.name = strings.TrimSpace(strings.Join(parts[2:], " "))
	s.name = strings.ToValidUTF8(s.name[:min(len(s.name), maxName)], "")
	t.signatures = append(t.signatures, s)
	return err
}

// parse reads ver:ittl:olen:mss:wsize,scale:olayout:quirks:pclass.
func parse(text string) (signature, error) {
	f := strings.Split(text, ":")
	if len(f) != 8 || len(f[0]) != 1 || len(f[7]) != 1 {
		return signature{}, fmt.Errorf("signature %q has not eight fields", text)
	}
	wsize, scale, _ := strings.Cut(f[4], ",")
	s := signature{version: f[0][0], payload: f[7][0], ttlBad: strings.HasSuffix(f[1], "-")}
	var bad error
	number := func(text string) int {
		n, err := open(text)
		if err != nil && bad == nil {
			bad = err
		}
		return n
	}
	s.ttl = initialTTL(strings.TrimSuffix(f[1], "-"), number)
	s.ipOpts, s.mss, s.scale = number(f[2]), number(f[3]), number(scale)
	s.window = parseWindow(wsize, number)
	var err error
	if s.layout, s.pad, err = parseLayout(f[5]); err == nil {
		s.quirks, err = parseQuirks(f[6])
	}
	return s, errors.Join(bad, err)
}

// initialTTL reads "64", or "54+10": seen plus distance.
func initialTTL(text string, number func(string) int) int {
	seen, distance, _ := strings.Cut(text, "+")
	if distance == "" || distance == "?" {
		return number(seen)
	}
	return number(seen) + number(distance)
}

// open reads a number or "*".
func open(text string) (int, error) {
	if text == "*" {
		return anything, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err
}

func parseWindow(text string, number func(string) int) window {
	for prefix, kind := range map[string]byte{"mss*": 'm', "mtu*": 't', "%": '%'} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			return window{kind, number(rest)}
		}
	}
	if n := number(text); n != anything {
		return window{'=', n}
	}
	return window{kind: '*'}
}

func parseLayout(text string) (layout string, pad int, err error) {
	if text == "" {
		return "", 0, nil
	}
	letters := map[string]byte{"nop": synack.LetterNOP, "mss": synack.LetterMSS, "ws": synack.LetterScale,
		"sok": synack.LetterSACK, "ts": synack.LetterTimestamp}
	var out []byte
	for word := range strings.SplitSeq(text, ",") {
		switch letter, known := letters[word]; {
		case known:
			out = append(out, letter)
		case strings.HasPrefix(word, "eol+"):
			out = append(out, synack.LetterEnd)
			if pad, err = strconv.Atoi(word[4:]); err != nil {
				return "", 0, err
			}
		case word == "sack" || strings.HasPrefix(word, "?"):
			out = append(out, synack.LetterOther)
		default:
			return "", 0, fmt.Errorf("option %q is not known", word)
		}
	}
	return string(out), pad, nil
}

// quirks is a set, one bit for each of quirkNames.
type quirks uint32

func quirkNames() []string {
	return []string{"df", "id+", "id-", "ecn", "0+", "flow", "seq-", "ack+", "ack-", "uptr+", "urgf+", "pushf+",
		"ts1-", "ts2+", "opt+", "exws", "bad"}
}

// The quirks that the rules name.
const (
	quirkDF quirks = 1 << iota
	quirkIDPlus
	quirkIDMinus
	quirkECN
	quirkZero
	quirkFlow
	quirkSeqMinus
	_ // ack+: a SYN-ACK has the flag
	quirkAckMinus
	quirkUrgentPointer
	quirkUrgentFlag
	quirkPush
	quirkTS1Minus
	_ // ts2+: of a SYN only
	quirkOptPlus
	quirkScale
	quirkBad

	only4 = quirkDF | quirkIDPlus | quirkIDMinus | quirkZero
	only6 = quirkFlow
)

func parseQuirks(text string) (quirks, error) {
	var set quirks
	if text == "" {
		return 0, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		i := slices.Index(quirkNames(), word)
		if i < 0 {
			return 0, fmt.Errorf("quirk %q is not known", word)
		}
		set |= 1 << i
	}
	return set, nil
}
