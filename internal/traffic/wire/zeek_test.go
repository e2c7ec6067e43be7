package wire_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Packets and IP bytes of every TCP and UDP connection are those of Zeek's
// conn.log, innermost addresses included.
func TestAgreesWithZeek(t *testing.T) {
	got := map[string]*counts{}
	var d wire.Decoder
	var p wire.Packet
	for _, f := range captured(t) {
		file, ok := strings.CutPrefix(f.file, "zeek/")
		if d.Decode(f.link, f.data, f.wire, &p); !ok || p.Kind != wire.KindIP || !p.HasPorts {
			continue
		}
		k, forth := key(file, strconv.Itoa(int(p.Proto)), endpoint(&p, true), endpoint(&p, false))
		if got[k] == nil {
			got[k] = &counts{}
		}
		got[k].add(forth, 1, int(p.IPLen))
	}
	want := zeekConnections(t)
	for k, w := range want {
		g := got[k]
		if g == nil {
			t.Errorf("%s: none, Zeek %v", k, *w)
			continue
		}
		if strings.HasPrefix(k, "ldap/") { // Zeek takes an offloaded packet's 0 for its length
			g.bytesAB, g.bytesBA = w.bytesAB, w.bytesBA
		}
		if *g != *w {
			t.Errorf("%s: %v, Zeek %v", k, *g, *w)
		}
	}
	if len(want) < 70 {
		t.Errorf("only %d connections compared", len(want))
	}
}

// zeekConnections reads conn.tsv but for the tunnels themselves, which Zeek
// lists beside what they carry, and a transfer that Zeek stops looking at.
func zeekConnections(t *testing.T) map[string]*counts {
	t.Helper()
	text, err := os.ReadFile(fixtures + "/zeek/conn.tsv")
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]string{"tcp": "6", "udp": "17"}
	beside := map[string]bool{"4789": true, "6081": true, "3544": true, "32900": true, "35391": true}
	all := map[string]*counts{}
	test := map[string]string{} // the same capture stands under several tests' settings
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		col := strings.Split(line, "\t")
		if len(col) < 14 || numbers[col[3]] == "" || beside[col[5]] || beside[col[7]] {
			continue
		}
		k, forth := key(col[1], numbers[col[3]], col[4]+" "+col[5], col[6]+" "+col[7])
		if all[k] == nil {
			all[k], test[k] = &counts{}, col[0]
		}
		if test[k] != col[0] {
			continue
		}
		var n [4]int
		for i := range n {
			if n[i], err = strconv.Atoi(col[10+i]); err != nil {
				t.Fatal(line, err)
			}
		}
		all[k].add(forth, n[0], n[1])
		all[k].add(!forth, n[2], n[3])
	}
	return all
}
