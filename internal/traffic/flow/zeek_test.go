package flow_test

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// zeekRows reads conn.tsv: for each capture the connections that Zeek's own
// tests expect. The bytes there are of IP, ours of frames.
func zeekRows(t *testing.T) map[string][]string {
	t.Helper()
	rows := map[string][]string{}
	tests := map[string]string{} // a capture's rows are those of one test
	for _, f := range table(t, captures+"zeek/conn.tsv") {
		test, trace := f[0], f[1]
		if f[2] != "1" || f[3] == "" || tests[trace] != "" && tests[trace] != test {
			continue
		}
		tests[trace] = test
		rows[trace] = append(rows[trace], strings.Join([]string{
			f[3], f[4], f[5], f[6], f[7], f[9], f[10], f[12], f[16]}, " "))
	}
	return rows
}

// deviations are the rows that are known not to be ours.
func deviations(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("testdata/zeek-deviations.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if trace, row, ok := strings.Cut(strings.TrimSpace(line), " | "); ok {
			known[trace+" "+row] = true
		}
	}
	return known
}

func zeekLine(f *flow.Flow) string {
	proto := map[uint8]string{1: "icmp", 58: "icmp", 6: "tcp", 17: "udp"}[f.Proto]
	history := f.History
	if history == "" {
		history = "-"
	}
	return fmt.Sprintf("%s %v %d %v %d %v %d %d %s", proto, addr(f.Client), f.ClientPort,
		addr(f.Server), f.ServerPort, f.State, f.PacketsToServer, f.PacketsToClient, history)
}

func addr(a [16]byte) netip.Addr { return wire.Addr(a) }

// TestZeek: every connection that Zeek's tests expect is told with the same
// ends, state, packets and history, but for the listed ones, which are not.
func TestZeek(t *testing.T) {
	known := deviations(t)
	for trace, want := range zeekRows(t) {
		t.Run(trace, func(t *testing.T) {
			got := zeekLines(t, captures+"zeek/"+trace)
			for _, w := range want {
				switch deviates := known[trace+" "+w]; {
				case got[w] == 0 && !deviates:
					t.Errorf("missing: %s", w)
				case got[w] > 0 && deviates:
					t.Errorf("listed as a deviation, but there: %s", w)
				}
				got[w]--
			}
			if t.Failed() {
				for l, n := range got {
					if n > 0 {
						t.Log("have", l)
					}
				}
			}
		})
	}
}

// zeekLines counts the lines of a capture, of the innermost packets and of the
// outermost, both of which Zeek logs.
func zeekLines(t *testing.T, path string) map[string]int {
	lines := map[string]int{}
	for _, outer := range []bool{false, true} {
		seen := map[string]int{}
		for _, f := range flows(feed(t, path, wire.Decoder{Outer: outer}, flow.Options{})) {
			seen[zeekLine(&f)]++
		}
		for l, n := range seen {
			lines[l] = max(lines[l], n)
		}
	}
	return lines
}
