package windows

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/values"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Directions.
const (
	inbound = iota
	outbound
	eitherWay
)

var directions = [2]string{"inbound", "outbound"}

// Actions, in the order in which they come.
const (
	bypass = iota
	block
	allow
	noAction
)

// rule is a rule as all the forms tell it. Empty lists are any.
type rule struct {
	line      int
	name      string
	comment   string
	disabled  bool
	direction int
	action    int
	profiles  []string
	proto     string
	types     []string // of ICMP: "8", "3:4", "8:*"
	// Local and remote ports and addresses, in the words of the file.
	localPorts, remotePorts []string
	localAddrs, remoteAddrs []string
	needs                   []need
}

// need is a condition that a packet does not show.
type need struct {
	why     string
	unknown bool // it is not understood, or not told
}

// depends adds a condition that is understood.
func (ru *rule) depends(format string, args ...any) {
	ru.needs = append(ru.needs, need{why: fmt.Sprintf(format, args...)})
}

// obscure adds one that is not.
func (ru *rule) obscure(format string, args ...any) {
	ru.needs = append(ru.needs, need{fmt.Sprintf(format, args...), true})
}

// isAny reports words for no condition.
func isAny(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "", "any", "*", "all":
		return true
	}
	return false
}

// words splits a list of ports, addresses and the like.
func words(s string) []string {
	return strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ';' || c == ' ' || c == '\t' })
}

// ruleSet makes the chains.
func (r *reader) ruleSet() *ruleset.RuleSet {
	set := &ruleset.RuleSet{}
	for d, name := range directions {
		ch := &ruleset.Chain{Families: both, Title: "Windows Firewall " + name, Name: name, Stateful: true}
		ch.Way = [2]ruleset.Direction{ruleset.Inward, ruleset.Outward}[d]
		ch.Bindings = []ruleset.Binding{{Direction: ch.Way}}
		r.begin(ch, d)
		for _, action := range []int{noAction, bypass, block, allow} {
			for _, ru := range r.rules {
				if ru.action == action && !ru.disabled && (ru.direction == d || ru.direction == eitherWay) {
					ch.Rules = append(ch.Rules, r.build(ru, d))
				}
			}
		}
		r.end(ch, d)
		set.Chains = append(set.Chains, ch)
	}
	return set
}

// build makes the rule of the model.
func (r *reader) build(ru *rule, d int) *ruleset.Rule {
	out := &ruleset.Rule{Line: ru.line, Comment: ru.comment, Text: ru.text()}
	match := func(e ruleset.Expr) {
		if e != nil {
			out.Steps = append(out.Steps, ruleset.Match{Expr: e})
		}
	}
	match(r.profileExpr(ru.profiles))
	match(r.protocolExpr(ru))
	local, remote := ruleset.DAddr, ruleset.SAddr
	localPort, remotePort := ruleset.DPort, ruleset.SPort
	if d == outbound {
		local, remote, localPort, remotePort = remote, local, remotePort, localPort
	}
	match(r.addrExpr(ru, ru.localAddrs, local))
	match(r.addrExpr(ru, ru.remoteAddrs, remote))
	match(r.portExpr(ru, ru.localPorts, localPort))
	match(r.portExpr(ru, ru.remotePorts, remotePort))
	for _, n := range ru.needs {
		match(ruleset.Atom{Key: n.why, Why: n.why, Unknown: n.unknown})
	}
	if ru.direction == eitherWay {
		match(ruleset.Atom{Key: "direction " + ru.name, Why: "the direction of the rule, which is not known", Unknown: true})
	}
	switch ru.action {
	case bypass, allow:
		out.Steps = append(out.Steps, ruleset.Decide{Verdict: ruleset.Accept})
	case block:
		out.Steps = append(out.Steps, ruleset.Decide{Verdict: ruleset.Drop})
	default:
		out.Steps = append(out.Steps, ruleset.Elsewhere{Why: "a rule whose action is not known", MayContinue: true})
	}
	return out
}

// text writes the rule for people.
func (ru *rule) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q: %s %s", ru.name, [...]string{"in", "out", "in or out"}[ru.direction], [...]string{"bypass", "block", "allow", "?"}[ru.action])
	if !isAny(ru.proto) {
		b.WriteString(" " + strings.ToLower(ru.proto))
	}
	for _, part := range []struct {
		name string
		list []string
	}{{"type", ru.types}, {"local port", ru.localPorts}, {"remote port", ru.remotePorts}, {"local address", ru.localAddrs}, {"remote address", ru.remoteAddrs}} {
		if len(part.list) > 0 && !slices.ContainsFunc(part.list, isAny) {
			b.WriteString(" " + part.name + " " + shown(part.list))
		}
	}
	return b.String()
}

// shown writes a list for people, the first few of many.
func shown(list []string) string {
	const most = 8
	if len(list) > most {
		list = append(list[:most:most], fmt.Sprintf("… (%d more)", len(list)-most))
	}
	return strings.Join(list, ",")
}

// moreProtocols are names that the NetSecurity module and netsh have beside
// the usual ones.
var moreProtocols = map[string]int{"hopopt": 0, "ipv6": 41, "ipv6route": 43, "ipv6-route": 43, "ipv6frag": 44, "ipv6-frag": 44, "rsvp": 46,
	"ipv6nonxt": 59, "ipv6-nonxt": 59, "ipv6opts": 60, "ipv6-opts": 60, "pgm": 113, "l2tp": 115}

// protocolNumber reads a protocol; 256 is any (MS-FASP).
func protocolNumber(s string) (int, bool) {
	if n, ok := moreProtocols[strings.ToLower(strings.TrimSpace(s))]; ok {
		return n, true
	}
	return values.Protocol(s)
}

// protocolExpr is the condition on protocol and ICMP type, nil for any.
func (r *reader) protocolExpr(ru *rule) ruleset.Expr {
	if isAny(ru.proto) || strings.TrimSpace(ru.proto) == "256" {
		return nil
	}
	n, ok := protocolNumber(ru.proto)
	if !ok {
		r.problems.Add(ru.line, 0, ru.proto, "no protocol that is known")
		return unknown(fmt.Sprintf("the protocol %q", ru.proto))
	}
	proto := ruleset.In{Field: ruleset.L4Proto, Set: ruleset.Numbers(uint64(n))}
	if n != values.ICMP && n != values.ICMPv6 || slices.ContainsFunc(ru.types, isAny) {
		return proto
	}
	var any ruleset.Any
	for _, t := range ru.types {
		e, err := icmpType(t)
		if err != nil {
			r.problems.Add(ru.line, 0, t, err.Error())
			e = unknown(fmt.Sprintf("the ICMP type %q", t))
		}
		any = append(any, e)
	}
	if len(any) == 0 {
		return proto
	}
	return ruleset.All{proto, any}
}

// icmpType reads "8", "3:4", "3,4" and "8:*".
func icmpType(s string) (ruleset.Expr, error) {
	typ, code, _ := strings.Cut(strings.ReplaceAll(s, ",", ":"), ":")
	n, err := strconv.ParseUint(strings.TrimSpace(typ), 10, 8)
	if err != nil {
		return nil, fmt.Errorf("no ICMP type")
	}
	e := ruleset.In{Field: ruleset.ICMPType, Set: ruleset.Numbers(n)}
	if isAny(code) {
		return e, nil
	}
	c, err := strconv.ParseUint(strings.TrimSpace(code), 10, 8)
	if err != nil {
		return nil, fmt.Errorf("no ICMP code")
	}
	return ruleset.All{e, ruleset.In{Field: ruleset.ICMPCode, Set: ruleset.Numbers(c)}}, nil
}

func unknown(why string) ruleset.Atom { return ruleset.Atom{Key: why, Why: why, Unknown: true} }

// addrExpr is the condition on an address, nil for any.
func (r *reader) addrExpr(ru *rule, list []string, f ruleset.Field) ruleset.Expr {
	return r.listExpr(ru, list, f, listed{values.Addresses, addressWord, "neither an address nor a word that is known for one"})
}

// listed is how the entries of a list are read: as values, or as words.
type listed struct {
	value func(string) (ruleset.Set, error)
	word  func(string, ruleset.Field) (ruleset.Expr, bool)
	wrong string
}

// listExpr is the condition that one entry holds, nil for any.
func (r *reader) listExpr(ru *rule, list []string, f ruleset.Field, as listed) ruleset.Expr {
	if len(list) == 0 || slices.ContainsFunc(list, isAny) {
		return nil
	}
	var set ruleset.Set
	var any ruleset.Any
	for _, s := range list {
		if v, err := as.value(s); err == nil {
			set = ruleset.Union(set, v)
			continue
		}
		e, ok := as.word(s, f)
		if !ok {
			r.problems.Add(ru.line, 0, s, as.wrong)
		}
		any = append(any, e)
	}
	if len(set) > 0 {
		any = append(ruleset.Any{ruleset.In{Field: f, Set: set}}, any...)
	}
	return any
}

// addressWord is the condition of a word like LocalSubnet.
func addressWord(s string, f ruleset.Field) (ruleset.Expr, bool) {
	word := strings.ToLower(s)
	family, version := "", uint64(0)
	switch {
	case strings.HasPrefix(word, "localsubnet") && strings.HasSuffix(word, "4"):
		word, family, version = "localsubnet", " (IPv4)", ruleset.FamilyIPv4
	case strings.HasPrefix(word, "localsubnet") && strings.HasSuffix(word, "6"):
		word, family, version = "localsubnet", " (IPv6)", ruleset.FamilyIPv6
	}
	switch word {
	case "localsubnet", "dns", "dhcp", "wins", "defaultgateway", "internet", "intranet", "intranetremoteaccess", "rmtintranet", "remoteintranet",
		"playtodevice", "ply2renders", "captiveportal", "corp":
		a := ruleset.Atom{Key: f.String() + " " + word, Why: fmt.Sprintf("whether the %s is in %s%s", f, s, family)}
		if version != 0 {
			return ruleset.All{ruleset.In{Field: ruleset.NFProto, Set: ruleset.Numbers(version)}, a}, true
		}
		return a, true
	}
	return unknown(fmt.Sprintf("the %s %q", f, s)), false
}

// portExpr is the condition on a port, nil for any.
func (r *reader) portExpr(ru *rule, list []string, f ruleset.Field) ruleset.Expr {
	return r.listExpr(ru, list, f, listed{values.Ports, portWord, "neither a port nor a word that is known for one"})
}

// portWord is the condition of a word like RPC: ports that a service takes
// while it runs. The RPC endpoint mapper has a fixed one.
func portWord(s string, f ruleset.Field) (ruleset.Expr, bool) {
	word := strings.ToLower(strings.ReplaceAll(s, "-", ""))
	switch word {
	case "rpcepmap":
		return ruleset.In{Field: f, Set: ruleset.Numbers(135)}, true
	case "rpc", "iphttps", "iphttpsin", "iphttpsout", "iphttpsin.", "teredo", "ply2disc", "playtodiscovery", "mdns", "cortanaout", "cortana_out", "tcpcustom":
		return ruleset.Atom{Key: f.String() + " " + word, Why: fmt.Sprintf("whether the %s is one of %s", f, s)}, true
	}
	return unknown(fmt.Sprintf("the %s %q", f, s)), false
}
