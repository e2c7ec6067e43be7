package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall"
	"github.com/portreeve/portreeve/internal/firewall/dialect/problem"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
	rulesource "github.com/portreeve/portreeve/internal/firewall/source"
)

func newRules(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Firewall rules: asked, checked, learned, written, applied",
		Long: `Reads rule sets of every common kind and answers questions about them with
certainty; learns the narrowest rules that real traffic needs; proves them by
replaying every flow; writes them for other firewalls; applies them here so
that they take themselves back unless somebody confirms.

Only apply, confirm and undo change anything.`,
		Example: `  portreeve rules query --ruleset fw.conf --dst 192.0.2.1 --dst-port 443
  portreeve rules lint --ruleset /etc/iptables/rules.v4
  portreeve rules compare old.conf new.conf
  portreeve rules learn --from day1.log --from day2.log -o rules.yaml
  portreeve rules check rules.yaml --flows day3.log
  portreeve rules render rules.yaml --to nftables
  portreeve rules apply rules.yaml --confirm-within 2m
  portreeve rules formats`,
		Args: cobra.ArbitraryArgs, SuggestionsMinimumDistance: 2,
		RunE: unknownRules,
	}
	narrowHelp(cmd)
	cmd.AddCommand(newRulesQuery(s), newRulesLint(s), newRulesCompare(s), newRulesLearn(s), newRulesCheck(s), newRulesRender(s),
		newRulesApply(s), newRulesConfirm(s), newRulesUndo(s), newRulesStatus(s), newRulesGuard(s), newRulesFormats(s))
	return cmd
}

func unknownRules(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	hint := "see: portreeve rules --help"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean: portreeve rules " + strings.Join(near, ", portreeve rules ")
	}
	return usage(hint, "there is no command rules %q", args[0])
}

// narrowHelp breaks what is said about flags at 80 columns.
func narrowHelp(cmd *cobra.Command) {
	cmd.SetUsageTemplate(strings.ReplaceAll(cmd.UsageTemplate(), ".FlagUsages ", ".FlagUsagesWrapped 80 "))
}

func newRulesFormats(s *streams) *cobra.Command {
	return &cobra.Command{
		Use: "formats", Short: "The rule sets that can be read, and written", Args: noArgs,
		Long:    "Lists the formats of rule sets that are read (--format) and written (--to).",
		Example: "  portreeve rules formats",
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(s.out, "read:")
			for _, f := range rulesource.Formats() {
				fmt.Fprintf(s.out, "  %-14s %s\n", f.Name, f.What)
			}
			fmt.Fprintln(s.out, "\nwritten:\n  "+strings.Join(renderNames(), " "))
			return nil
		},
	}
}

// rulesetFlags name a rule set: a file, or this host's own.
type rulesetFlags struct {
	file, format string
}

func (f *rulesetFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "ruleset", "", "the rule set (- is stdin); without it, this host's own")
	cmd.Flags().StringVar(&f.format, "format", rulesource.Auto, "its format, where the content does not tell (see rules formats)")
}

// openRules is a rule set that can be asked.
type openRules struct {
	rules *ruleset.RuleSet
	name  string
	gaps  []exposure.Gap
	host  bool // this host's own
}

func (f *rulesetFlags) open(ctx context.Context, s *streams) (*openRules, error) {
	if f.file == "" {
		wall, gaps := firewall.Read(ctx, firewall.Options{})
		return &openRules{rules: wall.Rules(), name: "this host", gaps: gaps, host: true}, nil
	}
	return readRuleset(s.stoppableInput(ctx), f.file, f.format)
}

func readRuleset(s *streams, name, format string) (*openRules, error) {
	ampleMemory()
	in, err := openInput(s, name)
	if err != nil {
		return nil, usage("give a rule set that can be read", "read %s: %w", inputName(name), err)
	}
	defer in.Close()
	src, err := rulesource.Read(in, inputName(name), format)
	if src == nil || src.Rules == nil {
		return nil, usage(hintOfFormat(err), "%w", err)
	}
	o := &openRules{rules: src.Rules, name: inputName(name), gaps: problemGaps(inputName(name), src.Problems)}
	if err != nil {
		o.gaps = append(o.gaps, exposure.Gap{View: "firewall", Why: err.Error()})
	}
	return o, nil
}

func hintOfFormat(err error) string {
	if errors.Is(err, rulesource.ErrFormat) || errors.Is(err, rulesource.ErrUnknown) {
		return "the formats: portreeve rules formats"
	}
	return ""
}

// mostProblems are told one by one.
const mostProblems = 20

// problemGaps tells what was not understood; verdicts that it could change are
// unknown.
func problemGaps(name string, list []problem.Problem) (gaps []exposure.Gap) {
	for _, p := range list[:min(len(list), mostProblems)] {
		gaps = append(gaps, exposure.Gap{View: "firewall", Why: name + ": " + p.String()})
	}
	if rest := len(list) - mostProblems; rest > 0 {
		gaps = append(gaps, exposure.Gap{View: "firewall", Why: fmt.Sprintf("%s: %d more places were not understood", name, rest)})
	}
	return gaps
}

// readRuleFile reads what rules learn writes.
func readRuleFile(s *streams, name string) (*rulefile.File, error) {
	in, err := openInput(s, name)
	if err != nil {
		return nil, usage("give a rule file (rules learn writes one)", "read %s: %w", inputName(name), err)
	}
	defer in.Close()
	f, err := rulefile.Read(inputName(name), in)
	if err != nil {
		return nil, usage("correct the file; docs/rules.md shows its form", "%w", err)
	}
	return f, nil
}

// chainHint names the chains that could be meant.
func chainHint(rules *ruleset.RuleSet, err error) string {
	if !errors.Is(err, ruleset.ErrWhich) && !errors.Is(err, ruleset.ErrNoChain) {
		return ""
	}
	return "name one with --chain: " + chainNames(rules)
}

func chainNames(rules *ruleset.RuleSet) string {
	const most = 12
	var names []string
	for _, ch := range rules.Chains {
		if !slices.Contains(names, ch.Title) && len(names) < most {
			names = append(names, ch.Title)
		}
	}
	return strings.Join(names, ", ")
}

// protoOf reads a protocol's name or number.
func protoOf(name string) (uint8, error) {
	n, err := rulefile.ParseProto(strings.ToLower(name))
	if err != nil {
		return 0, err
	}
	if n < 0 {
		return 0, nil
	}
	return uint8(n), nil
}

func addrOf(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(text)
}
