package pf

import (
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// filterOption reads what follows a rule's addresses.
func (p *parser) filterOption(b *building, t token) error {
	switch t.text {
	case "flags":
		b.flags = p.next().text
		if p.peek().text == "/" { // "S / SA"
			b.flags += p.next().text + p.next().text
		}
		return nil
	case "keep", "modulate", "synproxy":
		b.state = true
		return p.stateOptions()
	case "no":
		if err := p.expect("state"); err != nil {
			return err
		}
		b.noState = true
		return p.optional()
	case "icmp-type", "icmp6-type":
		return p.icmp(b, t.is("icmp6-type"))
	case "label", "tag", "queue", "rtable", "ridentifier", "max-mss", "min-ttl", "dnpipe", "dnqueue", "prio", "set-tos", "rulename":
		return p.setting(b, t)
	case "set", "scrub":
		return p.optional()
	case "allow-opts", "once", "fragment", "random-id", "no-df", "static-port", "sticky-address", "round-robin", "random", "bitmask", "least-states":
		if t.is("fragment") {
			const offset = 0x1fff // RFC 791
			b.cond(ruleset.In{Field: ruleset.FragOff, Mask: ruleset.Number(offset), Set: ruleset.Range(ruleset.Number(1), ruleset.Number(offset))})
		}
		return nil
	case "source-hash":
		if !p.atEnd() && strings.HasPrefix(p.peek().text, "0x") {
			p.next()
		}
		return nil
	}
	return p.conditionOption(b, t)
}

// setting passes over an option with an argument that decides nothing; a mark
// ("tag") may be asked for by a later rule, which says that it depends.
func (p *parser) setting(b *building, t token) error {
	if p.peek().is("(") {
		p.parentheses()
		return nil
	}
	p.next()
	return nil
}

// optional leaves out "( … )" or one setting of "set".
func (p *parser) optional() error {
	switch {
	case p.peek().is("("):
		p.parentheses()
	case p.peek().is("queue"), p.peek().is("prio"), p.peek().is("tos"), p.peek().is("delay"):
		p.next()
		if p.peek().is("(") {
			p.parentheses()
			return nil
		}
		p.next()
	}
	return nil
}

func (p *parser) stateOptions() error {
	if err := p.expect("state"); err != nil {
		return err
	}
	return p.optional()
}

// conditionOption reads options that a packet must meet, and those that send
// it elsewhere.
func (p *parser) conditionOption(b *building, t token) error {
	switch t.text {
	case "user", "group":
		p.restOfCondition()
		b.cond(ruleset.Atom{Why: "the " + t.text + " that owns the socket", Unknown: true})
	case "tos", "dscp":
		value := p.next().text
		b.cond(ruleset.Atom{Key: "tos " + value, Why: "type of service " + value, Lean: ruleset.UsuallyFalse})
	case "probability":
		b.cond(ruleset.Atom{Why: "chance (probability " + p.next().text + ")"})
	case "max-pkt-rate":
		p.next()
		b.cond(ruleset.Const{Holds: true, Note: "within its rate"})
	case "tagged":
		name := p.next().text
		b.cond(ruleset.Atom{Key: "tag " + name, Why: "the tag " + name + ", which other rules give", Unknown: true})
	case "!":
		return p.negated(b)
	case "received-on":
		return p.receivedOn(b, false)
	case "os":
		p.next()
		b.cond(ruleset.Atom{Why: "the sender's operating system"})
	case "rdr-to", "nat-to", "binat-to", "af-to", "divert-to", "divert-packet", "divert-reply", "route-to", "reply-to", "dup-to":
		return p.translation(b, t)
	default:
		return errorAt(t, "%q is not understood", t.text)
	}
	return nil
}

// restOfCondition reads "user root", "user { a b }", "user >= 1000", "user != x".
func (p *parser) restOfCondition() {
	for p.accept("=") || p.accept("!=") || p.accept("<") || p.accept(">") || p.accept("<=") || p.accept(">=") {
	}
	_, _ = p.list()
	if p.accept("><") || p.accept("<>") {
		p.next()
	}
}

func (p *parser) negated(b *building) error {
	t := p.next()
	switch t.text {
	case "tagged":
		name := p.next().text
		b.cond(ruleset.Not{Expr: ruleset.Atom{Key: "tag " + name, Why: "the tag " + name + ", which other rules give", Unknown: true}})
		return nil
	case "received-on":
		return p.receivedOn(b, true)
	}
	return errorAt(t, "%q behind !", t.text)
}

func (p *parser) receivedOn(b *building, not bool) error {
	list, err := p.interfaces()
	if err != nil {
		return err
	}
	e := interfaceExpr(ruleset.IIf, list)
	if not {
		e = ruleset.Not{Expr: e}
	}
	b.cond(e)
	return nil
}

// icmp reads "8", "echoreq code 0", "{ 0, 3, 11 }".
func (p *parser) icmp(b *building, six bool) error {
	words, err := p.icmpList()
	if err != nil {
		return err
	}
	var any ruleset.Any
	for _, w := range words {
		n, ok := icmpNumber(w.kind.text, six)
		if !ok {
			return errorAt(w.kind, "no ICMP type %q", w.kind.text)
		}
		e := ruleset.All{ruleset.In{Field: ruleset.ICMPType, Set: ruleset.Numbers(n)}}
		if w.code.text != "" {
			c, ok := codeNumber(w.code.text, six)
			if !ok {
				return errorAt(w.code, "no ICMP code %q", w.code.text)
			}
			e = append(e, ruleset.In{Field: ruleset.ICMPCode, Set: ruleset.Numbers(c)})
		}
		any = append(any, e)
	}
	proto := uint64(1)
	if six {
		proto = 58
	}
	b.cond(ruleset.In{Field: ruleset.L4Proto, Set: ruleset.Numbers(proto)})
	b.cond(any)
	return nil
}

type icmpWord struct{ kind, code token }

func (p *parser) icmpList() (out []icmpWord, err error) {
	braced := p.accept("{")
	for {
		switch {
		case p.done():
			return nil, errorAt(p.last(), "a list that does not end")
		case braced && p.accept("}"):
			return out, nil
		case braced && (p.accept(",") || p.accept("\n")):
			continue
		}
		w := icmpWord{kind: p.next()}
		if p.accept("code") {
			codes, err := p.list()
			if err != nil {
				return nil, err
			}
			for _, c := range codes {
				out = append(out, icmpWord{w.kind, c})
			}
		} else {
			out = append(out, w)
		}
		if !braced {
			return out, nil
		}
	}
}

// flagBits are pf's letters for TCP flags.
var flagBits = map[rune]uint64{'F': 1, 'S': 2, 'R': 4, 'P': 8, 'A': 16, 'U': 32, 'E': 64, 'W': 128}

func flagMask(s string) (n uint64, ok bool) {
	for _, c := range s {
		b, known := flagBits[c]
		if !known {
			return 0, false
		}
		n |= b
	}
	return n, true
}

// finish adds what a rule asks for without saying it: a rule that keeps state
// looks for S/SA in TCP packets (pf.conf(5)), and pass rules keep state.
func (b *building) finish() {
	flags := b.flags
	if flags == "" && !b.block && !b.nothing && !b.noState {
		flags = "S/SA"
	}
	if flags == "" || flags == "any" {
		return
	}
	set, mask, _ := strings.Cut(flags, "/")
	want, ok := flagMask(set)
	of, okMask := flagMask(mask)
	if mask == "" {
		of = 0xff
	}
	if !ok || !okMask {
		b.cond(ruleset.Atom{Key: "flags " + flags, Why: "the flags " + flags, Unknown: true})
		return
	}
	in := ruleset.In{Field: ruleset.TCPFlags, Mask: ruleset.Number(of), Set: ruleset.Numbers(want)}
	tcp := ruleset.Numbers(6)
	switch {
	case b.protoSet == nil && b.flags == "", b.protoSet.Meets(tcp) && len(b.protos) > 1:
		b.cond(ruleset.Any{ruleset.In{Field: ruleset.L4Proto, Set: ruleset.L4Proto.Except(tcp)}, in})
	case b.protoSet == nil:
		b.cond(ruleset.Any{ruleset.In{Field: ruleset.L4Proto, Set: ruleset.L4Proto.Except(tcp)}, in})
	case b.protoSet.Meets(tcp):
		b.cond(in)
	}
}

// protocolNumber reads a protocol's name (protocols(5)) or number.
func protocolNumber(s string) (uint64, bool) {
	if n, ok := protocols[s]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return n, err == nil
}

// protocols are names of protocols(5) (IANA protocol-numbers).
var protocols = map[string]uint64{"icmp": 1, "igmp": 2, "ipencap": 4, "ipip": 4, "tcp": 6, "egp": 8, "udp": 17, "ipv6": 41, "rsvp": 46,
	"gre": 47, "esp": 50, "ah": 51, "icmp6": 58, "ipv6-icmp": 58, "eigrp": 88, "ospf": 89, "ospfigp": 89, "etherip": 97, "pim": 103, "ipcomp": 108, "carp": 112,
	"vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136, "mpls": 137, "pfsync": 240}

func icmpNumber(s string, six bool) (uint64, bool) {
	names := icmpTypes
	if six {
		names = icmp6Types
	}
	if n, ok := names[s]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return n, err == nil
}

func codeNumber(s string, six bool) (uint64, bool) {
	if n, ok := icmpCodes[s]; ok && !six {
		return n, true
	}
	if n, ok := icmp6Codes[s]; ok && six {
		return n, true
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return n, err == nil
}

// Names of icmp(4) and icmp6(4), as pf.conf takes them.
var (
	icmpTypes = map[string]uint64{"echorep": 0, "unreach": 3, "squench": 4, "redir": 5, "althost": 6, "echoreq": 8, "routeradv": 9,
		"routersol": 10, "timex": 11, "paramprob": 12, "timereq": 13, "timerep": 14, "inforeq": 15, "inforep": 16, "maskreq": 17,
		"maskrep": 18, "trace": 30, "dataconv": 31, "mobredir": 32, "ipv6-where": 33, "ipv6-here": 34, "mobregreq": 35, "mobregrep": 36,
		"skip": 39, "photuris": 40}
	icmp6Types = map[string]uint64{"unreach": 1, "toobig": 2, "timex": 3, "paramprob": 4, "echoreq": 128, "echorep": 129, "groupqry": 130,
		"listqry": 130, "grouprep": 131, "listenrep": 131, "groupterm": 132, "listendone": 132, "routersol": 133, "routeradv": 134,
		"neighbrsol": 135, "neighbradv": 136, "redir": 137, "routrrenum": 138, "wrureq": 139, "fqdnreq": 139, "wrurep": 140, "fqdnrep": 140,
		"mtraceresp": 200, "mtrace": 201, "listenrepv2": 143}
	icmpCodes = map[string]uint64{"net-unr": 0, "host-unr": 1, "proto-unr": 2, "port-unr": 3, "needfrag": 4, "srcfail": 5, "net-unk": 6,
		"host-unk": 7, "isolate": 8, "net-prohib": 9, "host-prohib": 10, "net-tos": 11, "host-tos": 12, "filter-prohib": 13,
		"host-preced": 14, "cutoff-preced": 15, "redir-net": 0, "redir-host": 1, "redir-tos-net": 2, "redir-tos-host": 3, "transit": 0,
		"reassemb": 1, "badhead": 0, "optmiss": 1, "badlen": 2}
	icmp6Codes = map[string]uint64{"admin-unr": 1, "noroute-unr": 0, "notnbr-unr": 2, "beyond-unr": 2, "addr-unr": 3, "port-unr": 4,
		"transit": 0, "reassemb": 1, "badhead": 0, "nxthdr": 1, "redironlink": 0, "redirrouter": 1}
)
