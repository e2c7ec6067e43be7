package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/host/event"
	"github.com/portreeve/portreeve/internal/watch"
	"github.com/spf13/cobra"
)

type watchFlags struct {
	json, noHistory  bool
	policy, baseline string
	config, netns    string
	listen           string
	duration, settle time.Duration
	setSettle        bool
	setNetNS         bool
}

func newWatch(s *streams) *cobra.Command {
	var f watchFlags
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Tell listeners as they open and close, and judge them",
		Long: `Follows the listeners of this host by the kernel's own events and prints each
change as it happens: opened, closed, replaced (a restart), owner-changed,
scope-changed. Changes are judged by --policy and --baseline and told to the
sinks of the configuration, so that restarts and flapping page nobody; all of
it is kept in the history. Changes nothing on the host.

The first words, on stderr, say that it watches. Without --policy, --baseline
and --config it only prints and records. An interrupt ends it with 130; a stop
by the service manager with 0. SIGHUP reads configuration and policy again.`,
		Example: `  portreeve watch
  portreeve watch --json --duration 1h > changes.jsonl
  portreeve watch --policy ports.yaml            findings on stderr
  portreeve watch --baseline monday              drift since then is told first
  portreeve watch --config /etc/portreeve/watch.yaml --listen 127.0.0.1:9464`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.setSettle, f.setNetNS = cmd.Flags().Changed("settle"), cmd.Flags().Changed("netns")
			return runWatch(cmd.Context(), s, &f)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.json, "json", false, "JSON Lines: {kind, endpoint, before, after, at, …}")
	fl.StringVar(&f.policy, "policy", "", "judge by this policy file (docs/audit.md)")
	fl.StringVar(&f.baseline, "baseline", "", "judge by this baseline, and tell the drift since it first")
	fl.StringVar(&f.config, "config", "", "configuration file (docs/watch.md)")
	fl.DurationVar(&f.duration, "duration", 0, "end after this long, as 10m; 0: never")
	fl.StringVar(&f.netns, "netns", host.AllNetNS, "network namespaces: all, self, or a name under /run/netns")
	fl.BoolVar(&f.noHistory, "no-history", false, "record nothing in the history")
	fl.DurationVar(&f.settle, "settle", watch.DefaultSettle, "how long a closing waits for a restart; 0: told at once")
	fl.StringVar(&f.listen, "listen", "", "serve Prometheus metrics here, as 127.0.0.1:9464")
	return cmd
}

func (f *watchFlags) check() error {
	switch {
	case f.duration < 0:
		return usage("write it as in --duration 10m", "--duration %s is negative", f.duration)
	case f.settle < 0 || f.settle > time.Hour:
		return usage("write it as in --settle 2s", "--settle %s is not within 0…1h", f.settle)
	}
	return nil
}

func runWatch(ctx context.Context, s *streams, f *watchFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	w := &watcher{s: s, f: f, paper: newWatchPaper(s, f.json)}
	if err := w.configure(ctx); err != nil {
		return err
	}
	outer := ctx
	if f.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.duration)
		defer cancel()
	}
	if err := w.open(ctx, outer); err != nil {
		w.close()
		return err
	}
	err := w.run(ctx)
	return w.end(outer, errors.Join(err, w.close()))
}

// end chooses the exit code: a stop that the service manager asked for is no
// interruption.
func (w *watcher) end(outer context.Context, err error) error {
	if err != nil {
		return writeError(err)
	}
	if outer.Err() != nil && w.manager.asked() {
		return &exitError{code: exitDone, asked: true}
	}
	return w.s.finish(nil, w.gaps)
}

func watchError(err error) error {
	hint := ""
	switch {
	case errors.Is(err, host.ErrNoNamespace):
		hint = "see the names with: ip netns list"
	case errors.Is(err, event.ErrUnsupported), errors.Is(err, host.ErrUnsupported):
		hint = "on this system compare listings: portreeve host --from FILE"
	}
	return &exitError{code: exitUsage, err: fmt.Errorf("follow the listeners: %w", err), hint: hint}
}
