package ruleset

import (
	"fmt"
	"strings"
)

// dump writes a drawn rule set for the message of a failure.
func dump(set *RuleSet) string {
	var b strings.Builder
	names := map[*Chain]string{}
	for i, ch := range set.Chains {
		names[ch] = fmt.Sprintf("c%d", i)
	}
	for _, ch := range set.Chains {
		fmt.Fprintf(&b, "\n%s hook %d kind %d prio %d policy %d", names[ch], ch.Hook, ch.Kind, ch.Priority, ch.Policy)
		for i, r := range ch.Rules {
			fmt.Fprintf(&b, "\n  %d:", i)
			for _, s := range r.Steps {
				fmt.Fprint(&b, " ", dumpStep(s, names))
			}
		}
	}
	return b.String()
}

func dumpStep(s Step, names map[*Chain]string) string {
	switch s := s.(type) {
	case Match:
		return dumpExpr(s.Expr)
	case Decide:
		return fmt.Sprint([]string{"continue", "accept", "drop", "return", "jump", "goto"}[s.Verdict], " ", names[s.Target])
	case Choose:
		t := fmt.Sprint("choose ", s.Fields)
		for _, row := range s.Rows {
			t += fmt.Sprint(" {", row.Sets, " ", dumpStep(row.Decide, names), "}")
		}
		return t
	}
	return fmt.Sprintf("%T%v", s, s)
}

func dumpExpr(e Expr) string {
	if in, ok := e.(In); ok && in.Mask == (Value{}) {
		return fmt.Sprintf("[%s in %s]", in.Field, in.Field.text(in.Set))
	}
	return fmt.Sprintf("%T%v", e, e)
}
