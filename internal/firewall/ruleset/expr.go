package ruleset

import "fmt"

// Expr is a condition on a packet: In, Row, Tuple, All, Any, Not, Const or
// Atom.
type Expr interface {
	// split divides a class into the packets that meet the condition and
	// those that do not; either may be nil.
	split(w *walk, c *class) (yes, no []*class)
}

// In holds when the field's value, masked, is in the set. A field that the
// packet does not have fails the match, negated or not, so a negation is a
// complement of Set and never a Not around it.
type In struct {
	Field Field
	Mask  Value // zero: no mask
	Set   Set
}

// Tuple holds when the fields' values are together in one of the rows.
type Tuple struct {
	Fields []Field
	Rows   [][]Set
}

// All holds when every part does, looked at in order.
type All []Expr

// Any holds when one part does.
type Any []Expr

// Not holds when the part does not.
type Not struct{ Expr }

// Const holds always or never. Note says why in words worth showing
// ("within the rate").
type Const struct {
	Holds bool
	Note  string
	// Varies says on what it depends for packets other than a stranger's
	// first ("the rate"); empty where it holds for all. Where rules are
	// compared with one another it is then a condition of its own.
	Varies string
	// Sender: it varies with the local process that sends, so that of packets
	// which this host sends nothing is known.
	Sender bool
}

// varies says on what the condition depends where all packets are looked at
// (all), or packets of this host (local); "" when it does not.
func (e Const) varies(all, local bool) string {
	switch {
	case all && e.Varies == "" && e.Note != "":
		return e.Note
	case all || e.Sender && local:
		return e.Varies
	}
	return ""
}

// Leaning is what an atom is for an ordinary stranger.
type Leaning uint8

// Leanings.
const (
	NoLeaning Leaning = iota
	UsuallyTrue
	UsuallyFalse
)

// Atom is a condition that the model does not look into.
type Atom struct {
	// Key tells equal conditions: two atoms with one key are true together.
	// An empty key is a condition of its own at every use.
	Key string
	// Why names it for people.
	Why string
	// Unknown: it is not understood. Otherwise it is understood and depends
	// on the sender, on time or on chance.
	Unknown bool
	Lean    Leaning
}

func (e Const) split(_ *walk, c *class) (yes, no []*class) {
	if e.Holds {
		return []*class{c}, nil
	}
	return nil, []*class{c}
}

func (e Not) split(w *walk, c *class) (yes, no []*class) {
	no, yes = e.Expr.split(w, c)
	return yes, no
}

func (e All) split(w *walk, c *class) (yes, no []*class) {
	yes = []*class{c}
	for _, part := range e {
		var fail []*class
		yes, fail = splitEach(w, part, yes)
		no = append(no, fail...)
		if len(yes) == 0 {
			break
		}
	}
	return yes, no
}

func (e Any) split(w *walk, c *class) (yes, no []*class) {
	no = []*class{c}
	for _, part := range e {
		var hit []*class
		hit, no = splitEach(w, part, no)
		yes = append(yes, hit...)
		if len(no) == 0 {
			break
		}
	}
	return yes, no
}

func splitEach(w *walk, e Expr, in []*class) (yes, no []*class) {
	if len(in) == 1 {
		return e.split(w, in[0])
	}
	for _, c := range in {
		y, n := e.split(w, c)
		yes, no = append(yes, y...), append(no, n...)
	}
	return yes, no
}

func (e In) split(w *walk, c *class) (yes, no []*class) {
	have := c.vals[e.Field]
	if e.Field == Chance && len(have) > 0 {
		have = Chance.Full()
	}
	if len(have) == 0 {
		return nil, []*class{c}
	}
	in, out, exact := e.divide(have)
	switch {
	case !exact:
		return w.fork(c, Atom{Key: e.key(), Why: "bits of the " + e.Field.String(), Unknown: c.opaque[e.Field] != ""})
	case len(in) == 0:
		return nil, []*class{c}
	case len(out) == 0:
		return []*class{c}, nil
	case c.opaque[e.Field] != "":
		return w.fork(c, Atom{Key: e.key(), Why: c.opaque[e.Field], Unknown: true})
	}
	return []*class{c.with(e.Field, in)}, []*class{c.with(e.Field, out)}
}

// key names the condition among atoms; what is drawn is new at every use.
func (e In) key() string {
	if e.Field == Chance {
		return ""
	}
	return fmt.Sprint(e.Field, "&", e.Mask, e.Set)
}

// divide splits the values that the field may have. It is not exact when a
// mask would have to be tried on too many values.
func (e In) divide(have Set) (in, out Set, exact bool) {
	if e.Mask == (Value{}) {
		return have.And(e.Set), have.Minus(e.Set), true
	}
	const most = 4096
	var yes, no []Value
	exact = have.each(most, func(v Value) {
		if e.Set.Has(v.And(e.Mask)) {
			yes = append(yes, v)
		} else {
			no = append(no, v)
		}
	})
	return Of(yes...), Of(no...), exact
}

func (e Tuple) split(w *walk, c *class) (yes, no []*class) {
	open := c.openField(e.Fields)
	if open == someOpen {
		return e.splitRows(w, c)
	}
	var hit Set
	for _, row := range e.Rows {
		if c.within(e.Fields, row, open) {
			if open < 0 {
				return []*class{c}, nil
			}
			hit = append(hit, row[open]...)
		}
	}
	if len(hit) == 0 {
		return nil, []*class{c}
	}
	return In{Field: e.Fields[open], Set: Union(hit)}.split(w, c)
}

func (e Tuple) splitRows(w *walk, c *class) (yes, no []*class) {
	any := make(Any, 0, len(e.Rows))
	for _, row := range e.Rows {
		if c.meets(e.Fields, row) {
			any = append(any, rowExpr(e.Fields, row))
		}
	}
	return any.split(w, c)
}

func rowExpr(fields []Field, row []Set) All {
	all := make(All, len(fields))
	for i, f := range fields {
		all[i] = In{Field: f, Set: row[i]}
	}
	return all
}

func (e Atom) split(w *walk, c *class) (yes, no []*class) { return w.fork(c, e) }
