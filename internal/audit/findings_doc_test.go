package audit

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The rules of the command contract. Each must be raised somewhere in this
// package and explained in docs/findings.md, and nothing else may be.
var contractRules = []string{
	"hidden-listener", "no-listener", "source-disagreement", "unknown-service", "service-mismatch",
	"cleartext-service", "exposed-admin-service", "exposed-datastore", "exposed-beyond-need",
	"deleted-binary", "unpackaged-binary", "world-writable-binary", "packet-socket", "unused-listener",
	"stale-permit", "unruled-listener", "missing-expected", "not-in-policy", "protected-port",
	"expired-entry", // beyond the contract
}

func TestEveryRuleIsRaisedAndDocumented(t *testing.T) {
	doc := read(t, "../../docs/findings.md")
	var documented []string
	for _, m := range regexp.MustCompile(`(?m)^## ([a-z-]+)$`).FindAllStringSubmatch(doc, -1) {
		documented = append(documented, m[1])
	}
	want := slices.Sorted(slices.Values(contractRules))
	if got := slices.Sorted(slices.Values(documented)); !slices.Equal(got, want) {
		t.Errorf("docs/findings.md explains %v\nthe contract names %v", got, want)
	}
	code := ""
	entries, _ := os.ReadDir(".")
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "rule_") || e.Name() == "judge.go" {
			code += read(t, e.Name())
		}
	}
	for _, rule := range contractRules {
		if !strings.Contains(code, `"`+rule+`"`) {
			t.Errorf("no code raises %s", rule)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
