package iptables

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Options say what is read.
type Options struct {
	// Families is IPv4 for iptables-save, IPv6 for ip6tables-save.
	Families ruleset.Families
	// Title begins the chains' names for people: "iptables", "ip6tables".
	Title string
	// Sets are the IP sets that rules refer to; a missing one is said.
	Sets Sets
	// Table is the table of commands that stand outside of one, as
	// `iptables -S` prints them; "" where they are problems.
	Table string
	// Port resolves service names in files written by hand; may be nil.
	// iptables-save itself writes numbers.
	Port func(proto, name string) (uint16, bool)
}

// Table is one table of a file.
type Table struct {
	Name   string
	Chains []*ruleset.Chain
}

// Problem is a line that was not understood.
type Problem struct {
	Line int
	Text string
	Why  string
}

func (p Problem) String() string { return fmt.Sprintf("line %d: %s: %q", p.Line, p.Why, p.Text) }

// ErrFormat is returned for what holds no table in this format.
var ErrFormat = errors.New("not in the format of iptables-save")

const mostLine = 1 << 20

// Read reads every table. Lines that are not understood are problems, not
// errors.
func Read(in io.Reader, o Options) ([]*Table, []Problem, error) {
	r := &reader{opt: o}
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, mostLine)
	for sc.Scan() {
		r.line++
		r.readLine(strings.TrimSpace(sc.Text()))
	}
	r.finish()
	switch {
	case sc.Err() != nil:
		return r.tables, r.problems, fmt.Errorf("iptables-save text, line %d: %w", r.line+1, sc.Err())
	case len(r.tables) == 0 && r.line > 0 && len(r.problems) > 0:
		return nil, r.problems, ErrFormat
	}
	return r.tables, r.problems, nil
}

type reader struct {
	opt      Options
	line     int
	tables   []*Table
	problems []Problem
	table    *Table
	chains   map[string]*ruleset.Chain
	pending  []pendingRule
}

// pendingRule waits for the table's end, when all its chains are known.
type pendingRule struct {
	line  int
	text  string
	chain string
	args  []token
	front bool
	// packets is the rule's counter.
	packets *uint64
}

func (r *reader) problem(text, why string) {
	const most = 1000
	if len(r.problems) < most {
		r.problems = append(r.problems, Problem{r.line, text, why})
	}
}

func (r *reader) readLine(s string) {
	switch {
	case s == "" || s[0] == '#':
	case s[0] == '*':
		r.finish()
		r.table = &Table{Name: strings.TrimSpace(s[1:])}
		r.tables = append(r.tables, r.table)
		r.chains = map[string]*ruleset.Chain{}
	case s == "COMMIT":
		r.finish()
	case r.table == nil && (r.opt.Table == "" || s[0] != '-'):
		r.problem(s, "outside of a table")
	case r.table == nil:
		r.readLine("*" + r.opt.Table)
		r.commandLine(s)
	case s[0] == ':':
		r.chainLine(s)
	default:
		r.commandLine(s)
	}
}

// chainLine reads ":INPUT DROP [0:0]".
func (r *reader) chainLine(s string) {
	f := strings.Fields(s[1:])
	if len(f) == 0 {
		r.problem(s, "a chain without a name")
		return
	}
	policy := ""
	if len(f) > 1 {
		policy = f[1]
	}
	r.declare(f[0], policy)
}

func (r *reader) declare(name, policy string) *ruleset.Chain {
	ch := r.chains[name]
	if ch == nil {
		ch = &ruleset.Chain{Families: r.opt.Families, Name: name, Policy: ruleset.Accept, Legacy: true,
			Title: strings.TrimSpace(r.opt.Title + " " + r.table.Name + " " + name)}
		ch.Hook, ch.Kind, ch.Priority = builtin(r.table.Name, name)
		r.chains[name] = ch
		r.table.Chains = append(r.table.Chains, ch)
	}
	if policy == "DROP" {
		ch.Policy = ruleset.Drop
	}
	return ch
}

// builtin gives the hook of a table's own chains, and their priority
// (linux/netfilter_ipv4.h).
func builtin(table, chain string) (ruleset.Hook, ruleset.Kind, int) {
	hook, ok := map[string]ruleset.Hook{"PREROUTING": ruleset.Prerouting, "INPUT": ruleset.Input, "FORWARD": ruleset.Forward,
		"OUTPUT": ruleset.Output, "POSTROUTING": ruleset.Postrouting}[chain]
	if !ok {
		return ruleset.NoHook, ruleset.FilterChain, 0
	}
	switch table {
	case "raw":
		return hook, ruleset.FilterChain, -300
	case "mangle":
		return hook, ruleset.FilterChain, -150
	case "nat":
		if hook == ruleset.Prerouting || hook == ruleset.Output {
			return hook, ruleset.NATChain, -100
		}
		return hook, ruleset.NATChain, 100
	case "security":
		return hook, ruleset.FilterChain, 50
	}
	return hook, ruleset.FilterChain, 0
}

// commandLine reads "[1:2] -A CHAIN …", "-I CHAIN …", "-N CHAIN" and
// "-P CHAIN POLICY".
func (r *reader) commandLine(s string) {
	args, err := tokens(s)
	if err != nil {
		r.problem(s, err.Error())
		if name := firstWord(s); name != "" {
			r.pending = append(r.pending, pendingRule{line: r.line, text: s, chain: name})
		}
		return
	}
	var packets *uint64
	if len(args) > 0 && strings.HasPrefix(args[0].text, "[") {
		packets = counted(args[0].text)
		args = args[1:]
	}
	if len(args) < 2 {
		r.problem(s, "not a command")
		return
	}
	name := args[1].text
	switch args[0].text {
	case "-A", "--append":
		r.pending = append(r.pending, pendingRule{r.line, ruleText(s), name, args[2:], false, packets})
	case "-I", "--insert":
		rest := args[2:]
		if len(rest) > 0 && rest[0].text == "1" {
			rest = rest[1:]
		}
		r.pending = append(r.pending, pendingRule{r.line, ruleText(s), name, rest, true, packets})
	case "-N", "--new-chain":
		r.declare(name, "")
	case "-P", "--policy":
		if len(args) > 2 {
			r.declare(name, args[2].text)
		}
	default:
		r.problem(s, "not a command that a saved rule set holds")
	}
}

// counted reads "[12:3456]", packets and bytes.
func counted(s string) *uint64 {
	n, _, _ := strings.Cut(strings.TrimPrefix(s, "["), ":")
	packets, err := strconv.ParseUint(n, 10, 64)
	if err != nil {
		return nil
	}
	return &packets
}

// firstWord finds the chain of a rule whose line cannot be split.
func firstWord(s string) string {
	_, rest, ok := strings.Cut(s, "-A ")
	if f := strings.Fields(rest); ok && len(f) > 0 {
		return f[0]
	}
	return ""
}

// ruleText is what follows the chain's name.
func ruleText(s string) string {
	for _, cmd := range []string{"-A ", "-I ", "--append ", "--insert "} {
		if _, rest, ok := strings.Cut(s, cmd); ok {
			_, rest, _ = strings.Cut(strings.TrimSpace(rest), " ")
			return strings.TrimSpace(rest)
		}
	}
	return s
}

// finish turns the rules of a table into steps, now that its chains are known.
func (r *reader) finish() {
	if r.table == nil {
		return
	}
	last := r.line
	for _, p := range r.pending {
		if r.chains[p.chain] == nil {
			r.declare(p.chain, "")
		}
	}
	for _, p := range r.pending {
		r.line = p.line
		r.addRule(p)
	}
	r.line = last
	r.table, r.pending = nil, nil
}

func (r *reader) addRule(p pendingRule) {
	rule := &ruleset.Rule{Text: p.text, Line: p.line, Packets: p.packets}
	rr := &ruleReader{reader: r, rule: rule}
	if p.args == nil && p.text != "" {
		rr.fail("a line that cannot be split")
	} else if err := rr.read(p.args); err != nil {
		r.problem(p.text, err.Error())
		rr.fail(err.Error())
	}
	ch := r.chains[p.chain]
	if p.front {
		ch.Rules = append([]*ruleset.Rule{rule}, ch.Rules...)
		return
	}
	ch.Rules = append(ch.Rules, rule)
}

// token is one word of a line; a quoted one is never an option.
type token struct {
	text   string
	quoted bool
}

// errQuote is a line whose quotes do not close.
var errQuote = errors.New("a quote that does not close")

// tokens splits a line as iptables-restore does: words, and text in double
// (or single) quotes in which a backslash keeps the next character.
func tokens(s string) ([]token, error) {
	var out []token
	for i := 0; i < len(s); {
		if s[i] == ' ' || s[i] == '\t' {
			i++
			continue
		}
		t, next, err := oneToken(s, i)
		if err != nil {
			return nil, err
		}
		out, i = append(out, t), next
	}
	return out, nil
}

func oneToken(s string, i int) (token, int, error) {
	var b strings.Builder
	quoted := false
	for quote := byte(0); i < len(s) && (quote != 0 || s[i] != ' ' && s[i] != '\t'); i++ {
		c := s[i]
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			quote, quoted = c, true
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
		if i == len(s)-1 && quote != 0 {
			return token{}, i, errQuote
		}
	}
	return token{b.String(), quoted}, i, nil
}
