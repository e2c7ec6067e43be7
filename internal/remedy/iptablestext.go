package remedy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// ourPrefix begins the names of the chains that built-in chains lead to. All
// chains are ours whose name is or begins with portreeve, in either case.
const (
	ourPrefix = "PORTREEVE-"
	ourName   = "portreeve"
)

// hooks are the built-in chains of the filter table.
var hooks = []string{"INPUT", "FORWARD", "OUTPUT"}

func isOurs(chain string) bool {
	return strings.EqualFold(chain, ourName) || len(chain) > len(ourPrefix) && strings.EqualFold(chain[:len(ourPrefix)], ourPrefix)
}

// mostChain is the longest name of a chain that iptables takes.
const mostChain = 28

// acceptor reads a text in the form of iptables-save.
type acceptor struct {
	s      ipSaved
	policy map[string]string // of built-in chains that the text fills itself
	table  string
	done   bool
	n      int
}

// acceptSave takes a filter table. Chains of the text that are ours are taken
// as they are. A text that fills the built-in chains instead has their rules
// moved into ours, and a policy DROP becomes our last rule.
func acceptSave(text []byte) (*ipSaved, error) {
	a := &acceptor{policy: map[string]string{}}
	for line := range bytes.Lines(text) {
		a.n++
		if bytes.IndexByte(line, 0) >= 0 {
			return nil, a.wrong("a NUL byte")
		}
		if err := a.line(strings.TrimSpace(string(line))); err != nil {
			return nil, err
		}
	}
	switch {
	case a.table != "" && !a.done:
		return nil, a.wrong("the table does not end with COMMIT")
	case len(a.s.Chains) == 0:
		return nil, fail(Invalid, "the text has no chain "+ourPrefix+"INPUT, "+ourPrefix+"FORWARD or "+ourPrefix+"OUTPUT", nil)
	}
	a.finish()
	return &a.s, nil
}

func (a *acceptor) wrong(format string, args ...any) error {
	return fail(Invalid, fmt.Sprintf("line %d, column 1: ", a.n)+fmt.Sprintf(format, args...), nil)
}

func (a *acceptor) line(s string) error {
	switch {
	case s == "" || s[0] == '#':
		return nil
	case s[0] == '*':
		if s != "*filter" || a.table != "" {
			return a.wrong("%q: only one filter table is ours to change", s)
		}
		a.table = s
		return nil
	case a.table == "" || a.done:
		return a.wrong("%q is outside of the filter table", s)
	case s == "COMMIT":
		a.done = true
		return nil
	case s[0] == ':':
		return a.chain(strings.Fields(s[1:]))
	}
	return a.rule(s)
}

func (a *acceptor) chain(f []string) error {
	switch {
	case len(f) == 0:
		return a.wrong("a chain without a name")
	case slices.Contains(hooks, f[0]):
		if len(f) > 1 && f[1] == "DROP" {
			a.policy[f[0]] = "DROP"
			a.declare(ourPrefix + f[0])
		}
		return nil
	case !isOurs(f[0]) || len(f[0]) > mostChain:
		return a.wrong("chain %s: the names of our chains begin with %s and have at most %d characters", f[0], ourName, mostChain)
	}
	a.declare(f[0])
	return nil
}

func (a *acceptor) declare(chain string) {
	if !slices.Contains(a.s.Chains, chain) {
		a.s.Chains = append(a.s.Chains, chain)
	}
}

func (a *acceptor) rule(s string) error {
	counters := ""
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return a.wrong("counters that do not end: %q", s)
		}
		counters, s = s[:end+1]+" ", strings.TrimSpace(s[end+1:])
	}
	f := strings.Fields(s)
	switch {
	case len(f) == 2 && f[0] == "-N" && isOurs(f[1]):
		a.declare(f[1])
		return nil
	case len(f) < 2 || f[0] != "-A":
		return a.wrong("%q: only -A is taken, in chains that are ours", s)
	case slices.Contains(hooks, f[1]):
		return a.hooked(counters, s, f)
	case !isOurs(f[1]):
		return a.wrong("chain %s is not ours to change", f[1])
	}
	a.append(counters, f[1], s, f)
	return nil
}

// hooked takes a rule of a built-in chain: the jump to ours is ours to place,
// others are moved into our chain.
func (a *acceptor) hooked(counters, s string, f []string) error {
	if len(f) == 4 && f[2] == "-j" && strings.EqualFold(f[3], ourPrefix+f[1]) {
		return nil
	}
	a.append(counters, ourPrefix+f[1], s, f)
	return nil
}

// append adds a rule "-A OLD …" to a chain.
func (a *acceptor) append(counters, chain, s string, f []string) {
	a.declare(chain)
	s = s[len("-A"):]
	rest := strings.TrimSpace(s[strings.Index(s, f[1])+len(f[1]):])
	a.s.Rules = append(a.s.Rules, strings.TrimSpace(counters+"-A "+chain+" "+rest))
}

func (a *acceptor) finish() {
	for _, h := range hooks {
		if a.policy[h] == "DROP" {
			a.s.Rules = append(a.s.Rules, "-A "+ourPrefix+h+" -j DROP")
		}
		i := slices.IndexFunc(a.s.Chains, func(ch string) bool { return strings.EqualFold(ch, ourPrefix+h) })
		if i >= 0 {
			a.s.Jumps = append(a.s.Jumps, ipJump{Chain: h, Place: 1, Rule: "-A " + h + " -j " + a.s.Chains[i]})
		}
	}
}

// oursOf takes what is ours from the text of iptables-save -c.
func oursOf(text []byte) *ipSaved {
	s := &ipSaved{}
	place := map[string]int{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, ":") {
			if name, _, _ := strings.Cut(line[1:], " "); isOurs(name) {
				s.Chains = append(s.Chains, name)
			}
			continue
		}
		_, rule, ok := strings.Cut(line, "-A ")
		if !ok {
			continue
		}
		chain, _, _ := strings.Cut(rule, " ")
		place[chain]++
		switch {
		case isOurs(chain):
			s.Rules = append(s.Rules, line)
		case leadsToOurs(rule):
			s.Jumps = append(s.Jumps, ipJump{Chain: chain, Place: place[chain], Rule: "-A " + rule})
		}
	}
	return s
}

func leadsToOurs(rule string) bool {
	f := strings.Fields(rule)
	for i := range len(f) - 1 {
		if (f[i] == "-j" || f[i] == "-g") && isOurs(f[i+1]) {
			return true
		}
	}
	return false
}

// text shows our part of the table, without counters.
func (s *ipSaved) text() []byte {
	var b bytes.Buffer
	b.WriteString("*filter\n")
	for _, ch := range s.Chains {
		fmt.Fprintf(&b, ":%s - [0:0]\n", ch)
	}
	for _, j := range s.Jumps {
		fmt.Fprintf(&b, "%s\n", j.Rule)
	}
	for _, r := range s.Rules {
		fmt.Fprintf(&b, "%s\n", r[strings.Index(r, "-A "):])
	}
	b.WriteString("COMMIT\n")
	return b.Bytes()
}

// alone is a filter table that holds nothing but ours.
func (s *ipSaved) alone() []byte {
	text := s.text()
	head := []byte("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n")
	return append(head, bytes.TrimPrefix(text, []byte("*filter\n"))...)
}
