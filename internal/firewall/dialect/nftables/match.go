package nftables

import (
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// matchStatement reads {"match": {op, left, right}}.
func (rr *ruleReader) matchStatement(arg any) {
	m, _ := arg.(object)
	if parts := concat(m["left"]); parts != nil {
		rr.tuple(m, parts)
		return
	}
	op := rr.operand(m["left"])
	rr.require(op.needs)
	rr.match(rr.compare(op, text(m["op"]), m["right"], arg))
}

// require adds the conditions that nft adds without showing them.
func (rr *ruleReader) require(needs []ruleset.Expr) {
	for _, e := range needs {
		rr.match(e)
	}
}

// concat gives the parts of a concatenation, nil for anything else.
func concat(v any) []any {
	o, _ := v.(object)
	parts, _ := o["concat"].([]any)
	return parts
}

func (rr *ruleReader) compare(op operand, sign string, right, whole any) ruleset.Expr {
	switch {
	case op.always:
		return ruleset.Const{Varies: "the local process that sends", Sender: true}
	case op.opaque:
		return rr.compareOpaque(op, sign, right, whole)
	}
	e, err := rr.comparison(op, sign, right)
	if err != nil {
		return ruleset.Atom{Key: compact(whole), Why: exprText(whole), Unknown: true}
	}
	return e
}

func isSet(v any) bool {
	if s, ok := v.(string); ok {
		return strings.HasPrefix(s, "@")
	}
	o, _ := v.(object)
	return o["set"] != nil
}

func (rr *ruleReader) comparison(op operand, sign string, right any) (ruleset.Expr, error) {
	if sign == "in" && !isSet(right) || sign == "!" {
		return rr.flags(op, sign, right)
	}
	set, err := rr.rightSide(op, right)
	if err != nil {
		return nil, err
	}
	all := op.field.Full()
	lo, hi := ruleset.Value{}, op.field.Max()
	switch sign {
	case "==", "in", "":
	case "!=":
		set = all.Minus(set)
	case "<":
		set = all.Minus(ruleset.Range(first(set), hi))
	case "<=":
		set = ruleset.Range(lo, last(set))
	case ">":
		set = all.Minus(ruleset.Range(lo, last(set)))
	case ">=":
		set = ruleset.Range(first(set), hi)
	default:
		return nil, notValue(sign)
	}
	return ruleset.In{Field: op.field, Mask: op.mask, Set: set}, nil
}

// rightSide reads a list of flags as one value where the field is made of
// flags, else any value.
func (rr *ruleReader) rightSide(op operand, right any) (ruleset.Set, error) {
	if _, isList := right.([]any); isList && (isFlags(op.kind) || op.mask != (ruleset.Value{})) {
		b, err := rr.bits(right, op.kind)
		return ruleset.Of(b), err
	}
	set, err := rr.values(right, op.kind)
	if err == nil && len(set) == 0 && !isSet(right) {
		return nil, notValue(right)
	}
	return set, err
}

func isFlags(kind string) bool { return kind == "ctstate" || kind == "ctstatus" || kind == "tcpflag" }

func first(s ruleset.Set) ruleset.Value {
	if len(s) == 0 {
		return ruleset.Value{}
	}
	return s[0].Lo
}

func last(s ruleset.Set) ruleset.Value {
	if len(s) == 0 {
		return ruleset.Value{}
	}
	return s[len(s)-1].Hi
}

// flags reads "in" (one of the bits is set) and "!" (none is).
func (rr *ruleReader) flags(op operand, sign string, right any) (ruleset.Expr, error) {
	b, err := rr.bits(right, op.kind)
	if err != nil || op.mask != (ruleset.Value{}) {
		return nil, notValue(right)
	}
	set := ruleset.Range(ruleset.Number(1), op.field.Max())
	if sign == "!" {
		set = ruleset.Numbers(0)
	}
	return ruleset.In{Field: op.field, Mask: b, Set: set}, nil
}

// compareOpaque makes an atom, negated as the sign and the value say.
func (rr *ruleReader) compareOpaque(op operand, sign string, right, whole any) ruleset.Expr {
	if n, ok := strings.CutPrefix(op.atom.Key, "constant "); ok {
		return rr.constant(n, sign, right, whole)
	}
	negate := sign == "!="
	a := op.atom
	left, _ := whole.(object)
	if op.exists {
		truth, known := existence(right)
		switch {
		case known && op.present:
			return ruleset.Const{Holds: truth != negate, Note: "a legitimate stranger's source passes"}
		case known:
			negate = negate != !truth
			right = true
		case op.present: // the name of an interface
			a.Lean = ruleset.NoLeaning
		}
	}
	a.Key = compact(left["left"]) + " " + compact(right)
	if sign != "==" && sign != "!=" && sign != "in" && sign != "" {
		a.Key, negate = compact(whole), false
	}
	if negate {
		return ruleset.Not{Expr: a}
	}
	return a
}

// existence reads exists, missing and what old versions print for them.
func existence(v any) (truth, known bool) {
	if b, ok := v.(bool); ok {
		return b, true
	}
	switch text(v) {
	case "0", "missing":
		return false, true
	case "1", "exists":
		return true, true
	}
	return false, false
}

// constant compares something that has one value in every packet.
func (rr *ruleReader) constant(n, sign string, right, whole any) ruleset.Expr {
	have, err := rr.word(n, "number")
	if err != nil {
		return ruleset.Atom{Key: compact(whole), Why: exprText(whole), Unknown: true}
	}
	e, err := rr.comparison(operand{field: ruleset.Length, kind: "number"}, sign, right)
	in, ok := e.(ruleset.In)
	if err != nil || !ok {
		return ruleset.Atom{Key: compact(whole), Why: exprText(whole), Unknown: true}
	}
	return ruleset.Const{Holds: have.Within(in.Set)}
}

// operands reads the parts of a key and requires what they need. why is not
// empty when one of them is no field of the model.
func (rr *ruleReader) operands(key any) (ops []operand, fields []ruleset.Field, opaque *operand) {
	parts := concat(key)
	if parts == nil {
		parts = []any{key}
	}
	for _, p := range parts {
		op := rr.operand(p)
		rr.require(op.needs)
		if op.always {
			rr.match(ruleset.Const{})
		}
		if op.opaque || op.mask != (ruleset.Value{}) {
			o := op
			opaque = &o
		}
		ops, fields = append(ops, op), append(fields, op.field)
	}
	return ops, fields, opaque
}

// tuple reads a match of a concatenation with a set.
func (rr *ruleReader) tuple(m object, parts []any) {
	ops, fields, opaque := rr.operands(m["left"])
	a := ruleset.Atom{Key: compact(m["left"]) + " " + compact(m["right"]), Why: exprText(object{"match": m}), Unknown: true}
	if opaque != nil && opaque.opaque {
		a.Unknown = opaque.atom.Unknown
	}
	var e ruleset.Expr = a
	if opaque == nil {
		if rows, err := rr.tupleRows(m["right"], ops); err == nil {
			e = ruleset.Tuple{Fields: fields, Rows: rows}
		}
	}
	if text(m["op"]) == "!=" {
		e = ruleset.Not{Expr: e}
	}
	rr.match(e)
}

// tupleRows reads the elements of a set of concatenations.
func (rr *ruleReader) tupleRows(right any, ops []operand) ([][]ruleset.Set, error) {
	elems, err := rr.elements(right)
	if err != nil {
		return nil, err
	}
	rows := make([][]ruleset.Set, 0, len(elems))
	for _, e := range elems {
		row, err := rr.row(e, ops)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// elements gives the elements of an anonymous or named set.
func (rr *ruleReader) elements(v any) ([]any, error) {
	if name, ok := v.(string); ok && strings.HasPrefix(name, "@") {
		def, ok := rr.sets[ChainID{rr.id, name[1:]}]
		if !ok {
			return nil, notValue(v)
		}
		return list(def["elem"]), nil
	}
	if o, ok := v.(object); ok && o["set"] != nil {
		return list(o["set"]), nil
	}
	return []any{v}, nil
}

// row reads one element as a set for each operand.
func (rr *ruleReader) row(e any, ops []operand) ([]ruleset.Set, error) {
	if o, ok := e.(object); ok && o["elem"] != nil {
		inner, _ := o["elem"].(object)
		e = inner["val"]
	}
	parts := concat(e)
	if parts == nil {
		parts = []any{e}
	}
	if len(parts) == 1 && text(parts[0]) == "*" {
		for len(parts) < len(ops) {
			parts = append(parts, "*")
		}
	}
	if len(parts) != len(ops) {
		return nil, notValue(e)
	}
	row := make([]ruleset.Set, len(ops))
	for i, op := range ops {
		s, err := rr.values(parts[i], op.kind)
		if err != nil {
			return nil, err
		}
		row[i] = s
	}
	return row, nil
}
