package firewall

import (
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// A namespace with loopback only: the rules answer for the address that the
// host may get, not "nobody can come".
func TestHostWithoutOutwardAddressIsJudgedByItsRules(t *testing.T) {
	ns := nettest.New(t)
	ns.Script(`nft 'add table inet f; add chain inet f i { type filter hook input priority 0; }; add rule inet f i iif lo accept; add rule inet f i tcp dport 5432 drop'`)
	var wall *Wall
	ns.Do(func() { wall, _ = Read(t.Context(), Options{}) })
	for port, want := range map[uint16]exposure.PermitVerdict{22: exposure.Permitted, 5432: exposure.Denied} {
		for _, v6 := range []bool{false, true} {
			if got := wall.AskAny(exposure.TCP, !v6, v6, port); got.Verdict != want || got.Why == "" {
				t.Errorf("port %d (v6 %v): %+v, want %s and the reason", port, v6, got, want)
			}
		}
	}
}
