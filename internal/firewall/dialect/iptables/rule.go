package iptables

import (
	"errors"
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// ruleReader reads one rule.
type ruleReader struct {
	*reader
	rule   *ruleset.Rule
	proto  string // as -p names it, "" for any or a negated one
	target string
	jump   bool // -g
	module string
	groups []group // one for each -m, and one for options without it
	goal   group   // the options of the target
}

// group is a match extension with its options.
type group struct {
	name string
	opts []option
}

// option is one option with its arguments.
type option struct {
	name string
	args []string
	not  bool
}

func (o option) arg() string {
	if len(o.args) == 0 {
		return ""
	}
	return o.args[0]
}

func (o option) text() string {
	s := o.name + " " + strings.Join(o.args, " ")
	if o.not {
		s = "! " + s
	}
	return strings.TrimSpace(s)
}

func (g group) text() string {
	s := "-m " + g.name
	for _, o := range g.opts {
		s += " " + o.text()
	}
	return s
}

// errArgument is an option whose argument is not understood.
var errArgument = errors.New("argument not understood")

func badArgument(o option) error { return fmt.Errorf("%w: %s", errArgument, o.text()) }

func (rr *ruleReader) add(s ...ruleset.Step) { rr.rule.Steps = append(rr.rule.Steps, s...) }

func (rr *ruleReader) match(e ruleset.Expr) { rr.add(ruleset.Match{Expr: e}) }

// fail makes the rule one that may do anything.
func (rr *ruleReader) fail(why string) {
	rr.rule.Steps = []ruleset.Step{ruleset.Elsewhere{Why: "a rule that is not understood: " + why, MayContinue: true}}
}

func (rr *ruleReader) read(args []token) error {
	for _, o := range options(args) {
		if err := rr.option(o); err != nil {
			return err
		}
	}
	for _, g := range rr.groups {
		if err := rr.extension(g); err != nil {
			return err
		}
	}
	return rr.act()
}

// options splits words into options: "!" before or after the name negates,
// and all words up to the next option are arguments.
func options(args []token) (out []option) {
	not := false
	for i := 0; i < len(args); i++ {
		t := args[i]
		switch {
		case !t.quoted && t.text == "!":
			if isOption(args, i+1) {
				not = true
			} else if len(out) > 0 {
				out[len(out)-1].not = true
			}
		case isOption(args, i):
			out = append(out, option{name: t.text, not: not})
			not = false
		case len(out) > 0:
			out[len(out)-1].args = append(out[len(out)-1].args, t.text)
		default:
			out = append(out, option{name: t.text})
		}
	}
	return out
}

func isOption(args []token, i int) bool {
	return i < len(args) && !args[i].quoted && len(args[i].text) > 1 && args[i].text[0] == '-' && (args[i].text[1] < '0' || args[i].text[1] > '9')
}

// option takes one option: of the rule itself, of the target, or of the
// extension named last.
func (rr *ruleReader) option(o option) error {
	switch o.name {
	case "-p", "--protocol", "--proto":
		return rr.protocol(o)
	case "-s", "--source", "--src":
		return rr.address(ruleset.SAddr, o)
	case "-d", "--destination", "--dst":
		return rr.address(ruleset.DAddr, o)
	case "-i", "--in-interface":
		rr.interfaceName(ruleset.IIf, o)
	case "-o", "--out-interface":
		rr.interfaceName(ruleset.OIf, o)
	case "-f", "--fragment":
		rr.match(fragment(!o.not))
	case "-m", "--match":
		rr.groups = append(rr.groups, group{name: o.arg()})
	case "-j", "--jump", "-g", "--goto":
		rr.target, rr.jump = o.arg(), o.name == "-g" || o.name == "--goto"
		rr.goal = group{name: rr.target}
	case "-c", "--set-counters":
		rr.rule.Packets = counted("[" + strings.Join(o.args, ":") + "]")
	case "-4", "-6", "--ipv4", "--ipv6":
	default:
		if !strings.HasPrefix(o.name, "--") {
			return fmt.Errorf("%w: %s", errArgument, o.name)
		}
		rr.extensionOption(o)
	}
	return nil
}

// extensionOption gives an option to the target once there is one, to the
// last extension, or to the one that -p implies.
func (rr *ruleReader) extensionOption(o option) {
	switch {
	case rr.target != "":
		rr.goal.opts = append(rr.goal.opts, o)
		return
	case len(rr.groups) == 0:
		rr.groups = append(rr.groups, group{name: rr.proto})
	}
	g := &rr.groups[len(rr.groups)-1]
	if isPortOption(o.name) && !takesPorts(g.name) {
		rr.groups = append(rr.groups, group{name: rr.proto})
		g = &rr.groups[len(rr.groups)-1]
	}
	g.opts = append(g.opts, o)
}

// isPortOption reports options that -p implies without -m; a hand-written
// rule may put them after another extension.
func isPortOption(name string) bool {
	switch name {
	case "--dport", "--sport", "--destination-port", "--source-port", "--tcp-flags", "--syn", "--icmp-type", "--icmpv6-type":
		return true
	}
	return false
}

func takesPorts(group string) bool {
	switch group {
	case "tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmp6", "icmpv6", "ipv6-icmp", "multiport":
		return true
	}
	return false
}

// fragment matches fragments but the first.
func fragment(is bool) ruleset.Expr {
	const offset = 0x1fff // RFC 791
	set := ruleset.Numbers(0)
	if is {
		set = ruleset.Range(ruleset.Number(1), ruleset.Number(offset))
	}
	return ruleset.In{Field: ruleset.FragOff, Mask: ruleset.Number(offset), Set: set}
}

// in makes a comparison of a field, negated as a complement: a packet without
// the field never fits.
func in(f ruleset.Field, s ruleset.Set, not bool) ruleset.Expr {
	if not {
		s = f.Except(s)
	}
	return ruleset.In{Field: f, Set: s}
}

func maybeNot(e ruleset.Expr, not bool) ruleset.Expr {
	if not {
		return ruleset.Not{Expr: e}
	}
	return e
}

func (rr *ruleReader) protocol(o option) error {
	name := strings.ToLower(o.arg())
	if name == "all" || name == "0" {
		return nil
	}
	n, ok := protocolNumber(name)
	if !ok {
		return badArgument(o)
	}
	if !o.not {
		rr.proto = name
	}
	rr.match(in(ruleset.L4Proto, ruleset.Numbers(n), o.not))
	return nil
}

func (rr *ruleReader) address(f ruleset.Field, o option) error {
	s, err := addresses(o.arg())
	if err != nil {
		return badArgument(o)
	}
	rr.match(in(f, s, o.not))
	return nil
}

func (rr *ruleReader) interfaceName(f ruleset.Field, o option) {
	stem, wild := strings.CutSuffix(o.arg(), "+")
	rr.match(in(f, ruleset.NamePattern(stem, wild), o.not))
}
