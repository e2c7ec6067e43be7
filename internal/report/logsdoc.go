package report

import (
	"bytes"
	"io"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/logview"
)

// logsDoc is portreeve.logs/1.
type logsDoc struct {
	Schema     string            `json:"schema"`
	Taken      time.Time         `json:"taken"`
	Host       string            `json:"host"`
	Source     string            `json:"source"`
	Incomplete []exposure.Gap    `json:"incomplete"`
	Lines      uint64            `json:"lines"`
	Unknown    uint64            `json:"unknown"`
	Formats    map[string]uint64 `json:"formats"`
	logSums
	Ends       uint64      `json:"ends,omitempty"`
	Untimed    uint64      `json:"untimed,omitempty"`
	Limited    uint64      `json:"limited,omitempty"`
	Suppressed uint64      `json:"suppressed,omitempty"`
	Sampled    []logRate   `json:"sampled"`
	Background *logNoise   `json:"background,omitempty"`
	Pairs      []logPair   `json:"pairs,omitzero"`
	Sources    []logSource `json:"sources,omitzero"`
	Rules      []logRule   `json:"rules,omitzero"`
	Times      []logTime   `json:"times,omitzero"`
	Quiet      []logGap    `json:"gaps,omitzero"`
	Left       *logLeft    `json:"left_out,omitempty"`
}

type logSums struct {
	Events uint64     `json:"events"`
	Permit uint64     `json:"permit"`
	Deny   uint64     `json:"deny"`
	First  *time.Time `json:"first,omitempty"`
	Last   *time.Time `json:"last,omitempty"`
	Missed uint64     `json:"missed_at_most,omitempty"`
}

type logRate struct {
	Rule      string `json:"rule"`
	PerMinute uint32 `json:"per_minute"`
	Minutes   uint64 `json:"minutes"`
	Known     bool   `json:"known"`
}

type logNoise struct {
	Sources uint64 `json:"sources"`
	Events  uint64 `json:"events"`
}

type logPair struct {
	Src string `json:"src"`
	Dst string `json:"dst"`
	logSums
	Ports    []any `json:"ports"`
	PortsCut bool  `json:"more_ports,omitempty"`
}

type logSource struct {
	Src string `json:"src"`
	logSums
	Targets   uint64 `json:"targets"`
	Estimated bool   `json:"estimated,omitempty"`
	Ports     []any  `json:"ports"`
	PortsCut  bool   `json:"more_ports,omitempty"`
	Kind      string `json:"kind"`
	Note      string `json:"note,omitempty"`
	Outside   bool   `json:"outside"`
	Probes    uint64 `json:"probes,omitempty"`

	ProbedPorts   uint64     `json:"probed_ports,omitempty"`
	ProbedTargets uint64     `json:"probed_targets,omitempty"`
	FirstProbe    *time.Time `json:"first_probe,omitempty"`
	LastProbe     *time.Time `json:"last_probe,omitempty"`
	PerSecond     float64    `json:"per_second,omitempty"`
}

type logRule struct {
	Rule string `json:"rule"`
	logSums
	Sources  uint64 `json:"sources"`
	Targets  uint64 `json:"targets"`
	Ports    []any  `json:"ports"`
	PortsCut bool   `json:"more_ports,omitempty"`
}

type logTime struct {
	Start   time.Time `json:"start"`
	Seconds float64   `json:"seconds"`
	Events  uint64    `json:"events"`
	Permit  uint64    `json:"permit"`
	Deny    uint64    `json:"deny"`
}

type logGap struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

type logLeft struct {
	Rows      uint64 `json:"rows"`
	Estimated bool   `json:"estimated,omitempty"`
	Events    uint64 `json:"events"`
}

// LogsJSON writes portreeve.logs/1.
func LogsJSON(w io.Writer, l *Logs) error {
	d := logsDoc{
		Schema: LogsSchema, Taken: l.Taken, Host: l.Host, Source: l.Source, Incomplete: append([]exposure.Gap{}, l.Gaps...),
		Lines: l.Lines, Unknown: l.Unknown, Formats: l.Formats, logSums: sumsOf(&l.Sums),
		Ends: l.Ends, Untimed: l.Untimed, Limited: l.Limited, Suppressed: l.Suppressed,
		Sampled: []logRate{},
	}
	if d.Formats == nil {
		d.Formats = map[string]uint64{}
	}
	for _, r := range l.Rates {
		d.Sampled = append(d.Sampled, logRate{r.Rule, r.PerMinute, r.Minutes, r.Known})
	}
	d.fill(l)
	if l.By != "port" {
		return JSON(w, &d)
	}
	var b bytes.Buffer
	if err := JSON(&b, &d); err != nil {
		return err
	}
	buf := l.appendPortRows(bytes.TrimSuffix(b.Bytes(), []byte("\n}\n")), "ports", l.Ports)
	buf = append(l.appendPortRows(buf, "inward", l.Inward), "\n}\n"...)
	_, err := w.Write(buf)
	return err
}

// fill adds the rows of the view that was asked for.
func (d *logsDoc) fill(l *Logs) {
	var left logview.Left
	switch l.By {
	case "pair":
		d.Pairs, left = l.jsonPairs(), l.PairsLeft
	case "source":
		d.Sources, left = l.jsonSources(), l.SourcesLeft
		d.Background = &logNoise{l.Noise.Sources, l.Noise.Events}
	case "rule":
		d.Rules, left = l.jsonRules(), l.RulesLeft
	case "time":
		d.Times, d.Quiet = l.jsonTimes()
	default:
		left = l.PortsLeft
	}
	if left.Rows.N > 0 {
		d.Left = &logLeft{left.Rows.N, left.Rows.About, left.Events}
	}
}

func sumsOf(s *logview.Sums) logSums {
	return logSums{Events: s.Events, Permit: s.Permit, Deny: s.Deny, First: timeOrNil(s.First), Last: timeOrNil(s.Last), Missed: s.Missed}
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// appendPortRows writes ports, a line each: there may be all of them, for
// which the encoder takes longer than it took to read a million lines.
func (l *Logs) appendPortRows(dst []byte, key string, rows []logview.Port) []byte {
	dst = append(appendKey(append(dst, ',', '\n', ' '), key), '[')
	for i := range rows {
		p := &rows[i]
		dst = append(dst, '\n', ' ', ' ', '{')
		if p.HasProto {
			dst = appendProtoField(dst, p.Proto)
		}
		if p.HasPort {
			dst = appendUint(dst, "port", uint64(p.Port))
		}
		dst = appendSums(appendField(dst, "service", l.service(p)), &p.Sums)
		dst = appendUint(dst, "sources", p.Sources.N)
		dst = appendUint(dst, "targets", p.Targets.N)
		if p.Sources.About || p.Targets.About {
			dst = appendBool(dst, "estimated", true)
		}
		dst = append(trimLast(dst), '}', ',')
	}
	return closeList(dst)
}

func appendSums(dst []byte, s *logview.Sums) []byte {
	dst = appendUint(dst, "events", s.Events)
	dst = appendUint(dst, "permit", s.Permit)
	dst = appendUint(dst, "deny", s.Deny)
	if !s.First.IsZero() {
		dst = appendNanos(dst, "first", s.First.UnixNano())
		dst = appendNanos(dst, "last", s.Last.UnixNano())
	}
	if s.Missed > 0 {
		dst = appendUint(dst, "missed_at_most", s.Missed)
	}
	return dst
}

func (l *Logs) jsonPairs() []logPair {
	out := make([]logPair, 0, len(l.Pairs))
	for i := range l.Pairs {
		p := &l.Pairs[i]
		out = append(out, logPair{jsonAddr(p.Src), jsonAddr(p.Dst), sumsOf(&p.Sums), jsonPorts(p.Ports), p.PortsCut})
	}
	return out
}

func (l *Logs) jsonSources() []logSource {
	out := make([]logSource, 0, len(l.From))
	for i := range l.From {
		s := &l.From[i]
		out = append(out, logSource{
			Src: jsonAddr(s.Src), logSums: sumsOf(&s.Sums), Targets: s.Targets.N, Estimated: s.Targets.About, Ports: jsonPorts(s.Ports), PortsCut: s.PortsCut,
			Kind: string(s.Kind), Note: string(s.Note), Outside: s.Outside, Probes: s.Probes, ProbedPorts: s.ProbedPorts.N, ProbedTargets: s.ProbedTarget.N,
			FirstProbe: timeOrNil(s.FirstProbe), LastProbe: timeOrNil(s.LastProbe), PerSecond: s.PerSecond,
		})
	}
	return out
}

func (l *Logs) jsonRules() []logRule {
	out := make([]logRule, 0, len(l.Rules))
	for i := range l.Rules {
		r := &l.Rules[i]
		out = append(out, logRule{r.Rule, sumsOf(&r.Sums), r.Sources.N, r.Targets.N, jsonPorts(r.Ports), r.PortsCut})
	}
	return out
}

func (l *Logs) jsonTimes() ([]logTime, []logGap) {
	times, gaps := make([]logTime, 0, len(l.Times)), make([]logGap, 0, len(l.Gaps))
	for _, b := range l.Times {
		times = append(times, logTime{b.Start.UTC(), l.Width.Seconds(), b.Events, b.Permit, b.Deny})
	}
	for _, g := range l.Result.Gaps {
		gaps = append(gaps, logGap{g.From.UTC(), g.To.UTC()})
	}
	return times, gaps
}
