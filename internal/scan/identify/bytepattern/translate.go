package bytepattern

import (
	"errors"
	"fmt"
	"strings"
)

// ErrUnsupported is wrapped by the error of a pattern that uses something
// which neither engine has, or that is no pattern.
var ErrUnsupported = errors.New("pattern cannot be run")

// maxPattern bounds a pattern in bytes, maxDepth its groups within groups.
const (
	maxPattern = 32 << 10
	maxDepth   = 100
)

// engine is what a translation is for. The two differ in assertions only.
type engine bool

const (
	linear       engine = false
	backtracking engine = true
)

// modes are the option letters in force at one place of a pattern.
type modes struct {
	fold     bool // i
	dotAll   bool // s in PCRE, m in Ruby
	lines    bool // m in PCRE, always in Ruby: ^ and $ match at line ends
	extended bool // x
}

// translator rewrites one pattern. Its output is ASCII and holds only
// literals, classes, groups, quantifiers and the assertions of assertion().
type translator struct {
	in      string
	pos     int
	dialect Dialect
	target  engine
	modes   modes
	out     []byte
	atom    int // where the last thing that can be repeated begins in out; -1: none
	open    []openGroup
	groups  int            // capturing groups opened so far
	names   map[string]int // of named ones
	heavy   bool           // needs an engine that backtracks
	named   bool           // Ruby captures only named groups where there are any
	verbose bool           // inside \Q…\E
}

type openGroup struct {
	start int
	modes modes
}

// translate gives the pattern in the common syntax, and whether it needs
// backtracking.
func translate(pattern string, d Dialect, f Flags, target engine) (out string, heavy bool, err error) {
	if len(pattern) > maxPattern {
		return "", false, fmt.Errorf("%w: %d bytes, more than %d", ErrUnsupported, len(pattern), maxPattern)
	}
	t := &translator{in: pattern, dialect: d, target: target, atom: -1, names: map[string]int{}}
	t.modes = modes{fold: f.IgnoreCase, dotAll: f.DotAll, lines: d == Ruby}
	t.named = d == Ruby && hasNamedGroup(pattern)
	for t.pos < len(t.in) {
		if err := t.step(); err != nil {
			return "", false, fmt.Errorf("%w: at byte %d: %w", ErrUnsupported, t.pos, err)
		}
	}
	if len(t.open) > 0 {
		return "", false, fmt.Errorf("%w: a group is not closed", ErrUnsupported)
	}
	return string(t.out), t.heavy, nil
}

// hasNamedGroup looks for (?<name>.
func hasNamedGroup(pattern string) bool {
	for rest := pattern; ; {
		i := strings.Index(rest, "(?<")
		if i < 0 {
			return false
		}
		rest = rest[i+3:]
		if rest != "" && rest[0] != '=' && rest[0] != '!' {
			return true
		}
	}
}

// step translates the next thing of the pattern.
func (t *translator) step() error {
	c := t.in[t.pos]
	if t.verbose {
		t.quoted()
		return nil
	}
	if t.modes.extended && t.skipExtended(c) {
		return nil
	}
	switch c {
	case '\\':
		return t.escape()
	case '[':
		return t.class()
	case '(':
		return t.openParen()
	case ')':
		return t.closeParen()
	case '|':
		t.pos++
		t.out, t.atom = append(t.out, '|'), -1
	case '.':
		t.pos++
		t.dot()
	case '^', '$':
		t.pos++
		t.anchor(c)
	case '*', '+', '?':
		return t.quantifier(t.in[t.pos : t.pos+1])
	case '{':
		if q := countedQuantifier(t.in[t.pos:], t.dialect); q != "" {
			return t.quantifier(q)
		}
		t.literal(c)
	default:
		t.literal(c)
	}
	return nil
}

// quoted translates one byte between \Q and \E.
func (t *translator) quoted() {
	if strings.HasPrefix(t.in[t.pos:], `\E`) {
		t.pos += 2
		t.verbose = false
		return
	}
	t.literal(t.in[t.pos])
}

// skipExtended passes over white space and comments of the x mode.
func (t *translator) skipExtended(c byte) bool {
	if c == '#' {
		line := strings.IndexByte(t.in[t.pos:], '\n')
		if line < 0 {
			line = len(t.in) - t.pos - 1
		}
		t.pos += line + 1
		return true
	}
	if spaceSet[c] {
		t.pos++
		return true
	}
	return false
}

// literal takes the byte at pos as itself.
func (t *translator) literal(c byte) {
	t.pos++
	t.emitByte(c)
}

func (t *translator) emitByte(c byte) {
	t.atom = len(t.out)
	letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	switch {
	case letter && t.modes.fold:
		t.out = append(t.out, '[', c, c^0x20, ']')
	case letter, c >= '0' && c <= '9', c == ' ', c == '/', c == '_':
		t.out = append(t.out, c)
	default:
		t.out = fmt.Appendf(t.out, `\x%02x`, c)
	}
}

func (t *translator) emitSet(s *set) {
	t.atom = len(t.out)
	if t.modes.fold {
		s = s.folded()
	}
	t.out = append(t.out, s.expression()...)
}

// utf8Char is a character of several bytes.
const utf8Char = `[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}`

// dot translates the dot behind which pos is. Ruby's matches a character of
// UTF-8 texts; where any number of them may come, bytes do as well.
func (t *translator) dot() {
	s := notNewline
	if t.modes.dotAll {
		s = everyByte
	}
	if t.dialect == PCRE || t.pos < len(t.in) && (t.in[t.pos] == '*' || t.in[t.pos] == '+') {
		t.emitSet(s)
		return
	}
	t.atom = len(t.out)
	t.out = append(t.out, "(?:"+utf8Char+"|"+s.expression()+")"...)
}

// anchor translates ^ and $.
func (t *translator) anchor(c byte) {
	switch {
	case t.modes.lines:
		t.assertion("(?m:" + string(c) + ")")
	case c == '^':
		t.assertion(`\A`)
	default:
		t.beforeLastNewline()
	}
}

// beforeLastNewline is \Z, and $ without lines: the end, or before a newline
// at the end. The linear engine cannot look ahead; there the newline is taken
// into the match, which changes no captured group unless one ends with it.
func (t *translator) beforeLastNewline() {
	if t.target == linear {
		t.assertion(`(?:\n?\z)`)
		return
	}
	t.assertion(`\Z`)
}

// assertion writes something that matches no bytes. Nothing repeats it.
func (t *translator) assertion(s string) {
	t.out = append(t.out, s...)
	t.atom = -1
}

// wordBoundary is \b or \B over ASCII words; the backtracking engine's own
// would count letters of Latin-1.
func (t *translator) wordBoundary(c byte) {
	word := "[0-9A-Za-z_]"
	switch {
	case t.target == linear:
		t.assertion(`\` + string(c))
	case c == 'b':
		t.assertion("(?:(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word + "))")
	default:
		t.assertion("(?:(?<=" + word + ")(?=" + word + ")|(?<!" + word + ")(?!" + word + "))")
	}
}

// quantifier writes q and what follows it: lazy, possessive or neither. A
// possessive one is an atomic group around its atom.
func (t *translator) quantifier(q string) error {
	if t.atom < 0 {
		return fmt.Errorf("nothing before %q to repeat", q)
	}
	t.pos += len(q)
	if strings.HasPrefix(q, "{,") {
		q = "{0" + q[1:]
	}
	next := byte(0)
	if t.pos < len(t.in) {
		next = t.in[t.pos]
	}
	switch {
	case next == '?':
		t.pos++
		t.out = append(t.out, q+"?"...)
	case next == '+' && (t.dialect == PCRE || q[0] != '{'):
		t.pos++
		atom := string(t.out[t.atom:])
		t.out = append(t.out[:t.atom], "(?>"+atom+q+")"...)
		t.heavy = true
	default:
		t.out = append(t.out, q...)
	}
	t.atom = -1
	return nil
}

// countedQuantifier is the {n}, {n,} or {n,m} that s begins with, or "". Ruby
// has {,m} too; PCRE takes that for text.
func countedQuantifier(s string, d Dialect) string {
	end := strings.IndexByte(s, '}')
	if end < 0 || end > 16 {
		return ""
	}
	low, high, comma := strings.Cut(s[1:end], ",")
	if !digits(low) || !digits(high) || low == "" && (d == PCRE || !comma || high == "") {
		return ""
	}
	return s[:end+1]
}

// digits says whether s holds nothing but digits.
func digits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}
