package remedy

import "strings"

// Line is a line of a difference: Op is ' ' for what stays, '-' for what
// goes, '+' for what comes.
type Line struct {
	Op   byte
	Text string
}

// mostCells bounds the table of the exact comparison; beyond it everything
// between the first and the last difference is shown as replaced.
const mostCells = 4 << 20

// difference compares two texts line by line: the fewest lines that go or
// come.
func difference(before, after []byte) (out []Line) {
	a, b := textLines(before), textLines(after)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		out = append(out, Line{' ', a[head]})
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	out = append(out, between(a[head:len(a)-tail], b[head:len(b)-tail])...)
	for _, s := range a[len(a)-tail:] {
		out = append(out, Line{' ', s})
	}
	return out
}

func textLines(b []byte) []string {
	s := strings.TrimRight(string(b), "\n")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// between finds a longest common subsequence by the table of its lengths.
func between(a, b []string) (out []Line) {
	if len(a) == 0 || len(b) == 0 || len(a)*len(b) > mostCells {
		return replaced(a, b)
	}
	length := make([][]int32, len(a)+1)
	for i := range length {
		length[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			out = append(out, Line{' ', a[i]})
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			out = append(out, Line{'-', a[i]})
			i++
		default:
			out = append(out, Line{'+', b[j]})
			j++
		}
	}
	return append(out, replaced(a[i:], b[j:])...)
}

func replaced(a, b []string) (out []Line) {
	for _, s := range a {
		out = append(out, Line{'-', s})
	}
	for _, s := range b {
		out = append(out, Line{'+', s})
	}
	return out
}
