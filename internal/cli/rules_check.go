package cli

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/learn"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
	"github.com/portreeve/portreeve/internal/report"
)

type checkFlags struct {
	rulesetFlags
	rules      string
	flows      []string
	flowFormat string
	chain      string
	json       bool
	verbose    bool
}

func newRulesCheck(s *streams) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check [RULES] --flows FILE…",
		Short: "Would these rules have let pass what was seen?",
		Long: `Replays every flow against a rule file, or any rule set (--ruleset): what would
have been cut, established connections first, and what is permitted beyond what
was seen. A flow is its first packet: the answers belong to it.`,
		Example: `  portreeve rules check rules.yaml --flows tuesday.pcap
  portreeve rules check rules.yaml --flows conn.log --json
  portreeve rules check --ruleset rules.v4 --chain FORWARD --flows conn.log`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.rules = args[0]
			}
			return runCheck(cmd.Context(), s, &f)
		},
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.StringArrayVar(&f.flows, "flows", nil, "flows, a capture or a log to replay (may repeat; - is stdin)")
	fl.StringVar(&f.flowFormat, "flow-format", "auto", "their format")
	fl.StringVar(&f.chain, "chain", "", "with --ruleset: ask this chain or access list only")
	fl.BoolVar(&f.json, "json", false, "one JSON document")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "all examples, all that is open beyond what was seen")
	return cmd
}

func runCheck(ctx context.Context, s *streams, f *checkFlags) error {
	switch {
	case len(f.flows) == 0:
		return usage("add --flows FILE", "nothing to replay")
	case f.rules != "" && f.file != "":
		return usage("give one of them", "a rule file and --ruleset")
	}
	ampleMemory()
	c := &checked{s: s, f: f, src: &flowSource{s: s, format: f.flowFormat, book: openBook()}}
	if err := c.open(ctx); err != nil {
		return err
	}
	return c.run(ctx)
}

// checked is one replay.
type checked struct {
	s      *streams
	f      *checkFlags
	src    *flowSource
	name   string
	decide learn.Decider
	file   *rulefile.File
	gaps   []exposure.Gap
	bad    error // a question that cannot be asked
}

func (c *checked) open(ctx context.Context) error {
	if c.f.rules == "" {
		rules, err := c.f.rulesetFlags.open(ctx, c.s)
		if err != nil {
			return err
		}
		c.name, c.gaps, c.decide = rules.name, rules.gaps, c.asked(rules.rules)
		return nil
	}
	file, err := readRuleFile(c.s.stoppableInput(ctx), c.f.rules)
	if err != nil {
		return err
	}
	c.name, c.file = inputName(c.f.rules), file
	c.decide, err = learn.FileDecider(file)
	return err
}

// asked decides by a rule set of any kind.
func (c *checked) asked(rules *ruleset.RuleSet) learn.Decider {
	return func(f *exposure.Flow) (exposure.PermitVerdict, string) {
		p, ok := learn.PacketOf(f)
		if !ok {
			return exposure.UnknownPermit, "its protocol or addresses are not known"
		}
		q := ruleset.Packet{Proto: p.Proto, Src: p.Src, Dst: p.Dst, In: f.In, Out: f.Out}
		switch f.Proto {
		case exposure.ICMP, exposure.ICMP6:
			q.ICMPType, q.ICMPCode = &p.Type, &p.Code
		default:
			if _, ports := protoNumbers()[f.Proto]; ports {
				q.SrcPort, q.DstPort = &p.SrcPort, &p.DstPort
			}
		}
		d, err := rules.Query(q, c.f.chain)
		if err != nil {
			c.bad = usage(chainHint(rules, err), "%s: %w", c.name, err)
		}
		return permitVerdict(d.Verdict), d.Rule
	}
}

func permitVerdict(text string) exposure.PermitVerdict {
	switch text {
	case ruleset.PermitPacket:
		return exposure.Permitted
	case ruleset.DenyPacket:
		return exposure.Denied
	}
	return exposure.UnknownPermit
}

func (c *checked) run(ctx context.Context) error {
	flows := &flowSeq{ctx: ctx, src: c.src, names: c.f.flows}
	// The surplus is of established flows; they are kept once for each pair of
	// hosts and port.
	kept := map[exposure.Flow]bool{}
	res := learn.Check(c.decide, noted(flows.seq(), kept))
	if flows.err != nil {
		return flows.err
	}
	if c.bad != nil {
		return c.bad
	}
	r := &report.Checked{Taken: time.Now().UTC(), Host: hostname(), Rules: c.name, Flows: c.src.sources, Result: res, Notes: c.src.notes, Gaps: slices.Concat(c.gaps, c.src.gaps)}
	if c.file != nil {
		surplus, err := learn.Surplus(c.file, keys(kept))
		if err != nil {
			return err
		}
		r.Surplus = surplus
	}
	if c.f.json {
		return c.s.finish(report.CheckJSON(c.s.out, r), r.Gaps)
	}
	return c.s.finish(report.CheckText(c.s.out, r, c.s.style(c.f.verbose)), r.Gaps)
}

// mostKept bounds what is kept for the surplus.
const mostKept = 1 << 19

// noted passes flows on and keeps what is established of them.
func noted(in iter.Seq[*exposure.Flow], kept map[exposure.Flow]bool) iter.Seq[*exposure.Flow] {
	return func(yield func(*exposure.Flow) bool) {
		for f := range in {
			if f.Answered == exposure.FlowAnswered || f.Action == "permit" {
				key := exposure.Flow{Proto: f.Proto, Client: f.Client, Server: f.Server, ServerPort: f.ServerPort, Answered: exposure.FlowAnswered}
				if f.Proto == exposure.ICMP || f.Proto == exposure.ICMP6 {
					key.ClientPort = f.ClientPort
				}
				if len(kept) < mostKept {
					kept[key] = true
				}
			}
			if !yield(f) {
				return
			}
		}
	}
}

func keys(kept map[exposure.Flow]bool) iter.Seq[*exposure.Flow] {
	return func(yield func(*exposure.Flow) bool) {
		for f := range kept {
			if !yield(&f) {
				return
			}
		}
	}
}
