package problem

import "fmt"

// Problem is a place that was not understood.
type Problem struct {
	Line   int    // from 1
	Column int    // from 1, in bytes; 0 where the whole line is meant
	Text   string // as it stands there, at most a line of it
	Why    string
}

// String writes "line 3, column 14: why: text".
func (p Problem) String() string {
	at := fmt.Sprintf("line %d", p.Line)
	if p.Column > 0 {
		at += fmt.Sprintf(", column %d", p.Column)
	}
	if p.Text == "" {
		return at + ": " + p.Why
	}
	return fmt.Sprintf("%s: %s: %q", at, p.Why, p.Text)
}

// Most bounds how many problems a reader keeps; further ones are counted.
const Most = 1000

// List collects problems, the first Most of them.
type List struct {
	Problems []Problem
	Dropped  int // how many more there were
}

// mostText bounds the text of a problem.
const mostText = 200

// Add notes a problem.
func (l *List) Add(line, column int, text, why string) {
	if len(l.Problems) >= Most {
		l.Dropped++
		return
	}
	if len(text) > mostText {
		text = text[:mostText] + "…"
	}
	l.Problems = append(l.Problems, Problem{Line: line, Column: column, Text: text, Why: why})
}

// All gives the problems, with one more that counts those not kept.
func (l *List) All() []Problem {
	if l.Dropped == 0 {
		return l.Problems
	}
	last := l.Problems[len(l.Problems)-1]
	return append(l.Problems[:len(l.Problems):len(l.Problems)], Problem{Line: last.Line, Why: fmt.Sprintf("%d more problems after this line", l.Dropped)})
}
