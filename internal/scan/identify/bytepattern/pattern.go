package bytepattern

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// Dialect is whose syntax a pattern is written in.
type Dialect uint8

// The dialects: PCRE of nmap, Onigmo of Ruby.
const (
	PCRE Dialect = iota
	Ruby
)

// Flags are options that stand beside a pattern.
type Flags struct {
	IgnoreCase bool // of ASCII letters
	DotAll     bool // . matches a newline
}

// matchTimeout is how long one backtracking pattern may try; clockTick is how
// exactly that is kept.
const (
	matchTimeout = 50 * time.Millisecond
	clockTick    = 5 * time.Millisecond
)

// ErrTimeout says that a backtracking pattern was stopped.
var ErrTimeout = errors.New("pattern stopped: it backtracked for too long")

// ErrBudget says that a pattern was not tried: the answer's time is used up,
// or its context is done.
var ErrBudget = errors.New("no time left for this answer")

// Shelf bounds how many compiled patterns are kept: some 9 KB each, more than
// 100 MB for a whole signature file. Patterns that find it full are compiled
// again each time.
type Shelf struct {
	Room    int64         // patterns kept
	Timeout time.Duration // for one backtracking pattern; 0 is matchTimeout
	kept    atomic.Int64
}

// Kept is how many compiled patterns are kept.
func (s *Shelf) Kept() int64 { return s.kept.Load() }

// Pattern is one expression, compiled on first use.
type Pattern struct {
	source  string
	dialect Dialect
	flags   Flags
	need    need
	shelf   *Shelf
	kept    atomic.Pointer[program]
}

// program is a compiled pattern: one of the two engines, or the error.
type program struct {
	line  *regexp.Regexp  // linear time
	heavy *regexp2.Regexp // backtracking
	err   error
}

// New prepares a pattern without compiling it; source is bytes.
func New(source string, d Dialect, f Flags, s *Shelf) *Pattern {
	return &Pattern{source: source, dialect: d, flags: f, need: scanNeed(source, d, f), shelf: s}
}

// Source is the pattern as it was written.
func (p *Pattern) Source() string { return p.source }

// Literal is the longest text that every match holds, "" where none is known:
// how telling a match is.
func (p *Pattern) Literal() string {
	if len(p.need.prefix) > len(p.need.within) {
		return p.need.prefix
	}
	return p.need.within
}

// Check compiles the pattern and says whether it needs the backtracking
// engine. The error, where neither can run it, wraps ErrUnsupported.
func (p *Pattern) Check() (backtracks bool, err error) {
	prog := p.compiled()
	return prog.heavy != nil, prog.err
}

// compiled is the kept program or a new one, kept where the shelf has room.
func (p *Pattern) compiled() *program {
	if prog := p.kept.Load(); prog != nil {
		return prog
	}
	prog := compile(p.source, p.dialect, p.flags, cmp.Or(p.shelf.Timeout, matchTimeout))
	if prog.err != nil {
		p.kept.Store(prog) // costs nothing to keep
		return prog
	}
	if p.shelf.kept.Load() < p.shelf.Room && p.kept.CompareAndSwap(nil, prog) {
		p.shelf.kept.Add(1)
	}
	return prog
}

func compile(source string, d Dialect, f Flags, timeout time.Duration) *program {
	text, heavy, err := translate(source, d, f, linear)
	if err != nil {
		return &program{err: err}
	}
	if !heavy {
		if re, err := regexp.Compile(text); err == nil {
			return &program{line: re}
		}
	}
	if text, _, err = translate(source, d, f, backtracking); err != nil {
		return &program{err: err}
	}
	re, err := compileHeavy(text, timeout)
	return &program{heavy: re, err: err}
}

// setClock makes the one clock of regexp2 exact enough for matchTimeout,
// before its first use.
var setClock = sync.OnceFunc(func() { regexp2.SetTimeoutCheckPeriod(clockTick) })

func compileHeavy(text string, timeout time.Duration) (*regexp2.Regexp, error) {
	setClock()
	re, err := regexp2.Compile(text, regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	re.MatchTimeout = timeout
	return re, nil
}

// Budget is the time that patterns may spend on one answer. Compiling is not
// counted: it happens once for all answers.
type Budget struct {
	Context context.Context // nil: never done
	Left    time.Duration
}

func (b *Budget) spent() bool {
	return b.Left <= 0 || b.Context != nil && b.Context.Err() != nil
}

// Find looks for the pattern in the answer. An error wraps ErrBudget,
// ErrTimeout or ErrUnsupported, and nothing was found.
func (p *Pattern) Find(t *Text, b *Budget) (Groups, bool, error) {
	if !p.need.met(t) {
		return Groups{}, false, nil
	}
	if b.spent() {
		return Groups{}, false, ErrBudget
	}
	prog := p.compiled()
	if prog.err != nil {
		return Groups{}, false, prog.err
	}
	start := time.Now()
	defer func() { b.Left -= time.Since(start) }()
	if prog.line != nil {
		loc := prog.line.FindStringSubmatchIndex(t.wide)
		return Groups{in: t.wide, wide: len(t.wide) > len(t.plain), loc: loc}, loc != nil, nil
	}
	return findHeavy(prog.heavy, t)
}

func findHeavy(re *regexp2.Regexp, t *Text) (Groups, bool, error) {
	m, err := re.FindRunesMatch(t.asRunes())
	if err != nil {
		return Groups{}, false, ErrTimeout // the only error there is; its text would quote the answer
	}
	if m == nil {
		return Groups{}, false, nil
	}
	g := Groups{in: t.plain, loc: make([]int, 0, 2*m.GroupCount())}
	for _, group := range m.Groups() {
		if len(group.Captures) == 0 {
			g.loc = append(g.loc, -1, -1)
			continue
		}
		g.loc = append(g.loc, group.Index, group.Index+group.Length)
	}
	return g, true, nil
}

// met says whether the answer holds what the pattern needs.
func (n *need) met(t *Text) bool {
	answer := t.plain
	if n.lower {
		answer = t.asLower()
	}
	return strings.HasPrefix(answer, n.prefix) && (n.within == "" || strings.Contains(answer, n.within))
}

// Text is one answer, prepared for many patterns.
type Text struct {
	plain string
	lower string // plain in lower case, once asked for
	wide  string // a rune for every byte
	runes []rune // the same for the backtracking engine, once asked for
}

// NewText prepares an answer.
func NewText(answer []byte) *Text {
	t := &Text{plain: string(answer)}
	t.wide = widen(t.plain)
	return t
}

func (t *Text) asLower() string {
	if t.lower == "" {
		t.lower = asciiLower(t.plain)
	}
	return t.lower
}

func (t *Text) asRunes() []rune {
	if t.runes == nil {
		t.runes = []rune(t.wide)
	}
	return t.runes
}

// widen makes every byte a rune; it gives back what is ASCII.
func widen(s string) string {
	var wide strings.Builder
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf && wide.Cap() == 0 {
			wide.Grow(2 * len(s))
			wide.WriteString(s[:i])
		}
		if wide.Cap() > 0 {
			wide.WriteRune(rune(s[i]))
		}
	}
	if wide.Cap() == 0 {
		return s
	}
	return wide.String()
}

// narrow is the reverse of widen.
func narrow(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

// Groups is what a match captured; group 0 is the whole match.
type Groups struct {
	in   string // what offsets are into
	wide bool   // in has a rune for every byte
	loc  []int
}

// Get is the bytes of group n; false where it took no part in the match.
func (g Groups) Get(n int) (string, bool) {
	if n < 0 || 2*n+1 >= len(g.loc) || g.loc[2*n] < 0 {
		return "", false
	}
	found := g.in[g.loc[2*n]:g.loc[2*n+1]]
	if g.wide {
		found = narrow(found)
	}
	return found, true
}
