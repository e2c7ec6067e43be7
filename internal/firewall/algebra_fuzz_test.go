package firewall

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Whatever the rule set, asking, linting and comparing it with itself end,
// and it differs from itself nowhere.
func FuzzAlgebra(f *testing.F) {
	files, _ := filepath.Glob("testdata/cases/*")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("*filter\n:INPUT DROP [0:0]\n:a - [0:0]\n-A INPUT -j a\n-A a -j a\n-A a -p tcp --dport 22 -j INPUT\nCOMMIT\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		w, _, err := Evidence([]netip.Addr{netip.MustParseAddr("10.7.0.2")}, bytes.NewReader(data))
		if err != nil || len(data) > 1<<14 {
			return
		}
		port := uint16(22)
		for _, state := range []string{"", "established", "invalid"} {
			p := ruleset.Packet{Proto: 6, Src: netip.MustParseAddr("192.0.2.7"), Dst: netip.MustParseAddr("10.7.0.2"), DstPort: &port, In: "eth0", State: state}
			if d, err := w.rules.Query(p, ""); err == nil && d.Verdict == "" {
				t.Errorf("no verdict: %+v", d)
			}
		}
		ruleset.Lint(w.rules, ruleset.LintOptions{Steps: 1_000_000})
		d, err := ruleset.Compare(w.rules, w.rules, "", "", 5)
		if err == nil && len(d.List) > 0 {
			t.Errorf("differs from itself: %+v", d.List[0])
		}
	})
}
