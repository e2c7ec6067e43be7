package problem

import "testing"

func TestProblemsAreBounded(t *testing.T) {
	var l List
	for i := range Most + 5 {
		l.Add(i+1, 0, "", "why")
	}
	all := l.All()
	if len(all) != Most+1 || all[Most].String() != "line 1000: 5 more problems after this line" {
		t.Errorf("%d problems, the last %q", len(all), all[len(all)-1])
	}
}

func TestProblemSaysWhere(t *testing.T) {
	if got := (Problem{Line: 3, Column: 14, Text: "permit\tx", Why: "no such protocol"}).String(); got != `line 3, column 14: no such protocol: "permit\tx"` {
		t.Error(got)
	}
}
