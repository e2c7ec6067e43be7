package cisco

import (
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// TCP flags (RFC 9293).
var flagBits = map[string]uint64{"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ece": 64, "cwr": 128}

// options reads what follows the addresses: the ICMP type, flags, and what
// narrows or only notes.
func (er *entryReader) options() (why string) {
	if isICMP(er.proto) && !er.c.done() && !isOption(er.c.peek()) {
		if why = er.icmpPart(); why != "" {
			return why
		}
	}
	flags := uint64(0)
	for !er.c.done() && why == "" {
		word := er.c.peek()
		if b, ok := flagBits[word]; ok {
			er.c.at++
			flags = er.addFlag(flags, b)
			continue
		}
		why = er.option(word)
	}
	if flags != 0 {
		er.oneFlagOf(flags)
	}
	return why
}

// addFlag joins flags: IOS takes any of them. Elsewhere two are not certain.
func (er *entryReader) addFlag(have, b uint64) uint64 {
	if have != 0 && (er.platform == NXOS || er.platform == EOS) {
		er.match(ruleset.Atom{Why: "several TCP flags together", Unknown: true})
	}
	return have | b
}

func (er *entryReader) oneFlagOf(flags uint64) {
	er.match(ruleset.In{Field: ruleset.L4Proto, Set: ruleset.Numbers(6)})
	er.match(ruleset.In{Field: ruleset.TCPFlags, Mask: ruleset.Number(flags), Set: ruleset.Range(ruleset.Number(1), ruleset.Number(255))})
}

// isOption are words behind the addresses of an ICMP entry that are no type.
func isOption(s string) bool {
	switch s {
	case "log", "log-input", "time-range", "fragments", "dscp", "precedence", "tos", "ttl", "option", "inactive", "reflect",
		"sequence", "counter", "capture", "count", "tracked", "nexthop1", "packet-length", "ect":
		return true
	}
	return false
}

func (er *entryReader) icmpPart() string {
	if er.c.peek() == "object-group" {
		er.c.at++
		g, why := er.resolve(er.c.next(), icmpGroup)
		if why != "" {
			return why
		}
		var any ruleset.Any
		for _, s := range g.services {
			any = append(any, s.expr())
		}
		er.match(any)
		return ""
	}
	kind, code, why := er.icmpType(er.c, er.proto)
	if why != "" {
		return why
	}
	er.match(service{kind: kind, code: code}.expr())
	return ""
}

// option reads one option by its first word.
func (er *entryReader) option(word string) (why string) {
	er.c.at++
	switch word {
	case "established":
		const ackOrRst = 16 | 4
		er.oneFlagOf(ackOrRst)
	case "log", "log-input":
		er.logOptions()
	case "inactive":
		er.skip = true
	case "match-any", "match-all":
		return er.signedFlags(word == "match-all")
	case "time-range":
		name := er.c.next()
		if s := er.c.peek(); s == "(active)" || s == "(inactive)" {
			er.c.at++
		}
		er.match(ruleset.Atom{Key: "time-range " + name, Why: "the time (time-range " + name + ")"})
	case "reflect":
		er.c.at++
		if er.c.accept("timeout") {
			er.c.at++
		}
	case "nexthop1", "nexthop2", "nexthop3": // sent on elsewhere, still permitted
		for !er.c.done() {
			er.c.at++
		}
	case "capture", "count":
	case "tracked": // EOS: of a connection that the switch has seen
		er.match(ruleset.Atom{Key: "tracked", Why: "the connections that the switch tracks", Lean: ruleset.UsuallyFalse})
	case "counter":
		er.c.at++
	default:
		return er.header(word)
	}
	return ""
}

// logOptions passes over what is said of logging.
func (er *entryReader) logOptions() {
	for {
		switch s := er.c.peek(); s {
		case "interval":
			er.c.at += 2
		case "default", "disable", "emergencies", "alerts", "critical", "errors", "warnings", "notifications", "informational", "debugging":
			er.c.at++
		case "(tag":
			for !er.c.done() && !strings.HasSuffix(er.c.next(), ")") {
			}
		default:
			if !isNumber(s) {
				return
			}
			er.c.at++
		}
	}
}

// signedFlags reads "+ack -fin".
func (er *entryReader) signedFlags(all bool) string {
	var set, unset uint64
	for {
		s := er.c.peek()
		b, ok := flagBits[strings.TrimLeft(s, "+-")]
		if !ok || len(s) < 2 || s[0] != '+' && s[0] != '-' {
			break
		}
		er.c.at++
		if s[0] == '+' {
			set |= b
		} else {
			unset |= b
		}
	}
	switch {
	case set|unset == 0:
		return "no TCP flags"
	case all && set&unset != 0:
		er.match(ruleset.Const{Holds: false})
	case all:
		er.match(ruleset.In{Field: ruleset.TCPFlags, Mask: ruleset.Number(set | unset), Set: ruleset.Numbers(set)})
	default:
		er.match(anyFlag(set, unset))
	}
	return ""
}

// anyFlag holds when one of set is set or one of unset is not.
func anyFlag(set, unset uint64) ruleset.Expr {
	var any ruleset.Any
	if set != 0 {
		any = append(any, ruleset.In{Field: ruleset.TCPFlags, Mask: ruleset.Number(set), Set: ruleset.Range(ruleset.Number(1), ruleset.Number(255))})
	}
	if unset != 0 {
		full := ruleset.TCPFlags.Except(ruleset.Numbers(unset))
		any = append(any, ruleset.In{Field: ruleset.TCPFlags, Mask: ruleset.Number(unset), Set: full})
	}
	return any
}

// header reads options that compare a header's field.
func (er *entryReader) header(word string) string {
	switch word {
	case "fragments":
		const offset = 0x1fff // RFC 791
		er.match(ruleset.In{Field: ruleset.FragOff, Mask: ruleset.Number(offset), Set: ruleset.Range(ruleset.Number(1), ruleset.Number(offset))})
	case "dscp":
		name := er.c.peek()
		er.c.next()
		n, ok := er.names.dscp(name)
		if !ok {
			return "no DSCP value: " + name
		}
		er.match(ruleset.In{Field: ruleset.DSCP, Set: ruleset.Numbers(n)})
	case "precedence":
		name := er.c.peek()
		er.c.next()
		n, ok := er.names.number("precedence", name)
		if !ok || n > 7 {
			return "no precedence: " + name
		}
		er.match(ruleset.In{Field: ruleset.DSCP, Set: ruleset.Range(ruleset.Number(n<<3), ruleset.Number(n<<3|7))})
	case "ttl":
		set, why := er.comparison(255)
		if why != "" {
			return why
		}
		er.match(ruleset.In{Field: ruleset.TTL, Set: set})
	case "packet-length", "plen":
		set, why := er.comparison(65535)
		if why != "" {
			return why
		}
		er.match(ruleset.In{Field: ruleset.Length, Set: set})
	case "tos", "option", "ect", "flow-label":
		value := er.c.next()
		er.match(ruleset.Atom{Key: word + " " + value, Why: word + " " + value, Lean: ruleset.UsuallyFalse})
	case "auth", "routing", "dest-option", "hbh", "mobility":
		er.match(ruleset.Atom{Key: word, Why: "the IPv6 header " + word, Lean: ruleset.UsuallyFalse})
	default:
		er.c.at--
		return "not understood: " + er.c.rest()
	}
	return ""
}

// comparison reads "eq 5", "lt 5", "gt 5", "neq 5", "range 1 5", "5".
func (er *entryReader) comparison(most uint64) (ruleset.Set, string) {
	sign := er.c.peek()
	if isNumber(sign) {
		sign = "eq"
	} else {
		er.c.at++
	}
	n, err := strconv.ParseUint(er.c.next(), 10, 32)
	hi := n
	if sign == "range" && err == nil {
		hi, err = strconv.ParseUint(er.c.next(), 10, 32)
	}
	if err != nil || n > most || hi > most {
		return nil, "no number"
	}
	return compare(sign, n, hi, most)
}

// compare gives the numbers up to most that a sign stands for.
func compare(sign string, n, hi, most uint64) (ruleset.Set, string) {
	num := ruleset.Number
	all := ruleset.Range(num(0), num(most))
	switch sign {
	case "eq":
		return ruleset.Numbers(n), ""
	case "neq":
		return all.Minus(ruleset.Numbers(n)), ""
	case "lt":
		return all.Minus(ruleset.Range(num(n), num(most))), ""
	case "gt":
		return all.Minus(ruleset.Range(num(0), num(n))), ""
	case "range":
		if hi < n {
			n, hi = hi, n
		}
		return ruleset.Range(num(n), num(hi)), ""
	}
	return nil, "no comparison: " + sign
}

func itoa(n int) string { return strconv.Itoa(n) }
