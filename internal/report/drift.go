package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Drift is what changed between two moments.
type Drift struct {
	// From and To name the two, for people.
	From, To, Host string
	// Before and After are how many listeners were compared.
	Before, After int
	Changes       []DriftRow
	Incomplete    bool
}

// DriftRow is one change; Before is nil for what opened, After for what
// closed.
type DriftRow struct {
	Kind          string
	Endpoint      exposure.Endpoint
	Before, After *exposure.Socket
}

// DriftText prints what changed, the answer first.
func DriftText(w io.Writer, d *Drift, st Style) error {
	head := driftHead(d)
	for i, l := range wrap(head, st.Width, 0) {
		if i == 0 {
			l = st.paint(bold, l)
		}
		if _, err := fmt.Fprintln(w, l); err != nil {
			return err
		}
	}
	if len(d.Changes) == 0 {
		return nil
	}
	return DriftTable(w, d.Changes, st)
}

func driftHead(d *Drift) string {
	at := Escape(d.From + " to " + d.To)
	if d.Host != "" {
		at = Escape(d.Host) + ", " + at
	}
	if len(d.Changes) == 0 {
		what := "nothing changed"
		if d.Incomplete {
			what = "no change found in what could be compared"
		}
		return fmt.Sprintf("%s: %s (%s, then %s).", at, what, count(d.Before, "listener", "listeners"), count(d.After, "listener", "listeners"))
	}
	return at + ": " + count(len(d.Changes), "change", "changes") + ", " + kindCounts(d.Changes) + "."
}

// kindCounts is "2 opened, 1 closed", in the order of the kinds' weight.
func kindCounts(rows []DriftRow) string {
	n := map[string]int{}
	for _, r := range rows {
		n[r.Kind]++
	}
	var out []string
	for _, kind := range []string{"opened", "owner-changed", "scope-changed", "closed", "replaced"} {
		if n[kind] > 0 {
			out = append(out, fmt.Sprintf("%d %s", n[kind], kind))
		}
	}
	return strings.Join(out, ", ")
}

// DriftTable prints changes as a table.
func DriftTable(w io.Writer, changes []DriftRow, st Style) error {
	cols := []column{{head: "KIND", paint: func(s string) string { return st.paint(kindColor(strings.TrimSpace(s)), s) }},
		{head: "PORT"}, {head: "BOUND", min: 15}, {head: "WAS", min: 15}, {head: "IS", min: 15}}
	var rows [][]string
	for i := range changes {
		rows = append(rows, driftCells(&changes[i]))
	}
	if err := writeTable(w, st, cols, rows); err != nil || !st.Verbose {
		return err
	}
	return driftDetails(w, changes, st)
}

func kindColor(kind string) string {
	switch kind {
	case "opened", "owner-changed":
		return red
	case "scope-changed":
		return yellow
	case "closed":
		return cyan
	}
	return dim
}

func driftCells(c *DriftRow) []string {
	now := c.After
	if now == nil {
		now = c.Before
	}
	bound := boundText(now.Addr, now.Scope, now.DualStack, now.Device)
	if c.Kind == "scope-changed" {
		bound = boundText(c.Before.Addr, c.Before.Scope, c.Before.DualStack, c.Before.Device) + " → " + bound
	}
	return []string{c.Kind, portText(now.Port, now.Proto), bound, driftOwner(c.Before), driftOwner(c.After)}
}

func driftOwner(s *exposure.Socket) string {
	if s == nil {
		return "-"
	}
	owner := ownerText(s.Processes, ownerUnit(s), s.Container, s.Kernel)
	if s.NetNS.Name != "" {
		owner += " in " + Escape(s.NetNS.Name)
	}
	return owner
}

// driftDetails names processes, before and after (-v).
func driftDetails(w io.Writer, changes []DriftRow, st Style) error {
	for i := range changes {
		c := &changes[i]
		if _, err := fmt.Fprintln(w, "\n"+st.paint(bold, Escape(c.Endpoint.String()))+"  "+c.Kind); err != nil {
			return err
		}
		for _, side := range []struct {
			mark string
			s    *exposure.Socket
		}{{"- ", c.Before}, {"+ ", c.After}} {
			for _, l := range socketFacts(side.s) {
				for _, line := range hang(Escape(l), st.Width, 2, side.mark) {
					if _, err := fmt.Fprintln(w, line); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func socketFacts(s *exposure.Socket) []string {
	if s == nil {
		return nil
	}
	out := []string{"bound to " + exposure.HostPort(s.Addr, s.Port) + " in namespace " + nameOrID(s.NetNS)}
	for i := range s.Processes {
		p := &s.Processes[i]
		fact := fmt.Sprintf("%s[%d], %s, user %s: %s", p.Name, p.PID, dash(p.Exe), p.User, p.Cmdline)
		if !p.Started.IsZero() {
			fact += ", since " + stamp(p.Started)
		}
		out = append(out, fact)
	}
	if s.Package != "" {
		out = append(out, "package "+s.Package)
	}
	if s.OwnerUnknown != "" {
		out = append(out, "owner unknown: "+s.OwnerUnknown)
	}
	return out
}

// SnapshotRow is one line of the list of snapshots.
type SnapshotRow struct {
	Name, Taken, NetNS      string
	Listeners, Gaps         int
	Root, Default, Baseline bool
}

// SnapshotsText lists what was saved.
func SnapshotsText(w io.Writer, list []SnapshotRow, st Style) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "Nothing was saved yet. Begin: portreeve baseline save")
		return err
	}
	cols := []column{{head: "NAME", min: 20}, {head: "TAKEN"}, {head: "LISTENERS"}, {head: "VIEW"}, {head: ""}}
	var rows [][]string
	for _, x := range list {
		rows = append(rows, []string{Escape(x.Name), x.Taken, fmt.Sprint(x.Listeners), snapshotView(x), snapshotMark(x)})
	}
	return writeTable(w, st, cols, rows)
}

func snapshotView(x SnapshotRow) string {
	out := "netns " + dash(Escape(x.NetNS))
	if x.Root {
		out += ", root"
	}
	if x.Gaps > 0 {
		out += ", " + count(x.Gaps, "gap", "gaps")
	}
	return out
}

func snapshotMark(x SnapshotRow) string {
	switch {
	case x.Default:
		return "baseline"
	case !x.Baseline:
		return "by itself"
	}
	return ""
}

// NewFindingsText lists findings that are new, one a line.
func NewFindingsText(w io.Writer, list []exposure.Finding, st Style) error {
	if len(list) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w, st.paint(bold, "New: "+count(len(list), "finding", "findings"))); err != nil {
		return err
	}
	for _, f := range list {
		for _, l := range hang(Escape(f.Endpoint+": "+f.Title), st.Width, 2, string(f.Severity)+" ") {
			if _, err := fmt.Fprintln(w, st.paint(severityColor(f.Severity), l)); err != nil {
				return err
			}
		}
	}
	return nil
}
