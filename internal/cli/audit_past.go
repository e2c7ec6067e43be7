package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/report"
)

// auditSource names the audit in the history.
const auditSource = "audit"

// auditPast is what an audit has to do with the history.
type auditPast struct {
	record bool
	from   *diffSide // what --since names; nil without
	// recorded are the findings of the last audit kept at or before then; nil
	// when none was.
	recorded map[string]bool
	since    *auditSince
	drift    drift.Result
}

// auditSince are the fields that --since adds to the document.
type auditSince struct {
	Since   diffSide     `json:"since"`
	Changes []drift.Line `json:"changes"`
	// NewFindings are IDs of findings that did not stand then. Without
	// recorded findings they are those of the endpoints that changed.
	NewFindings []string `json:"new_findings"`
	NewBy       string   `json:"new_findings_by"` // findings, endpoints
}

// openPast finds what --since means before anything is asked of the host, and
// whether the history can be written.
func (f *auditFlags) openPast(ctx context.Context) (*auditPast, error) {
	p := &auditPast{record: f.record}
	if f.record {
		store, err := openHistory(ctx, false)
		if err != nil {
			return nil, err
		}
		if err := store.Close(); err != nil {
			return nil, historyError(err)
		}
	}
	if f.since == "" {
		return p, nil
	}
	store, err := openHistory(ctx, true)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	info, snap, err := lastSnapshot(ctx, store, f.since, time.Now())
	if err != nil {
		return nil, err
	}
	p.from = &diffSide{info.Name, info.Taken, snap}
	return p, p.readFindings(ctx, store, info.Taken)
}

// readFindings: which findings of audits stood at a moment.
func (p *auditPast) readFindings(ctx context.Context, store *history.Store, at time.Time) error {
	list, err := store.Findings(ctx, auditSource, at, -1)
	if err != nil {
		return historyError(err)
	}
	snaps, err := store.Snapshots(ctx)
	if err != nil {
		return historyError(err)
	}
	if !slices.ContainsFunc(snaps, func(x history.Snapshot) bool { return x.Source == auditSource && !x.Taken.After(at) }) {
		return nil
	}
	p.recorded = map[string]bool{}
	for _, f := range list {
		if !f.Opened.After(at) {
			p.recorded[f.ID] = true
		}
	}
	return nil
}

// lookBack is how far the audit looks for clients, and usageFresh how recent
// the watching must be for that to mean anything today.
const (
	lookBack   = 60 * 24 * time.Hour
	usageFresh = 2 * 24 * time.Hour
)

// use gives the audit who used what by the history. Without a history, or with
// one that cannot be read, it judges by what it sees itself.
func (p *auditPast) use(ctx context.Context, s *streams, in *audit.Input) {
	if len(in.Evidence) > 0 {
		return
	}
	store, err := openHistory(ctx, true)
	if err != nil {
		if !errors.Is(err, history.ErrNone) && !errors.Is(err, history.ErrUnsupported) {
			in.Notes = append(in.Notes, "the history was not used: "+err.Error())
		}
		return
	}
	defer store.Close()
	past, err := pastTraffic(ctx, store, in)
	if err != nil && !history.Interrupted(err) {
		in.Notes = append(in.Notes, "the history was not used: "+err.Error())
		return
	}
	in.Past = past
}

// pastTraffic is nil when too little was watched to conclude anything.
func pastTraffic(ctx context.Context, store *history.Store, in *audit.Input) (*exposure.Traffic, error) {
	var eps []exposure.Endpoint
	for i := range in.After.Sockets {
		if x := &in.After.Sockets[i]; x.NetNS.ID == in.Self.ID && x.IsListener() {
			eps = append(eps, exposure.Endpoint{Proto: x.Proto, Addr: x.Addr, Port: x.Port, Device: x.Device})
		}
	}
	uses, cover, err := store.LastUse(ctx, eps, in.Taken.Add(-lookBack), in.Taken)
	if err != nil || cover.Watched == 0 || in.Taken.Sub(cover.To) > usageFresh {
		return nil, err
	}
	t := &exposure.Traffic{From: cover.From, To: cover.To, Watched: cover.Watched, Source: "the history's watching (" + strings.Join(cover.Sources, ", ") + ")"}
	if away := cover.To.Sub(cover.From) - cover.Watched; away > time.Minute {
		t.Cannot = append(t.Cannot, fmt.Sprintf("clients that came in the %s since %s when nobody watched", away.Round(time.Minute), cover.From.UTC().Format(time.DateOnly)))
	}
	for _, u := range uses {
		t.Usage = append(t.Usage, exposure.Usage{Endpoint: u.Endpoint, Clients: u.Clients, Count: u.Count, Packets: u.Packets, Last: u.Last, AtLeast: u.AtLeast})
	}
	return t, nil
}

// snapshot is the audit's look at the host as the history keeps it.
func (p *auditPast) snapshot(in *audit.Input) *drift.Snapshot {
	out := &drift.Snapshot{Snapshot: in.After, View: hostView(host.AllNetNS)}
	out.Host, out.Self = in.Host, in.Self
	out.Sockets = slices.DeleteFunc(slices.Clone(in.After.Sockets), func(x exposure.Socket) bool { return !x.IsListener() })
	return out
}

// now is what the past is compared with: of namespaces as they were listed
// then. An audit lists all; a narrower look at the past is met by the same one.
func (p *auditPast) now(ctx context.Context, in *audit.Input) *drift.Snapshot {
	if then := p.from.snap.View.NetNS; netnsOrAll(then) != drift.AllNetNS {
		if snap, err := snapshotNow(ctx, then); err == nil {
			return snap
		}
	}
	return p.snapshot(in) // the comparison says what it cannot compare
}

// compare says what is new.
func (p *auditPast) compare(ctx context.Context, in *audit.Input, rep *audit.Report) {
	if p.from == nil {
		return
	}
	res := drift.Compare(p.from.snap, p.now(ctx, in))
	for _, g := range res.Gaps {
		if !slices.Contains(rep.Incomplete, g) {
			rep.Incomplete = append(rep.Incomplete, g)
		}
	}
	p.drift = res
	p.since = &auditSince{Since: *p.from, Changes: changeLines(res.Changes), NewFindings: []string{}, NewBy: "endpoints"}
	changed := map[string]bool{}
	for i := range res.Changes {
		changed[res.Changes[i].Endpoint.String()] = res.Changes[i].Kind != drift.Closed && res.Changes[i].Kind != drift.Replaced
	}
	isNew := func(f *exposure.Finding) bool { return changed[f.Endpoint] }
	if p.recorded != nil {
		p.since.NewBy = "findings"
		isNew = func(f *exposure.Finding) bool { return !p.recorded[f.ID] }
	}
	for i := range rep.Findings {
		if isNew(&rep.Findings[i]) {
			p.since.NewFindings = append(p.since.NewFindings, rep.Findings[i].ID)
		}
	}
}

// text is the section that --since adds.
func (p *auditPast) text(s *streams, rep *audit.Report, verbose bool) error {
	fmt.Fprintln(s.out)
	d := &report.Drift{From: "Since " + p.from.words(), To: nowName, Changes: driftRows(p.drift.Changes), Before: p.drift.Before, After: p.drift.After}
	if err := report.DriftText(s.out, d, s.style(verbose)); err != nil {
		return err
	}
	var list []exposure.Finding
	for _, f := range rep.Findings {
		if slices.Contains(p.since.NewFindings, f.ID) && (verbose || f.Severity != exposure.Info) {
			list = append(list, f)
		}
	}
	return report.NewFindingsText(s.out, list, s.style(verbose))
}

// keep records the audit when that was asked for.
func (p *auditPast) keep(ctx context.Context, in *audit.Input, rep *audit.Report) error {
	if !p.record {
		return nil
	}
	store, err := openHistory(ctx, false)
	if err != nil {
		return err
	}
	defer store.Close()
	if _, err := store.SaveSnapshot(ctx, "", p.snapshot(in), history.SaveOptions{Source: auditSource}); err != nil {
		return historyError(err)
	}
	_, _, err = store.SetFindings(ctx, in.Taken, auditSource, rep.Findings)
	return historyError(err)
}
