package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/remedy/closing"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/spf13/cobra"
)

type closeFlags struct {
	apply, json, now, force bool
	how, policy             string
	override                []string
}

func newClose(s *streams) *cobra.Command {
	var f closeFlags
	cmd := &cobra.Command{
		Use:   "close PORT[/PROTO]…",
		Short: "Close ports by their real owner, so that it can be undone",
		Long: `Shows how a port is closed by what really holds it: the unit and its socket
unit, the init script, the entry of inetd, the container, the configuration,
the process, or a firewall rule; what that breaks; and which other ports go
with it. Nothing is changed without --apply.

With --apply every step is written down with its inverse first, then done,
then the port is asked again; if it is still open, everything is taken back.
Several ports are closed all or none.

Refused with exit code 4: what would cut your own session, protected ports,
and what leaves no way in. The refusal says the words that override it.`,
		Example: `  portreeve close 5432                    show the plan, change nothing
  portreeve close 5432 --apply
  portreeve close 5432 --how rebind --apply      leave it to this host
  portreeve close 8080 8443 --how firewall --apply
  portreeve close status                  what was closed here
  portreeve close undo                    open again what was closed last`,
		Args: closeArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return runClose(cmd.Context(), s, &f, args) },
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.apply, "apply", false, "do it, and see that it is closed")
	fl.StringVar(&f.how, "how", "", "stop, rebind (loopback only), firewall or kill; by owner unless given")
	fl.BoolFunc("rebind", "the same as --how rebind", func(string) error { f.how = string(closing.Rebind); return nil })
	fl.BoolVar(&f.now, "now", false, "keep strangers out by a firewall rule first, too")
	fl.BoolVar(&f.force, "force", false, "end a process by SIGKILL if it does not end otherwise")
	fl.StringVar(&f.policy, "policy", "", "a policy file: what is protected, what should be local")
	fl.StringArrayVar(&f.override, "override", nil, "override exactly this refusal (may repeat)")
	fl.BoolVar(&f.json, "json", false, "one JSON document (portreeve.close/1)")
	cmd.AddCommand(newCloseUndo(s), newCloseStatus(s))
	return cmd
}

func closeArgs(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage("as in: portreeve close 5432, portreeve close 53/udp; portreeve close undo", "close needs a port")
	}
	return nil
}

func runClose(ctx context.Context, s *streams, f *closeFlags, args []string) error {
	o, err := f.options(ctx, s, args)
	if err != nil {
		return err
	}
	if err := recoverClosings(ctx, s, o.StateDir); err != nil {
		return err
	}
	plan, err := closing.Prepare(ctx, o)
	if err != nil {
		return remedyError(err)
	}
	if !f.apply || plan.Err() != nil {
		written := f.show(s, plan, nil)
		if err := plan.Err(); err != nil && written == nil {
			return remedyError(err)
		}
		return s.finish(written, plan.Gaps)
	}
	if !f.json {
		if err := f.show(s, plan, nil); err != nil {
			return writeError(err)
		}
	}
	done, err := plan.Apply(ctx)
	if err != nil {
		return closingError(s, err)
	}
	if f.json {
		return writeOrNil(f.show(s, plan, done))
	}
	report.Notes(s.err, done.Notes, s.noteStyle())
	_, err = fmt.Fprintf(s.out, "\nClosed, and seen to be closed: port %s. To open again:\n  portreeve close undo %s\n", strings.Join(done.Ports, ", "), done.ID)
	return writeOrNil(err)
}

func (f *closeFlags) options(ctx context.Context, s *streams, args []string) (o closing.Options, err error) {
	for _, a := range args {
		port, proto, ok := parsePort(a)
		if !ok {
			return o, usage("as in: portreeve close 5432, portreeve close 53/udp", "%q is no port; ports are 1–65535, protocols tcp, udp, sctp, dccp, udplite", a)
		}
		if p := (closing.Port{Proto: proto, Port: port}); !slices.Contains(o.Ports, p) {
			o.Ports = append(o.Ports, p)
		}
	}
	o.How, o.Now, o.Force, o.Override = closing.How(f.how), f.now, f.force, f.override
	if o.How != closing.Best && !slices.Contains(closing.Hows(), o.How) {
		return o, usage("write --how stop, rebind, firewall or kill", "--how %q is not known", f.how)
	}
	if o.StateDir, err = stateDir(); err != nil {
		return o, err
	}
	if o.Policy, err = policyHere(ctx, s, f.policy); err != nil {
		return o, err
	}
	o.Usage = pastClients(ctx, s, o.Ports)
	return o, nil
}

// recoverClosings takes back what a killed process left half done.
func recoverClosings(ctx context.Context, s *streams, dir string) error {
	done, err := closing.Recover(ctx, dir, closing.Machine{})
	for _, d := range done {
		report.Notes(s.err, append([]string{"An earlier closing of port " + strings.Join(d.Ports, ", ") + " had been cut off and was taken back now (" + d.ID + ")."}, d.Notes...), s.noteStyle())
	}
	if err != nil {
		return remedyError(err)
	}
	return nil
}

// closingError shows what differs, where that is why nothing was done.
func closingError(s *streams, err error) error {
	var c *closing.Changed
	if errors.As(err, &c) {
		for _, d := range c.Diffs {
			fmt.Fprint(s.err, diffLines(d))
		}
	}
	return remedyError(err)
}

// closeDocument is portreeve.close/1.
type closeDocument struct {
	Schema     string             `json:"schema"`
	Taken      time.Time          `json:"taken"`
	Host       string             `json:"host"`
	Incomplete []exposure.Gap     `json:"incomplete"`
	Ports      []closing.Closure  `json:"ports"`
	Steps      []closeStep        `json:"steps"`
	Breaks     []string           `json:"breaks"`
	Also       []string           `json:"also_closes"`
	Refused    []closing.Refusal  `json:"refused"`
	Manual     []exposure.Fix     `json:"manual"`
	Notes      []string           `json:"notes"`
	Applied    *closeAppliedValue `json:"applied"`
}

type closeStep struct {
	Kind     string         `json:"kind"`
	What     string         `json:"what"`
	Commands []string       `json:"commands"`
	Undo     []string       `json:"undo"`
	Diffs    []closing.Diff `json:"diffs"`
}

type closeAppliedValue struct {
	ID      string   `json:"id"`
	Journal string   `json:"journal"`
	Notes   []string `json:"notes"`
}

func (f *closeFlags) show(s *streams, p *closing.Plan, done *closing.Result) error {
	if !f.json {
		return closeText(s, p)
	}
	doc := closeDocument{Schema: "portreeve.close/1", Taken: time.Now().UTC(), Host: hostname(), Incomplete: append([]exposure.Gap{}, p.Gaps...),
		Ports: p.Closures, Steps: []closeStep{}, Breaks: p.Breaks, Also: p.Also, Refused: p.Refused, Manual: p.Manual, Notes: p.Notes}
	for _, x := range p.Steps {
		doc.Steps = append(doc.Steps, closeStep{x.Kind, x.What, x.Commands, x.Undo, append([]closing.Diff{}, x.Diffs...)})
	}
	if done != nil {
		doc.Applied = &closeAppliedValue{done.ID, done.Dir, append([]string{}, done.Notes...)}
	}
	return report.JSON(s.out, doc)
}

func newCloseUndo(s *streams) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use: "undo [ID]", Short: "Open again what was closed last",
		Long: `Undoes the newest closing that is in force, or the one named, in reverse order,
and puts everything as it was. What somebody else has changed since is never
overwritten: it says what differs and does nothing.`,
		Example: `  portreeve close undo
  portreeve close undo --keep-changes     leave what others changed, undo the rest`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := stateDir()
			if err != nil {
				return err
			}
			o := closing.UndoOptions{StateDir: dir, Keep: keep}
			if len(args) > 0 {
				o.ID = args[0]
			}
			d, err := closing.Undo(cmd.Context(), o)
			if err != nil {
				return closingError(s, err)
			}
			report.Notes(s.err, d.Notes, s.noteStyle())
			_, err = fmt.Fprintf(s.out, "%s: port %s (%s)\n", d.Outcome, strings.Join(d.Ports, ", "), d.ID)
			return writeOrNil(err)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep-changes", false, "leave what others changed since, and undo the rest")
	return cmd
}

func newCloseStatus(s *streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Aliases: []string{"list"}, Short: "What was closed here, and what can be undone", Args: noArgs,
		Long:    "Lists the closings of this host, the newest last. It changes nothing.",
		Example: "  portreeve close status\n  portreeve close list --json",
		RunE: func(*cobra.Command, []string) error {
			dir, err := stateDir()
			if err != nil {
				return err
			}
			list, err := closing.List(dir)
			if err != nil {
				return remedyError(err)
			}
			if asJSON {
				return writeOrNil(report.JSON(s.out, closingsDocument{"portreeve.closings/1", time.Now().UTC(), hostname(), []exposure.Gap{}, list}))
			}
			return writeOrNil(closingsText(s, list))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON document (portreeve.closings/1)")
	return cmd
}

type closingsDocument struct {
	Schema     string           `json:"schema"`
	Taken      time.Time        `json:"taken"`
	Host       string           `json:"host"`
	Incomplete []exposure.Gap   `json:"incomplete"`
	Closings   []closing.Listed `json:"closings"`
}

func closingsText(s *streams, list []closing.Listed) error {
	var b strings.Builder
	if len(list) == 0 {
		b.WriteString("No port was closed here.\n")
	}
	said := map[closing.Outcome]string{
		closing.Applied: "closed; portreeve close undo opens it again",
		closing.Open:    "being closed, or cut off: portreeve close undo takes it back",
		closing.Undoing: "being undone, or cut off: portreeve close undo goes on",
		closing.Undone:  "undone", closing.Failed: "failed, and was taken back",
	}
	for _, l := range list {
		fmt.Fprintf(&b, "%s  %s  port %s: %s\n", report.Escape(l.ID), l.Made.Local().Format("2006-01-02 15:04"), report.Escape(strings.Join(l.Ports, ", ")), said[l.Outcome])
		for _, x := range l.Steps {
			fmt.Fprintf(&b, "    %s (%s)\n", report.Escape(x.What), x.State)
		}
	}
	_, err := s.out.Write([]byte(b.String()))
	return err
}
