package rulefile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
)

// keys are what a map may hold and how each value is read.
type keys []key

type key struct {
	name string
	read func(ast.Node)
}

func (k keys) names() string {
	out := make([]string, len(k))
	for i := range k {
		out[i] = k[i].name
	}
	return strings.Join(out, ", ")
}

func fileKeys(d *decoder, f *File) keys {
	return keys{
		{"schema", func(n ast.Node) { d.schema(n, &f.Schema) }},
		{"made", func(n ast.Node) { d.time(n, &f.Made) }},
		{"sources", func(n ast.Node) { d.texts(n, &f.Sources) }},
		{"window", func(n ast.Node) { d.window(n, f) }},
		{"cannot_know", func(n ast.Node) { d.texts(n, &f.CannotKnow) }},
		{"name", func(n ast.Node) { d.chainName(n, &f.Name) }},
		{"rules", func(n ast.Node) { d.rules(n, f) }},
	}
}

func (d *decoder) schema(n ast.Node, to *string) {
	d.text(n, to)
	if *to != Schema && *to != "" {
		d.fail(n, "%q is no schema that is read here (%s)", *to, Schema)
	}
}

func (d *decoder) window(n ast.Node, f *File) {
	w := &Window{}
	d.mapping(n, "window", keys{
		{"from", func(n ast.Node) { d.time(n, &w.From) }},
		{"to", func(n ast.Node) { d.time(n, &w.To) }},
	})
	if !w.To.IsZero() && w.To.Before(w.From) {
		d.fail(n, "the window ends (%s) before it begins (%s)", stamp(w.To), stamp(w.From))
	}
	f.Window = w
}

func (d *decoder) rules(n ast.Node, f *File) {
	for _, item := range d.list(n) {
		r := Rule{}
		r.Line, _ = place(item)
		at := nodes{}
		if d.mapping(item, "a rule", ruleKeys(d, &r, at)) {
			d.checkRule(item, &r, at)
		}
		f.Rules = append(f.Rules, r)
	}
}

// nodes remembers where the keys of a rule stand.
type nodes map[string]ast.Node

func ruleKeys(d *decoder, r *Rule, at nodes) keys {
	text := func(name string, to *string) key {
		return key{name, func(n ast.Node) { at[name] = n; d.text(n, to) }}
	}
	values := func(name string, to *[]string) key {
		return key{name, func(n ast.Node) { at[name] = n; d.values(n, to) }}
	}
	return keys{
		text("name", &r.Name), text("action", &r.Action), text("proto", &r.Proto),
		values("from", &r.From), values("to", &r.To),
		values("ports", &r.Ports), values("from_ports", &r.FromPorts), values("types", &r.Types),
		text("in", &r.In), text("out", &r.Out),
		text("service", &r.Service), text("dynamic", &r.Dynamic),
		text("comment", &r.Comment), text("protected", &r.Protected),
		{"evidence", func(n ast.Node) { d.evidence(n, r) }},
	}
}

func (d *decoder) evidence(n ast.Node, r *Rule) {
	e := &Evidence{}
	d.mapping(n, "evidence", keys{
		{"flows", func(n ast.Node) { d.count(n, &e.Flows) }},
		{"denied", func(n ast.Node) { d.count(n, &e.Denied) }},
		{"packets", func(n ast.Node) { d.count(n, &e.Packets) }},
		{"bytes", func(n ast.Node) { d.count(n, &e.Bytes) }},
		{"clients", func(n ast.Node) { d.number(n, &e.Clients) }},
		{"servers", func(n ast.Node) { d.number(n, &e.Servers) }},
		{"first", func(n ast.Node) { d.time(n, &e.First) }},
		{"last", func(n ast.Node) { d.time(n, &e.Last) }},
		{"days", func(n ast.Node) { d.number(n, &e.Days) }},
		{"peers", func(n ast.Node) { d.texts(n, &e.Peers) }},
		{"confidence", func(n ast.Node) { d.confidence(n, &e.Confidence) }},
		{"why", func(n ast.Node) { d.text(n, &e.Why) }},
	})
	r.Evidence = e
}

func (d *decoder) confidence(n ast.Node, to *string) {
	d.text(n, to)
	if *to != "" && !slices.Contains([]string{"high", "medium", "low"}, *to) {
		d.fail(n, "%q is no confidence (high, medium, low)", *to)
	}
}

// mapping reads a map's known keys; it reports false where n is no map.
func (d *decoder) mapping(n ast.Node, what string, known keys) bool {
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		d.fail(n, "%s is a map of keys (%s); this is %s", what, known.names(), kind(n))
		return false
	}
	seen := map[string]bool{}
	for _, p := range pairs {
		d.pair(p, what, known, seen)
	}
	return true
}

func (d *decoder) pair(p *ast.MappingValueNode, what string, known keys, seen map[string]bool) {
	name, ok := d.plain(p.Key)
	if !ok {
		return
	}
	i := slices.IndexFunc(known, func(k key) bool { return k.name == name })
	switch {
	case i < 0:
		d.fail(p, "unknown key %q in %s (allowed: %s)", name, what, known.names())
	case seen[name]:
		d.fail(p, "key %q stands twice in %s", name, what)
	default:
		seen[name] = true
		known[i].read(p.Value)
	}
}

func (d *decoder) list(n ast.Node) []ast.Node {
	switch n := n.(type) {
	case *ast.SequenceNode:
		return n.Values
	case *ast.NullNode, nil:
		return nil
	}
	d.fail(n, "a list is wanted ([…] or lines beginning with -); this is %s", kind(n))
	return nil
}

// texts reads a list of free texts, values one of tokens without blanks.
func (d *decoder) texts(n ast.Node, to *[]string) {
	for _, item := range d.list(n) {
		var s string
		d.text(item, &s)
		*to = append(*to, s)
	}
}

func (d *decoder) values(n ast.Node, to *[]string) {
	d.texts(n, to)
	if n != nil && len(*to) == 0 && len(d.errs) == 0 {
		// An empty list reads like "nothing" and would mean "any".
		d.fail(n, "an empty list says nothing: leave the key out for any")
	}
}

// text reads one scalar as it is written: 0443 stays 0443.
func (d *decoder) text(n ast.Node, to *string) {
	s, ok := d.plain(n)
	if !ok {
		return
	}
	if why := unfit(s); why != "" {
		d.fail(n, "%.60q: %s", s, why)
		return
	}
	*to = s
}

// plain is the text of a scalar.
func (d *decoder) plain(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimRight(n.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.NullNode, nil:
		d.fail(n, "a value is missing")
	default:
		d.fail(n, "a single value is wanted; this is %s", kind(n))
	}
	return "", false
}

// unfit says why a text may not stand in a rule file: texts go into comments
// of rule sets, where a line's end would begin a new rule.
func unfit(s string) string {
	const most = 4096
	switch {
	case len(s) > most:
		return fmt.Sprintf("a text may have %d bytes", most)
	case !utf8.ValidString(s):
		return "no UTF-8"
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "control, format and line-end characters are not allowed"
	}
	return ""
}

func (d *decoder) count(n ast.Node, to *uint64) {
	s, ok := d.plain(n)
	if !ok {
		return
	}
	v, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		d.fail(n, "%.60q is no count (a decimal number)", s)
	}
	*to = v
}

func (d *decoder) number(n ast.Node, to *int) {
	var v uint64
	d.count(n, &v)
	if v > 1<<31-1 {
		d.fail(n, "%d is too large a number", v)
		return
	}
	*to = int(v)
}

// stamp writes a time as rule files do.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (d *decoder) time(n ast.Node, to *time.Time) {
	s, ok := d.plain(n)
	if !ok {
		return
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.UTC().Year() < 0 || t.UTC().Year() > 9999 {
		d.fail(n, "%.60q is no time (write 2026-11-21T18:00:00Z)", s)
		return
	}
	*to = t.UTC()
}

func kind(n ast.Node) string {
	switch n.(type) {
	case nil, *ast.NullNode:
		return "empty"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a map"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return "an anchor or alias, which rule files do not use"
	case *ast.TagNode:
		return "a tag, which rule files do not use"
	}
	return "a single value"
}
