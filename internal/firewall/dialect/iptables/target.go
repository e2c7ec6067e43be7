package iptables

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// act reads the target.
func (rr *ruleReader) act() error {
	switch rr.target {
	case "":
		return nil // a rule that only counts
	case "ACCEPT":
		rr.add(ruleset.Decide{Verdict: ruleset.Accept})
	case "DROP", "REJECT", "STEAL":
		rr.add(ruleset.Decide{Verdict: ruleset.Drop})
	case "RETURN":
		rr.add(ruleset.Decide{Verdict: ruleset.Return})
	case "SNAT", "MASQUERADE", "SAME":
		rr.add(ruleset.Translate{Kind: ruleset.SourceNAT})
	case "DNAT", "REDIRECT", "NETMAP", "TPROXY":
		return rr.rewrite()
	case "MARK", "CONNMARK":
		return rr.marking()
	case "CT", "NOTRACK":
		return rr.connection()
	case "NFQUEUE", "QUEUE":
		rr.queue()
	case "SYNPROXY":
		rr.add(ruleset.Decide{Verdict: ruleset.Accept, Final: true, Note: "answered by a SYN proxy"})
	default:
		rr.otherTarget()
	}
	return nil
}

// otherTarget is a chain, a target that decides nothing, or one that is not
// known.
func (rr *ruleReader) otherTarget() {
	if ch := rr.chains[rr.target]; ch != nil {
		d := ruleset.Decide{Verdict: ruleset.Jump, Target: ch}
		if rr.jump {
			d.Verdict = ruleset.Goto
		}
		rr.add(d)
		return
	}
	switch rr.target {
	case "LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "CHECKSUM", "CLASSIFY", "TCPMSS", "TCPOPTSTRIP", "TEE", "TTL", "HL", "DSCP",
		"TOS", "ECN", "SET", "SECMARK", "CONNSECMARK", "IDLETIMER", "RATEEST", "LED", "HMARK", "DPT", "ACCOUNT", "LOGMARK":
		if rr.target == "HMARK" {
			rr.add(ruleset.Assign{Field: ruleset.Mark, Open: true})
		}
		return
	}
	rr.problem(rr.rule.Text, "the target "+rr.target+" is neither a chain here nor known")
	rr.add(ruleset.Elsewhere{Why: "the target " + rr.target, MayContinue: true})
}

func (rr *ruleReader) queue() {
	why := "a program in userspace decides (" + rr.goal.text()[len("-m "):] + ")"
	if has(rr.goal, "--queue-bypass") {
		why += ", accepted while no program listens"
	}
	rr.add(ruleset.Elsewhere{Why: why})
}

// rewrite reads DNAT, REDIRECT, NETMAP and TPROXY.
func (rr *ruleReader) rewrite() error {
	t := ruleset.Translate{Kind: map[string]ruleset.TranslateKind{"DNAT": ruleset.DNAT, "REDIRECT": ruleset.Redirect,
		"NETMAP": ruleset.Netmap, "TPROXY": ruleset.Divert}[rr.target]}
	var to ruleset.Target
	for _, o := range rr.goal.opts {
		var err error
		switch o.name {
		case "--to-destination", "--to":
			one, bad := rr.destination(o.arg())
			t.To, err = append(t.To, one), bad
		case "--to-ports", "--to-port":
			to.Ports, err = portRange(o.arg())
		case "--on-port":
			to.Ports, err = portRange(o.arg())
		case "--on-ip":
			to.Addrs, err = oneAddress(o.arg())
		case "--tproxy-mark":
			err = rr.setMark(ruleset.Mark, o.arg(), true)
		}
		if err != nil {
			return badArgument(o)
		}
	}
	if t.To == nil {
		t.To = []ruleset.Target{to}
	}
	rr.add(t)
	return nil
}

// destination reads "1.2.3.4-1.2.3.9:80-90/8080", "[2001:db8::1]:80",
// "2001:db8::1", ":80" and NETMAP's "10.0.0.0/24".
func (rr *ruleReader) destination(s string) (t ruleset.Target, err error) {
	if rr.target == "NETMAP" {
		return netmapTarget(s)
	}
	addr, port := splitHostPort(s)
	if addr != "" {
		if t.Addrs, err = addressRange(strings.NewReplacer("[", "", "]", "").Replace(addr)); err != nil {
			return t, err
		}
	}
	ports, base, shifted := strings.Cut(port, "/")
	if ports != "" {
		if t.Ports, err = portRange(ports); err != nil {
			return t, err
		}
	}
	if shifted {
		n, err := strconv.ParseUint(base, 10, 16)
		if err != nil {
			return t, errArgument
		}
		t.FirstPort = uint16(n)
	}
	return t, nil
}

func netmapTarget(s string) (t ruleset.Target, err error) {
	if t.Addrs, err = oneAddress(s); err != nil {
		return t, err
	}
	t.Prefix = 128
	if p, err := netip.ParsePrefix(s); err == nil {
		t.Prefix = p.Bits()
		if p.Addr().Is4() {
			t.Prefix += 96
		}
	}
	return t, nil
}

// splitHostPort cuts at the port's colon; an IPv6 address has a port only in
// brackets.
func splitHostPort(s string) (addr, port string) {
	if i := strings.LastIndex(s, "]:"); i >= 0 {
		return s[:i+1], s[i+2:]
	}
	if strings.Count(s, ":") > 1 || strings.HasPrefix(s, "[") {
		return s, ""
	}
	addr, port, _ = strings.Cut(s, ":")
	return addr, port
}

func portRange(s string) (ruleset.Set, error) {
	lo, hi, isRange := strings.Cut(s, "-")
	from, err := strconv.ParseUint(lo, 10, 16)
	if err != nil {
		return nil, errArgument
	}
	to := from
	if isRange {
		if to, err = strconv.ParseUint(hi, 10, 16); err != nil || to < from {
			return nil, errArgument
		}
	}
	if from == 0 && to == 0 {
		return nil, nil // TPROXY --on-port 0: the packet's own
	}
	return ruleset.Range(ruleset.Number(from), ruleset.Number(to)), nil
}

var allBits = ruleset.Value{}.Not()

// setMark adds the assignment of --set-xmark (xor) or --set-mark (or).
func (rr *ruleReader) setMark(f ruleset.Field, arg string, xor bool) error {
	v, m, err := valueMask(arg)
	if err != nil {
		return err
	}
	if !xor {
		m = m.Or(v)
	}
	rr.add(ruleset.Assign{Field: f, From: f, Keep: m.Not(), Xor: v})
	return nil
}

// marking reads MARK and CONNMARK.
func (rr *ruleReader) marking() error {
	field := ruleset.Mark
	if rr.target == "CONNMARK" {
		field = ruleset.CtMark
	}
	for _, o := range rr.goal.opts {
		var err error
		switch o.name {
		case "--set-xmark", "--set-mark":
			err = rr.setMark(field, o.arg(), o.name == "--set-xmark")
		case "--and-mark", "--or-mark", "--xor-mark":
			err = rr.markBits(field, o)
		case "--save-mark":
			rr.copyMark(ruleset.CtMark, ruleset.Mark)
		case "--restore-mark":
			rr.copyMark(ruleset.Mark, ruleset.CtMark)
		case "--nfmask", "--ctmask", "--mask":
		default:
			rr.add(ruleset.Assign{Field: field, Unknown: "the option " + o.text()})
		}
		if err != nil {
			return badArgument(o)
		}
	}
	return nil
}

func (rr *ruleReader) markBits(f ruleset.Field, o option) error {
	v, _, err := valueMask(o.arg())
	if err != nil {
		return err
	}
	a := ruleset.Assign{Field: f, From: f, Keep: allBits, Xor: v}
	switch o.name {
	case "--and-mark":
		a.Keep, a.Xor = v, ruleset.Value{}
		if v == (ruleset.Value{}) {
			a = ruleset.Assign{Field: f, Values: ruleset.Numbers(0)}
		}
	case "--or-mark":
		a.Keep = v.Not()
	}
	rr.add(a)
	return nil
}

// copyMark moves bits between the packet's and the connection's mark
// (net/netfilter/xt_connmark.c).
func (rr *ruleReader) copyMark(to, from ruleset.Field) {
	nf, ct := ruleset.Number(1<<32-1), ruleset.Number(1<<32-1)
	for _, o := range rr.goal.opts {
		v, _, err := valueMask(o.arg())
		switch {
		case err != nil:
		case o.name == "--nfmask":
			nf = v
		case o.name == "--ctmask":
			ct = v
		case o.name == "--mask":
			nf, ct = v, v
		}
	}
	if to == ruleset.Mark {
		nf, ct = ct, nf
	}
	rr.add(ruleset.Assign{Field: to, From: from, Keep: ct.Not(), Mask: nf})
}

// connection reads CT and NOTRACK.
func (rr *ruleReader) connection() error {
	if rr.target == "NOTRACK" || has(rr.goal, "--notrack") {
		rr.add(ruleset.Untrack{})
	}
	for _, o := range rr.goal.opts {
		if o.name == "--zone" || o.name == "--zone-orig" {
			n, err := strconv.ParseUint(o.arg(), 0, 16)
			if err != nil {
				rr.add(ruleset.Assign{Field: ruleset.CtZone, Open: true})
				continue
			}
			rr.add(ruleset.Assign{Field: ruleset.CtZone, Values: ruleset.Numbers(n)})
		}
	}
	return nil
}
