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

// Whatever the text: no panic, and an error or tables.
func FuzzReadText(f *testing.F) {
	files, _ := filepath.Glob("testdata/text/*.nft")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("define a = { 1, 2 }\ndefine b = { $a, $a }\ntable ip t { set s { type inet_service; elements = { $b } }\nchain c { tcp dport $b vmap { 22:accept, * : drop } } }"))
	f.Add([]byte("table inet t { chain c { type filter hook input priority mangle - 5; @th,16,16 22 ct original ip daddr 10.0.0.1 dnat ip to [2001:db8::1]:80-90 } }"))
	f.Add([]byte("add rule t c ip saddr { { { 1 } } } \\\n accept\ninclude \"x\""))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ReadText(bytes.NewReader(data), TextOptions{Port: func(string, string) (uint16, bool) { return 1, true }})
		if err != nil {
			return
		}
		set := &ruleset.RuleSet{}
		for _, table := range got.Tables {
			set.Chains = append(set.Chains, table.Chains...)
		}
		set.Prepare()
	})
}
