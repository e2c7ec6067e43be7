package sink

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Figures are what the watch counts for Prometheus. Zero values are written
// too, except Listed.
type Figures struct {
	Version   string
	Listeners int               // open now
	Changes   map[string]uint64 // by kind, since the start
	Findings  map[string]int    // open now, by severity
	Lost      uint64            // events that the kernel dropped
	Listings  uint64            // whole listings made
	Listed    time.Time         // the last of them
	Started   time.Time
}

// AppendMetrics writes the figures in Prometheus' text format (version 0.0.4).
// Kinds and severities that did not occur are there with 0, so that a rate can
// be taken from the beginning.
func AppendMetrics(dst []byte, f *Figures, sinks []Status) []byte {
	m := metricsText{dst}
	m.family("portreeve_build_info", "gauge", "The version that runs.")
	m.value("portreeve_build_info", 1, "version", f.Version)
	m.family("portreeve_listeners", "gauge", "Listeners open now.")
	m.value("portreeve_listeners", float64(f.Listeners))
	m.family("portreeve_changes_total", "counter", "Changes of listeners, by kind.")
	for _, k := range withKnown(maps.Keys(f.Changes), "opened", "closed", "replaced", "owner-changed", "scope-changed") {
		m.value("portreeve_changes_total", float64(f.Changes[k]), "kind", k)
	}
	m.family("portreeve_findings_open", "gauge", "Findings open now, by severity.")
	for _, k := range withKnown(maps.Keys(f.Findings), "high", "medium", "low", "info") {
		m.value("portreeve_findings_open", float64(f.Findings[k]), "severity", k)
	}
	m.family("portreeve_events_lost_total", "counter", "Events that the kernel dropped; a listing follows.")
	m.value("portreeve_events_lost_total", float64(f.Lost))
	m.family("portreeve_listings_total", "counter", "Listings of all sockets.")
	m.value("portreeve_listings_total", float64(f.Listings))
	m.time("portreeve_last_listing_timestamp_seconds", "When all sockets were listed last.", f.Listed)
	m.time("portreeve_start_timestamp_seconds", "When the watch began.", f.Started)
	m.sinks(sinks)
	return m.dst
}

func withKnown(more func(func(string) bool), known ...string) []string {
	extra := slices.DeleteFunc(slices.Sorted(more), func(k string) bool { return slices.Contains(known, k) })
	return append(known, extra...)
}

type metricsText struct{ dst []byte }

func (m *metricsText) sinks(list []Status) {
	each := func(name, kind, help string, value func(*Status) float64) {
		m.family(name, kind, help)
		for i := range list {
			m.value(name, value(&list[i]), "sink", list[i].Label, "kind", list[i].Kind)
		}
	}
	each("portreeve_sink_up", "gauge", "0 while a sink cannot deliver.", func(s *Status) float64 { return float64(btoi(s.LastError == "")) })
	each("portreeve_sink_queued", "gauge", "Notices that wait in memory.", func(s *Status) float64 { return float64(s.Queued) })
	each("portreeve_sink_spooled", "gauge", "Notices that wait on disk.", func(s *Status) float64 { return float64(s.Spooled) })
	each("portreeve_sink_spool_bytes", "gauge", "Size of the spool.", func(s *Status) float64 { return float64(s.SpoolBytes) })
	each("portreeve_sink_sent_total", "counter", "Notices delivered.", func(s *Status) float64 { return float64(s.Sent) })
	each("portreeve_sink_failures_total", "counter", "Attempts that failed and were repeated.", func(s *Status) float64 { return float64(s.Failures) })
	each("portreeve_sink_dropped_total", "counter", "Notices lost.", func(s *Status) float64 { return float64(s.Dropped) })
	each("portreeve_sink_parked_total", "counter", "Notices refused by the receiver for good.", func(s *Status) float64 { return float64(s.Parked) })
}

func (m *metricsText) family(name, kind, help string) {
	m.dst = fmt.Appendf(m.dst, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (m *metricsText) time(name, help string, t time.Time) {
	if t.IsZero() {
		return
	}
	m.family(name, "gauge", help)
	m.value(name, float64(t.UnixMilli())/1000)
}

// value writes one sample; labels are names and values in turn.
func (m *metricsText) value(name string, v float64, labels ...string) {
	m.dst = append(m.dst, name...)
	for i := 0; i+1 < len(labels); i += 2 {
		m.dst = append(m.dst, "{,"[min(i, 1)])
		m.dst = append(append(m.dst, labels[i]...), `="`...)
		m.dst = append(append(m.dst, labelValue(labels[i+1])...), '"')
	}
	if len(labels) > 0 {
		m.dst = append(m.dst, '}')
	}
	m.dst = append(strconv.AppendFloat(append(m.dst, ' '), v, 'f', -1, 64), '\n')
}

func labelValue(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "\ufffd"))
}
