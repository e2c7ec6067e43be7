package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/spf13/cobra"
)

type historyFlags struct {
	json, verbose bool
	since         string
}

func newHistory(s *streams) *cobra.Command {
	var f historyFlags
	cmd := &cobra.Command{
		Use:   "history PORT[/PROTO]",
		Short: "When a port opened, by whom, who used it, what changed",
		Long: `Tells from the history what is known of one port: the lives of its listeners,
what changed, who used it, and which findings it had. The history is written
by portreeve watch, baseline save and audit --record; for the time that nobody
watched it says so.`,
		Example: `  portreeve history 22
  portreeve history 53/udp --since 7d
  portreeve history 5432 --since 2026-03-01 --json`,
		Args: onePort,
		RunE: func(cmd *cobra.Command, args []string) error { return runHistory(cmd.Context(), s, f, args[0]) },
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON document (portreeve.history/1)")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "every client, change and finding that is kept")
	cmd.Flags().StringVar(&f.since, "since", "", "only since then: 90m, 12h, 7d, 2w, a date or a time")
	return cmd
}

func onePort(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage("as in: portreeve history 22, portreeve history 53/udp", "history needs one port, got %d", len(args))
	}
	if _, _, ok := parsePort(args[0]); !ok {
		return usage("ports are 1–65535; protocols tcp, udp, sctp, dccp, udplite", "%q is no port", args[0])
	}
	return nil
}

func runHistory(ctx context.Context, s *streams, f historyFlags, topic string) error {
	port, proto, _ := parsePort(topic)
	now := time.Now().UTC()
	var since time.Time
	if f.since != "" {
		var err error
		if since, err = parseSince(f.since, now); err != nil {
			return err
		}
	}
	store, err := openHistory(ctx, true)
	if errors.Is(err, history.ErrNone) {
		return noHistory(s, f, port, proto, now)
	}
	if err != nil {
		return err
	}
	defer store.Close()
	stories, err := readStories(ctx, store, port, proto, since, now)
	if err != nil {
		return historyError(err)
	}
	return printStories(s, f, stories, port, since, now)
}

// noHistory is an answer too: nothing is known.
func noHistory(s *streams, f historyFlags, port uint16, proto exposure.Proto, now time.Time) error {
	gaps := []exposure.Gap{{View: "history", Why: "there is no history yet; begin one with: portreeve watch (everything from now on), or portreeve baseline save (one look)"}}
	if !f.json {
		fmt.Fprintf(s.out, "Nothing is known of port %d: there is no history yet.\nBegin one:\n  portreeve watch            records everything from now on\n  portreeve baseline save    one look; the next shows what changed\n", port)
		return &exitError{code: exitPartial}
	}
	return s.finish(report.JSON(s.out, historyDocument{Schema: "portreeve.history/1", Taken: now, Host: hostname(), Port: port, Ports: []storyDocument{}, Incomplete: gaps}), gaps)
}

// readStories reads every protocol that has something to tell.
func readStories(ctx context.Context, store *history.Store, port uint16, proto exposure.Proto, since, now time.Time) ([]history.Story, error) {
	protos := []exposure.Proto{exposure.TCP, exposure.UDP, exposure.SCTP, exposure.DCCP, exposure.UDPLite}
	if proto != "" {
		protos = []exposure.Proto{proto}
	}
	var out []history.Story
	for i, p := range protos {
		st, err := store.Port(ctx, p, port, since, now)
		if err != nil {
			return nil, err
		}
		if i == 0 || len(st.Lives)+len(st.Events)+st.ClientCount+len(st.Findings) > 0 {
			out = append(out, st)
		}
	}
	if empty := &out[0]; len(out) > 1 && len(empty.Lives)+len(empty.Events)+empty.ClientCount+len(empty.Findings) == 0 {
		out = out[1:]
	}
	return out, nil
}

type historyDocument struct {
	Schema     string          `json:"schema"`
	Taken      time.Time       `json:"taken"`
	Host       string          `json:"host"`
	Port       uint16          `json:"port"`
	Since      *time.Time      `json:"since"`
	Ports      []storyDocument `json:"ports"`
	Incomplete []exposure.Gap  `json:"incomplete"`
}

type storyDocument struct {
	Proto     exposure.Proto `json:"proto"`
	Port      uint16         `json:"port"`
	Listeners []lifeLine     `json:"listeners"`
	Changes   []changeLine   `json:"changes"`
	// ChangeCount and ClientCount are the full numbers.
	ChangeCount  int           `json:"change_count"`
	Clients      []clientLine  `json:"clients"`
	ClientCount  int           `json:"client_count"`
	OtherClients int           `json:"other_clients"`
	Findings     []findingLine `json:"findings"`
	KnownSince   *time.Time    `json:"known_since"`
	Snapshots    int           `json:"snapshots"`
	UsageWatched coverageLine  `json:"usage_watched"`
	Watched      coverageLine  `json:"listeners_watched"`
}

type lifeLine struct {
	Endpoint string           `json:"endpoint"`
	Opened   time.Time        `json:"opened"`
	Exact    bool             `json:"opened_exactly"`
	Seen     time.Time        `json:"seen"`
	Closed   *time.Time       `json:"closed"`
	Ended    drift.Kind       `json:"ended"`
	Source   string           `json:"source"`
	EndedBy  string           `json:"ended_source"`
	Socket   *exposure.Socket `json:"socket"`
}

type changeLine struct {
	drift.Line
	Source string `json:"source"`
}

type clientLine struct {
	Addr        netip.Addr `json:"addr"`
	First       time.Time  `json:"first"`
	Last        time.Time  `json:"last"`
	Packets     uint64     `json:"packets"`
	Bytes       uint64     `json:"bytes"`
	Connections uint64     `json:"connections"`
}

type findingLine struct {
	exposure.Finding
	Source   string     `json:"source"`
	Opened   time.Time  `json:"opened"`
	Seen     time.Time  `json:"seen"`
	Resolved *time.Time `json:"resolved"`
}

type coverageLine struct {
	From    *time.Time `json:"from"`
	To      *time.Time `json:"to"`
	Seconds float64    `json:"seconds"`
	Sources []string   `json:"sources"`
}

func maybeTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func watchedOf(c history.Coverage) coverageLine {
	sources := c.Sources
	if sources == nil {
		sources = []string{}
	}
	return coverageLine{maybeTime(c.From), maybeTime(c.To), c.Watched.Seconds(), sources}
}

func storyOf(st *history.Story) storyDocument {
	d := storyDocument{Proto: st.Proto, Port: st.Port, Listeners: []lifeLine{}, Changes: []changeLine{}, ChangeCount: st.EventCount,
		Clients: []clientLine{}, ClientCount: st.ClientCount, OtherClients: st.OtherClients, Findings: []findingLine{},
		KnownSince: maybeTime(st.From), Snapshots: st.Snapshots, UsageWatched: watchedOf(st.Usage), Watched: watchedOf(st.Listeners)}
	for i := range st.Lives {
		l := &st.Lives[i]
		d.Listeners = append(d.Listeners, lifeLine{l.Endpoint.String(), l.Opened, l.Exact, l.Seen, maybeTime(l.Closed), l.Ended, l.Source, l.EndSource, &l.Socket})
	}
	for i := range st.Events {
		d.Changes = append(d.Changes, changeLine{st.Events[i].Line(), st.Events[i].Source})
	}
	for _, c := range st.Clients {
		d.Clients = append(d.Clients, clientLine(c))
	}
	for _, f := range st.Findings {
		d.Findings = append(d.Findings, findingLine{f.Finding, f.Source, f.Opened, f.Seen, maybeTime(f.Resolved)})
	}
	return d
}

func printStories(s *streams, f historyFlags, stories []history.Story, port uint16, since, now time.Time) error {
	if f.json {
		doc := historyDocument{Schema: "portreeve.history/1", Taken: now, Host: hostname(), Port: port, Since: maybeTime(since), Ports: []storyDocument{}, Incomplete: gapList(nil)}
		for i := range stories {
			doc.Ports = append(doc.Ports, storyOf(&stories[i]))
		}
		return s.finish(report.JSON(s.out, doc), nil)
	}
	for i := range stories {
		if i > 0 {
			fmt.Fprintln(s.out)
		}
		if err := report.StoryText(s.out, tellable(&stories[i], now), s.style(f.verbose)); err != nil {
			return writeError(err)
		}
	}
	return nil
}

// tellable hands the story over in plain values.
func tellable(st *history.Story, now time.Time) *report.Story {
	out := &report.Story{Proto: st.Proto, Port: st.Port, Since: st.Since, Now: now, KnownSince: st.From, Snapshots: st.Snapshots,
		ChangeCount: st.EventCount, ClientCount: st.ClientCount, OtherClients: st.OtherClients,
		Usage: report.Watched(st.Usage), Listeners: report.Watched(st.Listeners)}
	for i := range st.Lives {
		l := &st.Lives[i]
		out.Lives = append(out.Lives, report.Life{Socket: &l.Socket, Opened: l.Opened, Exact: l.Exact, Seen: l.Seen, Closed: l.Closed, Ended: string(l.Ended), ExactEnd: history.Live(l.EndSource)})
	}
	for i := range st.Events {
		e := &st.Events[i]
		out.Changes = append(out.Changes, report.StoryChange{At: e.At, Exact: history.Live(e.Source),
			DriftRow: report.DriftRow{Kind: string(e.Kind), Endpoint: e.Endpoint, Before: e.Before, After: e.After}})
	}
	for _, c := range st.Clients {
		out.Clients = append(out.Clients, report.StoryClient(c))
	}
	for _, x := range st.Findings {
		out.Findings = append(out.Findings, report.StoryFinding{Severity: x.Severity, Title: x.Title, Opened: x.Opened, Resolved: x.Resolved})
	}
	return out
}
