package cisco

import (
	"strconv"
	"strings"
)

// word is a word of a line and where it begins, in bytes from 1.
type word struct {
	text string
	col  int
}

// words splits a line at white space and after commas.
func words(line string) []word {
	var out []word
	for i := 0; i < len(line); {
		if isSpace(line[i]) || line[i] == ',' {
			i++
			continue
		}
		start := i
		for i < len(line) && !isSpace(line[i]) && line[i] != ',' {
			i++
		}
		out = append(out, word{line[start:i], start + 1})
	}
	return out
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' }

// cursor goes through the words of an entry.
type cursor struct {
	words []word
	at    int
}

func (c *cursor) done() bool { return c.at >= len(c.words) }

// peek gives the next word in lower case, "" at the end.
func (c *cursor) peek() string { return strings.ToLower(c.peekText()) }

// peekText gives the next word as it is written: names keep their case.
func (c *cursor) peekText() string {
	if c.done() {
		return ""
	}
	return c.words[c.at].text
}

func (c *cursor) next() string {
	s := c.peekText()
	if !c.done() {
		c.at++
	}
	return s
}

func (c *cursor) accept(s string) bool {
	if c.peek() == s {
		c.at++
		return true
	}
	return false
}

// column is where the next word stands.
func (c *cursor) column() int {
	if c.done() {
		return 0
	}
	return c.words[c.at].col
}

// rest are the words that are left, as text.
func (c *cursor) rest() string { return joined(c.words[min(c.at, len(c.words)):]) }

func joined(ws []word) string {
	var b strings.Builder
	for i, w := range ws {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w.text)
	}
	return b.String()
}

// isNumber reports a word of digits.
func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}

// counter finds what an entry's counter says and takes it off the words:
// "(12 matches)", "(hitcnt=5)", "[match=66]", "[match 5 packets, …]". What
// follows it (a hash, a state) goes as well; inactive tells of "(inactive)".
func counter(ws []word) (left []word, packets *uint64, inactive bool) {
	for i, w := range ws {
		var n string
		switch {
		case strings.HasPrefix(w.text, "(hitcnt="):
			n = strings.TrimSuffix(strings.TrimPrefix(w.text, "(hitcnt="), ")")
		case strings.HasPrefix(w.text, "[match="):
			n = strings.TrimSuffix(strings.TrimPrefix(w.text, "[match="), "]")
		case w.text == "[match" && i+1 < len(ws):
			n = ws[i+1].text
		case strings.HasPrefix(w.text, "(") && endsInMatches(ws[i+1:]):
			n = w.text[1:]
		case strings.EqualFold(w.text, "(inactive)") && (i == 0 || !isTimeRange(ws, i)):
			return ws[:i], nil, true
		default:
			continue
		}
		count, err := strconv.ParseUint(n, 10, 64)
		if err != nil {
			continue
		}
		return ws[:i], &count, hasInactive(ws[i:])
	}
	return ws, nil, false
}

// isTimeRange reports that the word at i tells the state of a time range.
func isTimeRange(ws []word, i int) bool {
	return i >= 2 && strings.EqualFold(ws[i-2].text, "time-range")
}

// endsInMatches reports "matches)" or "match)" among the next words.
func endsInMatches(ws []word) bool {
	for i, w := range ws {
		if s := strings.ToLower(w.text); strings.HasPrefix(s, "match") && strings.HasSuffix(s, ")") {
			return true
		}
		if i == 2 || strings.HasSuffix(w.text, ")") {
			return false
		}
	}
	return false
}

func hasInactive(ws []word) bool {
	for _, w := range ws {
		if strings.EqualFold(w.text, "(inactive)") {
			return true
		}
	}
	return false
}
