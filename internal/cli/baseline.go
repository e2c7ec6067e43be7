package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/spf13/cobra"
)

func newBaseline(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "baseline",
		Short: "Keep what is open now, and see later what changed",
		Long: `Saves the listeners of this host in the history, and compares: what opened,
closed, was restarted, changed hands or moved to another address since then.`,
		Example: `  portreeve baseline save                     now is how it should be
  portreeve baseline diff                     what changed since then
  portreeve baseline save --name before-upgrade
  portreeve baseline diff before-upgrade now
  portreeve baseline diff monday.json tuesday.json   of portreeve host --json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("see: portreeve baseline --help", "baseline has no command %q", args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(newBaselineSave(s), newBaselineShow(s), newBaselineList(s), newBaselineDiff(s), newBaselineDelete(s))
	return cmd
}

type baselineFlags struct {
	json, verbose, replace, failOnChange bool
	name, netns                          string
}

func newBaselineSave(s *streams) *cobra.Command {
	var f baselineFlags
	cmd := &cobra.Command{
		Use:   "save",
		Short: "Save what listens now as the baseline to compare with",
		Example: `  portreeve baseline save
  portreeve baseline save --name before-upgrade`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBaselineSave(cmd.Context(), s, f) },
	}
	cmd.Flags().StringVar(&f.name, "name", "", "a name for it (default: the time)")
	cmd.Flags().BoolVar(&f.replace, "replace", false, "take the name from another snapshot, which is forgotten")
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON document about what was saved (portreeve.baseline/1)")
	cmd.Flags().StringVar(&f.netns, "netns", host.AllNetNS, "network namespaces: all, self, or a name under /run/netns")
	return cmd
}

func runBaselineSave(ctx context.Context, s *streams, f baselineFlags) error {
	if err := checkName(f.name); err != nil {
		return err
	}
	store, err := openHistory(ctx, false)
	if err != nil {
		return err
	}
	defer store.Close()
	snap, err := snapshotNow(ctx, f.netns)
	if err != nil {
		return err
	}
	info, err := store.SaveSnapshot(ctx, f.name, snap, history.SaveOptions{Baseline: true, Replace: f.replace, Source: "baseline"})
	if errors.Is(err, history.ErrNameTaken) {
		return usage("take another, or give it to this one with --replace", "a snapshot named %q is there already", f.name)
	}
	if err != nil {
		return historyError(err)
	}
	if f.json {
		return s.finish(report.JSON(s.out, savedDocument{"portreeve.baseline/1", listedSnapshot(info), gapList(snap.Gaps)}), snap.Gaps)
	}
	_, err = fmt.Fprintf(s.out, "Saved %s as %q; it is the baseline now.\nSee what changes: portreeve baseline diff\n", plural(info.Sockets, "listener", "listeners"), report.Escape(info.Name))
	return s.finish(err, snap.Gaps)
}

type savedDocument struct {
	Schema string `json:"schema"`
	snapshotLine
	Incomplete []exposure.Gap `json:"incomplete"`
}

// checkName refuses names that the arguments of diff use for something else,
// and what a person cannot type again.
func checkName(name string) error {
	switch {
	case name == "now" || name == "-" || strings.ContainsAny(name, "/\\"):
		return usage("choose another, as in --name before-upgrade", "%q cannot be a name: diff takes it for something else", name)
	case len(name) > 100 || name != strings.TrimSpace(name) || report.Escape(name) != name || strings.HasPrefix(name, "-"):
		return usage("choose a short one of printable characters, as in --name before-upgrade", "%q cannot be a name", name)
	}
	return nil
}

func newBaselineShow(s *streams) *cobra.Command {
	var f baselineFlags
	cmd := &cobra.Command{
		Use:   "show [NAME]",
		Short: "Show a saved snapshot as portreeve host shows the present",
		Example: `  portreeve baseline show
  portreeve baseline show before-upgrade --json > before-upgrade.json`,
		Args: atMost(1, "a snapshot's name"),
		RunE: func(cmd *cobra.Command, args []string) error { return runBaselineShow(cmd.Context(), s, f, args) },
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON document (portreeve.host/1)")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "program, user and package of each owner")
	return cmd
}

// atMost refuses more arguments than n.
func atMost(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usage("see: "+cmd.CommandPath()+" --help", "%s takes %s at most, got %d arguments", cmd.Name(), what, len(args))
		}
		return nil
	}
}

func runBaselineShow(ctx context.Context, s *streams, f baselineFlags, args []string) error {
	store, err := openHistory(ctx, true)
	if err != nil {
		return err
	}
	defer store.Close()
	name := strings.Join(args, "")
	info, snap, err := store.Snapshot(ctx, name)
	if err != nil {
		return noSnapshot(ctx, store, name, err)
	}
	if f.json {
		return s.finish(report.JSON(s.out, snapshotDocument{drift.HostSchema, snap.Taken, snap.Host, snap.Self, info.Name, snap.View, snap.Sockets, gapList(snap.Gaps)}), snap.Gaps)
	}
	fmt.Fprintf(s.err, "snapshot %q of %s\n", report.Escape(info.Name), localTime(info.Taken))
	return s.finish(report.HostText(s.out, &snap.Snapshot, s.style(f.verbose)), snap.Gaps)
}

// snapshotDocument is portreeve.host/1 with the view it was taken by.
type snapshotDocument struct {
	Schema     string            `json:"schema"`
	Taken      time.Time         `json:"taken"`
	Host       string            `json:"host"`
	NetNS      exposure.NetNS    `json:"netns"`
	Name       string            `json:"name"`
	View       drift.View        `json:"view"`
	Sockets    []exposure.Socket `json:"sockets"`
	Incomplete []exposure.Gap    `json:"incomplete"`
}

func gapList(gaps []exposure.Gap) []exposure.Gap {
	if gaps == nil {
		return []exposure.Gap{}
	}
	return gaps
}

// noSnapshot names those that are there.
func noSnapshot(ctx context.Context, store *history.Store, name string, err error) error {
	if !errors.Is(err, history.ErrNoSnapshot) || name == "" {
		return historyError(err)
	}
	hint := "begin: portreeve baseline save"
	if list, listErr := store.Snapshots(ctx); listErr == nil && len(list) > 0 {
		var names []string
		for _, x := range list[max(0, len(list)-8):] {
			names = append(names, report.Escape(x.Name))
		}
		hint = "there are: " + strings.Join(names, ", ") + " (portreeve baseline list)"
	}
	return usage(hint, "no snapshot and no file is named %q", name)
}

func newBaselineList(s *streams) *cobra.Command {
	var f baselineFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what was saved",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runBaselineList(cmd.Context(), s, f) },
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON document (portreeve.baselines/1)")
	return cmd
}

type snapshotLine struct {
	Name      string    `json:"name"`
	Taken     time.Time `json:"taken"`
	Host      string    `json:"host"`
	Listeners int       `json:"listeners"`
	NetNS     string    `json:"netns"`
	UID       uint32    `json:"uid"`
	Gaps      int       `json:"gaps"`
	Default   bool      `json:"default"`
	Baseline  bool      `json:"baseline"`
}

func listedSnapshot(x history.Snapshot) snapshotLine {
	return snapshotLine{x.Name, x.Taken, x.Host, x.Sockets, x.View.NetNS, x.View.UID, x.Gaps, x.Default, x.Baseline}
}

type listDocument struct {
	Schema     string         `json:"schema"`
	Taken      time.Time      `json:"taken"`
	Host       string         `json:"host"`
	Snapshots  []snapshotLine `json:"snapshots"`
	Incomplete []exposure.Gap `json:"incomplete"`
}

func runBaselineList(ctx context.Context, s *streams, f baselineFlags) error {
	list := []snapshotLine{}
	store, err := openHistory(ctx, true)
	switch {
	case errors.Is(err, history.ErrNone):
	case err != nil:
		return err
	default:
		defer store.Close()
		snaps, err := store.Snapshots(ctx)
		if err != nil {
			return historyError(err)
		}
		for _, x := range snaps {
			list = append(list, listedSnapshot(x))
		}
	}
	if f.json {
		return s.finish(report.JSON(s.out, listDocument{"portreeve.baselines/1", time.Now().UTC(), hostname(), list, gapList(nil)}), nil)
	}
	return s.finish(report.SnapshotsText(s.out, snapshotRows(list), s.style(false)), nil)
}

func snapshotRows(list []snapshotLine) []report.SnapshotRow {
	var out []report.SnapshotRow
	for _, x := range list {
		out = append(out, report.SnapshotRow{Name: x.Name, Taken: localTime(x.Taken), Listeners: x.Listeners, NetNS: x.NetNS,
			Root: x.UID == 0, Gaps: x.Gaps, Default: x.Default, Baseline: x.Baseline})
	}
	return out
}

func newBaselineDelete(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME…",
		Short: "Forget saved snapshots",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("see the names: portreeve baseline list", "delete needs the name of a snapshot")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runBaselineDelete(cmd.Context(), s, args) },
	}
}

func runBaselineDelete(ctx context.Context, s *streams, names []string) error {
	store, err := openHistory(ctx, false)
	if err != nil {
		return err
	}
	defer store.Close()
	for _, name := range slices.Compact(names) {
		if err := store.Delete(ctx, name); err != nil {
			return noSnapshot(ctx, store, name, err)
		}
		fmt.Fprintf(s.out, "Forgot %q.\n", report.Escape(name))
	}
	return nil
}

func serviceName() func(exposure.Proto, uint16) string { return knowledge.Open().Name }

func withoutOwn(socks []exposure.Socket) []exposure.Socket {
	return slices.DeleteFunc(socks, ownSocket)
}
