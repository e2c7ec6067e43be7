package report

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/logview"
)

// LogsSchema is the name of the document that LogsJSON writes.
const LogsSchema = "portreeve.logs/1"

// Logs is what a summary of firewall logs tells.
type Logs struct {
	Taken  time.Time
	Host   string // the machine that ran it
	Source string // what was read, in words
	By     string // "port", "pair", "source", "rule" or "time"
	*logview.Result
	// Lines were read, of which Unknown are no firewall event and Known are
	// headers and notes of a dialect. Formats counts events by dialect.
	Lines, Unknown, Known uint64
	Formats               map[string]uint64
	Gaps                  []exposure.Gap
	Service               func(proto uint8, port uint16) string
}

// LogsText writes the summary for people: the answer, what needs them, and the
// table. Without st.Verbose it has the mostRows busiest rows.
func LogsText(w io.Writer, l *Logs, st Style) error {
	var b strings.Builder
	for _, p := range l.preface() {
		b.WriteString(strings.Join(para(p, st.Width, 2), "\n") + "\n")
	}
	cols, rows, left := l.table()
	if len(rows) > mostRows && !st.Verbose {
		left.Rows.N += uint64(len(rows) - mostRows)
		rows = rows[:mostRows]
	}
	if len(rows) > 0 {
		b.WriteByte('\n')
		if err := writeTable(&b, st, cols, rows); err != nil {
			return err
		}
	}
	if left.Rows.N > 0 {
		fmt.Fprintf(&b, "and %s more with fewer events (-v shows all that were kept)\n", countText(left.Rows))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// preface is what stands above the table.
func (l *Logs) preface() []string {
	out := []string{l.answer()}
	out = append(out, l.scans()...)
	if n := l.Noise.Sources; n > 0 {
		out = append(out, fmt.Sprintf("Background noise: %s of %s, a few probes each, as every public address gets them.",
			amount(int(l.Noise.Events), "event", "events"), amount(int(n), "source", "sources")))
	}
	if len(l.Inward) > 0 {
		out = append(out, "Let in from outside: "+l.inward()+".")
	}
	return append(out, l.sample()...)
}

// answer is the first line.
func (l *Logs) answer() string {
	s := fmt.Sprintf("%s: %s, %s", Escape(l.Source), amount(int(l.Lines), "line", "lines"), amount(int(l.Events), "event", "events"))
	if l.Events > 0 {
		s += fmt.Sprintf(" (%s): %s permitted, %s denied", l.formats(), thousands(int(l.Permit)), thousands(int(l.Deny)))
		if rest := l.Events - l.Permit - l.Deny; rest > 0 {
			s += ", of " + thousands(int(rest)) + " the log does not tell"
		}
	}
	if !l.First.IsZero() {
		s += fmt.Sprintf("; %s to %s", stamp(l.First), stamp(l.Last))
	}
	return s + "."
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// formats names the dialects, the most frequent first.
func (l *Logs) formats() string {
	var names []string
	for name := range l.Formats {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := int64(l.Formats[b]) - int64(l.Formats[a]); d != 0 {
			return int(min(max(d, -1), 1))
		}
		return strings.Compare(a, b)
	})
	return strings.Join(names, ", ")
}

// mostScans are named above the table; all are in its rows and in the JSON.
const mostScans = 5

// scans are the sources that scanned or swept, the most probes first.
func (l *Logs) scans() []string {
	var who []*logview.Source
	for i := range l.From {
		if k := l.From[i].Kind; k == logview.Scan || k == logview.Sweep {
			who = append(who, &l.From[i])
		}
	}
	if len(who) == 0 {
		return nil
	}
	slices.SortStableFunc(who, func(a, b *logview.Source) int { return int(min(max(int64(b.Probes)-int64(a.Probes), -1), 1)) })
	out := []string{fmt.Sprintf("%s scanned or swept:", amount(len(who), "source", "sources"))}
	for _, s := range who[:min(len(who), mostScans)] {
		out = append(out, "  "+scanText(s))
	}
	if rest := len(who) - mostScans; rest > 0 {
		out = append(out, fmt.Sprintf("  and %d more (--by source shows all)", rest))
	}
	return out
}

func scanText(s *logview.Source) string {
	what := fmt.Sprintf("%s scan: %s on %s", s.Src, portsText(s.ProbedPorts, s.LowPort, s.HighPort), countOf(s.ProbedTarget, "target", "targets"))
	if s.Kind == logview.Sweep {
		what = fmt.Sprintf("%s sweep: %s (%s to %s), %s", s.Src, countOf(s.ProbedTarget, "target", "targets"), s.LowTarget, s.HighTarget, portsText(s.ProbedPorts, s.LowPort, s.HighPort))
	}
	if !s.FirstProbe.IsZero() {
		what += ", from " + stamp(s.FirstProbe) + " for " + shortDuration(s.LastProbe.Sub(s.FirstProbe).Round(time.Second))
	}
	if s.PerSecond > 0 {
		n, unit := logview.Pace(s.PerSecond)
		what += fmt.Sprintf(", %.3g %s %s", n, article(unit), unit)
	}
	return what
}

func article(unit string) string {
	if unit == "hour" {
		return "an"
	}
	return "a"
}

func portsText(n logview.Count, low, high uint16) string {
	if n.N == 1 && !n.About {
		return fmt.Sprintf("port %d", low)
	}
	return fmt.Sprintf("%s (%d-%d)", countOf(n, "port", "ports"), low, high)
}

func countOf(n logview.Count, one, many string) string {
	if n.N == 1 && !n.About {
		return "1 " + one
	}
	return countText(n) + " " + many
}

func countText(n logview.Count) string {
	if n.About {
		return "about " + thousands(int(n.N))
	}
	return thousands(int(n.N))
}

// inward names the ports that strangers were let in to, the busiest first.
func (l *Logs) inward() string {
	const most = 8
	var words []string
	for i := range l.Inward[:min(len(l.Inward), most)] {
		words = append(words, l.portName(&l.Inward[i]))
	}
	if rest := len(l.Inward) - most; rest > 0 {
		words = append(words, fmt.Sprintf("and %d more", rest))
	}
	return strings.Join(words, ", ")
}

// sample says that the log does not hold everything.
func (l *Logs) sample() (out []string) {
	for _, r := range l.Rates {
		about := ""
		if r.About {
			about = "about "
		}
		known := "the counts look as if its log were limited"
		if r.Known {
			known = "its log is limited"
		}
		out = append(out, fmt.Sprintf("A sample: rule %q reached %d a minute in %s%s; %s, and what is missing is not known.",
			Escape(r.Rule), r.PerMinute, about, amount(int(r.Minutes), "minute", "minutes"), known))
	}
	if l.Limited > 0 {
		s := fmt.Sprintf("A sample: %s that others were left out", isAre(l.Limited, "line says itself", "lines say themselves"))
		if l.Suppressed > 0 {
			s += fmt.Sprintf(" (%s that we know of)", thousands(int(l.Suppressed)))
		}
		out = append(out, s+".")
	}
	if l.Unknown > 0 {
		out = append(out, fmt.Sprintf("%s no firewall event (--unparsed lists them).", isAre(l.Unknown, "line is", "lines are")))
	}
	return out
}

func isAre(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(int(n)) + " " + many
}

func (l *Logs) portName(p *logview.Port) string {
	switch {
	case !p.HasProto && p.HasPort:
		return fmt.Sprintf("port %d", p.Port)
	case !p.HasProto:
		return "not told"
	case !p.HasPort:
		return string(exposure.ProtoByNumber(p.Proto))
	}
	s := fmt.Sprintf("%d/%s", p.Port, exposure.ProtoByNumber(p.Proto))
	if name := l.service(p); name != "" {
		return s + " " + Escape(name)
	}
	return s
}

func (l *Logs) service(p *logview.Port) string {
	if l.Service == nil || !p.HasPort || !p.HasProto {
		return ""
	}
	return l.Service(p.Proto, p.Port)
}

// table gives the rows of the view that was asked for.
func (l *Logs) table() ([]column, [][]string, logview.Left) {
	switch l.By {
	case "pair":
		return l.pairTable()
	case "source":
		return l.sourceTable()
	case "rule":
		return l.ruleTable()
	case "time":
		return l.timeTable()
	}
	return l.portTable()
}

func (l *Logs) portTable() ([]column, [][]string, logview.Left) {
	cols := []column{{head: "PORT"}, {head: "SERVICE", min: 8}, {head: "EVENTS"}, {head: "PERMIT"}, {head: "DENY"}, {head: "SOURCES"}, {head: "TARGETS"}}
	var rows [][]string
	for i := range l.Ports {
		p := &l.Ports[i]
		short := *p
		name := (&Logs{}).portName(&short)
		rows = append(rows, []string{name, dash(Escape(l.service(p))), eventsText(&p.Sums), thousands(int(p.Permit)), thousands(int(p.Deny)), countText(p.Sources), countText(p.Targets)})
	}
	return cols, rightAligned(cols, rows, 2), l.PortsLeft
}

// eventsText marks a row that came late.
func eventsText(s *logview.Sums) string {
	if s.Missed > 0 {
		return thousands(int(s.Events)) + "+"
	}
	return thousands(int(s.Events))
}

func (l *Logs) pairTable() ([]column, [][]string, logview.Left) {
	cols := []column{{head: "SOURCE", min: 15}, {head: "TARGET", min: 15}, {head: "PORTS", min: 12}, {head: "EVENTS"}, {head: "PERMIT"}, {head: "DENY"}}
	var rows [][]string
	for i := range l.Pairs {
		p := &l.Pairs[i]
		rows = append(rows, []string{p.Src.String(), p.Dst.String(), rangesText(p.Ports, p.PortsCut), eventsText(&p.Sums), thousands(int(p.Permit)), thousands(int(p.Deny))})
	}
	return cols, rightAligned(cols, rows, 3), l.PairsLeft
}

func rangesText(list []logview.PortRange, cut bool) string {
	var words []string
	for _, r := range list {
		if r.Low == r.High {
			words = append(words, fmt.Sprint(r.Low))
		} else {
			words = append(words, fmt.Sprintf("%d-%d", r.Low, r.High))
		}
	}
	if cut {
		words = append(words, "…")
	}
	return dash(strings.Join(words, " "))
}

func (l *Logs) sourceTable() ([]column, [][]string, logview.Left) {
	cols := []column{{head: "SOURCE", min: 15}, {head: "KIND"}, {head: "PORTS", min: 10}, {head: "EVENTS"}, {head: "PERMIT"}, {head: "DENY"}, {head: "TARGETS"}}
	var rows [][]string
	for i := range l.From {
		s := &l.From[i]
		rows = append(rows, []string{s.Src.String(), dash(kindWord(s)), rangesText(s.Ports, s.PortsCut), eventsText(&s.Sums), thousands(int(s.Permit)), thousands(int(s.Deny)), countText(s.Targets)})
	}
	return cols, rightAligned(cols, rows, 3), l.SourcesLeft
}

func kindWord(s *logview.Source) string {
	if s.Kind != logview.NoKind {
		return string(s.Kind)
	}
	return string(s.Note)
}

func (l *Logs) ruleTable() ([]column, [][]string, logview.Left) {
	cols := []column{{head: "RULE", min: 16}, {head: "PORTS", min: 10}, {head: "EVENTS"}, {head: "PERMIT"}, {head: "DENY"}, {head: "SOURCES"}, {head: "TARGETS"}}
	var rows [][]string
	for i := range l.Rules {
		r := &l.Rules[i]
		rows = append(rows, []string{dash(Escape(r.Rule)), rangesText(r.Ports, r.PortsCut), eventsText(&r.Sums), thousands(int(r.Permit)), thousands(int(r.Deny)), countText(r.Sources), countText(r.Targets)})
	}
	return cols, rightAligned(cols, rows, 2), l.RulesLeft
}

func (l *Logs) timeTable() ([]column, [][]string, logview.Left) {
	cols := []column{{head: "FROM (" + shortDuration(l.Width) + " each)"}, {head: "EVENTS"}, {head: "PERMIT"}, {head: "DENY"}}
	var rows [][]string
	for _, b := range l.Times {
		rows = append(rows, []string{stamp(b.Start), thousands(int(b.Events)), thousands(int(b.Permit)), thousands(int(b.Deny))})
	}
	return cols, rightAligned(cols, rows, 1), logview.Left{}
}

// shortDuration is 1h, not 1h0m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// ports are numbers and "a-b" ranges.
func jsonPorts(list []logview.PortRange) []any {
	out := make([]any, 0, len(list))
	for _, r := range list {
		if r.Low == r.High {
			out = append(out, r.Low)
		} else {
			out = append(out, fmt.Sprintf("%d-%d", r.Low, r.High))
		}
	}
	return out
}

func jsonAddr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}
