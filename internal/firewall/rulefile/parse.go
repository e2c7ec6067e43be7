package rulefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Limits of a rule file. MaxDepth is of nested lists and maps; the form needs
// four.
const (
	MaxBytes = 64 << 20
	MaxRules = 200_000
	MaxDepth = 16
)

// Read reads a rule file; name is only said in errors.
func Read(name string, r io.Reader) (*File, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return Parse(name, b)
}

// Parse reads a rule file and checks it. Errors are Errors.
func Parse(name string, b []byte) (f *File, err error) {
	d := &decoder{name: name}
	// The YAML library panics on some malformed input; for us that is a file
	// that cannot be read.
	defer func() {
		if r := recover(); r != nil {
			f, err = nil, Errors{{Name: name, What: fmt.Sprintf("this is no valid YAML (%v)", r)}}
		}
	}()
	f = d.file(b)
	if len(d.errs) > 0 {
		return nil, d.errs
	}
	return f, nil
}

// decoder turns the syntax tree into a File by hand: the library's own
// decoding would read a port 0443 as octal and an unquoted date as text.
type decoder struct {
	name string
	errs Errors
}

func (d *decoder) file(b []byte) *File {
	root := d.root(b)
	if root == nil {
		return nil
	}
	f := &File{}
	known, has := fileKeys(d, f), false
	known[len(known)-1].read = func(n ast.Node) { has = true; d.rules(n, f) }
	d.mapping(root, "a rule file", known)
	if f.Schema == "" && len(d.errs) == 0 {
		d.fail(root, "`schema: %s` is missing", Schema)
	}
	if !has && len(d.errs) == 0 {
		d.fail(root, "`rules:` is missing (write `rules: []` to permit nothing)")
	}
	if len(f.Rules) > MaxRules {
		d.fail(root, "a rule file may hold %d rules, this one has %d", MaxRules, len(f.Rules))
	}
	return f
}

// root parses the text and refuses what makes a file mean something else than
// is seen.
func (d *decoder) root(b []byte) ast.Node {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if len(b) > MaxBytes {
		d.add(&Error{What: fmt.Sprintf("a rule file may hold %d bytes", MaxBytes)})
		return nil
	}
	if e := screen(b); e != nil {
		d.add(e)
		return nil
	}
	tree, err := parser.ParseBytes(b, 0)
	switch {
	case err != nil:
		d.add(fromLibrary(err))
	case len(tree.Docs) == 0 || tree.Docs[0].Body == nil:
		d.add(&Error{What: "the file is empty (a rule file begins with `schema: " + Schema + "`)"})
	case len(tree.Docs) > 1:
		d.fail(tree.Docs[1].Body, "a second YAML document begins here; a rule file is one document")
	default:
		return tree.Docs[0].Body
	}
	return nil
}

func fromLibrary(err error) *Error {
	var lib yaml.Error
	if !errors.As(err, &lib) {
		return &Error{What: err.Error()}
	}
	out := &Error{What: lib.GetMessage()}
	if tok := lib.GetToken(); tok != nil && tok.Position != nil {
		out.Line, out.Column = tok.Position.Line, tok.Position.Column
	}
	return out
}

func (d *decoder) add(e *Error) {
	e.Name = d.name
	if len(d.errs) < MaxErrors {
		d.errs = append(d.errs, e)
	}
}

func (d *decoder) fail(n ast.Node, format string, args ...any) {
	e := &Error{What: fmt.Sprintf(format, args...)}
	e.Line, e.Column = place(n)
	d.add(e)
}

func place(n ast.Node) (line, column int) {
	if n == nil || n.GetToken() == nil {
		return 0, 0
	}
	tok := n.GetToken()
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		tok = m.Values[0].Key.GetToken()
	}
	if m, ok := n.(*ast.MappingValueNode); ok {
		tok = m.Key.GetToken()
	}
	if tok == nil || tok.Position == nil {
		return 0, 0
	}
	return tok.Position.Line, tok.Position.Column
}
