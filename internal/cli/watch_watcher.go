package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/host/event"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/watch"
	"github.com/portreeve/portreeve/internal/watch/sink"
)

// watcher is one run of the command.
type watcher struct {
	s      *streams
	f      *watchFlags
	paper  *watchPaper
	says   watchSays
	book   *knowledge.Book
	reader *host.Reader

	config   *watch.Config
	policy   *policy.Policy
	baseline []exposure.Socket // nil: none
	before   *drift.Snapshot   // the same, whole
	audits   *watchAudits

	engine  *watch.Engine
	judge   *watch.AuditJudge
	stream  *event.Stream
	sinks   *sink.Fanout
	history *watchHistory // nil: not kept
	told    *watchMemory
	usage   *watchUsage // nil: not watched
	manager *watchManager
	metrics *watchMetrics // nil: not served
	control chan func(*watch.Engine)
	gaps    []exposure.Gap
	notes   []exposure.Gap // what the best source does not see: a listing does
	view    drift.View     // with which eyes the listings are made
	self    exposure.NetNS // the namespace that is judged
}

// configure reads every file that was named before anything is opened.
func (w *watcher) configure(ctx context.Context) error {
	w.says.out, w.book, w.reader = w.s.err, knowledge.Open(), new(host.Reader)
	var err error
	if w.config, err = w.readConfig(); err != nil {
		return err
	}
	if w.policy, err = w.readPolicy(ctx, w.config); err != nil {
		return err
	}
	if !w.f.setNetNS && w.config.NetNS != "" {
		w.f.netns = w.config.NetNS
	}
	w.baseline, err = w.readBaseline(ctx)
	return err
}

func (w *watcher) readConfig() (*watch.Config, error) {
	if w.f.config == "" {
		return &watch.Config{Version: 1}, nil
	}
	b, err := readInput(w.s, w.f.config, watch.MaxConfigBytes+1)
	if err != nil {
		return nil, usage("give a readable configuration file", "read the configuration: %w", err)
	}
	c, err := watch.ParseConfig(b)
	if err != nil {
		return nil, usage("nothing was watched; correct the file (docs/watch.md shows its form)", "configuration %s: %w", w.f.config, err)
	}
	return c, nil
}

// readPolicy: the flag wins over the configuration.
func (w *watcher) readPolicy(ctx context.Context, c *watch.Config) (*policy.Policy, error) {
	return policyHere(ctx, w.s, orName(w.f.policy, c.Policy))
}

// options are the engine's, with the flags over the configuration.
func (w *watcher) options(c *watch.Config) watch.Options {
	o := c.EngineOptions(hostname())
	o.Self = w.self.ID
	if w.f.setSettle || c.Settle == nil {
		o.Settle = w.f.settle
	}
	if w.judge.Policy != nil || w.judge.Baseline != nil || w.f.config != "" {
		o.Judge = w.judge
	}
	return o
}

// open opens what needs privileges, lists what is open, and gives the
// privileges up. outer outlives --duration.
func (w *watcher) open(ctx, outer context.Context) error {
	w.manager = newWatchManager(w.says.say)
	w.view = hostView(w.f.netns) // with the eyes of before the privileges go: listings keep what they need
	w.view.Incidental = true
	stream, err := event.Open(ctx, event.Options{NetNS: w.f.netns})
	if err != nil {
		return watchError(err)
	}
	w.stream = stream
	w.notes = stream.Gaps()
	if stream.Source() != event.SourceBPF {
		w.gaps, w.notes = append(w.gaps, w.notes...), nil
	}
	if err := w.openState(ctx); err != nil {
		return err
	}
	w.openUsage()
	if err := w.openSinks(outer); err != nil {
		return err
	}
	if err := w.openMetrics(outer); err != nil {
		return err
	}
	if err := w.dropPrivileges(); err != nil {
		return err
	}
	return w.begin(ctx)
}

// openState opens the history and remembers what was told. That it cannot be
// kept is said, and ends nothing: watching goes on.
func (w *watcher) openState(ctx context.Context) error {
	w.told = &watchMemory{}
	if w.f.noHistory {
		return nil
	}
	dir, err := stateDir()
	if err != nil {
		return err
	}
	self, _ := host.Self()
	w.told = openWatchMemory(dir, self.ID+" "+w.f.netns)
	if err := w.told.problem; err != nil {
		w.notKept("what was told before a restart may be told again: " + err.Error())
	}
	if w.history, err = openWatchHistory(ctx, dir); err != nil {
		w.notKept("nothing is recorded: " + err.Error())
	}
	return nil
}

func (w *watcher) notKept(why string) {
	w.says.say(why)
	w.gaps = append(w.gaps, exposure.Gap{View: "history", Why: why})
}

// openSinks: without a configuration findings go to stderr.
func (w *watcher) openSinks(ctx context.Context) error {
	list := w.config.Sinks
	if w.f.config == "" {
		list = []sink.Config{{Kind: sink.Stderr, MinSeverity: string(exposure.Low)}}
	}
	spool := ""
	if dir, err := stateDir(); err == nil {
		spool = dir + "/spool"
	}
	sinks, err := sink.Open(ctx, list, sink.Place{Stdout: w.s.out, Stderr: w.s.err, Spool: spool, Host: hostname(), Say: w.says.say})
	if err != nil {
		return &exitError{code: exitUsage, err: err, hint: sinksHint(err)}
	}
	w.sinks = sinks
	w.metrics.through(sinks)
	return nil
}

func sinksHint(err error) string {
	if errors.Is(err, sink.ErrSpoolTaken) {
		return "nothing was watched; end the other one, or give this one another XDG_STATE_HOME"
	}
	return "nothing was watched; correct the sinks in the configuration (docs/watch.md)"
}

// list gives the listeners, without this program's own.
func (w *watcher) list(ctx context.Context) (exposure.Snapshot, error) {
	snap, err := w.reader.Snapshot(ctx, host.Options{NetNS: w.f.netns, Namer: w.book.Name})
	snap.Sockets = slices.DeleteFunc(snap.Sockets, ownSocket)
	if err == nil {
		w.metrics.listed(time.Now(), len(snap.Sockets))
	}
	return snap, err
}

// begin takes the state from which changes are told.
func (w *watcher) begin(ctx context.Context) error {
	snap, err := w.list(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return &exitError{code: exitPartial}
		}
		return watchError(err)
	}
	w.gaps = append(w.gaps, snap.Gaps...)
	w.self = w.judged(ctx, &snap)
	w.judge = &watch.AuditJudge{HostName: hostname(), Self: w.self, Book: w.book, Policy: w.policy, Baseline: w.baseline}
	w.addresses(ctx)
	w.engine = watch.NewEngine(w.options(w.config))
	now := time.Now()
	w.engine.Resume(w.told.findings)
	w.metrics.told(w.told.findings)
	w.engine.Start(snap.Sockets, now)
	if w.history != nil {
		if err := w.history.start(ctx, &snap, w.view); err != nil {
			w.notKept("the first listing is not recorded: " + err.Error())
		}
	}
	if err := w.drift(&snap); err != nil {
		return err
	}
	w.ready(&snap)
	debug.FreeOSMemory() // what only the start needed
	return nil
}

// judged is the namespace that policy and firewall are about.
func (w *watcher) judged(ctx context.Context, snap *exposure.Snapshot) exposure.NetNS {
	if w.f.netns == host.AllNetNS || w.f.netns == host.SelfNetNS {
		return snap.Self
	}
	if spaces, _, err := w.reader.Spaces(ctx, w.f.netns); err == nil && len(spaces) == 1 {
		return spaces[0].NetNS
	}
	return snap.Self
}

func (w *watcher) addresses(ctx context.Context) {
	addrs, err := host.Addresses(ctx)
	if err != nil {
		return
	}
	for _, a := range addrs {
		w.judge.Addrs = append(w.judge.Addrs, a.Own())
	}
}

func (w *watcher) ready(snap *exposure.Snapshot) {
	text := fmt.Sprintf("watching %s by %s", plural(len(snap.Sockets), "listener", "listeners"), w.stream.Source())
	w.says.say(text)
	for _, g := range w.notes {
		w.says.say("note: " + g.Why + " (a listing each " + w.reconcile().String() + " finds it)")
	}
	for _, g := range w.gaps {
		w.says.say("incomplete: " + g.View + ": " + g.Why)
	}
	w.manager.ready(text)
}

// run watches until ctx ends.
func (w *watcher) run(ctx context.Context) error {
	w.control = make(chan func(*watch.Engine))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := w.helpers(ctx)
	err := watch.Run(ctx, watch.Loop{Engine: w.engine, Events: w.named(), List: w.list, Tell: w.tell(ctx), Say: w.says.say,
		Reconcile: w.reconcile(), Jobs: w.jobs(), Control: w.control,
		Alive: w.manager.alive, AliveEvery: w.manager.every})
	stop()
	done()
	return err
}

func (w *watcher) reconcile() time.Duration {
	if w.config.Reconcile != nil {
		return *w.config.Reconcile
	}
	return watch.DefaultReconcile
}

// named gives events what the listing gives its rows: the service's name. Its
// own sockets are left out.
func (w *watcher) named() watch.Events { return namedEvents{w.stream, w.book} }

type namedEvents struct {
	stream *event.Stream
	book   *knowledge.Book
}

// Run passes events on.
func (n namedEvents) Run(ctx context.Context, fn func(event.Event) error) error {
	return n.stream.Run(ctx, func(ev event.Event) error {
		if ev.Kind != event.Lost {
			if ownSocket(ev.Socket) {
				return nil
			}
			ev.Socket.Service = n.book.Name(ev.Socket.Proto, ev.Socket.Port)
		}
		return fn(ev)
	})
}

// tell prints, records and sends. What was told is remembered before it is
// sent: a notice that is sent twice has the same ID.
func (w *watcher) tell(ctx context.Context) func(watch.Out) error {
	ctx = context.WithoutCancel(ctx)
	return func(out watch.Out) error {
		for i := range out.Changes {
			if err := w.paper.print(&out.Changes[i]); err != nil {
				return err
			}
		}
		for _, text := range out.Lost {
			w.says.say(text)
			w.gaps = append(w.gaps, exposure.Gap{View: "host", Why: text})
		}
		w.record(ctx, &out)
		w.metrics.count(&out, w.engine.Size())
		for i := range out.Notices {
			if err := w.sinks.Send(ctx, &out.Notices[i]); err != nil {
				w.says.say("a notice was not sent: " + err.Error())
			}
		}
		return nil
	}
}

func (w *watcher) record(ctx context.Context, out *watch.Out) {
	if len(out.Verdicts) > 0 {
		if err := w.told.keep(out.Verdicts); err != nil {
			w.says.say("what was told may be told again after a restart: " + err.Error())
		}
	}
	if w.history == nil {
		return
	}
	w.history.put(out)
}

// sinksWithin bounds the flushing at the end.
const sinksWithin = 10 * time.Second

// close flushes and closes what is open.
func (w *watcher) close() error {
	w.manager.stopping()
	ctx, stop := context.WithTimeout(context.Background(), sinksWithin)
	defer stop()
	var errs []error
	if w.sinks != nil {
		errs = append(errs, w.sinks.Close(ctx))
	}
	if w.history != nil {
		errs = append(errs, w.history.close(ctx))
	}
	if w.stream != nil {
		errs = append(errs, w.stream.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return &exitError{code: exitPartial, err: fmt.Errorf("end the watch: %w", err), hint: "what was printed is complete"}
	}
	return nil
}
