package remedy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	dialect "github.com/portreeve/portreeve/internal/firewall/dialect/iptables"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

const iptablesPackage = "iptables"

// iptables keeps our rules in chains of the filter table whose names begin
// with PORTREEVE-.
type iptables struct {
	program string // iptables, ip6tables
	variant string // "", nft, legacy
	proc    string
}

func newIptables(name, proc string) iptables {
	program, variant, _ := strings.Cut(name, "-")
	return iptables{program: program, variant: variant, proc: proc}
}

// ipSaved is what the journal holds of one family. Base are the built-in
// chains that nftables had ("INPUT"); nil when that does not matter or is not
// known.
type ipSaved struct {
	Chains []string `json:"chains"`
	Rules  []string `json:"rules"` // "[1:2] -A PORTREEVE-INPUT …"
	Jumps  []ipJump `json:"jumps"`
	Base   []string `json:"base"`
}

// ipJump is a rule of a built-in chain that leads to ours, and its place.
type ipJump struct {
	Chain string `json:"chain"`
	Place int    `json:"place"` // from 1
	Rule  string `json:"rule"`  // "-A INPUT -j PORTREEVE-INPUT"
}

func (s *ipSaved) empty() bool { return len(s.Chains) == 0 && len(s.Jumps) == 0 }

func readSaved(data []byte) (*ipSaved, error) {
	s := &ipSaved{}
	if len(data) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fail(State, "what was saved of iptables cannot be read", err)
	}
	return s, nil
}

func (s *ipSaved) bytes() ([]byte, error) { return json.Marshal(s) }

func (b iptables) name(tool string) string {
	if b.variant == "" {
		return b.program + "-" + tool
	}
	return b.program + "-" + b.variant + "-" + tool
}

func (b iptables) Accept(text []byte) ([]byte, error) {
	s, err := acceptSave(text)
	if err != nil {
		return nil, err
	}
	return s.bytes()
}

func (b iptables) Read(ctx context.Context, run Runner) (*Present, error) {
	base := b.baseChains(ctx, run)
	if b.untouched() {
		s := &ipSaved{Base: base}
		saved, err := s.bytes()
		return &Present{Saved: saved}, err
	}
	out, err := run(ctx, nil, b.name("save"), "-c", "-t", "filter")
	if err != nil {
		return nil, wrong(Failed, "the filter table could not be listed", iptablesPackage, err)
	}
	s := oursOf(out)
	s.Base = base
	p := &Present{}
	if p.Saved, err = s.bytes(); err != nil || s.empty() {
		return p, err
	}
	p.Text = s.text()
	p.Normal = p.Text
	return p, b.model(s, p, ipSets(ctx, run, p.Text))
}

// Model reads rules that are not loaded; IP sets are not known then.
func (b iptables) Model(saved []byte) (*Present, error) {
	s, err := readSaved(saved)
	if err != nil {
		return nil, err
	}
	p := &Present{Text: s.text()}
	return p, b.model(s, p, nil)
}

// ipSets reads the IP sets that rules ask for.
func ipSets(ctx context.Context, run Runner, text []byte) dialect.Sets {
	if !bytes.Contains(text, []byte("--match-set")) {
		return nil
	}
	out, err := run(ctx, nil, "ipset", "save")
	if err != nil {
		return nil // the reader says that the set is not known
	}
	sets, _, _ := dialect.ReadSets(bytes.NewReader(out))
	return sets
}

// untouched reports a legacy table that does not exist: asking for it would
// create it.
func (b iptables) untouched() bool {
	if b.variant != "legacy" {
		return false
	}
	file := map[string]string{"iptables": "ip_tables_names", "ip6tables": "ip6_tables_names"}[b.program]
	data, err := os.ReadFile(filepath.Join(b.proc, "thread-self", "net", file))
	return err == nil && !slices.Contains(strings.Fields(string(data)), "filter") || errors.Is(err, os.ErrNotExist)
}

// baseChains lists the built-in chains that nftables holds for the family:
// iptables-nft makes them when it needs them. nil when nft cannot be asked.
func (b iptables) baseChains(ctx context.Context, run Runner) []string {
	if b.variant == "legacy" {
		return nil
	}
	data, err := run(ctx, nil, "nft", "-j", "list", "chains", b.family())
	if err != nil {
		return nil
	}
	out := []string{}
	var doc struct {
		Nftables []struct {
			Chain struct{ Family, Table, Name, Hook string }
		}
	}
	if json.Unmarshal(data, &doc) != nil {
		return nil
	}
	for _, e := range doc.Nftables {
		if e.Chain.Family == b.family() && e.Chain.Table == "filter" && e.Chain.Hook != "" {
			out = append(out, e.Chain.Name)
		}
	}
	return out
}

func (b iptables) family() string {
	if b.program == "ip6tables" {
		return "ip6"
	}
	return "ip"
}

// model reads our chains, hooked as they are, into the rule model.
func (b iptables) model(s *ipSaved, p *Present, sets dialect.Sets) error {
	families := ruleset.IPv4
	if b.program == "ip6tables" {
		families = ruleset.IPv6
	}
	tables, problems, err := dialect.Read(bytes.NewReader(s.alone()), dialect.Options{Families: families, Title: b.program, Sets: sets})
	if err != nil {
		return fail(Failed, "the rules of "+b.program+" were not understood", err)
	}
	for _, t := range tables {
		p.Chains = append(p.Chains, t.Chains...)
	}
	if len(problems) > 0 {
		p.Doubt = problems[0].String()
	}
	return nil
}

func (b iptables) Put(ctx context.Context, run Runner, saved []byte, check bool) error {
	want, err := readSaved(saved)
	if err != nil {
		return err
	}
	if check && b.untouched() {
		return nil // the trial has asked; asking here would create the table
	}
	now, err := b.Read(ctx, run)
	if err != nil {
		return err
	}
	have, err := readSaved(now.Saved)
	if err != nil {
		return err
	}
	if !want.empty() || !have.empty() {
		args := []string{"--noflush", "--counters", "--wait", "10"}
		if check {
			args = append(args, "--test")
		}
		if _, err := run(ctx, change(have, want), b.name("restore"), args...); err != nil {
			return wrong(Invalid, b.name("restore")+" refused the rules, and nothing was changed by them", iptablesPackage, err)
		}
	}
	if check {
		return nil
	}
	return b.clean(ctx, run, want)
}

// change is one transaction of iptables-restore from have to want.
func change(have, want *ipSaved) []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("*filter")
	for _, ch := range want.Chains {
		line(":%s - [0:0]", ch) // makes it, or empties it
	}
	for _, j := range have.Jumps {
		line("-D%s", strings.TrimPrefix(j.Rule, "-A"))
	}
	gone := slices.DeleteFunc(slices.Clone(have.Chains), func(ch string) bool { return slices.Contains(want.Chains, ch) })
	for _, ch := range gone {
		line("-F %s", ch)
	}
	for _, ch := range gone {
		line("-X %s", ch)
	}
	for _, r := range want.Rules {
		line("%s", r)
	}
	for _, j := range want.Jumps {
		rest := strings.TrimPrefix(j.Rule, "-A "+j.Chain)
		line("-I %s %d%s", j.Chain, j.Place, rest)
	}
	line("COMMIT")
	return b.Bytes()
}

// clean takes away the built-in chains, and the table, that iptables-nft made
// for ours, where nothing else uses them by now.
func (b iptables) clean(ctx context.Context, run Runner, want *ipSaved) error {
	if want.Base == nil {
		return nil
	}
	var b2 bytes.Buffer
	kept := len(want.Base) > 0
	for _, ch := range b.baseChains(ctx, run) {
		if slices.Contains(want.Base, ch) {
			continue
		}
		if !b.idle(ctx, run, ch) {
			kept = true
			continue
		}
		fmt.Fprintf(&b2, "delete chain %s filter %s\n", b.family(), ch)
	}
	if b2.Len() == 0 {
		return nil
	}
	if !kept && b.bare(ctx, run) {
		fmt.Fprintf(&b2, "delete table %s filter\n", b.family())
	}
	_, err := run(ctx, b2.Bytes(), "nft", "-f", "-")
	return wrong(Failed, "empty chains that were made for ours could not be taken away", nftPackage, err)
}

// idle reports a chain without rules that accepts everything.
func (b iptables) idle(ctx context.Context, run Runner, chain string) bool {
	out, err := run(ctx, nil, "nft", "-s", "list", "chain", b.family(), "filter", chain)
	if err != nil {
		return false
	}
	lines := 0
	for line := range strings.Lines(string(out)) {
		if s := strings.TrimSpace(line); s != "" && s[0] != '#' {
			lines++
		}
	}
	return lines == 5 && bytes.Contains(out, []byte("policy accept"))
}

// bare reports a table in which only built-in chains are.
func (b iptables) bare(ctx context.Context, run Runner) bool {
	data, err := run(ctx, nil, "nft", "-j", "list", "table", b.family(), "filter")
	return err == nil && !slices.ContainsFunc(nftObjects(data), func(o nftObject) bool { return o.Hook == "" })
}
