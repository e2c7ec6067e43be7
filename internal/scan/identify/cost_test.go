package identify

import (
	"strings"
	"testing"
	"time"
)

// hostileAnswers are as long as an answer may be, and made to keep patterns
// busy.
func hostileAnswers() map[string]string {
	fill := func(head, unit string) string { return (head + strings.Repeat(unit, 4096))[:4096] }
	return map[string]string{
		"words after 220":  fill("220 ", "ab "),
		"words after +OK":  fill("+OK ", "Ab-"),
		"words after * OK": fill("* OK ", "ab 1 "),
		"headers":          fill("HTTP/1.1 200 OK\r\n", "Server: \r\n"),
		"words in Server":  fill("HTTP/1.1 200 OK\r\nServer: ", "UPnP/1 a "),
		"body":             fill("HTTP/1.1 200 OK\r\n\r\n", "{\"version\":"),
		"zeros":            fill("", "\x00"),
		"high bytes":       fill("", "\xff"),
	}
}

// No answer costs more than a moment, whatever it holds.
func TestMatchingIsQuick(t *testing.T) {
	table := loadTable()
	for name, answer := range hostileAnswers() {
		for _, p := range append([]*probe{table.greeting}, table.probes...) {
			best := time.Hour // of three, so that a busy machine does not count
			for range 3 {
				start := time.Now()
				p.match([]byte(answer))
				best = min(best, time.Since(start))
			}
			if best > 2*time.Second {
				t.Errorf("%s: %s took %v", p.name, name, best)
			}
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	table := loadTable()
	for name, answer := range hostileAnswers() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				table.greeting.match([]byte(answer))
				table.http.match([]byte(answer))
			}
		})
	}
}
