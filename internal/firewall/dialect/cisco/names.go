package cisco

import (
	_ "embed" // the tables below
	"fmt"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

//go:embed names.tsv
var namesData string

// nameTables are names of numbers by kind: tcp, udp, proto, icmp, icmp6,
// precedence, dscp. An ICMP name stands for a type, and a code or -1.
type nameTables struct {
	numbers map[[2]string]uint64
	icmp    map[[2]string][2]int
}

func readNames() (*nameTables, error) {
	t := &nameTables{numbers: map[[2]string]uint64{}, icmp: map[[2]string][2]int{}}
	for line := range strings.Lines(namesData) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 3 {
			return nil, fmt.Errorf("names.tsv: %q: want three columns", line)
		}
		if err := t.add(f[0], f[1], f[2]); err != nil {
			return nil, fmt.Errorf("names.tsv: %q: %w", line, err)
		}
	}
	return t, nil
}

func (t *nameTables) add(kinds, name, value string) error {
	number, code, hasCode := strings.Cut(value, "/")
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	c := -1
	if hasCode {
		if c, err = strconv.Atoi(code); err != nil {
			return err
		}
	}
	for kind := range strings.SplitSeq(kinds, ",") {
		if strings.HasPrefix(kind, "icmp") {
			t.icmp[[2]string{kind, name}] = [2]int{n, c}
			continue
		}
		t.numbers[[2]string{kind, name}] = uint64(n)
	}
	return nil
}

// number reads a name of a kind, or digits.
func (t *nameTables) number(kind, s string) (uint64, bool) {
	if n, ok := t.numbers[[2]string{kind, s}]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return n, err == nil
}

func (t *nameTables) dscp(s string) (uint64, bool) {
	n, ok := t.number("dscp", s)
	return n, ok && n < 64
}

// protocol reads a protocol's name or number; nil for any.
func (r *reader) protocol(s string) (ruleset.Set, string) {
	switch s = strings.ToLower(s); s {
	case "ip", "ipv4", "ipv6":
		return nil, ""
	case "tcp-udp":
		return ruleset.Numbers(6, 17), ""
	}
	n, ok := r.names.number("proto", s)
	if !ok || n > 255 {
		return nil, "no protocol: " + s
	}
	return ruleset.Numbers(n), ""
}

// port reads a port's name or number.
func (r *reader) port(proto, s string) (uint64, bool) {
	switch proto {
	case "6":
		proto = "tcp"
	case "17":
		proto = "udp"
	case "tcp", "udp":
	default:
		if n, ok := r.names.number("tcp", s); ok {
			return n, true
		}
		proto = "udp"
	}
	return r.names.number(proto, s)
}

// portMatch reads "eq a b …", "neq a b …", "lt a", "gt a", "range a b"; ok is
// false when nothing of the kind stands there.
func (r *reader) portMatch(c *cursor, proto string) (set ruleset.Set, ok bool, why string) {
	sign := c.peek()
	switch sign {
	case "eq", "neq":
		c.at++
		set, why = r.portList(c, proto)
		if sign == "neq" && why == "" {
			set = ruleset.DPort.Except(set)
		}
		return set, true, why
	case "lt", "gt", "range":
		if sign == "range" && r.isAddressAt(c, 1) { // "range 192.0.2.1 192.0.2.9", the other side
			return nil, false, ""
		}
	default:
		return nil, false, ""
	}
	c.at++
	lo, why := r.onePort(c, proto)
	if why != "" {
		return nil, true, why
	}
	hi := lo
	if sign == "range" {
		if hi, why = r.onePort(c, proto); why != "" {
			return nil, true, why
		}
	}
	set, why = compare(sign, lo, hi, 65535)
	return set, true, why
}

func (r *reader) onePort(c *cursor, proto string) (uint64, string) {
	n, ok := r.port(proto, c.peek())
	if !ok {
		return 0, "no port: " + c.peekText()
	}
	c.at++
	return n, ""
}

// portList reads one port, and those that follow it.
func (r *reader) portList(c *cursor, proto string) (ruleset.Set, string) {
	n, why := r.onePort(c, proto)
	if why != "" {
		return nil, why
	}
	list := []uint64{n}
	for !c.done() && !r.isAddressAt(c, 0) {
		n, ok := r.port(proto, c.peek())
		if _, isFlag := flagBits[c.peek()]; !ok || isFlag {
			break
		}
		c.at++
		list = append(list, n)
	}
	return ruleset.Numbers(list...), ""
}

// isAddressAt reports an address where a port might stand.
func (r *reader) isAddressAt(c *cursor, ahead int) bool {
	return c.at+ahead < len(c.words) && strings.ContainsAny(c.words[c.at+ahead].text, ".:/")
}

// icmpType reads a name, or a type and perhaps a code. A nil set is any.
func (r *reader) icmpType(c *cursor, proto string) (kind, code ruleset.Set, why string) {
	table := "icmp"
	if proto == "icmp6" || proto == "58" || proto == "icmpv6" {
		table = "icmp6"
	}
	word := c.peek()
	v, ok := r.names.icmp[[2]string{table, word}]
	if !ok {
		n, err := strconv.ParseUint(word, 10, 8)
		if err != nil {
			return nil, nil, "no ICMP type: " + word
		}
		v = [2]int{int(n), -1}
	}
	c.at++
	kind = ruleset.Numbers(uint64(v[0]))
	if v[1] >= 0 {
		return kind, ruleset.Numbers(uint64(v[1])), ""
	}
	if n, err := strconv.ParseUint(c.peek(), 10, 8); err == nil {
		c.at++
		code = ruleset.Numbers(n)
	}
	return kind, code, ""
}
