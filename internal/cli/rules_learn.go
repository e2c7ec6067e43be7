package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/flowfile"
	"github.com/portreeve/portreeve/internal/firewall/learn"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/report"
)

type learnFlags struct {
	from      []string
	format    string
	denied    bool
	policy    string
	output    string
	rules     string
	tightness float64
	maxRules  int
	segments  []string
	operators []string
	own       []string
	name      string
	local     bool
	json      bool
	verbose   bool
}

func newRulesLearn(s *streams) *cobra.Command {
	var f learnFlags
	cmd := &cobra.Command{
		Use:   "learn --from FILE…",
		Short: "The narrowest rules that real traffic needs, with their evidence",
		Long: `Learns permits from flows: portreeve's own (traffic --by flow --json), captures,
Zeek's conn.log, connection tracking, cloud flow logs, firewall logs. Scanners,
unanswered probes and one-off oddities are left out; ports that are agreed in
band are named, not listed. Every rule says how much was seen, by whom, when,
and how sure it is; the file says what the evidence cannot know.

With --denied it reads denials instead and proposes permits. Denied is not
needed: each waits for your yes, here one by one, or in the file ("action:
ask" does nothing until it is made permit or deny).`,
		Example: `  portreeve rules learn --from mon.pcap --from tue.pcap -o rules.yaml
  portreeve rules learn --from conn.log --policy policy.yaml --tightness 0.8
  portreeve rules learn --from conn.log --segment clients=10.1.0.0/16
  portreeve rules learn --denied --from kern.log --rules r.yaml -o r.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.from = append(f.from, args...)
			return runLearn(cmd.Context(), s, &f)
		},
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&f.from, "from", nil, "flows, a capture or a log (may repeat; - is stdin)")
	fl.StringVar(&f.format, "format", "auto", "the files' format: "+strings.Join(flowfile.Formats(), ", "))
	fl.BoolVar(&f.denied, "denied", false, "propose permits from denials; each waits for a yes")
	fl.StringVar(&f.policy, "policy", "", "policy file: segments, operators, protected ports, owned networks")
	fl.StringVarP(&f.output, "output", "o", "-", "where the rules go (- is stdout)")
	fl.StringVar(&f.rules, "rules", "", "with --denied: the rules that are there already")
	fl.Float64Var(&f.tightness, "tightness", learn.DefaultTightness, "0: whole segments and services; 1: only what was seen")
	fl.IntVar(&f.maxRules, "max-rules", 0, fmt.Sprintf("so many rules at most; 0: about %d, -1: as many as there are", learn.DefaultMaxRules))
	fl.StringArrayVar(&f.segments, "segment", nil, "a named network, as clients=10.1.0.0/16 (may repeat)")
	fl.StringArrayVar(&f.operators, "operator", nil, "where you administer from: never cut, as 10.9.0.0/24 (may repeat)")
	fl.StringSliceVar(&f.own, "own", nil, "your own public networks (may repeat)")
	fl.StringVar(&f.name, "name", "", "name for tables and access lists made of the rules")
	fl.BoolVar(&f.local, "local", false, "for this host's own firewall: broadcast and your session, too")
	fl.BoolVar(&f.json, "json", false, "what became of the flows, as JSON, on stdout (needs -o FILE)")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "say all that was left out, and why")
	return cmd
}

func runLearn(ctx context.Context, s *streams, f *learnFlags) error {
	o, err := f.options(ctx, s)
	if err != nil {
		return err
	}
	ampleMemory()
	src := &flowSource{s: s, format: f.format, book: openBook()}
	o.Registry = func(p exposure.Proto, port uint16) string { return registryName(src.book, p, port) }
	o.Heard = func() ([]string, []string, bool) { return src.sources, src.notes, src.sampled }
	if f.denied {
		return learnDenied(ctx, s, f, src, o)
	}
	l := learn.New(o)
	if err := src.all(ctx, f.from, func(fl *exposure.Flow) error { l.Add(fl); return nil }); err != nil {
		return err
	}
	file, rep, err := l.Finish()
	if err != nil {
		return usage("give flows of answered connections; for denials use --denied", "learn from %s: %w", strings.Join(f.from, ", "), err)
	}
	if f.name != "" {
		file.Name = f.name
	}
	if err := f.save(s, file); err != nil {
		return err
	}
	return s.finish(f.tell(s, src, file, rep), src.gaps)
}

func registryName(book *knowledge.Book, p exposure.Proto, port uint16) string {
	if port >= firstDynamic {
		return ""
	}
	return book.Name(p, port)
}

// all reads every file in turn.
func (r *flowSource) all(ctx context.Context, names []string, give func(*exposure.Flow) error) error {
	for _, name := range names {
		if err := r.each(ctx, name, give); err != nil {
			return err
		}
	}
	return nil
}

func (f *learnFlags) options(ctx context.Context, s *streams) (learn.Options, error) {
	o := learn.Defaults()
	o.Tightness, o.MaxRules, o.Made, o.LocalLink = f.tightness, f.maxRules, time.Now().UTC(), f.local
	switch {
	case len(f.from) == 0:
		return o, usage("add --from FILE", "nothing to learn from")
	case f.tightness < 0 || f.tightness > 1:
		return o, usage("write a number from 0 to 1", "--tightness %g", f.tightness)
	case f.json && f.output == "-":
		return o, usage("add -o RULES.yaml", "--json and the rules cannot both go to stdout")
	case f.rules != "" && !f.denied:
		return o, usage("add --denied", "--rules is what proposals are added to")
	}
	p, err := readPolicy(s, f.policy)
	if err != nil {
		return o, err
	}
	if p != nil {
		o.Policy = learnPolicy(f.policyFor(ctx, p))
	}
	if f.local {
		addSession(&o.Policy, os.Getenv("SSH_CONNECTION"))
	}
	return o, errors.Join(f.addSegments(&o.Policy), f.addOperators(&o.Policy), f.addOwn(&o.Policy))
}

// policyFor is the policy of this host when its own firewall is learned, and
// else that of all hosts: the evidence is a network's.
func (f *learnFlags) policyFor(ctx context.Context, p *policy.Policy) *policy.Policy {
	if !f.local {
		return p.ForAll()
	}
	return forThisHost(ctx, p)
}

// addSession keeps the way in by which this was typed (sshd(8),
// SSH_CONNECTION: peer, its port, this host, its port).
func addSession(p *learn.Policy, connection string) {
	words := strings.Fields(connection)
	if len(words) != 4 {
		return
	}
	from, err := prefixOf(words[0])
	port, bad := strconv.ParseUint(words[3], 10, 16)
	if err == nil && bad == nil {
		p.Operators = append(p.Operators, learn.Operator{From: from, Ports: []uint16{uint16(port)}, Reason: "the session in which this was learned"})
	}
}

func learnPolicy(p *policy.Policy) learn.Policy {
	out := learn.Policy{Owned: p.OwnedPrefixes()}
	for _, seg := range p.Segments {
		n := learn.Segment{Name: seg.Name}
		for _, w := range seg.Networks {
			n.Prefixes = append(n.Prefixes, w.Prefix)
		}
		out.Segments = append(out.Segments, n)
	}
	for _, x := range p.Protected {
		out.Protected = append(out.Protected, learn.Protected{Proto: x.Port.Proto, First: x.Port.First, Last: x.Port.Last, Reason: x.Reason})
	}
	for _, x := range p.Operators {
		op := learn.Operator{From: x.From.Prefix, Reason: x.Reason}
		for _, r := range x.Ports {
			for port := int(r.First); port <= int(r.Last) && len(op.Ports) < 64; port++ {
				op.Ports = append(op.Ports, uint16(port))
			}
		}
		out.Operators = append(out.Operators, op)
	}
	return out
}

func (f *learnFlags) addSegments(p *learn.Policy) error {
	for _, text := range f.segments {
		name, nets, ok := strings.Cut(text, "=")
		seg := learn.Segment{Name: name}
		for _, n := range strings.Split(nets, ",") {
			prefix, err := prefixOf(n)
			if !ok || name == "" || err != nil {
				return usage("write --segment clients=10.1.0.0/16", "--segment %q is no name with a network", text)
			}
			seg.Prefixes = append(seg.Prefixes, prefix)
		}
		p.Segments = append(p.Segments, seg)
	}
	return nil
}

func (f *learnFlags) addOperators(p *learn.Policy) error {
	for _, text := range f.operators {
		prefix, err := prefixOf(text)
		if err != nil {
			return usage("write --operator 10.9.0.0/24", "--operator %q is no network", text)
		}
		p.Operators = append(p.Operators, learn.Operator{From: prefix, Reason: "named with --operator"})
	}
	return nil
}

func (f *learnFlags) addOwn(p *learn.Policy) error {
	for _, text := range f.own {
		prefix, err := prefixOf(text)
		if err != nil {
			return usage("write --own 203.0.113.0/24", "--own %q is no network", text)
		}
		p.Owned = append(p.Owned, prefix)
	}
	return nil
}

// prefixOf reads a network, or an address as one.
func prefixOf(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

// save writes the rules: a file at once or not at all.
func (f *learnFlags) save(s *streams, file *rulefile.File) error {
	var b bytes.Buffer
	if err := file.Write(&b); err != nil {
		return fmt.Errorf("write the rules: %w", err)
	}
	if f.output == "-" {
		if _, err := s.out.Write(b.Bytes()); err != nil {
			return writeError(err)
		}
		return nil
	}
	return writeWhole(f.output, b.Bytes())
}

// writeWhole replaces a file in one step, so that a full disk leaves the old
// one.
func writeWhole(name string, data []byte) error {
	return putWhole(name, data, func(tmp string) error { return os.Rename(tmp, name) })
}

// putWhole writes the data beside the name and lets put give it the name.
func putWhole(name string, data []byte, put func(tmp string) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".portreeve-*")
	if err != nil {
		return usage("give a file in a folder that can be written", "write %s: %w", name, err)
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err == nil {
		err = put(tmp.Name())
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return &exitError{code: exitPartial, err: fmt.Errorf("write %s: %w", name, err), hint: "nothing was replaced; free some space or write elsewhere"}
	}
	return nil
}

// tell says what became of the flows: on stderr, where the rules have stdout.
func (f *learnFlags) tell(s *streams, src *flowSource, file *rulefile.File, rep *learn.Report) error {
	r := &report.Learned{Taken: time.Now().UTC(), Host: hostname(), Sources: src.sources, File: file, Report: rep, Notes: src.notes, Gaps: src.gaps, Denied: f.denied}
	if f.json {
		return report.LearnedJSON(s.out, r)
	}
	out, style := s.err, s.noteStyle()
	if f.output != "-" {
		out, style = s.out, s.style(f.verbose)
	}
	style.Verbose = f.verbose
	return report.LearnedText(out, r, style)
}
