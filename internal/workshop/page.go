package main

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// page is what the links of other pages may lead to, and its own.
type page struct {
	anchors map[string]bool
	links   []link
}

type link struct {
	target string
	line   int
}

var (
	inlineLink = regexp.MustCompile(`\]\(([^)\s]+)(?:\s+"[^"]*")?\)`)
	codeSpan   = regexp.MustCompile("`[^`]*`")
	heading    = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
	htmlAnchor = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
)

// parsePage reads headings and links of Markdown, outside code.
func parsePage(text string) *page {
	p := &page{anchors: map[string]bool{}}
	fence := ""
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if mark := fenceMark(line); mark != "" && (fence == "" || fence == mark) {
			fence = toggled(fence, mark)
			continue
		}
		if fence == "" {
			p.read(line, number)
		}
	}
	return p
}

func fenceMark(line string) string {
	trimmed := strings.TrimLeft(line, " ")
	for _, mark := range []string{"```", "~~~"} {
		if strings.HasPrefix(trimmed, mark) {
			return mark
		}
	}
	return ""
}

func toggled(fence, mark string) string {
	if fence == "" {
		return mark
	}
	return ""
}

func (p *page) read(line string, number int) {
	if m := heading.FindStringSubmatch(line); m != nil {
		p.anchors[p.unusedAnchor(m[1])] = true
	}
	for _, m := range htmlAnchor.FindAllStringSubmatch(line, -1) {
		p.anchors[m[1]] = true
	}
	for _, m := range inlineLink.FindAllStringSubmatch(codeSpan.ReplaceAllString(line, ""), -1) {
		p.links = append(p.links, link{m[1], number})
	}
}

// unusedAnchor numbers the anchors of headings with the same words, as the
// usual renderers do: name, name-1, name-2.
func (p *page) unusedAnchor(title string) string {
	base := anchorOf(title)
	name := base
	for i := 1; p.anchors[name]; i++ {
		name = base + "-" + strconv.Itoa(i)
	}
	return name
}

// anchorOf is the usual rule: lower case, spaces to hyphens, other signs than
// letters, digits, hyphen and underscore gone.
func anchorOf(title string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			b.WriteRune(r)
		}
	}
	return b.String()
}
