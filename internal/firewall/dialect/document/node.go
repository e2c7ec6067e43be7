package document

import (
	"iter"
	"math"
	"strconv"
	"strings"
)

// Kind is what a node holds.
type Kind uint8

// Kinds of nodes. Missing is the kind of a nil *Node.
const (
	Missing Kind = iota
	Null
	Bool
	Number
	String
	List
	Map
)

var kindNames = [...]string{"nothing", "null", "a boolean", "a number", "text", "a list", "an object"}

func (k Kind) String() string { return kindNames[k] }

// Node is a value of a document. Its place counts from 1; columns in bytes.
type Node struct {
	kind   Kind
	line   int32
	column int32
	text   string // of scalars
	keys   []string
	kids   []Node // of lists; of maps the values, in the order of keys
}

// Kind is what the node holds.
func (n *Node) Kind() Kind {
	if n == nil {
		return Missing
	}
	return n.kind
}

// Line and Column are where the value begins; 0 of a missing one.
func (n *Node) Line() int {
	if n == nil {
		return 0
	}
	return int(n.line)
}

// Column is where in its line the value begins, in bytes from 1.
func (n *Node) Column() int {
	if n == nil {
		return 0
	}
	return int(n.column)
}

// Get is the value of a key; of a key that stands twice, the last.
func (n *Node) Get(key string) *Node {
	return n.find(func(k string) bool { return k == key })
}

// Fold is Get without regard to case.
func (n *Node) Fold(key string) *Node {
	return n.find(func(k string) bool { return strings.EqualFold(k, key) })
}

// At follows keys downwards.
func (n *Node) At(keys ...string) *Node {
	for _, k := range keys {
		n = n.Get(k)
	}
	return n
}

func (n *Node) find(is func(string) bool) *Node {
	if n.Kind() != Map {
		return nil
	}
	for i := len(n.keys) - 1; i >= 0; i-- {
		if is(n.keys[i]) {
			return &n.kids[i]
		}
	}
	return nil
}

// Fields are the keys and values of a map.
func (n *Node) Fields() iter.Seq2[string, *Node] {
	return func(yield func(string, *Node) bool) {
		if n.Kind() != Map {
			return
		}
		for i := range n.kids {
			if !yield(n.keys[i], &n.kids[i]) {
				return
			}
		}
	}
}

// Items are the values of a list; of a missing value or null none.
func (n *Node) Items() iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		if n.Kind() != List {
			return
		}
		for i := range n.kids {
			if !yield(&n.kids[i]) {
				return
			}
		}
	}
}

// Each are the values of a list, or the value itself where it is no list (as
// tools that unwrap lists of one write it); of a missing value or null none.
func (n *Node) Each() iter.Seq[*Node] {
	if k := n.Kind(); k == List || k <= Null {
		return n.Items()
	}
	return func(yield func(*Node) bool) { yield(n) }
}

// Len is the number of values of a list or map.
func (n *Node) Len() int {
	if n == nil {
		return 0
	}
	return len(n.kids)
}

// Text is a scalar as it is written, without quotes; "" of others.
func (n *Node) Text() string {
	if n == nil {
		return ""
	}
	return n.text
}

// Int is a whole number, also one written as text ("22", 22.0).
func (n *Node) Int() (int, bool) {
	if k := n.Kind(); k != Number && k != String {
		return 0, false
	}
	if v, err := strconv.ParseInt(strings.TrimSpace(n.text), 10, 64); err == nil && v >= math.MinInt32 && v <= math.MaxInt32 {
		return int(v), true
	}
	f, err := strconv.ParseFloat(n.text, 64)
	if n.kind != Number || err != nil || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		return 0, false
	}
	return int(f), true
}

// True reports a boolean that is true, also written as text.
func (n *Node) True() bool {
	return (n.Kind() == Bool || n.Kind() == String) && strings.EqualFold(n.text, "true")
}

// Texts are the texts of the scalars of a list, or of a scalar by itself.
func (n *Node) Texts() (out []string) {
	for v := range n.Each() {
		if k := v.Kind(); k != List && k != Map && k != Null {
			out = append(out, v.text)
		}
	}
	return out
}
