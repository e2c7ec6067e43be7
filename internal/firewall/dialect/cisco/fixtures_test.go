package cisco

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

const fixtures = "../../../../../shared/fixtures/rulesets/"

func TestSmoke(t *testing.T) {
	var files []string
	for _, pat := range []string{"ntc-templates/cisco_*/*access-list*/*.raw", "ntc-templates/arista_eos/*/*.raw", "aerleon/tests/regression/cisco*/*", "aerleon/tests/regression/arista/*", "batfish/networks/*/configs/*.cfg", "batfish/networks/*/live/configs/*.cfg"} {
		m, _ := filepath.Glob(fixtures + pat)
		files = append(files, m...)
	}
	for _, f := range files {
		in, err := os.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		set, problems, err := Read(in, Options{})
		n := 0
		if set != nil {
			set.Prepare()
			for _, ch := range set.Chains {
				n += len(ch.Rules)
			}
		}
		t.Log(filepath.Base(f), err, n)
		for _, p := range problems {
			t.Log("    ", p)
		}
		in.Close()
	}
	_ = ruleset.IPv4
}
