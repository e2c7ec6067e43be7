package ordered

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

func rules(t *testing.T, list ...rulefile.Rule) []Rule {
	t.Helper()
	out, err := Rules(&rulefile.File{Schema: rulefile.Schema, Rules: list})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestListsAreJoined(t *testing.T) {
	r := rules(t, rulefile.Rule{Action: "ask", Proto: "any"}, rulefile.Rule{Action: "permit", Proto: "tcp",
		From: []string{"192.0.2.128/25", "192.0.2.0/25", "192.0.2.7", "198.51.100.1"}, Ports: []string{"80", "81-90", "85", "65535", "100"}})
	if len(r) != 1 || r[0].Number != 2 {
		t.Fatalf("%+v", r)
	}
	var got []string
	for _, a := range r[0].From {
		got = append(got, a.String())
	}
	for _, p := range r[0].Ports {
		got = append(got, p.String())
	}
	if s := strings.Join(got, " "); s != "192.0.2.0/24 198.51.100.1 80-90 100 65535" {
		t.Error(s)
	}
}

// The file is left as it is, whatever a writer does with its rules.
func TestRulesAreCopies(t *testing.T) {
	f := &rulefile.File{Schema: rulefile.Schema, Rules: []rulefile.Rule{{Action: "permit", Proto: "any", In: "em0"}}}
	r, err := Rules(f)
	if err != nil {
		t.Fatal(err)
	}
	r[0].In = ""
	if f.Rules[0].In != "em0" {
		t.Error("the file was changed")
	}
}

func TestNothingIsPermittedThatCannotBeSaid(t *testing.T) {
	r := rules(t, rulefile.Rule{Action: "permit", Proto: "any"}, rulefile.Rule{Action: "deny", Proto: "any"})
	var n Notes
	if n.Cannot(&r[0], "x") || !n.Cannot(&r[1], "x") || len(n) != 2 {
		t.Error(n)
	}
}

func TestPlainIsPlain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Plain(rapid.String().Draw(t, "text"), 20)
		if len(s) > 20 || strings.ContainsFunc(s, func(c rune) bool { return c > '~' || !unicode.IsPrint(c) || strings.ContainsRune("\"'\\`$", c) }) {
			t.Fatalf("%q", s)
		}
	})
}
