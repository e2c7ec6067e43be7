package wide

import (
	"net/netip"
	"testing"
)

// BenchmarkAllPorts asks all ports of one host over a veth; the kernel's own
// work on both sides is in it.
func BenchmarkAllPorts(b *testing.B) {
	l := newLab(b)
	hop := l.hop(b, "10.9.0.1")
	work := grid{[]netip.Addr{netip.MustParseAddr("10.9.0.2")}, allPorts()}
	for b.Loop() {
		_, stats, _ := l.sweep(b, b.Context(), &Transport{Router: hop, NoIPv6: true}, work)
		b.ReportMetric(float64(stats.Sent)/stats.Seconds, "probes/s")
	}
}
