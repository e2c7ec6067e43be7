package iptables

import (
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// An extensionReader adds the conditions of one match extension.
type extensionReader func(*ruleReader, group) error

// extensionFor finds the reader of an extension; nil for one that is not
// known.
func extensionFor(name string) extensionReader {
	switch name {
	case "tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmp6", "icmpv6", "ipv6-icmp", "", "tcpmss":
		return (*ruleReader).transport
	case "multiport":
		return (*ruleReader).multiport
	case "conntrack", "state":
		return (*ruleReader).conntrack
	case "addrtype", "iprange", "mac", "mark", "connmark", "pkttype", "devgroup", "physdev":
		return (*ruleReader).simple
	case "length", "ttl", "hl", "dscp", "tos", "ecn":
		return (*ruleReader).header
	case "limit", "hashlimit", "connlimit", "recent", "quota", "connbytes":
		return (*ruleReader).amount
	case "set":
		return (*ruleReader).ipset
	case "comment", "nfacct":
		return (*ruleReader).nothing
	case "rpfilter", "owner", "cgroup", "time", "statistic", "policy", "cpu", "helper", "cluster", "realm", "osf", "rateest",
		"ah", "esp", "frag", "rt", "hbh", "dst", "ipv6header", "mh", "eui64", "ipcomp", "connlabel":
		return (*ruleReader).circumstance
	}
	return nil
}

// extension reads one -m with its options.
func (rr *ruleReader) extension(g group) error {
	rr.module = g.name
	if read := extensionFor(g.name); read != nil {
		return read(rr, g)
	}
	why := "the match " + g.text()
	if g.name == "socket" {
		why += " (a property of the listening socket)"
	}
	rr.match(ruleset.Atom{Key: g.text(), Why: why, Unknown: true})
	return nil
}

func (rr *ruleReader) nothing(g group) error {
	if g.name == "comment" && len(g.opts) > 0 {
		rr.rule.Comment = strings.Join(g.opts[0].args, " ")
	}
	return nil
}

// unknownOption makes a condition that is not understood of an option that an
// extension is not known to have.
func (rr *ruleReader) unknownOption(g group, o option) {
	rr.match(ruleset.Atom{Key: g.text(), Why: "the option " + o.text() + " of -m " + g.name, Unknown: true})
}

// transport reads ports, TCP flags, ICMP types.
func (rr *ruleReader) transport(g group) error {
	for _, o := range g.opts {
		if err := rr.transportOption(g, o); err != nil {
			return err
		}
	}
	return nil
}

func (rr *ruleReader) transportOption(g group, o option) (err error) {
	var s ruleset.Set
	switch o.name {
	case "--dport", "--destination-port":
		if s, err = rr.ports(o.arg()); err == nil {
			rr.match(in(ruleset.DPort, s, o.not))
		}
	case "--sport", "--source-port":
		if s, err = rr.ports(o.arg()); err == nil {
			rr.match(in(ruleset.SPort, s, o.not))
		}
	case "--syn":
		rr.tcpFlags(0x17, 0x02, o.not) // FIN, SYN, RST, ACK: only SYN set
	case "--tcp-flags":
		return rr.tcpFlagsOption(o)
	case "--mss":
		if s, err = span(o.arg(), 65535); err == nil {
			rr.match(in(ruleset.MSS, s, o.not))
		}
	case "--icmp-type", "--icmpv6-type":
		return rr.icmp(o)
	case "--tcp-option", "--chunk-types", "--dccp-types", "--dccp-option":
		rr.match(maybeNot(ruleset.Atom{Key: g.name + o.name + o.arg(), Why: "the match " + o.text()}, o.not))
	default:
		rr.unknownOption(g, o)
	}
	if err != nil {
		return badArgument(o)
	}
	return nil
}

func (rr *ruleReader) tcpFlags(mask, comp uint64, not bool) {
	s := ruleset.Numbers(comp)
	if not {
		s = ruleset.TCPFlags.Except(s)
	}
	if mask == 0 { // --tcp-flags NONE NONE looks at nothing
		rr.match(ruleset.Const{Holds: (comp == 0) != not})
		return
	}
	rr.match(ruleset.In{Field: ruleset.TCPFlags, Mask: ruleset.Number(mask), Set: s})
}

// tcpFlagNames are the bits of the TCP header's flags (RFC 9293).
var tcpFlagNames = map[string]uint64{"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128, "ALL": 0x3f, "NONE": 0}

func (rr *ruleReader) tcpFlagsOption(o option) error {
	if len(o.args) < 2 {
		return badArgument(o)
	}
	mask, ok := flagBits(o.args[0])
	comp, ok2 := flagBits(o.args[1])
	if !ok || !ok2 {
		return badArgument(o)
	}
	rr.tcpFlags(mask, comp, o.not)
	return nil
}

func flagBits(s string) (n uint64, ok bool) {
	for name := range strings.SplitSeq(s, ",") {
		b, ok := tcpFlagNames[strings.ToUpper(name)]
		if !ok {
			return 0, false
		}
		n |= b
	}
	return n, true
}

// icmpNames are the names that rules written by hand use most; saved rule
// sets hold numbers (IANA icmp-parameters, icmpv6-parameters).
var icmpNames = map[string]uint64{"echo-reply": 0, "pong": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5,
	"echo-request": 8, "ping": 8, "router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11, "ttl-exceeded": 11,
	"parameter-problem": 12, "timestamp-request": 13, "timestamp-reply": 14}

var icmp6Names = map[string]uint64{"destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "ttl-exceeded": 3,
	"parameter-problem": 4, "echo-request": 128, "ping": 128, "echo-reply": 129, "pong": 129, "router-solicitation": 133,
	"router-advertisement": 134, "neighbour-solicitation": 135, "neighbor-solicitation": 135, "neighbour-advertisement": 136,
	"neighbor-advertisement": 136, "redirect": 137}

func (rr *ruleReader) icmp(o option) error {
	if o.arg() == "any" || o.arg() == "255" {
		return nil
	}
	name, code, hasCode := strings.Cut(o.arg(), "/")
	names := icmpNames
	if rr.opt.Families == ruleset.IPv6 {
		names = icmp6Names
	}
	n, ok := names[name]
	if !ok {
		var err error
		if n, err = orEmpty(name, 256); err != nil || n > 255 {
			rr.match(ruleset.Atom{Key: o.text(), Why: "the ICMP type " + o.arg(), Unknown: true})
			return nil
		}
	}
	match := ruleset.All{in(ruleset.ICMPType, ruleset.Numbers(n), false)}
	if hasCode {
		c, err := span(code, 255)
		if err != nil {
			return badArgument(o)
		}
		match = append(match, in(ruleset.ICMPCode, c, false))
	}
	rr.match(maybeNot(match, o.not))
	return nil
}

func (rr *ruleReader) multiport(g group) error {
	for _, o := range g.opts {
		s, err := rr.ports(o.arg())
		if err != nil {
			return badArgument(o)
		}
		switch o.name {
		case "--dports", "--destination-ports", "--dport":
			rr.match(in(ruleset.DPort, s, o.not))
		case "--sports", "--source-ports", "--sport":
			rr.match(in(ruleset.SPort, s, o.not))
		case "--ports", "--port":
			rr.match(maybeNot(ruleset.Any{in(ruleset.DPort, s, false), in(ruleset.SPort, s, false)}, o.not))
		default:
			rr.unknownOption(g, o)
		}
	}
	return nil
}

// stateNames are conntrack states as the model numbers them.
var stateNames = map[string]uint64{"INVALID": ruleset.StateInvalid, "ESTABLISHED": ruleset.StateEstablished,
	"RELATED": ruleset.StateRelated, "NEW": ruleset.StateNew, "UNTRACKED": ruleset.StateUntracked}

func (rr *ruleReader) conntrack(g group) error {
	for _, o := range g.opts {
		if err := rr.conntrackOption(g, o); err != nil {
			return err
		}
	}
	return nil
}

func (rr *ruleReader) conntrackOption(g group, o option) (err error) {
	var s ruleset.Set
	field := ruleset.SAddr
	switch o.name {
	case "--ctstate", "--state":
		return rr.states(o)
	case "--ctstatus":
		return rr.status(o)
	case "--ctdir":
		dir := uint64(0)
		if strings.EqualFold(o.arg(), "REPLY") {
			dir = 1
		}
		field, s = ruleset.CtDir, ruleset.Numbers(dir)
	case "--ctproto":
		n, ok := protocolNumber(strings.ToLower(o.arg()))
		if !ok {
			return badArgument(o)
		}
		field, s = ruleset.L4Proto, ruleset.Numbers(n)
	case "--ctorigsrc", "--ctrepldst":
		s, err = oneAddress(o.arg())
	case "--ctorigdst":
		field = ruleset.CtOrigDAddr
		s, err = oneAddress(o.arg())
	case "--ctreplsrc":
		field = ruleset.DAddr
		s, err = oneAddress(o.arg())
	case "--ctorigsrcport", "--ctrepldstport":
		field = ruleset.SPort
		s, err = rr.ports(o.arg())
	case "--ctorigdstport":
		field = ruleset.CtOrigDPort
		s, err = rr.ports(o.arg())
	case "--ctreplsrcport":
		field = ruleset.DPort
		s, err = rr.ports(o.arg())
	case "--ctexpire":
		rr.match(maybeNot(ruleset.Atom{Key: o.text(), Why: "the time left of the connection"}, o.not))
		return nil
	default:
		rr.unknownOption(g, o)
		return nil
	}
	if err != nil {
		return badArgument(o)
	}
	rr.match(in(field, s, o.not))
	return nil
}

// states joins states with the pseudo-states SNAT and DNAT.
func (rr *ruleReader) states(o option) error {
	bits, status := uint64(0), uint64(0)
	for name := range strings.SplitSeq(o.arg(), ",") {
		switch b, ok := stateNames[strings.ToUpper(name)]; {
		case ok:
			bits |= b
		case strings.EqualFold(name, "SNAT"):
			status |= ruleset.StatusSNAT
		case strings.EqualFold(name, "DNAT"):
			status |= ruleset.StatusDNAT
		default:
			return badArgument(o)
		}
	}
	rr.match(maybeNot(ruleset.Any{anyBit(ruleset.CtState, bits), anyBit(ruleset.CtStatus, status)}, o.not))
	return nil
}

// anyBit holds when one of the bits is set; without bits never.
func anyBit(f ruleset.Field, bits uint64) ruleset.Expr {
	if bits == 0 {
		return ruleset.Const{}
	}
	return ruleset.In{Field: f, Mask: ruleset.Number(bits), Set: ruleset.Range(ruleset.Number(1), f.Max())}
}

// statusNames are the bits of --ctstatus. NONE is no bit, so that it alone
// never matches (net/netfilter/xt_conntrack.c).
var statusNames = map[string]uint64{"NONE": 0, "EXPECTED": 1, "SEEN_REPLY": 2, "ASSURED": 4, "CONFIRMED": 8}

func (rr *ruleReader) status(o option) error {
	bits := uint64(0)
	for name := range strings.SplitSeq(o.arg(), ",") {
		b, ok := statusNames[strings.ToUpper(name)]
		if !ok {
			return badArgument(o)
		}
		bits |= b
	}
	rr.match(maybeNot(anyBit(ruleset.CtStatus, bits), o.not))
	return nil
}
