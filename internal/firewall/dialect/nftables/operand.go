package nftables

import (
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// operand is the left side of a match, or a part of a key.
type operand struct {
	field ruleset.Field
	kind  string
	needs []ruleset.Expr
	mask  ruleset.Value
	// opaque: not a field of the model; atom says how to treat a comparison
	// with it.
	opaque bool
	atom   ruleset.Atom
	// always: the value is not looked at; a comparison holds or not.
	always bool
	// exists: the value is a truth (exists, missing), and holds for a
	// stranger's packet as present says.
	exists  bool
	present bool
}

func dependsOn(why string) operand {
	return operand{opaque: true, atom: ruleset.Atom{Why: why}}
}

func rarely(why string) operand {
	return operand{opaque: true, atom: ruleset.Atom{Why: why, Lean: ruleset.UsuallyFalse}}
}

func notUnderstood(why string) operand {
	return operand{opaque: true, atom: ruleset.Atom{Why: why, Unknown: true}}
}

// never is an operand that an incoming packet does not have: a match with it
// fails, negated or not.
func never() operand { return operand{always: true} }

// operand reads an expression that gives a value.
func (rr *ruleReader) operand(v any) operand {
	o, ok := v.(object)
	if !ok || len(o) != 1 {
		return notUnderstood(exprText(v))
	}
	for kind, arg := range o {
		switch kind {
		case "payload":
			return rr.payload(arg, v)
		case "meta":
			return rr.meta(arg, v)
		case "ct":
			return rr.ct(arg, v)
		case "fib":
			return rr.fib(arg, v)
		case "&":
			return rr.masked(arg, v)
		}
		return other(kind, arg, v)
	}
	return operand{}
}

// other are expressions without a field of the model.
func other(kind string, arg, whole any) operand {
	said := exprText(whole)
	switch kind {
	case "numgen", "symhash", "jhash":
		return operand{field: ruleset.Chance, kind: "number"}
	case "socket":
		return notUnderstood(said + " (a property of the listening socket)")
	case "osf":
		return dependsOn("the sender's operating system")
	case "ip option", "exthdr", "ipsec":
		op := rarely(said)
		a, _ := arg.(object)
		op.exists = a["field"] == nil && kind != "ipsec"
		return op
	case "tcp option":
		return tcpOption(arg, said)
	case "rt":
		return dependsOn(said)
	}
	return notUnderstood(said)
}

func tcpOption(arg any, said string) operand {
	a, _ := arg.(object)
	needs := []ruleset.Expr{protoIs(6)}
	if text(a["name"]) == "maxseg" && text(a["field"]) == "size" {
		return operand{field: ruleset.MSS, kind: "number", needs: needs}
	}
	op := dependsOn(said)
	op.needs = needs
	op.exists = a["field"] == nil
	return op
}

func protoIs(n uint64) ruleset.Expr {
	return ruleset.In{Field: ruleset.L4Proto, Set: ruleset.Numbers(n)}
}

func familyIs(n uint64) ruleset.Expr {
	return ruleset.In{Field: ruleset.NFProto, Set: ruleset.Numbers(n)}
}

// known looks an operand up in fields.tsv.
func (rr *ruleReader) known(name string) (operand, bool) {
	spec, ok := rr.fields[name]
	if !ok {
		return operand{}, false
	}
	op := operand{field: spec.field, kind: spec.kind}
	switch spec.needs {
	case "":
	case "v4":
		op.needs = []ruleset.Expr{familyIs(ruleset.FamilyIPv4)}
	case "v6":
		op.needs = []ruleset.Expr{familyIs(ruleset.FamilyIPv6)}
	default:
		n, _ := strconv.ParseUint(spec.needs, 10, 8)
		op.needs = []ruleset.Expr{protoIs(n)}
	}
	return op, true
}

func (rr *ruleReader) payload(arg, whole any) operand {
	a, _ := arg.(object)
	if a["base"] != nil {
		return rr.raw(a, whole)
	}
	proto, field := text(a["protocol"]), text(a["field"])
	if op, ok := rr.known("payload " + proto + " " + field); ok {
		return op
	}
	said := exprText(whole)
	switch proto {
	case "ip", "ip6":
		return ipHeader(proto, field, said)
	case "tcp", "udp", "udplite", "dccp", "sctp", "icmp", "icmpv6", "ah", "esp", "comp", "igmp":
		op := dependsOn(said)
		op.needs = []ruleset.Expr{protoIs(rr.names["proto"][proto])}
		return op
	case "ether", "vlan":
		return dependsOn(said)
	case "arp":
		return never()
	}
	return notUnderstood(said)
}

// ipHeader are fields of the IP header that no sender is told apart by.
func ipHeader(proto, field, said string) operand {
	op := dependsOn(said)
	op.needs = []ruleset.Expr{familyIs(ruleset.FamilyIPv4)}
	version := uint64(4)
	if proto == "ip6" {
		op.needs = []ruleset.Expr{familyIs(ruleset.FamilyIPv6)}
		version = 6
	}
	switch field {
	case "version":
		return operand{opaque: true, needs: op.needs, atom: ruleset.Atom{Key: "constant " + strconv.FormatUint(version, 10)}}
	case "hdrlength":
		return operand{opaque: true, needs: op.needs, atom: ruleset.Atom{Key: "constant 5", Why: said}}
	}
	return op
}

// rawFields are raw payload expressions (base, offset, length in bits) that
// are fields of the model.
var rawFields = map[[3]string]string{
	{"th", "0", "16"}:   "payload th sport",
	{"th", "16", "16"}:  "payload th dport",
	{"nh", "64", "8"}:   "payload ip ttl",
	{"nh", "72", "8"}:   "payload ip protocol",
	{"nh", "96", "32"}:  "payload ip saddr",
	{"nh", "128", "32"}: "payload ip daddr",
}

// raw reads @base,offset,length. In a family of its own the network header's
// layout is known; in inet tables it is not.
func (rr *ruleReader) raw(a object, whole any) operand {
	name, ok := rawFields[[3]string{text(a["base"]), text(a["offset"]), text(a["len"])}]
	if !ok || strings.HasPrefix(name, "payload ip ") && rr.families != ruleset.IPv4 {
		return notUnderstood(exprText(whole))
	}
	op, _ := rr.known(name)
	if op.kind == "addr" {
		op.kind = "addr4"
	}
	return op
}

func (rr *ruleReader) meta(arg, whole any) operand {
	key := text(arg)
	if a, ok := arg.(object); ok {
		key = text(a["key"])
	}
	if op, ok := rr.known("meta " + key); ok {
		return op
	}
	said := exprText(whole)
	switch key {
	case "skuid", "skgid", "cgroup":
		return never() // an incoming packet has no socket yet
	case "time", "hour", "day":
		return dependsOn("the time of day or the date")
	case "secpath", "ipsec":
		op := rarely("whether the packet came through IPsec")
		op.exists = true
		return op
	case "cpu", "rtclassid", "iiftype", "iifkind", "oiftype", "oifkind", "sdif", "sdifname", "ibrname", "obrname", "ibrpvid", "ibrvproto":
		return dependsOn(said)
	case "priority":
		return notUnderstood(said)
	}
	return notUnderstood(said)
}

func (rr *ruleReader) ct(arg, whole any) operand {
	a, _ := arg.(object)
	name := "ct " + text(a["key"])
	if dir := text(a["dir"]); dir != "" {
		name += " " + dir
	}
	if op, ok := rr.known(name); ok {
		return op
	}
	said := exprText(whole)
	switch text(a["key"]) {
	case "bytes", "packets", "avgpkt":
		return operand{opaque: true, atom: ruleset.Atom{Why: said, Lean: ruleset.NoLeaning}}
	case "helper":
		return rarely(said)
	case "expiration", "id":
		return dependsOn(said)
	}
	return notUnderstood(said)
}

// fib is a route lookup. A legitimate stranger's source is routed back by the
// interface that it came from, and the address knocked at belongs to the
// interface that it arrives on.
func (rr *ruleReader) fib(arg, whole any) operand {
	a, _ := arg.(object)
	flags := map[string]bool{}
	for _, f := range list(a["flags"]) {
		flags[text(f)] = true
	}
	said := exprText(whole)
	switch {
	case text(a["result"]) == "type" && flags["daddr"]:
		return operand{field: ruleset.FibDAddr, kind: "fibtype"}
	case text(a["result"]) == "type" && flags["saddr"]:
		return operand{field: ruleset.FibSAddr, kind: "fibtype"}
	case text(a["result"]) == "oif" || text(a["result"]) == "oifname":
		return operand{opaque: true, exists: true, present: true, atom: ruleset.Atom{Why: said, Lean: ruleset.UsuallyTrue}}
	}
	return notUnderstood(said)
}

// masked reads {"&": [expression, constant]}.
func (rr *ruleReader) masked(arg, whole any) operand {
	parts := list(arg)
	if len(parts) != 2 {
		return notUnderstood(exprText(whole))
	}
	op := rr.operand(parts[0])
	if op.opaque || op.always {
		return op
	}
	m, err := rr.bits(parts[1], op.kind)
	if err != nil || op.mask != (ruleset.Value{}) {
		return operand{opaque: true, needs: op.needs, atom: notUnderstood(exprText(whole)).atom}
	}
	op.mask = m
	if op.kind == "addr" && op.field == ruleset.SAddr || op.field == ruleset.DAddr {
		op.mask = addressMask(op, m)
	}
	return op
}

// addressMask keeps the bits that make an IPv4 address a mapped one.
func addressMask(op operand, m ruleset.Value) ruleset.Value {
	if len(op.needs) == 1 && op.needs[0].(ruleset.In).Set.Has(ruleset.Number(ruleset.FamilyIPv4)) {
		return ruleset.Value{Hi: ^uint64(0), Lo: m.Lo | 0xffffffff<<32}
	}
	return m
}
