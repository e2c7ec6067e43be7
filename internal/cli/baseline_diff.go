package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/spf13/cobra"
)

// now names the present where a snapshot is named.
const nowName = "now"

func newBaselineDiff(s *streams) *cobra.Command {
	var f baselineFlags
	cmd := &cobra.Command{
		Use:   "diff [A] [B|now]",
		Short: "What changed between two snapshots, or since one",
		Long: `Compares A with B: names of saved snapshots, files written by portreeve host
--json (- is standard input), or now. Without A it is the baseline, without B
it is now, looked at with the same --netns as A.

Kinds: opened, closed, replaced (the same program, restarted), owner-changed
(another program on the same endpoint), scope-changed (the same program on
another address). What cannot be compared, because one of the two was taken
with less privilege or of other namespaces, is said and never made up (exit 3).`,
		Example: `  portreeve baseline diff
  portreeve baseline diff before-upgrade --fail-on-change
  portreeve baseline diff monday tuesday --json
  ssh web-01 portreeve host --json | portreeve baseline diff web-01.json -`,
		Args: atMost(2, "two snapshots"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("netns") {
				f.netns = ""
			}
			return runBaselineDiff(cmd.Context(), s, f, args)
		},
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON document (portreeve.diff/1)")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "processes and units before and after")
	cmd.Flags().BoolVar(&f.failOnChange, "fail-on-change", false, "exit 1 when something changed (it wins over 3)")
	cmd.Flags().StringVar(&f.netns, "netns", "", "network namespaces of now: all, self, or a name (default: as A's)")
	return cmd
}

// diffSide is one of the two that are compared.
type diffSide struct {
	Name string    `json:"name"`
	At   time.Time `json:"taken"`
	snap *drift.Snapshot
}

type diffDocument struct {
	Schema     string         `json:"schema"`
	Taken      time.Time      `json:"taken"`
	Host       string         `json:"host"`
	From       diffSide       `json:"from"`
	To         diffSide       `json:"to"`
	Changes    []drift.Line   `json:"changes"`
	Incomplete []exposure.Gap `json:"incomplete"`
}

func runBaselineDiff(ctx context.Context, s *streams, f baselineFlags, args []string) error {
	a, b, err := f.sides(ctx, s, args)
	if err != nil {
		return err
	}
	res := drift.Compare(a.snap, b.snap)
	if f.json {
		doc := diffDocument{"portreeve.diff/1", time.Now().UTC(), firstOf(b.snap.Host, a.snap.Host), *a, *b, changeLines(res.Changes), gapList(res.Gaps)}
		err = report.JSON(s.out, doc)
	} else {
		err = report.DriftText(s.out, &report.Drift{From: a.words(), To: b.words(), Host: firstOf(b.snap.Host, a.snap.Host),
			Before: res.Before, After: res.After, Changes: driftRows(res.Changes), Incomplete: len(res.Gaps) > 0}, s.style(f.verbose))
	}
	end := s.finish(err, res.Gaps)
	if f.failOnChange && len(res.Changes) > 0 && err == nil {
		return &exitError{code: exitFindings}
	}
	return end
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (d *diffSide) words() string {
	if d.Name == nowName {
		return nowName
	}
	return fmt.Sprintf("%q (%s)", d.Name, localTime(d.At))
}

func changeLines(list []drift.Change) []drift.Line {
	out := []drift.Line{}
	for i := range list {
		out = append(out, list[i].Line())
	}
	return out
}

func driftRows(list []drift.Change) []report.DriftRow {
	var out []report.DriftRow
	for _, c := range list {
		out = append(out, report.DriftRow{Kind: string(c.Kind), Endpoint: c.Endpoint, Before: c.Before, After: c.After})
	}
	return out
}

// sides finds what A and B name. Only one of the two may be standard input.
func (f *baselineFlags) sides(ctx context.Context, s *streams, args []string) (a, b *diffSide, err error) {
	names := append(append([]string{}, args...), []string{"", nowName}[len(args[:min(len(args), 2)]):]...)
	if names[0] == "-" && names[1] == "-" {
		return nil, nil, usage("write one of the two to a file", "standard input was named twice and can be read once")
	}
	if names[0] == nowName && names[1] == nowName {
		return nil, nil, usage("name a snapshot, or save one first: portreeve baseline save", "now is the same as now")
	}
	netns := f.netns
	if a, err = findSide(ctx, s, names[0], netns); err != nil {
		return nil, nil, err
	}
	if netns == "" && names[0] != nowName {
		netns = a.snap.View.NetNS
	}
	b, err = findSide(ctx, s, names[1], netns)
	return a, b, err
}

// findSide reads the present, standard input, a saved snapshot, or a file.
func findSide(ctx context.Context, s *streams, name, netns string) (*diffSide, error) {
	switch name {
	case nowName:
		snap, err := snapshotNow(ctx, netnsOrAll(netns))
		if err != nil {
			return nil, err
		}
		return &diffSide{nowName, snap.Taken, snap}, nil
	case "-":
		return readSide(s, name)
	}
	side, err := savedSide(ctx, name)
	if err == nil || name == "" {
		return side, err
	}
	if _, statErr := os.Stat(name); statErr == nil {
		return readSide(s, name)
	}
	return nil, err
}

func netnsOrAll(netns string) string {
	if netns == "" {
		return drift.AllNetNS
	}
	return netns
}

func savedSide(ctx context.Context, name string) (*diffSide, error) {
	store, err := openHistory(ctx, true)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	info, snap, err := store.Snapshot(ctx, name)
	if err != nil {
		return nil, noSnapshot(ctx, store, name, err)
	}
	return &diffSide{info.Name, info.Taken, snap}, nil
}

// maxHostDocument bounds a host document: 100,000 listeners take 60 MB.
const maxHostDocument = 1 << 30

// readSide reads a portreeve.host/1 document.
func readSide(s *streams, name string) (*diffSide, error) {
	b, err := readInput(s, name, maxHostDocument)
	if err != nil {
		return nil, usage("give a readable file", "read %s: %w", documentName(name), err)
	}
	snap, err := parseHostDocument(b)
	if err != nil {
		return nil, usage("give what `portreeve host --json` or `portreeve baseline show --json` wrote", "%s: %w", documentName(name), err)
	}
	return &diffSide{documentName(name), snap.Taken, snap}, nil
}

func documentName(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

func parseHostDocument(b []byte) (*drift.Snapshot, error) {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || len(b) == 0 {
			return nil, errors.New("the document is cut off")
		}
		return nil, fmt.Errorf("no JSON document: %w", err)
	}
	if head.Schema != drift.HostSchema {
		return nil, fmt.Errorf("its schema is %q, not %s", head.Schema, drift.HostSchema)
	}
	var d snapshotDocument
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("a host document that does not keep to its schema: %w", err)
	}
	out := &drift.Snapshot{View: d.View}
	out.View.Schema = d.Schema
	out.Taken, out.Host, out.Self, out.Sockets, out.Gaps = d.Taken, d.Host, d.NetNS, d.Sockets, d.Incomplete
	return out, nil
}

// lastSnapshot is what --since NAME|TIME means: a snapshot by its name, else
// the last one at or before a time.
func lastSnapshot(ctx context.Context, store *history.Store, since string, now time.Time) (history.Snapshot, *drift.Snapshot, error) {
	info, snap, err := store.Snapshot(ctx, since)
	if err == nil || !errors.Is(err, history.ErrNoSnapshot) {
		return info, snap, historyError(err)
	}
	at, timeErr := parseSince(since, now)
	if timeErr != nil {
		return info, nil, noSnapshot(ctx, store, since, err)
	}
	info, snap, err = store.SnapshotAt(ctx, at)
	return info, snap, historyError(err)
}
