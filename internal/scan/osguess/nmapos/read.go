package nmapos

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Bounds on a database: nmap's own has 5 MiB and 6,000 fingerprints.
const (
	maxBytes        = 32 << 20
	maxFingerprints = 50_000
	maxClasses      = 32
	maxName         = 60
)

// ErrFormat says that a file is no nmap-os-db.
var ErrFormat = errors.New("not an nmap-os-db")

// Table is a database, as much of it as is compared.
type Table struct {
	weights      [attributes]int
	fingerprints []fingerprint
	expressions  [attributes][]string // each once
}

// Len is how many fingerprints were read.
func (t *Table) Len() int { return len(t.fingerprints) }

// attribute is one of the attributes that an ordinary handshake shows.
type attribute int

const (
	attrOptions attribute = iota
	attrWindow
	attrDF
	attrTTL
	attrID
	attrECN
	attrResetDF
	attrResetTTL
	attrResetWin
	attrEchoTTL
	attributes // how many
)

// attributeNames are TEST.NAME as the file has them.
func attributeNames() [attributes]string {
	return [attributes]string{"OPS.O1", "WIN.W1", "T1.DF", "T1.TG", "SEQ.TI", "ECN.CC", "T5.DF", "T5.TG", "T5.W", "IE.TG"}
}

// fingerprint is one system: its classes, and for each attribute the place of
// its expression among the table's, counted from 1; 0 where it has none.
type fingerprint struct {
	classes []class
	tests   [attributes]int32
}

// class is one Class line.
type class struct {
	vendor, family, generation string
}

// Read reads a database. Lines that it does not know are skipped, as nmap's
// format grows.
func Read(r io.Reader) (*Table, error) {
	rd := reader{Table: &Table{}, names: map[string]attribute{}}
	for a, name := range attributeNames() {
		rd.names[name], rd.places[a] = attribute(a), map[string]int32{}
	}
	return rd.read(r)
}

// reader is a table that is being read.
type reader struct {
	*Table
	names  map[string]attribute
	places [attributes]map[string]int32
}

func (t *reader) read(r io.Reader) (*Table, error) {
	lines := bufio.NewScanner(io.LimitReader(r, maxBytes))
	points := false
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "MatchPoints":
			points = true
		case "Fingerprint":
			points = false
			if len(t.fingerprints) >= maxFingerprints {
				return nil, fmt.Errorf("%w: more than %d fingerprints", ErrFormat, maxFingerprints)
			}
			t.fingerprints = append(t.fingerprints, fingerprint{})
		case "Class":
			t.class(rest)
		default:
			t.test(lines.Text(), points)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(t.fingerprints) == 0 || t.weights == [attributes]int{} {
		return nil, fmt.Errorf("%w: no MatchPoints or no Fingerprint", ErrFormat)
	}
	return t.Table, nil
}

// class reads "vendor | family | generation | kind".
func (t *reader) class(text string) {
	f := strings.Split(text, "|")
	if len(t.fingerprints) == 0 || len(f) < 3 {
		return
	}
	last := &t.fingerprints[len(t.fingerprints)-1]
	if len(last.classes) < maxClasses {
		last.classes = append(last.classes, class{plain(f[0]), plain(f[1]), plain(f[2])})
	}
}

func plain(text string) string {
	text = strings.TrimSpace(text)
	return strings.ToValidUTF8(text[:min(len(text), maxName)], "")
}

// test reads "T1(R=Y%DF=Y%…)" into the MatchPoints or the last fingerprint.
func (t *reader) test(line string, points bool) {
	name, rest, ok := strings.Cut(strings.TrimSpace(line), "(")
	if !ok || !strings.HasSuffix(rest, ")") {
		return
	}
	for item := range strings.SplitSeq(rest[:len(rest)-1], "%") {
		key, value, _ := strings.Cut(item, "=")
		a, compared := t.names[name+"."+key]
		switch {
		case !compared:
		case points:
			if n, err := strconv.Atoi(value); err == nil && n >= 0 && n <= 1000 {
				t.weights[a] = n
			}
		case len(t.fingerprints) > 0:
			t.fingerprints[len(t.fingerprints)-1].tests[a] = t.place(a, value)
		}
	}
}

// place is where an expression stands among the table's, counted from 1.
func (t *reader) place(a attribute, expression string) int32 {
	if at, known := t.places[a][expression]; known {
		return at
	}
	expression = strings.Clone(expression)
	t.expressions[a] = append(t.expressions[a], expression)
	at := int32(len(t.expressions[a]))
	t.places[a][expression] = at
	return at
}

// permits tells whether an expression of hexadecimal numbers ("40", "3B-45",
// "<5", ">10", alternatives by "|") permits a number.
func permits(expression string, have uint64) bool {
	for part := range strings.SplitSeq(expression, "|") {
		from, to, isRange := strings.Cut(part, "-")
		switch {
		case strings.HasPrefix(part, "<"):
			if n, err := strconv.ParseUint(part[1:], 16, 64); err == nil && have < n {
				return true
			}
			continue
		case strings.HasPrefix(part, ">"):
			if n, err := strconv.ParseUint(part[1:], 16, 64); err == nil && have > n {
				return true
			}
			continue
		case !isRange:
			to = from
		}
		a, errA := strconv.ParseUint(from, 16, 64)
		b, errB := strconv.ParseUint(to, 16, 64)
		if errA == nil && errB == nil && a <= have && have <= b {
			return true
		}
	}
	return false
}

// oneOf tells whether an expression of words has one.
func oneOf(expression, have string) bool {
	for part := range strings.SplitSeq(expression, "|") {
		if part == have {
			return true
		}
	}
	return false
}
