package document

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

var (
	errExpanded = errors.New("aliases repeat too much")
	errAlias    = errors.New("an alias without an anchor")
	errYAML     = errors.New("not YAML that can be read")
)

// Node reads the part. A part of nothing is a nil node.
func (p Part) Node() (n *Node, err error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	// The library is not known to panic; what it reads comes from anywhere.
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, &Error{Line: p.Line, Err: errYAML}
		}
	}()
	file, err := parser.ParseBytes(p.Text, 0)
	if err != nil {
		return nil, p.fail(err)
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, nil
	}
	c := converter{line: p.Line - 1, anchors: map[string]anchor{}}
	n = new(Node)
	if _, err := c.node(n, file.Docs[0].Body, 0); err != nil {
		return nil, err
	}
	return n, nil
}

func (p Part) fail(err error) error {
	var y yaml.Error
	if !errors.As(err, &y) || y.GetToken() == nil || y.GetToken().Position == nil {
		return &Error{Line: p.Line, Err: errYAML}
	}
	at := y.GetToken().Position
	return &Error{Line: p.Line - 1 + at.Line, Column: at.Column, Err: fmt.Errorf("%w: %s", errYAML, y.GetMessage())}
}

// converter makes nodes of the library's tree.
type converter struct {
	line    int // lines before the part
	anchors map[string]anchor
	total   int // nodes, with those that aliases repeat
}

// anchor is a value that aliases repeat.
type anchor struct {
	node Node
	size int
}

// node fills n and returns how many nodes it has.
func (c *converter) node(n *Node, from ast.Node, depth int) (size int, err error) {
	if depth > mostDepth {
		return 0, c.fail(n, errDepth)
	}
	if c.total++; c.total > mostExpanded {
		return 0, c.fail(n, errExpanded)
	}
	c.place(n, from)
	switch v := from.(type) {
	case *ast.MappingNode:
		return c.mapping(n, v.Values, depth)
	case *ast.MappingValueNode:
		return c.mapping(n, []*ast.MappingValueNode{v}, depth)
	case *ast.SequenceNode:
		return c.sequence(n, v.Values, depth)
	case *ast.AnchorNode:
		size, err = c.node(n, v.Value, depth+1)
		if v.Name != nil && err == nil {
			c.anchors[v.Name.GetToken().Value] = anchor{*n, size}
		}
		return size, err
	case *ast.AliasNode:
		return c.alias(n, v)
	case *ast.TagNode:
		return c.node(n, v.Value, depth+1)
	}
	c.scalar(n, from)
	return 1, nil
}

func (c *converter) place(n *Node, from ast.Node) {
	if from == nil {
		return
	}
	if t := from.GetToken(); t != nil && t.Position != nil {
		n.line, n.column = int32(t.Position.Line+c.line), int32(t.Position.Column)
	}
}

func (c *converter) fail(n *Node, err error) error {
	return &Error{Line: max(int(n.line), c.line+1), Column: int(n.column), Err: err}
}

func (c *converter) alias(n *Node, v *ast.AliasNode) (int, error) {
	a, ok := c.anchors[v.Value.GetToken().Value]
	if !ok {
		return 0, c.fail(n, errAlias)
	}
	if c.total += a.size; c.total > mostExpanded {
		return 0, c.fail(n, errExpanded)
	}
	*n = a.node
	return a.size, nil
}

func (c *converter) sequence(n *Node, values []ast.Node, depth int) (int, error) {
	n.kind = List
	n.kids = make([]Node, len(values))
	size := 1
	for i, v := range values {
		got, err := c.node(&n.kids[i], v, depth+1)
		if err != nil {
			return 0, err
		}
		size += got
	}
	return size, nil
}

func (c *converter) mapping(n *Node, values []*ast.MappingValueNode, depth int) (int, error) {
	n.kind = Map
	size := 1
	for i, v := range values {
		if i == 0 {
			c.place(n, v.Key) // a map begins at its first key, not at its colon
		}
		var kid Node
		got, err := c.node(&kid, v.Value, depth+1)
		if err != nil {
			return 0, err
		}
		size += got
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			c.merge(n, &kid)
			continue
		}
		n.keys = append(n.keys, keyText(v.Key))
		n.kids = append(n.kids, kid)
	}
	return size, nil
}

// merge puts a map's entries before those that stand in n, which hide them.
func (c *converter) merge(n, from *Node) {
	if from.kind == Map {
		n.keys = append(append([]string(nil), from.keys...), n.keys...)
		n.kids = append(append([]Node(nil), from.kids...), n.kids...)
	}
}

func keyText(k ast.MapKeyNode) string {
	switch v := k.(type) {
	case *ast.StringNode:
		return v.Value
	case *ast.MappingKeyNode:
		if v.Value != nil && v.Value.GetToken() != nil {
			return v.Value.GetToken().Value
		}
		return ""
	}
	if t := k.GetToken(); t != nil {
		return t.Value
	}
	return ""
}

func (c *converter) scalar(n *Node, from ast.Node) {
	switch v := from.(type) {
	case nil, *ast.NullNode:
		n.kind = Null
	case *ast.StringNode:
		n.kind, n.text = String, v.Value
	case *ast.LiteralNode:
		n.kind = String
		if v.Value != nil {
			n.text = v.Value.Value
		}
	case *ast.BoolNode:
		n.kind, n.text = Bool, tokenText(v.GetToken())
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		n.kind, n.text = Number, tokenText(from.GetToken())
	default:
		n.kind, n.text = String, tokenText(from.GetToken())
	}
}

func tokenText(t *token.Token) string {
	if t == nil {
		return ""
	}
	return t.Value
}
