package cli

import (
	"context"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
	"github.com/portreeve/portreeve/internal/report"
)

type lintFlags struct {
	rulesetFlags
	listeners string
	json      bool
	verbose   bool
}

func newRulesLint(s *streams) *cobra.Command {
	var f lintFlags
	cmd := &cobra.Command{
		Use:   "lint",
		Short: "Rules that never decide, do nothing, or permit too much",
		Long: `Looks at every rule of a rule set: shadowed (earlier rules, alone or together,
take all its packets), redundant (it may go and nothing changes), never-hit (by
its counter), too-wide, unreachable-chain, and no-listener where it is known
who listens (this host's rules, or --listeners).`,
		Example: `  portreeve rules lint                          this host's rules
  portreeve rules lint --ruleset rules.v4
  portreeve rules lint --ruleset rules.v4 --listeners host.json
  portreeve rules lint --ruleset asa.cfg --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLint(cmd.Context(), s, &f) },
	}
	f.register(cmd)
	cmd.Flags().StringVar(&f.listeners, "listeners", "", "who listens there: a portreeve host --json document")
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON document")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "all findings, and their rules whole")
	return cmd
}

func runLint(ctx context.Context, s *streams, f *lintFlags) error {
	rules, err := f.open(ctx, s)
	if err != nil {
		return err
	}
	o := ruleset.LintOptions{}
	table, err := (&trafficFlags{listeners: f.listeners}).listenersOf(ctx, s, rules.host)
	if err != nil {
		return err
	}
	if table != nil {
		o.Listens = table.serves
	}
	l := &report.Lint{Taken: time.Now().UTC(), Host: hostname(), Source: rules.name, Rules: countRules(rules.rules), Findings: ruleset.Lint(rules.rules, o), Gaps: rules.gaps}
	if f.json {
		return s.finish(report.LintJSON(s.out, l), rules.gaps)
	}
	return s.finish(report.LintText(s.out, l, s.style(f.verbose)), rules.gaps)
}

func countRules(rules *ruleset.RuleSet) (n int) {
	for _, ch := range rules.Chains {
		n += len(ch.Rules)
	}
	return n
}

// serves tells whether anything listens at an endpoint, or on a port of any
// address.
func (t *listenTable) serves(proto uint8, addr netip.Addr, port uint16) bool {
	set := t.now.Load()
	if set == nil || set.any[listenKey{port: port, proto: proto}] {
		return true // not known, or everywhere
	}
	if addr.IsValid() {
		return set.at[listenKey{addr.As16(), port, proto}]
	}
	for k := range set.at {
		if k.port == port && k.proto == proto {
			return true
		}
	}
	return false
}

// compareHint names the chains of both.
func compareHint(a, b *openRules, err error) string {
	if chainHint(a.rules, err) == "" {
		return ""
	}
	return "--chain names one of " + a.name + ": " + chainNames(a.rules) + "\n--chain-b one of " + b.name + ": " + chainNames(b.rules)
}

func newRulesCompare(s *streams) *cobra.Command {
	var formatA, formatB, chainA, chainB string
	var asJSON, all bool
	var most int
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "The packets on which two rule sets differ",
		Long: `Compares two rule sets exactly: every region of packets that one permits and
the other does not, with an example and the deciding rules. Nothing is printed
but "equal" when there is none. The two may have different formats. Compared
are first packets of connections; --all compares established ones in lists
(without hooks), too, which many devices let pass by themselves.`,
		Example: `  portreeve rules compare rules.v4 rules.v4.new
  portreeve rules compare asa.cfg new.cfg --chain OUTSIDE-IN
  portreeve rules compare before.nft rules.yaml --json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if chainB == "" {
				chainB = chainA
			}
			a, err := readRuleset(s, args[0], formatA)
			if err != nil {
				return err
			}
			b, err := readRuleset(s, args[1], formatB)
			if err != nil {
				return err
			}
			compare := ruleset.CompareNew
			if all {
				compare = ruleset.Compare
			}
			d, err := compare(a.rules, b.rules, chainA, chainB, most)
			if err != nil {
				return usage(compareHint(a, b, err), "compare %s with %s: %w", a.name, b.name, err)
			}
			c := &report.Compared{Taken: time.Now().UTC(), Host: hostname(), A: a.name, B: b.name, Differences: d, Gaps: append(a.gaps, b.gaps...), All: all}
			if asJSON {
				return s.finish(report.CompareJSON(s.out, c), c.Gaps)
			}
			return s.finish(report.CompareText(s.out, c, s.style(false)), c.Gaps)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&formatA, "format-a", "auto", "the first one's format")
	fl.StringVar(&formatB, "format-b", "auto", "the second one's")
	fl.StringVar(&chainA, "chain", "", "compare this chain or access list")
	fl.StringVar(&chainB, "chain-b", "", "the second one's chain, where its name differs")
	fl.BoolVar(&asJSON, "json", false, "one JSON document")
	fl.BoolVar(&all, "all", false, "in lists, packets of every connection state")
	fl.IntVar(&most, "most", 100, "at most so many regions")
	return cmd
}
