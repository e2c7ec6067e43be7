package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// mostDepth bounds how deep lists and maps may stand in each other.
const mostDepth = 100

var (
	errDepth = errors.New("nested too deep")
	errEnd   = errors.New("ends in the middle of a value")
)

// JSON reads all JSON values of the data, one after the other. With an error
// come the values before it.
func JSON(data []byte) ([]*Node, error) {
	p := &jsonParser{data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1, names: map[string]string{}}
	p.dec.UseNumber()
	var out []*Node
	for {
		p.skip()
		tok, err := p.dec.Token()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		n := new(Node)
		if err == nil {
			err = p.value(n, tok, 0)
		}
		if err != nil {
			return out, p.fail(err)
		}
		out = append(out, n)
	}
}

// IsJSON reports data that begins like a JSON object or list.
func IsJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && (data[0] == '{' || data[0] == '[')
}

type jsonParser struct {
	data  []byte
	dec   *json.Decoder
	pos   int // how far lines are counted
	line  int
	begin int // where the line begins
	names map[string]string
}

// skip goes to the beginning of the next token.
func (p *jsonParser) skip() {
	i := int(p.dec.InputOffset())
	for i < len(p.data) && strings.IndexByte(" \t\r\n,:", p.data[i]) >= 0 {
		i++
	}
	p.count(i)
}

// count moves the place to offset i.
func (p *jsonParser) count(i int) {
	for ; p.pos < i; p.pos++ {
		if p.data[p.pos] == '\n' {
			p.line++
			p.begin = p.pos + 1
		}
	}
}

func (p *jsonParser) fail(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		p.count(min(max(int(syntax.Offset)-1, p.pos), len(p.data)))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		p.count(len(p.data))
		err = errEnd
	}
	return &Error{Line: p.line, Column: p.pos - p.begin + 1, Err: err}
}

func (p *jsonParser) value(n *Node, tok json.Token, depth int) error {
	n.line, n.column = int32(p.line), int32(p.pos-p.begin+1)
	switch v := tok.(type) {
	case nil:
		n.kind = Null
	case bool:
		n.kind, n.text = Bool, "false"
		if v {
			n.text = "true"
		}
	case json.Number:
		n.kind, n.text = Number, v.String()
	case string:
		n.kind, n.text = String, v
	case json.Delim:
		if depth >= mostDepth {
			return errDepth
		}
		if v == '{' {
			return p.object(n, depth+1)
		}
		return p.list(n, depth+1)
	}
	return nil
}

func (p *jsonParser) list(n *Node, depth int) error {
	n.kind = List
	for {
		p.skip()
		tok, err := p.dec.Token()
		if err != nil {
			return err
		}
		if tok == json.Delim(']') {
			return nil
		}
		n.kids = append(n.kids, Node{})
		if err := p.value(&n.kids[len(n.kids)-1], tok, depth); err != nil {
			return err
		}
	}
}

func (p *jsonParser) object(n *Node, depth int) error {
	n.kind = Map
	for {
		p.skip()
		tok, err := p.dec.Token()
		if err != nil {
			return err
		}
		key, ok := tok.(string)
		if !ok { // the closing brace: the decoder allows nothing else
			return nil
		}
		p.skip()
		tok, err = p.dec.Token()
		if err != nil {
			return err
		}
		n.keys = append(n.keys, p.name(key))
		n.kids = append(n.kids, Node{})
		if err := p.value(&n.kids[len(n.kids)-1], tok, depth); err != nil {
			return err
		}
	}
}

// name keeps one copy of each key.
func (p *jsonParser) name(key string) string {
	const most = 4096
	if have, ok := p.names[key]; ok {
		return have
	}
	if len(p.names) < most {
		p.names[key] = key
	}
	return key
}
