package firewall

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
)

// A hostile rule set may be anything; asking it ends, with a verdict.
func FuzzEvidence(f *testing.F) {
	files, _ := filepath.Glob("testdata/cases/*")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w, _, err := Evidence([]netip.Addr{netip.MustParseAddr("10.7.0.2")}, bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, port := range []uint16{22, 8080} {
			if got := w.Ask(exposure.TCP, netip.MustParseAddr("10.7.0.2"), port); got.Verdict == "" {
				t.Errorf("no verdict: %+v", got)
			}
		}
		w.Published()
		w.PermitRules()
	})
}
