package cisco

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

const fixtures = "../../../../../shared/fixtures/rulesets/"

func files(t *testing.T, patterns ...string) (out []string) {
	t.Helper()
	if _, err := os.Stat(fixtures); err != nil {
		t.Skip("the fixtures are not here")
	}
	for _, p := range patterns {
		m, _ := filepath.Glob(fixtures + p)
		if len(m) == 0 {
			t.Errorf("no file %s", p)
		}
		out = append(out, m...)
	}
	return out
}

// Configurations of other people's tests are understood, but for groups that
// they do not define.
func TestOthersConfigurations(t *testing.T) {
	for _, f := range files(t, "aerleon/tests/regression/cisco*/*", "aerleon/tests/regression/arista/*",
		"batfish/networks/hybrid-cloud-aws/configs/*.cfg", "batfish/networks/example/live/configs/as2*.cfg") {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		_, problems, err := Read(bytes.NewReader(data), Options{})
		if err != nil && !bytes.Contains(data, []byte("access-list")) {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
		}
		for _, p := range problems {
			if !strings.Contains(p.Text, "permit tcp any") || strings.Contains(p.Text, "any any") {
				t.Errorf("%s: %v", filepath.Base(f), p)
			}
		}
	}
}

// row is a line of a listing as ntc-templates reads it.
type row struct {
	Name    string `yaml:"acl_name"`
	OldName string `yaml:"name"`
	Line    string `yaml:"line_num"`
	OldLine string `yaml:"sn"`
	Action  string `yaml:"action"`
	Matches string `yaml:"matches"`
}

// Rows, actions and counters of listings are those that others read.
func TestListingsAsOthersReadThem(t *testing.T) {
	for _, f := range files(t, "ntc-templates/cisco_ios/show_ip_access-lists/*.raw", "ntc-templates/cisco_ios/show_access-list/*.raw") {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := os.ReadFile(strings.TrimSuffix(f, ".raw") + ".yml")
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Rows []row `yaml:"parsed_sample"`
		}
		if err := yaml.Unmarshal(answer, &doc); err != nil {
			t.Fatal(err)
		}
		set, _, err := Read(bytes.NewReader(raw), Options{})
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		want := map[string]int{}
		for _, r := range doc.Rows {
			if r.Action == "permit" || r.Action == "deny" {
				want[strings.TrimSpace(r.Name+r.OldName+" "+r.Line+r.OldLine+" "+r.Action+" "+r.Matches)]++
			}
		}
		for _, ch := range set.Chains {
			for _, r := range ch.Rules {
				key := ch.Name + " " + described(r)
				if want[key]--; want[key] < 0 {
					t.Errorf("%s: %q is no row of theirs", filepath.Base(f), key)
				}
			}
		}
		for key, n := range want {
			if n > 0 {
				t.Errorf("%s: their row %q is not ours", filepath.Base(f), key)
			}
		}
	}
}

// described writes a rule as "10 permit 5".
func described(r *ruleset.Rule) string {
	f := strings.Fields(r.Text)
	if !isNumber(f[0]) {
		f = append([]string{""}, f...)
	}
	s := f[0] + " " + f[1]
	if r.Packets != nil {
		s += " " + strconv.FormatUint(*r.Packets, 10)
	}
	return s
}

// Elements of ASA's listings stand for the entries that they expand, and the
// counters are the elements'.
func TestListingsOfASA(t *testing.T) {
	for _, f := range files(t, "ntc-templates/cisco_asa/show_access-list/*.raw") {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		set, problems, err := Read(bytes.NewReader(raw), Options{})
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for _, p := range problems {
			if !strings.Contains(p.Why, "elements and shows") && !strings.Contains(p.Why, "not defined here") {
				t.Errorf("%s: %v", filepath.Base(f), p)
			}
		}
		elements := 0
		for line := range strings.Lines(string(raw)) {
			if strings.Contains(line, "hitcnt=") && !strings.Contains(line, "(inactive)") && !strings.Contains(line, " object") {
				elements++
			}
		}
		rules := 0
		for _, ch := range set.Chains {
			for _, r := range ch.Rules {
				if r.Packets != nil && !strings.Contains(r.Text, " object") {
					rules++
				}
			}
		}
		if rules != elements {
			t.Errorf("%s: %d elements, %d rules", filepath.Base(f), elements, rules)
		}
	}
}
