package cli

import (
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
)

// Watching for hours keeps one entry per connection, and counts what looking
// at every snapshot counts.
func TestCompactKeepsConnectionsOnce(t *testing.T) {
	self := exposure.NetNS{ID: "1"}
	at := time.Unix(1000, 0)
	look := func(segs uint64, peers ...string) exposure.Snapshot {
		at = at.Add(observePace)
		snap := exposure.Snapshot{Taken: at, Sockets: []exposure.Socket{{Proto: exposure.TCP, State: exposure.Listen, NetNS: self, Addr: exposure.ParseAddress("0.0.0.0"), Port: 80}}}
		for _, p := range peers {
			snap.Sockets = append(snap.Sockets, exposure.Socket{Proto: exposure.TCP, State: exposure.Established, NetNS: self,
				Addr: exposure.ParseAddress("10.0.0.1"), Port: 80, PeerAddr: exposure.ParseAddress(p), PeerPort: 999, SegsIn: segs})
		}
		return snap
	}
	all := []exposure.Snapshot{look(1, "10.0.0.2"), look(5, "10.0.0.2", "10.0.0.3"), look(9, "10.0.0.3"), look(9)}
	var kept []exposure.Snapshot
	for _, s := range all {
		kept = compact(append(kept, s))
	}
	if len(kept) != 1 || len(kept[0].Sockets) != 3 {
		t.Fatalf("kept %d looks, %+v", len(kept), kept)
	}
	for name, snaps := range map[string][]exposure.Snapshot{"all": all, "compact": kept} {
		u := audit.UsageOf(self, snaps, at, at).Usage[0]
		if u.Count != 2 || u.Packets != 14 || !u.Last.Equal(all[2].Taken) {
			t.Errorf("%s: %d clients, %d packets, last %s; want 2, 14 and %s", name, u.Count, u.Packets, u.Last, all[2].Taken)
		}
	}
}
