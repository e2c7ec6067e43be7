package wire_test

import (
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// counts are packets and bytes (frame lengths) from a conversation's lesser
// endpoint to the greater one, and back.
type counts struct{ packetsAB, bytesAB, packetsBA, bytesBA int }

func (c *counts) add(forth bool, packets, bytes int) {
	if forth {
		c.packetsAB += packets
		c.bytesAB += bytes
		return
	}
	c.packetsBA += packets
	c.bytesBA += bytes
}

// key names a conversation in a file, whichever way round; forth tells
// whether that way round.
func key(file, proto, a, b string) (k string, forth bool) {
	if a > b {
		return fmt.Sprintf("%s %s %s %s", file, proto, b, a), false
	}
	return fmt.Sprintf("%s %s %s %s", file, proto, a, b), true
}

// Packets and bytes of every session are those that Arkime counts, the
// innermost addresses included. Its sessions without addresses are the frames
// that are no IP.
func TestAgreesWithArkime(t *testing.T) {
	want := arkimeSessions(t)
	got := map[string]*counts{}
	var d wire.Decoder
	var p wire.Packet
	for _, f := range captured(t) {
		dir, file := path.Split(f.file)
		if dir != "arkime/" {
			continue
		}
		d.Decode(f.link, f.data, f.wire, &p)
		k, forth := key(file, "0", " ", " ")
		if p.Kind == wire.KindIP {
			k, forth = key(file, strconv.Itoa(int(p.Proto)), endpoint(&p, true), endpoint(&p, false))
		}
		if got[k] == nil {
			got[k] = &counts{}
		}
		got[k].add(forth, 1, int(f.wire))
	}
	for k, w := range want {
		if g := got[k]; g == nil || *g != *w {
			t.Errorf("%s: %v, Arkime %v", k, g, *w)
		}
	}
	for k, g := range got {
		if want[k] == nil {
			t.Errorf("%s: %v, not in Arkime's", k, *g)
		}
	}
}

func endpoint(p *wire.Packet, src bool) string {
	if src {
		return fmt.Sprint(wire.Addr(p.Src), " ", p.SrcPort)
	}
	return fmt.Sprint(wire.Addr(p.Dst), " ", p.DstPort)
}

func arkimeSessions(t *testing.T) map[string]*counts {
	t.Helper()
	text, err := os.ReadFile(fixtures + "/arkime/sessions.tsv")
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]string{"tcp": "6", "udp": "17", "icmp": "1", "icmp6": "58", "sctp": "132"}
	all := map[string]*counts{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		col := strings.Split(line, "\t")
		if n, ok := numbers[col[1]]; ok {
			col[1] = n
		}
		k, forth := key(col[0], col[1], col[2]+" "+col[3], col[4]+" "+col[5])
		if all[k] == nil {
			all[k] = &counts{}
		}
		var n [4]int
		for i := range n {
			if n[i], err = strconv.Atoi(col[6+i]); err != nil {
				t.Fatal(line, err)
			}
		}
		all[k].add(forth, n[0], n[1])
		all[k].add(!forth, n[2], n[3])
	}
	return all
}
