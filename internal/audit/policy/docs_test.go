package policy

import (
	"os"
	"strings"
	"testing"
	"time"
)

// Every YAML example of the page is a policy, and the rules it names are ours.
func TestExamplesOfTheDocs(t *testing.T) {
	b, err := os.ReadFile("../../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(b), "```yaml\n")[1:]
	if len(blocks) < 2 {
		t.Fatal("the examples are gone")
	}
	for _, block := range blocks {
		text, _, _ := strings.Cut(block, "```")
		p, err := Parse([]byte(text))
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		for _, x := range p.Check(CheckOptions{At: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}) {
			if x.Rule != RuleTodo {
				t.Errorf("the example has: %+v", x)
			}
		}
	}
	for _, rule := range []string{RuleNeverMatches, RuleExpired, RuleExpiresSoon, RuleConflict, RuleCovered, RuleTodo, RuleNoReason, RuleTooWide, RuleUnknownPort} {
		if !strings.Contains(string(b), "`"+rule+"`") {
			t.Errorf("the page does not explain %s", rule)
		}
	}
}
