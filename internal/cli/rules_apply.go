package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
	"github.com/portreeve/portreeve/internal/remedy"
	"github.com/portreeve/portreeve/internal/report"
)

type applyFlags struct {
	within  time.Duration
	backend string
	chains  []string
	helpers bool
	dryRun  bool
	others  bool
	flows   []string
}

func newRulesApply(s *streams) *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "apply RULES",
		Short: "Load rules here; they take themselves back unless confirmed",
		Long: `Loads a rule file into this host's firewall, in a table of its own. First it is
checked: by the kernel, and against the sessions of whoever administers this
host, which it never cuts (exit code 4). What is there now is kept. Then the
rules are loaded in one step, read back and compared; and unless "rules
confirm" is typed in time, from this session or another, they are taken back:
also when this program is killed or the line breaks.

The rules last until the next start of the machine.`,
		Example: `  portreeve rules apply rules.yaml --dry-run         show the plan only
  portreeve rules apply rules.yaml
  portreeve rules apply rules.yaml --confirm-within 5m
  portreeve rules confirm
  portreeve rules undo`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runApply(cmd.Context(), s, &f, args[0]) },
	}
	fl := cmd.Flags()
	fl.DurationVar(&f.within, "confirm-within", remedy.DefaultWithin, "taken back after this long unless confirmed")
	fl.StringVar(&f.backend, "backend", "nft", strings.Join(remedy.Backends(), ", ")+" (iptables: both families)")
	fl.StringSliceVar(&f.chains, "chains", nil, "nft: input, forward (both unless named)")
	fl.BoolVar(&f.helpers, "helpers", false, "nft: connection tracking helpers for ftp, sip and the like")
	fl.BoolVarP(&f.dryRun, "dry-run", "n", false, "check and show, and change nothing")
	fl.BoolVar(&f.others, "cut-others", false, "allow to cut other people's sessions, never your own")
	fl.StringArrayVar(&f.flows, "flows", nil, "say which of these flows the rules would refuse")
	return cmd
}

// stateDir is where the journal is (the contract's place for state).
func stateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "portreeve"), nil
	}
	if os.Geteuid() == 0 {
		return "/var/lib/portreeve", nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", usage("set XDG_STATE_HOME", "no place for the journal: %w", err)
	}
	return filepath.Join(home, ".local", "state", "portreeve"), nil
}

func runApply(ctx context.Context, s *streams, f *applyFlags, name string) error {
	dir, err := stateDir()
	if err != nil {
		return err
	}
	file, err := readRuleFile(s.stoppableInput(ctx), name)
	if err != nil {
		return err
	}
	loads, notes, err := f.loads(file)
	if err != nil {
		return err
	}
	o := remedy.Options{StateDir: dir, Load: loads, Within: f.within, Guard: []string{"/proc/self/exe", "rules", "guard", "--journal"}, MayCutOthers: f.others}
	if o.Flows, err = f.seen(ctx, s); err != nil {
		return err
	}
	if err := recoverRules(ctx, s, dir); err != nil {
		return err
	}
	plan, err := remedy.Prepare(ctx, o)
	if err != nil {
		return remedyError(err)
	}
	plan.Notes = slices.Concat(notes, plan.Notes)
	if err := report.PlanText(s.out, shownPlan(plan), s.style(true)); err != nil {
		return writeError(err)
	}
	if f.dryRun {
		return nil
	}
	done, err := plan.Apply(ctx)
	if err != nil {
		return remedyError(err)
	}
	return writeOrNil(report.AppliedText(s.out, done.Until, done.Notes, s.style(false)))
}

// shownPlan is a plan as it is shown.
func shownPlan(p *remedy.Plan) *report.Plan {
	out := &report.Plan{Notes: p.Notes}
	for i := range p.Parts {
		part := report.PlanPart{Backend: p.Parts[i].Backend, Untried: p.Parts[i].Untried}
		for _, l := range p.Parts[i].Diff {
			part.Diff = append(part.Diff, string(rune(l.Op))+" "+l.Text)
		}
		out.Parts = append(out.Parts, part)
	}
	for _, x := range p.Sessions {
		out.Kept = append(out.Kept, x.String())
	}
	for _, u := range p.Refused {
		out.Refused = append(out.Refused, fmt.Sprintf("%s %s, used by %d clients: %s", u.Proto, u.Server, u.Count, u.Why))
	}
	return out
}

func shownChanges(list []remedy.Listed) (out []report.Change) {
	for i := range list {
		out = append(out, report.Change{ID: list[i].ID, Made: list[i].Made, Backends: list[i].Backends, State: changeState(&list[i])})
	}
	return out
}

func changeState(l *remedy.Listed) string {
	switch {
	case l.Over:
		return "its time has passed and it is still in force: portreeve rules undo"
	case l.Outcome == remedy.Open && l.InForce:
		return "waits to be confirmed until " + l.Until.Local().Format("15:04:05")
	case l.Rebooted && l.Outcome == remedy.Confirmed:
		return "confirmed; ended by a restart"
	case l.InForce:
		return string(l.Outcome) + ", in force"
	}
	return string(l.Outcome)
}

func writeOrNil(err error) error {
	if err != nil {
		return writeError(err)
	}
	return nil
}

// loads writes the rules for the backend.
func (f *applyFlags) loads(file *rulefile.File) (out []remedy.Load, notes []string, err error) {
	named := *file
	named.Name = "" // the table's name is remedy's business
	add := func(backend string, write renderer) {
		if err != nil {
			return
		}
		var b bytes.Buffer
		var said []string
		if said, err = write(&b, &named); err == nil {
			out = append(out, remedy.Load{Backend: backend, Text: b.Bytes()})
			notes = append(notes, said...)
		}
	}
	if !slices.Contains(remedy.Backends(), f.backend) {
		return nil, nil, usage("write --backend "+strings.Join(remedy.Backends(), ", "), "--backend %q is not known", f.backend)
	}
	switch {
	case f.backend == "nft":
		r := renderFlags{chains: f.chains, helpers: f.helpers}
		write, bad := r.nftables()
		if bad != nil {
			return nil, nil, bad
		}
		add("nft", write)
	case strings.HasPrefix(f.backend, "ip6tables"):
		add(f.backend, iptablesRenderer(ruleset.IPv6))
	default:
		add(f.backend, iptablesRenderer(ruleset.IPv4))
		add("ip6tables"+strings.TrimPrefix(f.backend, "iptables"), iptablesRenderer(ruleset.IPv6))
	}
	if err != nil {
		return nil, nil, usage("correct the rules; nothing was changed", "write the rules for %s: %w", f.backend, err)
	}
	return out, notes, nil
}

func iptablesRenderer(family ruleset.Families) renderer {
	r := renderFlags{family: 4, to: "iptables"}
	if family == ruleset.IPv6 {
		r.family = 6
	}
	write, _ := r.iptables() // the family is known
	return write
}

// seen reads the flows that the plan is to be held against.
func (f *applyFlags) seen(ctx context.Context, s *streams) (out []exposure.Flow, err error) {
	src := &flowSource{s: s, book: openBook()}
	err = src.all(ctx, f.flows, func(fl *exposure.Flow) error {
		if len(out) < mostKept && fl.Answered == exposure.FlowAnswered {
			out = append(out, *fl)
		}
		return nil
	})
	return out, err
}

// recoverRules takes back what nobody confirmed and whose guard is gone.
func recoverRules(ctx context.Context, s *streams, dir string) error {
	notes, err := remedy.Recover(ctx, dir, remedy.Machine{})
	report.Notes(s.err, notes, s.noteStyle())
	if err != nil && remedy.ReasonOf(err) != remedy.Unsupported {
		return remedyError(err)
	}
	return nil
}

// remedyError gives the exit code: 4 where it was refused for safety, 3 where
// something was begun, else 2: nothing was changed.
func remedyError(err error) error {
	out := &exitError{code: exitUsage, err: err}
	switch remedy.ReasonOf(err) {
	case remedy.Refused:
		out.code = exitRefused
	case remedy.NotRestored:
		out.code = exitPartial
	}
	var e *remedy.Error
	if errors.As(err, &e) {
		out.hint = e.Hint
	}
	return out
}

func newRulesConfirm(s *streams) *cobra.Command {
	return decideCommand(s, "confirm", "Keep the rules that were applied",
		"Keeps the rules that wait to be confirmed. You typed this over the\nnetwork: that is the proof that you are not cut off.", remedy.Confirm)
}

func newRulesUndo(s *streams) *cobra.Command {
	return decideCommand(s, "undo", "Take back the newest rules",
		"Takes back the newest change that is in force, confirmed or not, and puts\nback what was there before it, byte for byte. What others changed meanwhile\nstays.", remedy.Undo)
}

func decideCommand(s *streams, name, short, long string, do func(context.Context, string, remedy.Machine) (*remedy.Decided, error)) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Long: long, Args: noArgs, Example: "  portreeve rules " + name,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := stateDir()
			if err != nil {
				return err
			}
			d, err := do(cmd.Context(), dir, remedy.Machine{})
			if err != nil {
				return remedyError(err)
			}
			report.Notes(s.err, d.Notes, s.noteStyle())
			_, err = fmt.Fprintf(s.out, "%s: %s\n", d.Outcome, d.ID)
			return writeOrNil(err)
		},
	}
}

func newRulesStatus(s *streams) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "What was applied, and what waits to be confirmed", Args: noArgs,
		Long: "Lists the changes of rules on this host, the newest last. It changes nothing.", Example: "  portreeve rules status",
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := stateDir()
			if err != nil {
				return err
			}
			list, err := remedy.List(cmd.Context(), dir, remedy.Machine{})
			if err != nil {
				return remedyError(err)
			}
			return writeOrNil(report.ChangesText(s.out, shownChanges(list), s.style(false)))
		},
	}
}

// newRulesGuard is the process that takes rules back; apply starts it.
func newRulesGuard(s *streams) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "guard", Hidden: true, Args: cobra.MaximumNArgs(1), Short: "Takes rules back (started by apply)",
		RunE: func(cmd *cobra.Command, args []string) error {
			return remedy.Guard(cmd.Context(), dir, remedy.Machine{}, s.in, s.out, s.err)
		},
	}
	cmd.Flags().StringVar(&dir, "journal", "", "the change's folder")
	return cmd
}
