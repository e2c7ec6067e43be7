package nftables

import (
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// nat reads dnat, redirect, tproxy, snat and masquerade.
func (rr *ruleReader) nat(kind string, arg any) {
	o, _ := arg.(object)
	t := ruleset.Translate{Families: familiesOf(text(o["family"]))}
	switch kind {
	case "snat", "masquerade":
		rr.add(ruleset.Translate{Kind: ruleset.SourceNAT, Families: t.Families})
		return
	case "dnat":
		t.Kind = ruleset.DNAT
	case "redirect":
		t.Kind = ruleset.Redirect
	case "tproxy":
		t.Kind, t.Continues = ruleset.Divert, true
	}
	for _, f := range append(list(o["type_flags"]), list(o["flags"])...) {
		if text(f) == "prefix" {
			t.Kind = ruleset.Netmap
		}
	}
	if err := rr.targets(&t, o); err != nil {
		t.Unknown = statementText(kind, arg)
		t.To, t.Fields, t.Rows = []ruleset.Target{{}}, nil, nil
	}
	rr.add(t)
}

// targets fills in where a rewrite leads: constants, ranges, or a map for the
// address, the port or both.
func (rr *ruleReader) targets(t *ruleset.Translate, o object) error {
	fixed, key, elems, part, err := rr.fixedTarget(o)
	if err != nil {
		return err
	}
	if elems == nil {
		t.To = []ruleset.Target{fixed}
		return nil
	}
	ops, fields, opaque := rr.operands(key)
	if opaque != nil {
		return notValue(key)
	}
	t.Fields = fields
	for _, e := range elems {
		pair := list(e)
		if len(pair) != 2 {
			return notValue(e)
		}
		row := ruleset.TargetRow{Target: fixed}
		if row.Sets, err = rr.row(pair[0], ops); err == nil {
			err = rr.mapped(&row.Target, pair[1], part)
		}
		if err != nil {
			return err
		}
		t.Rows = append(t.Rows, row)
	}
	if t.Rows == nil {
		t.Rows = []ruleset.TargetRow{}
	}
	return nil
}

// fixedTarget reads the constant parts, and finds the map if there is one.
func (rr *ruleReader) fixedTarget(o object) (t ruleset.Target, key any, elems []any, part string, err error) {
	for _, name := range []string{"addr", "port"} {
		v := o[name]
		if v == nil {
			continue
		}
		if m, ok := mapOf(v); ok {
			if elems != nil {
				return t, nil, nil, "", notValue(o)
			}
			key, part = m["key"], name
			if elems, err = rr.elements(m["data"]); elems == nil {
				elems = []any{}
			}
		} else {
			err = rr.mapped(&t, v, name)
		}
		if err != nil {
			return t, nil, nil, "", err
		}
	}
	return t, key, elems, part, nil
}

func mapOf(v any) (object, bool) {
	o, _ := v.(object)
	m, ok := o["map"].(object)
	return m, ok
}

// mapped reads an address, a port, or an address and a port joined.
func (rr *ruleReader) mapped(t *ruleset.Target, v any, part string) (err error) {
	if e, ok := v.(object); ok && e["elem"] != nil {
		inner, _ := e["elem"].(object)
		v = inner["val"]
	}
	if parts := concat(v); len(parts) == 2 {
		if t.Addrs, err = rr.values(parts[0], "addr"); err == nil {
			t.Ports, err = rr.values(parts[1], "number")
		}
		return err
	}
	if part == "port" {
		t.Ports, err = rr.values(v, "number")
		return err
	}
	t.Addrs, err = rr.values(v, "addr")
	if p, ok := v.(object); ok && p["prefix"] != nil && err == nil {
		t.Prefix = prefixLength(p["prefix"])
	}
	return err
}

// prefixLength counts the prefix in the 128-bit form of addresses.
func prefixLength(arg any) int {
	o, _ := arg.(object)
	n, _ := integer(o["len"])
	for _, c := range text(o["addr"]) {
		if c == ':' {
			return int(n)
		}
	}
	return int(n) + 96
}

// mangle reads {"mangle": {key, value}}: marks, and header fields that are
// rewritten without NAT.
func (rr *ruleReader) mangle(arg any) {
	o, _ := arg.(object)
	op := rr.operand(o["key"])
	rr.require(op.needs)
	if op.opaque || op.always {
		return // properties that no rule of the model looks at
	}
	a := ruleset.Assign{Field: op.field}
	switch op.field {
	case ruleset.DAddr, ruleset.DPort:
		rr.stateless(op, o["value"], arg)
		return
	}
	if lin, ok := rr.linear(o["value"], op.kind); ok {
		a.From, a.Mask, a.Xor, a.Values = lin.from, lin.mask, lin.xor, lin.values
	} else if drawn(o["value"]) {
		a.Open = true
	} else {
		a.Unknown = statementText("mangle", arg)
	}
	rr.add(a)
}

// stateless rewrites the destination without connection tracking.
func (rr *ruleReader) stateless(op operand, value, arg any) {
	t := ruleset.Translate{Kind: ruleset.DNAT, Continues: true}
	set, err := rr.values(value, op.kind)
	if err != nil {
		t.Unknown = statementText("mangle", arg)
	}
	target := ruleset.Target{Addrs: set}
	if op.field == ruleset.DPort {
		target = ruleset.Target{Ports: set}
	}
	t.To = []ruleset.Target{target}
	rr.add(t)
}

func drawn(v any) bool {
	o, _ := v.(object)
	return o["jhash"] != nil || o["numgen"] != nil || o["symhash"] != nil
}

// linear is a value of the form (from & mask) ^ xor, or constants.
type linear struct {
	from      ruleset.Field
	mask, xor ruleset.Value
	values    ruleset.Set
}

var allOnes = ruleset.Value{}.Not()

func (rr *ruleReader) linear(v any, kind string) (linear, bool) {
	o, isObject := v.(object)
	if !isObject {
		set, err := rr.values(v, kind)
		return linear{values: set}, err == nil && len(set) > 0
	}
	for sign, arg := range o {
		switch sign {
		case "&", "|", "^":
			return rr.combine(sign, list(arg), kind)
		case "meta", "ct":
			op := rr.operand(v)
			return linear{from: op.field, mask: allOnes}, !op.opaque && !op.always && len(op.needs) == 0
		}
	}
	return linear{}, false
}

func (rr *ruleReader) combine(sign string, parts []any, kind string) (linear, bool) {
	if len(parts) != 2 {
		return linear{}, false
	}
	l, ok := rr.linear(parts[0], kind)
	k, err := rr.bits(parts[1], kind)
	if !ok || err != nil || l.values != nil {
		return linear{}, false
	}
	switch sign {
	case "&":
		l.mask, l.xor = l.mask.And(k), l.xor.And(k)
	case "|":
		l.mask, l.xor = l.mask.And(k.Not()), l.xor.And(k.Not()).Or(k)
	case "^":
		l.xor = l.xor.Xor(k)
	}
	return l, true
}

// extension is an x_tables match or target, of which nft's JSON shows the
// name only.
func (rr *ruleReader) extension(arg any) {
	o, _ := arg.(object)
	rr.tables[rr.id].Extensions = true
	name := text(o["name"])
	if text(o["type"]) == "match" {
		if name == "comment" {
			return
		}
		rr.match(ruleset.Atom{Why: "the x_tables match " + name + ", whose arguments nft does not show", Unknown: true})
		return
	}
	rr.extensionTarget(name)
}

func (rr *ruleReader) extensionTarget(name string) {
	why := "the x_tables target " + name + ", whose arguments nft does not show"
	switch name {
	case "LOG", "NFLOG", "AUDIT", "TRACE", "CHECKSUM", "TCPMSS", "CLASSIFY", "TEE", "TTL", "HL", "DSCP", "TOS",
		"IDLETIMER", "RATEEST", "LED", "TCPOPTSTRIP", "SECMARK", "CONNSECMARK", "ECN":
	case "REJECT":
		rr.add(ruleset.Decide{Verdict: ruleset.Drop})
	case "SNAT", "MASQUERADE":
		rr.add(ruleset.Translate{Kind: ruleset.SourceNAT})
	case "DNAT", "REDIRECT", "NETMAP":
		rr.add(ruleset.Translate{Kind: ruleset.DNAT, Unknown: why, To: []ruleset.Target{{}}})
	case "MARK", "CONNMARK":
		rr.add(ruleset.Assign{Field: ruleset.Mark, Unknown: why}, ruleset.Assign{Field: ruleset.CtMark, Unknown: why})
	default:
		rr.add(ruleset.Elsewhere{Why: why, MayContinue: true})
	}
}
