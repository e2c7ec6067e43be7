package tui

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/traffic/flow"
)

//go:embed words.txt
var wordsText string

// words say what codes mean. Nothing in it changes.
type words struct{ of map[[2]string]string }

func newWords() *words {
	w := &words{of: map[[2]string]string{}}
	for line := range strings.Lines(wordsText) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 {
			w.of[[2]string{f[0], f[1]}] = f[2]
		}
	}
	return w
}

// say gives a code with its meaning.
func (w *words) say(kind, code string) string {
	if meaning := w.of[[2]string{kind, code}]; meaning != "" {
		return code + ": " + meaning
	}
	return code
}

// history explains each letter once, in the order in which they come.
func (w *words) history(letters string) []string {
	var out []string
	seen := map[rune]bool{}
	for _, r := range letters {
		if !seen[r] {
			seen[r] = true
			out = append(out, w.letter(r))
		}
	}
	return out
}

func (w *words) letter(r rune) string {
	if r == '^' {
		return "^ turned round: the first packet was the server's"
	}
	side := "client"
	if r >= 'a' && r <= 'z' {
		side = "server"
	}
	meaning := w.of[[2]string{"history", strings.ToUpper(string(r))}]
	if meaning == "" {
		return clean(string(r)) + " not known"
	}
	return fmt.Sprintf("%c %s: %s", r, side, meaning)
}

// tunnels names the wrappings, the outermost first.
func (w *words) tunnels(f *flow.Flow) string {
	var names []string
	for _, t := range f.Tunnels[:min(int(f.Depth), len(f.Tunnels))] {
		name := w.of[[2]string{"tunnel", strconv.Itoa(int(t))}]
		if name == "" {
			name = "number " + strconv.Itoa(int(t))
		}
		names = append(names, name)
	}
	if more := int(f.Depth) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", in it ")
}

// refused says what ICMP errors came for a flow.
func (w *words) refused(f *flow.Flow) string {
	kind := "icmp"
	if f.IPv6 {
		kind = "icmp6"
	}
	code := fmt.Sprintf("%d/%d", f.RefusedType, f.RefusedCode)
	return fmt.Sprintf("%s, the last %s %s", several(uint64(f.Refused), "time", "times"), kind, w.say(kind, code))
}
