package iptables

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Sets are IP sets by name.
type Sets map[string]*IPSet

// IPSet is one set of `ipset save`: a type such as hash:ip,port and its
// elements; those marked nomatch are exceptions.
type IPSet struct {
	Parts    []string // ip, net, port, mac, iface, mark, set
	Elements []Element
}

// Element is one entry: its parts as text.
type Element struct {
	Parts   []string
	NoMatch bool
}

// ReadSets reads `ipset save`. Lines that are not understood are problems.
func ReadSets(in io.Reader) (Sets, []Problem, error) {
	sets := Sets{}
	var problems []Problem
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, mostLine)
	line := 0
	for sc.Scan() {
		line++
		f := strings.Fields(sc.Text())
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if why := sets.line(f); why != "" {
			problems = append(problems, Problem{line, sc.Text(), why})
		}
	}
	if sc.Err() != nil {
		return sets, problems, fmt.Errorf("ipset text, line %d: %w", line+1, sc.Err())
	}
	return sets, problems, nil
}

func (s Sets) line(f []string) (problem string) {
	switch {
	case len(f) >= 3 && f[0] == "create":
		_, parts, _ := strings.Cut(f[2], ":")
		s[f[1]] = &IPSet{Parts: strings.Split(parts, ",")}
	case len(f) >= 3 && f[0] == "add":
		set := s[f[1]]
		if set == nil {
			return "an element of a set that was not created"
		}
		e := Element{Parts: strings.Split(f[2], ",")}
		for _, w := range f[3:] {
			e.NoMatch = e.NoMatch || w == "nomatch"
		}
		set.Elements = append(set.Elements, e)
	default:
		return "not a line of ipset save"
	}
	return ""
}

// ipset reads -m set --match-set NAME src,dst.
func (rr *ruleReader) ipset(g group) error {
	for _, o := range g.opts {
		if o.name != "--match-set" {
			continue
		}
		if len(o.args) < 2 {
			return badArgument(o)
		}
		e, err := rr.setExpr(o.args[0], strings.Split(o.args[1], ","), 0)
		if err != nil {
			e = ruleset.Atom{Key: "set " + strings.Join(o.args, " "), Why: "the IP set " + o.args[0] + ": " + err.Error(), Unknown: true}
		}
		rr.match(maybeNot(e, o.not))
	}
	return nil
}

// setExpr makes the condition of a set, matched in the given directions.
func (rr *ruleReader) setExpr(name string, dirs []string, depth int) (ruleset.Expr, error) {
	set := rr.opt.Sets[name]
	switch {
	case set == nil:
		return nil, fmt.Errorf("%w: its elements were not given (`ipset save` shows them)", errArgument)
	case depth > 8:
		return nil, fmt.Errorf("%w: sets inside sets, too deep", errArgument)
	case set.Parts[0] == "set":
		return rr.listExpr(set, dirs, depth)
	}
	yes, err := rr.tuple(set, dirs, false)
	if err != nil {
		return nil, err
	}
	no, err := rr.tuple(set, dirs, true)
	if err != nil || len(no.Rows) == 0 {
		return yes, err
	}
	return ruleset.All{yes, ruleset.Not{Expr: no}}, nil
}

// listExpr joins the member sets of a list:set.
func (rr *ruleReader) listExpr(set *IPSet, dirs []string, depth int) (ruleset.Expr, error) {
	var any ruleset.Any
	for _, e := range set.Elements {
		member, err := rr.setExpr(e.Parts[0], dirs, depth+1)
		if err != nil {
			return nil, err
		}
		any = append(any, member)
	}
	return any, nil
}

// tuple makes rows of the elements: those that match, or the exceptions. A
// part that names a port carries its protocol.
func (rr *ruleReader) tuple(set *IPSet, dirs []string, noMatch bool) (ruleset.Tuple, error) {
	t := ruleset.Tuple{}
	for i, part := range set.Parts {
		if i >= len(dirs) {
			return t, fmt.Errorf("%w: fewer directions than parts", errArgument)
		}
		fs, ok := partFields(part, dirs[i])
		if !ok {
			return t, fmt.Errorf("%w: a set of %s", errArgument, part)
		}
		t.Fields = append(t.Fields, fs...)
	}
	for _, e := range set.Elements {
		if e.NoMatch != noMatch {
			continue
		}
		row, err := elementRow(set.Parts, e.Parts)
		if err != nil {
			return t, err
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

func partFields(part, dir string) ([]ruleset.Field, bool) {
	src := dir == "src"
	pick := func(a, b ruleset.Field) ruleset.Field {
		if src {
			return a
		}
		return b
	}
	switch part {
	case "ip", "net":
		return []ruleset.Field{pick(ruleset.SAddr, ruleset.DAddr)}, true
	case "port":
		return []ruleset.Field{ruleset.L4Proto, pick(ruleset.SPort, ruleset.DPort)}, true
	case "iface":
		return []ruleset.Field{pick(ruleset.IIf, ruleset.OIf)}, true
	case "mac":
		return []ruleset.Field{ruleset.MAC}, src
	case "mark":
		return []ruleset.Field{ruleset.Mark}, true
	}
	return nil, false
}

func elementRow(parts, values []string) ([]ruleset.Set, error) {
	if len(values) < len(parts) {
		return nil, fmt.Errorf("%w: element %s", errArgument, strings.Join(values, ","))
	}
	var row []ruleset.Set
	for i, part := range parts {
		sets, err := elementSets(part, values[i])
		if err != nil {
			return nil, fmt.Errorf("%w: element %s", errArgument, strings.Join(values, ","))
		}
		row = append(row, sets...)
	}
	return row, nil
}

func elementSets(part, v string) ([]ruleset.Set, error) {
	var s ruleset.Set
	var err error
	switch part {
	case "ip", "net":
		s, err = elementAddress(v)
	case "port":
		return elementPort(v)
	case "iface":
		s = ruleset.NamePattern(strings.TrimPrefix(v, "physdev:"), false)
		if strings.HasPrefix(v, "physdev:") {
			err = errArgument
		}
	case "mac":
		s, err = macAddress(v)
	case "mark":
		var n uint64
		n, err = strconv.ParseUint(v, 0, 32)
		s = ruleset.Numbers(n)
	}
	return []ruleset.Set{s}, err
}

func elementAddress(v string) (ruleset.Set, error) {
	if _, err := netip.ParsePrefix(v); err == nil {
		return oneAddress(v)
	}
	return addressRange(v)
}

// elementPort reads "tcp:80", "udp:53-60", and "80" of a bitmap:port set, which
// looks at the port of any transport. Sets of other types are saved with the
// protocol.
func elementPort(v string) ([]ruleset.Set, error) {
	proto, port, named := strings.Cut(v, ":")
	protos := ruleset.Numbers(6, 17, 132, 136)
	if !named {
		port = v
	} else if n, ok := protocolNumber(proto); ok {
		protos = ruleset.Numbers(n)
	} else {
		return nil, errArgument
	}
	s, err := portRange(port)
	return []ruleset.Set{protos, s}, err
}
