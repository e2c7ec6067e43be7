package nftables

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/problem"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// TextOptions say how nft's text is read.
type TextOptions struct {
	// Port resolves service names ("ssh"); may be nil.
	Port func(proto, name string) (uint16, bool)
}

// Text is what a text in nft's syntax holds.
type Text struct {
	Tables []*Table
	// Missing are parts that could change any verdict.
	Missing  []ruleset.Missing
	Problems []problem.Problem
}

// ErrInclude is returned for a text that includes others, which are not read.
var ErrInclude = errors.New("includes another file, which is not read: give the output of `nft list ruleset`, or one file that holds all")

// ReadText reads nft's own syntax (nft(8)): what `nft list ruleset` prints and
// files for `nft -f`. A file is read as if it were loaded into an empty rule
// set. A rule that is not understood is a problem, and may do anything.
func ReadText(in io.Reader, o TextOptions) (*Text, error) {
	toks, err := scan(in)
	if err != nil {
		return nil, err
	}
	p := &parser{toks: toks, opt: o, defines: map[string][]token{}}
	if err := p.commands(); err != nil {
		return nil, err
	}
	if !p.sawCommand {
		return nil, fmt.Errorf("%w: no table", ErrText)
	}
	r, err := newReader(Facts{Dormant: p.doc.dormant()})
	if err != nil {
		return nil, err
	}
	list := p.doc.list()
	r.declare(list)
	r.rules(list)
	return &Text{Tables: r.order, Missing: p.missing, Problems: p.problems.All()}, nil
}

func includeAt(t token) error {
	return fmt.Errorf("line %d, column %d: %w", t.line, t.col, ErrInclude)
}

// parser turns tokens into the objects that nft's JSON would hold.
type parser struct {
	toks       []token
	at         int
	opt        TextOptions
	defines    map[string][]token
	doc        confDoc
	problems   problem.List
	missing    []ruleset.Missing
	sawCommand bool
	spliced    int
	depth      int
	family     string // of the table whose rules are read
}

var endToken = token{text: ";"}

// peek gives the next token, with variables replaced.
func (p *parser) peek() token {
	for p.at < len(p.toks) {
		t := p.toks[p.at]
		if t.quoted || !strings.Contains(t.text, "$") || !p.replace(t) {
			return t
		}
	}
	end := endToken
	if n := len(p.toks); n > 0 {
		end.line, end.col = p.toks[n-1].line, p.toks[n-1].col
	}
	return end
}

// replace puts a variable's tokens in the place of its name.
func (p *parser) replace(t token) bool {
	name, whole := strings.CutPrefix(t.text, "$")
	value, ok := p.defines[name]
	if whole && ok && p.spliced+len(value) <= mostSpliced {
		p.spliced += len(value) + 1
		p.splice(t, value)
		return true
	}
	text, ok := p.inWord(t.text)
	if ok {
		t.text = text
		p.toks[p.at] = t
	}
	return ok
}

// splice puts a value in the place of the next token: over tokens that were
// read already where there is room, so that a long text is not copied.
func (p *parser) splice(t token, value []token) {
	if len(value) > p.at+1 {
		p.toks = append(make([]token, len(value)), p.toks[p.at+1:]...)
		p.at = 0
	} else {
		p.at -= len(value) - 1
	}
	for i, v := range value {
		v.line, v.col = t.line, t.col
		p.toks[p.at+i] = v
	}
}

// inWord replaces variables inside a word ("$low-$high").
func (p *parser) inWord(s string) (string, bool) {
	out := s
	for i := 0; i < 8 && strings.Contains(out, "$"); i++ {
		start := strings.IndexByte(out, '$')
		end := start + 1
		for end < len(out) && (isLetterOrDigit(out[end]) || out[end] == '_') {
			end++
		}
		value := p.defines[out[start+1:end]]
		if len(value) != 1 || len(out) > 4096 {
			return s, false
		}
		out = out[:start] + value[0].text + out[end:]
	}
	return out, !strings.Contains(out, "$")
}

func isLetterOrDigit(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func (p *parser) next() token {
	t := p.peek()
	if p.at < len(p.toks) {
		p.at++
	}
	return t
}

func (p *parser) done() bool { return p.at >= len(p.toks) }

// accept takes the next token when it is s.
func (p *parser) accept(s string) bool {
	if !p.done() && p.peek().is(s) {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(s string) error {
	if t := p.next(); !t.is(s) || p.at > len(p.toks) {
		return errorAt(t, "%q where %q should stand", t.text, s)
	}
	return nil
}

// atEnd reports the end of a statement.
func (p *parser) atEnd() bool {
	if p.done() {
		return true
	}
	t := p.peek()
	return t.is(";") || t.is("}")
}

func (p *parser) skipEnds() {
	for !p.done() && p.toks[p.at].is(";") {
		p.at++
	}
}

// skipStatement leaves out what is left of a statement, and gives it as text.
func (p *parser) skipStatement() string {
	var words []string
	for depth := 0; !p.done(); p.at++ {
		t := p.toks[p.at]
		switch {
		case t.is("{"):
			depth++
		case t.is("}") && depth == 0, t.is(";") && depth == 0:
			return strings.Join(words, " ")
		case t.is("}"):
			depth--
		}
		if len(words) < 32 {
			words = append(words, t.text)
		}
	}
	return strings.Join(words, " ")
}

// skipBlock leaves out a block whose opening brace was taken.
func (p *parser) skipBlock() error {
	for {
		p.skipStatement()
		switch {
		case p.done():
			return errorAt(p.peek(), "a block that does not close")
		case p.accept("}"):
			return nil
		}
		p.at++
	}
}

// gap notes a part that was not understood and could change any verdict.
func (p *parser) gap(t token, text, why string) {
	p.problems.Add(t.line, t.col, text, why)
	if len(p.missing) == 0 {
		p.missing = append(p.missing, ruleset.Missing{Families: ruleset.IPv4 | ruleset.IPv6, Why: fmt.Sprintf("line %d: %s: %s", t.line, why, text)})
	}
}

func number10(n uint64) json.Number { return json.Number(strconv.FormatUint(n, 10)) }

func jsonInt(n int) json.Number { return json.Number(strconv.Itoa(n)) }
