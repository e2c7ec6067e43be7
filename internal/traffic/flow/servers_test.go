package flow_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// Servers agree with a twin of maps, whatever the flows.
func TestServersTwin(t *testing.T) {
	type end struct {
		proto byte
		addr  byte
		port  uint16
	}
	rapid.Check(t, func(t *rapid.T) {
		var s flow.Servers
		packets, clients := map[end]uint64{}, map[end]map[byte]bool{}
		for range rapid.IntRange(0, 200).Draw(t, "flows") {
			e := end{rapid.SampledFrom([]byte{6, 17}).Draw(t, "proto"), rapid.Byte().Draw(t, "server") % 3, rapid.Uint16Range(1, 3).Draw(t, "port")}
			client := rapid.Byte().Draw(t, "client") % 9
			n := rapid.Uint64Range(0, 5).Draw(t, "packets")
			s.Add(&flow.Flow{Proto: e.proto, Server: [16]byte{15: e.addr}, Client: [16]byte{14: 1, 15: client}, ServerPort: e.port, PacketsToServer: n, PacketsToClient: 1})
			packets[e] += n + 1
			if clients[e] == nil {
				clients[e] = map[byte]bool{}
			}
			clients[e][client] = true
		}
		got, want := map[end][2]uint64{}, map[end][2]uint64{}
		for _, r := range s.Rows() {
			got[end{r.Proto, r.Addr[15], r.Port}] = [2]uint64{r.Packets, r.Clients}
		}
		for e, n := range packets {
			want[e] = [2]uint64{n, uint64(len(clients[e]))}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}
