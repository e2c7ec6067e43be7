package filter

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocs: the examples of the guide compile, and what it says is refused is.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "## For every day\n")
	examples, _, _ := strings.Cut(rest, "**`and`")
	n := 0
	for line := range strings.Lines(examples) {
		expr, _, _ := strings.Cut(line, "# ")
		if expr = strings.TrimSpace(expr); expr != "" {
			mustCompile(t, expr, Options{Link: linkEthernet, VLANMeta: true})
			n++
		}
	}
	_, rest, _ = strings.Cut(string(text), "## What there is\n")
	table, _, _ := strings.Cut(rest, "Link types:")
	w := loadWords()
	for _, m := range regexp.MustCompile("`([a-z0-9]+[a-z0-9-]*)`").FindAllStringSubmatch(table, -1) {
		_, key := w.keys[m[1]]
		_, number := w.numbers[m[1]]
		if !key && !number && m[1] != "10" {
			t.Errorf("the guide names %q, which is no keyword", m[1])
		}
	}
	if n < 20 {
		t.Errorf("only %d examples found", n)
	}
}
