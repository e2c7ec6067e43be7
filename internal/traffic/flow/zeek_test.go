package flow_test

import (
	"fmt"
	"net/netip"
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// zeekRow is a connection as Zeek's own tests expect it.
type zeekRow struct {
	trace, line string
}

// zeekRows reads conn.tsv; the bytes there are of IP, ours of frames.
func zeekRows(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(captures + "zeek/conn.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		f := strings.Split(line, "\t")
		if len(f) < 17 || f[2] != "1" || f[3] == "" {
			continue
		}
		rows[f[1]] = append(rows[f[1]], strings.Join([]string{
			f[3], f[4], f[5], f[6], f[7], f[9], f[10], f[12], strings.TrimSpace(f[16])}, " "))
	}
	return rows
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

func TestZeek(t *testing.T) {
	for trace, want := range zeekRows(t) {
		t.Run(trace, func(t *testing.T) {
			got := map[string]int{}
			for _, outer := range []bool{false, true} {
				seen := map[string]int{}
				for _, f := range flows(feed(t, captures+"zeek/"+trace, wire.Decoder{Outer: outer}, flow.Options{})) {
					seen[zeekLine(&f)]++
				}
				for l, n := range seen {
					got[l] = max(got[l], n)
				}
			}
			var missing []string
			for _, w := range want {
				if got[w] == 0 {
					missing = append(missing, w)
				}
				got[w]--
			}
			if len(missing) == 0 {
				return
			}
			sort.Strings(missing)
			for l, n := range got {
				if n > 0 {
					t.Log("have", l)
				}
			}
			t.Errorf("missing:\n%s", strings.Join(missing, "\n"))
		})
	}
}
