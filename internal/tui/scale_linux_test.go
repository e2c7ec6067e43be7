package tui

import (
	"syscall"
	"testing"
	"time"
)

// cpuTime is what the process has computed: other work on the machine does
// not lengthen it much.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRefresh is one refresh of the screen with 200,000 flows, of which
// all or a tenth have moved: reading, counting, sorting. At most 50 ms.
func BenchmarkRefresh(b *testing.B) {
	for _, c := range []struct {
		name           string
		every          uint64
		clients, hosts int
		query          query
	}{
		{"ports/all-move", 1, 2000, 20, query{view: ports}},
		{"pairs/all-move", 1, 2000, 20, query{view: pairs}},
		{"flows/all-move", 1, 2000, 20, query{view: flows}},
		{"ports/tenth-moves", 10, 2000, 20, query{view: ports}},
		{"ports/a-pair-each", 1, 200_000, 500, query{view: ports}},
		{"flows/filtered", 1, 2000, 20, query{view: flows, filter: "10.0.1 tcp"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newReader(b, &crowd{flows: 200_000, clients: c.clients, servers: c.hosts, ports: 1000, every: c.every}, c.query)
			r.tick(b)
			r.tick(b)
			b.ResetTimer()
			before := cpuTime(b)
			for range b.N {
				r.tick(b)
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/1e6, "cpu-ms/op")
		})
	}
}
