package nftables

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Whatever the bytes: no panic, no chain without a name for people, and no
// jump without a target.
func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("../../testdata/cases/*.json")
	more, _ := filepath.Glob("testdata/*.json")
	for _, name := range append(files, more...) {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tables, err := Read(bytes.NewReader(data), Facts{})
		if err != nil {
			return
		}
		set := &ruleset.RuleSet{}
		for _, table := range tables {
			set.Chains = append(set.Chains, table.Chains...)
		}
		for _, ch := range set.Chains {
			for _, r := range ch.Rules {
				checkSteps(t, r)
			}
		}
		set.Prepare()
	})
}

func checkSteps(t *testing.T, r *ruleset.Rule) {
	for _, s := range r.Steps {
		d, ok := s.(ruleset.Decide)
		if ok && (d.Verdict == ruleset.Jump || d.Verdict == ruleset.Goto) && d.Target == nil {
			t.Errorf("a jump to nowhere: %s", r.Text)
		}
	}
}
