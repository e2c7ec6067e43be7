package main

import (
	"fmt"
	"strings"
)

const intro = `# Benchmarks

Our figures beside those of the tools people use today, measured in one run on
one machine by ` + "`make bench`" + `. Times are medians of wall clock over paired runs in
turns; "times as fast" is theirs divided by ours, so below 1 we are slower.
Of a host and its audit, every command writes to /dev/null while it is timed,
and once to memory, where the answers are compared: a row with a wrong answer is
not written at all. Of a scan, every timed run's answer is compared with what is
known to be there, and each row says what was missed or wrong.
`

// block is one section of the page.
type block struct{ name, body string }

func openMark(name string) string { return "<!-- bench: " + name + " -->" }

const closeMark = "<!-- bench end -->"

// readBlocks takes a page apart; what stands outside of sections is ours to
// write again.
func readBlocks(page string) []block {
	var out []block
	for {
		_, rest, ok := strings.Cut(page, "<!-- bench: ")
		if !ok {
			return out
		}
		name, rest, ok := strings.Cut(rest, " -->\n")
		body, after, closed := strings.Cut(rest, closeMark)
		if !ok || !closed {
			return out
		}
		out = append(out, block{name, body})
		page = after
	}
}

// merge replaces the sections measured now and keeps the others, in the order
// given; sections unknown to this program go last.
func merge(old, measured []block, order []string) []block {
	byName := map[string]string{}
	var names []string
	for _, b := range append(old, measured...) {
		if _, known := byName[b.name]; !known {
			names = append(names, b.name)
		}
		byName[b.name] = b.body
	}
	var out []block
	for _, name := range append(append([]string{}, order...), names...) {
		if body, ok := byName[name]; ok {
			out = append(out, block{name, body})
			delete(byName, name)
		}
	}
	return out
}

func writePage(blocks []block) string {
	var b strings.Builder
	b.WriteString(intro)
	for _, bl := range blocks {
		fmt.Fprintf(&b, "\n%s\n%s%s\n", openMark(bl.name), bl.body, closeMark)
	}
	return b.String()
}
