package firewall

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Saved rule sets of other projects' tests: read without a problem line, and
// judged as their authors meant them.
func TestFixtureRuleSets(t *testing.T) {
	root := filepath.Join("..", "..", "..", "shared", "fixtures", "rulesets", "batfish")
	if _, err := os.Stat(root); err != nil {
		t.Skip("fixtures are not here: ", root)
	}
	for _, c := range []struct {
		file, addr string
		proto      exposure.Proto
		port       uint16
		want       exposure.PermitVerdict
	}{
		{"networks/example/live/iptables/host1.iptables", "2.128.0.101", exposure.TCP, 22, "permit"},
		{"networks/example/live/iptables/host2.iptables", "2.128.1.101", exposure.TCP, 22, "permit"},
		{"networks/iptables-firewall/iptables/z1-firewall.v4", "10.0.0.1", exposure.TCP, 22, "partial"},
		{"networks/iptables-firewall/iptables/z2-firewall.v4", "10.0.0.1", exposure.TCP, 22, "partial"},
		{"networks/iptables-firewall/iptables/z2-host2.v4", "10.0.0.1", exposure.TCP, 22, "permit"},
		{"tests/parsing-tests/networks/unit-tests/iptables/host1.iptables", "10.0.0.1", exposure.TCP, 22, "permit"},
	} {
		f, err := os.Open(filepath.Join(root, c.file))
		if err != nil {
			t.Fatal(err)
		}
		own := netip.MustParseAddr(c.addr)
		w, gaps, err := Evidence([]netip.Addr{own}, f)
		_ = f.Close()
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		for _, g := range gaps {
			t.Errorf("%s: %s", c.file, g.Why)
		}
		got := w.Ask(c.proto, own, c.port)
		if got.Verdict != c.want {
			t.Errorf("%s: %+v, want %s", c.file, got, c.want)
		}
	}
}
