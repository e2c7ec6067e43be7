package nftables

import (
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// statement reads one expression of a rule.
func (rr *ruleReader) statement(kind string, arg any) {
	switch kind {
	case "match":
		rr.matchStatement(arg)
	case "vmap":
		rr.vmap(arg)
	case "reject":
		rr.require(rejectNeeds(arg))
		rr.add(ruleset.Decide{Verdict: ruleset.Drop})
	case "accept", "drop", "continue", "return", "jump", "goto":
		if d, ok := rr.verdict(object{kind: arg}); ok {
			rr.add(d)
		} else {
			rr.unknown(kind, arg)
		}
	case "limit", "quota", "ct count", "meter":
		rr.rate(kind, arg)
	case "set", "map":
		rr.dynamic(arg)
	case "dnat", "redirect", "tproxy", "snat", "masquerade":
		rr.nat(kind, arg)
	case "mangle":
		rr.mangle(arg)
	case "xt":
		rr.extension(arg)
	default:
		rr.special(kind, arg)
	}
}

// rejectNeeds are the conditions that nft leaves out of a listing because the
// kind of rejection implies them.
func rejectNeeds(arg any) []ruleset.Expr {
	o, _ := arg.(object)
	switch text(o["type"]) {
	case "icmp":
		return []ruleset.Expr{familyIs(ruleset.FamilyIPv4)}
	case "icmpv6":
		return []ruleset.Expr{familyIs(ruleset.FamilyIPv6)}
	case "tcp reset":
		return []ruleset.Expr{protoIs(6)}
	}
	return nil
}

// special are statements with an effect of their own, or none on packets.
func (rr *ruleReader) special(kind string, arg any) {
	switch kind {
	case "counter":
		rr.counter(arg)
	case "log", "last", "flow", "dup", "ct helper", "ct timeout", "ct expectation", "secmark", "tunnel":
	case "notrack":
		rr.add(ruleset.Untrack{})
	case "queue":
		rr.add(ruleset.Elsewhere{Why: queueWhy(arg)})
	case "synproxy":
		rr.match(protoIs(6))
		rr.add(ruleset.Decide{Verdict: ruleset.Accept, Final: true, Note: "answered by a SYN proxy"})
	case "fwd":
		rr.add(ruleset.Decide{Verdict: ruleset.Drop, Note: "sent out of another device"})
	default:
		rr.unknown(kind, arg)
	}
}

// counter takes how many packets the rule has seen; a named counter may be of
// several rules.
func (rr *ruleReader) counter(arg any) {
	o, _ := arg.(object)
	if n, ok := integer(o["packets"]); ok && n >= 0 {
		packets := uint64(n)
		rr.rule.Packets = &packets
	}
}

// unknown is a statement that may do anything.
func (rr *ruleReader) unknown(kind string, arg any) {
	rr.add(ruleset.Elsewhere{Why: statementText(kind, arg), MayContinue: true})
}

func queueWhy(arg any) string {
	o, _ := arg.(object)
	why := "a program in userspace decides (queue"
	if o["num"] != nil {
		why += " " + exprText(o["num"])
	}
	for _, f := range list(o["flags"]) {
		if text(f) == "bypass" {
			why += ", accepted while no program listens"
		}
	}
	return why + ")"
}

// verdict reads a verdict statement or the data of a verdict map.
func (rr *ruleReader) verdict(v any) (ruleset.Decide, bool) {
	o, _ := v.(object)
	for kind, arg := range o {
		switch kind {
		case "accept":
			return ruleset.Decide{Verdict: ruleset.Accept}, true
		case "drop":
			return ruleset.Decide{Verdict: ruleset.Drop}, true
		case "continue":
			return ruleset.Decide{Verdict: ruleset.Continue}, true
		case "return":
			return ruleset.Decide{Verdict: ruleset.Return}, true
		case "jump", "goto":
			return rr.jump(kind, arg)
		}
	}
	return ruleset.Decide{}, false
}

func (rr *ruleReader) jump(kind string, arg any) (ruleset.Decide, bool) {
	o, _ := arg.(object)
	target := rr.chains[ChainID{rr.id, text(o["target"])}]
	d := ruleset.Decide{Verdict: ruleset.Jump, Target: target}
	if kind == "goto" {
		d.Verdict = ruleset.Goto
	}
	return d, target != nil
}

// vmap reads {"vmap": {key, data}}.
func (rr *ruleReader) vmap(arg any) {
	m, _ := arg.(object)
	ops, fields, opaque := rr.operands(m["key"])
	elems, err := rr.elements(m["data"])
	if err != nil {
		rr.unknown("vmap", arg)
		return
	}
	if opaque != nil {
		rr.opaqueMap(*opaque, arg, elems)
		return
	}
	c := ruleset.Choose{Fields: fields}
	for _, e := range elems {
		pair := list(e)
		if len(pair) != 2 {
			rr.unknown("vmap", arg)
			return
		}
		sets, err := rr.row(pair[0], ops)
		d, ok := rr.verdict(pair[1])
		if err != nil || !ok {
			rr.unknown("vmap", arg)
			return
		}
		c.Rows = append(c.Rows, ruleset.Choice{Sets: sets, Decide: d})
	}
	c.Rows = orderRows(c.Rows)
	rr.add(c)
}

// opaqueMap makes each row of a map possible whose key is no field.
func (rr *ruleReader) opaqueMap(op operand, arg any, elems []any) {
	a := ruleset.Assign{Field: ruleset.Chance, Open: true}
	if !op.opaque || op.atom.Unknown {
		a = ruleset.Assign{Field: ruleset.Chance, Unknown: statementText("vmap", arg)}
	}
	c := ruleset.Choose{Fields: []ruleset.Field{ruleset.Chance}}
	for i, e := range elems {
		pair := list(e)
		if len(pair) != 2 {
			continue
		}
		d, ok := rr.verdict(pair[1])
		if !ok {
			rr.unknown("vmap", arg)
			return
		}
		c.Rows = append(c.Rows, ruleset.Choice{Sets: []ruleset.Set{ruleset.Numbers(uint64(i))}, Decide: d})
	}
	rr.add(a, c)
}

// orderRows puts catch-all rows last and joins the rows of a one-field map
// that decide alike, so that large maps stay quick.
func orderRows(rows []ruleset.Choice) []ruleset.Choice {
	var out, rest []ruleset.Choice
	at := map[ruleset.Decide]int{}
	for _, row := range rows {
		i, seen := at[row.Decide]
		switch {
		case catchAll(row.Sets):
			rest = append(rest, row)
		case seen && len(row.Sets) == 1:
			out[i].Sets[0] = append(out[i].Sets[0], row.Sets[0]...)
		default:
			at[row.Decide] = len(out)
			out = append(out, ruleset.Choice{Sets: cloneSets(row.Sets), Decide: row.Decide})
		}
	}
	for i := range out {
		for j, s := range out[i].Sets {
			out[i].Sets[j] = ruleset.Union(s)
		}
	}
	return append(out, rest...)
}

func cloneSets(sets []ruleset.Set) []ruleset.Set {
	out := make([]ruleset.Set, len(sets))
	for i, s := range sets {
		out[i] = append(ruleset.Set(nil), s...)
	}
	return out
}

func catchAll(sets []ruleset.Set) bool {
	all := ruleset.SAddr.Full()
	for _, s := range sets {
		if !s.Equal(all) {
			return false
		}
	}
	return true
}

// dynamic reads {"set": {op, elem, set, stmt}}: adding to a set always goes
// on, but for the statements that it carries.
func (rr *ruleReader) dynamic(arg any) {
	o, _ := arg.(object)
	elem := o["elem"]
	if e, ok := elem.(object); ok && e["elem"] != nil {
		inner, _ := e["elem"].(object)
		elem = inner["val"]
	}
	rr.keyNeeds(elem)
	for _, s := range list(o["stmt"]) {
		rr.inner(s)
	}
}

// keyNeeds requires what the parts of a key need.
func (rr *ruleReader) keyNeeds(key any) {
	parts := concat(key)
	if parts == nil {
		parts = []any{key}
	}
	for _, p := range parts {
		rr.require(rr.operand(p).needs)
	}
}

// inner reads a statement inside a set or meter statement.
func (rr *ruleReader) inner(s any) {
	o, ok := s.(object)
	if !ok {
		rr.unknown("set", s)
		return
	}
	for kind, arg := range o {
		rr.statement(kind, arg)
	}
}

// rate reads conditions on how much came before: a stranger's first packet
// is within any rate.
func (rr *ruleReader) rate(kind string, arg any) {
	o, isObject := arg.(object)
	switch kind {
	case "limit":
		if !isObject {
			o = rr.limits[ChainID{rr.id, text(arg)}]
		}
		rr.within(o != nil, o["inv"] == true, "within its rate")
	case "quota":
		if !isObject {
			o = rr.quotas[ChainID{rr.id, text(arg)}]
		}
		rr.within(o != nil, o["inv"] == true != quotaSpent(o), "within its quota")
	case "ct count":
		n, ok := integer(o["val"])
		rr.within(ok, o["inv"] == true != (n == 0), "within its count of connections")
	case "meter":
		rr.keyNeeds(o["key"])
		rr.inner(o["stmt"])
	}
}

// within adds a condition that holds unless it asks for more than there is.
func (rr *ruleReader) within(known, over bool, note string) {
	if !known {
		rr.match(ruleset.Atom{Why: "a limit that is not shown", Unknown: true})
		return
	}
	rr.match(ruleset.Const{Holds: !over, Note: note})
}

// quotaSpent reports that a quota's bytes are used up.
func quotaSpent(o object) bool {
	total, ok := bytesOf(o["val"], o["val_unit"])
	if o["bytes"] != nil {
		total, ok = bytesOf(o["bytes"], nil)
	}
	used, known := bytesOf(o["used"], o["used_unit"])
	return ok && known && used >= total
}

func bytesOf(n, unit any) (int64, bool) {
	v, ok := integer(n)
	if !ok || v < 0 || v > 1<<33 {
		return v, ok
	}
	switch text(unit) {
	case "kbytes":
		v <<= 10
	case "mbytes":
		v <<= 20
	case "gbytes":
		v <<= 30
	}
	return v, true
}
