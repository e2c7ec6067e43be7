package flow_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// ends are a conversation as tools name it; the smaller end first.
type ends struct {
	proto string
	a, b  string
}

// sums are packets and bytes from a and from b.
type sums [4]uint64

func (e ends) add(m map[ends]sums, s sums) {
	if e.a > e.b {
		e.a, e.b = e.b, e.a
		s = sums{s[2], s[3], s[0], s[1]}
	}
	was := m[e]
	for i := range s {
		was[i] += s[i]
	}
	m[e] = was
}

func number(t *testing.T, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// arkimeEnds names a flow as Arkime does: ICMP has no ports.
func arkimeEnds(f *flow.Flow) ends {
	proto := map[uint8]string{1: "icmp", 58: "icmp", 6: "tcp", 17: "udp", 132: "sctp"}[f.Proto]
	if proto == "" {
		proto = strconv.Itoa(int(f.Proto))
	}
	clientPort, serverPort := f.ClientPort, f.ServerPort
	if proto == "icmp" {
		clientPort, serverPort = 0, 0
	}
	return ends{proto, fmt.Sprint(addr(f.Client), " ", clientPort), fmt.Sprint(addr(f.Server), " ", serverPort)}
}

// TestArkime: packets and bytes of each session are exactly those that
// Arkime's own tests expect. Its frames that are no IP are not flows.
func TestArkime(t *testing.T) {
	want := map[string]map[ends]sums{}
	for _, f := range table(t, captures+"arkime/sessions.tsv") {
		if f[2] == "" {
			continue
		}
		if want[f[0]] == nil {
			want[f[0]] = map[ends]sums{}
		}
		ends{f[1], f[2] + " " + f[3], f[4] + " " + f[5]}.add(want[f[0]],
			sums{number(t, f[6]), number(t, f[7]), number(t, f[8]), number(t, f[9])})
	}
	for pcap, sessions := range want {
		t.Run(pcap, func(t *testing.T) {
			got := map[ends]sums{}
			for _, f := range flows(feed(t, captures+"arkime/"+pcap, wire.Decoder{}, flow.Options{})) {
				arkimeEnds(&f).add(got, sums{f.PacketsToServer, f.BytesToServer, f.PacketsToClient, f.BytesToClient})
			}
			for e, want := range sessions {
				if got[e] != want {
					t.Errorf("%v: %v, want %v", e, got[e], want)
				}
			}
			if t.Failed() {
				for e, s := range got {
					t.Log("have", e, s)
				}
			}
		})
	}
}
