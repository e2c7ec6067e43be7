package nftables

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
	"github.com/portreeve/portreeve/internal/nettest"
)

// The same rule set, printed by nft as text and as JSON, is the same to us.
func TestTextIsTheSameAsJSON(t *testing.T) {
	for name, conf := range kernelTexts(t) {
		t.Run(name, func(t *testing.T) {
			ns := nettest.New(t)
			file := filepath.Join(t.TempDir(), "rules.nft")
			if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
				t.Fatal(err)
			}
			ns.Run("nft", "-f", file)
			listed, asJSON := ns.Run("nft", "list", "ruleset"), ns.Run("nft", "-j", "list", "ruleset")
			want, err := Read(strings.NewReader(asJSON), Facts{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := ReadText(strings.NewReader(listed), TextOptions{})
			if err != nil {
				t.Fatalf("%v\n%s", err, listed)
			}
			for _, p := range got.Problems {
				t.Error(p)
			}
			compareTables(t, "listing", got.Tables, want)
			written, err := ReadText(strings.NewReader(conf), TextOptions{Port: testPort})
			if err != nil {
				t.Fatal(err)
			}
			compareTables(t, "file", written.Tables, want)
		})
	}
}

func testPort(_, name string) (uint16, bool) {
	n, ok := map[string]uint16{"ssh": 22, "http": 80, "https": 443, "domain": 53}[name]
	return n, ok
}

func compareTables(t *testing.T, what string, got, want []*Table) {
	t.Helper()
	g, w := describe(got), describe(want)
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			t.Errorf("%s:\n got %s\nwant %s", what, a, b)
		}
	}
}

// describe writes chains and rules without addresses of memory.
func describe(tables []*Table) (out []string) {
	for _, tb := range tables {
		for _, ch := range tb.Chains {
			out = append(out, fmt.Sprintf("%s hook %d kind %d prio %d policy %d devices %v", ch.Title, ch.Hook, ch.Kind, ch.Priority, ch.Policy, ch.Devices))
			for _, r := range ch.Rules {
				out = append(out, fmt.Sprintf("%s: %q %s", ch.Title, r.Comment, stepsText(r.Steps)))
			}
		}
	}
	return out
}

func stepsText(steps []ruleset.Step) string {
	var b strings.Builder
	for _, s := range steps {
		switch s := s.(type) {
		case ruleset.Decide:
			fmt.Fprintf(&b, "{%s}", decideText(s))
		case ruleset.Choose:
			rows := make([]string, len(s.Rows))
			for i, row := range s.Rows {
				rows[i] = fmt.Sprint(row.Sets, decideText(row.Decide))
			}
			slices.Sort(rows) // nft lists elements in an order of its own
			fmt.Fprint(&b, "{choose ", s.Fields, rows, "}")
		default:
			// What nft adds by itself when it loads a rule, we may have added too.
			if one := fmt.Sprintf("%+v", s); !strings.HasSuffix(b.String(), one) {
				b.WriteString(one)
			}
		}
	}
	return b.String()
}

func decideText(d ruleset.Decide) string {
	to := ""
	if d.Target != nil {
		to = d.Target.Title
	}
	return fmt.Sprint(d.Verdict, " ", to, " ", d.Note, d.Final)
}

func kernelTexts(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/text/*.nft")
	if err != nil || len(files) == 0 {
		t.Fatal("no texts", err)
	}
	out := map[string]string{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(f)] = string(data)
	}
	return out
}
