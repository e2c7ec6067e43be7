package units

import (
	"bufio"
	"strings"
)

// setting is one assignment of a unit file.
type setting struct{ section, key, value string }

const (
	maxLine     = 1 << 20 // bytes, as systemd's LONG_LINE_MAX
	maxSettings = 1 << 14
)

// parse reads the text of a unit file (systemd.syntax(7)): sections, comments,
// lines that a backslash continues.
func parse(text string) []setting {
	var list []setting
	section := ""
	for line := range logicalLines(text) {
		if len(list) >= maxSettings {
			return list
		}
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section = line[1 : len(line)-1]
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if ok {
			list = append(list, setting{section, strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	}
	return list
}

// logicalLines joins continued lines with a space; comments within them are
// left out.
func logicalLines(text string) func(func(string) bool) {
	return func(yield func(string) bool) {
		lines := bufio.NewScanner(strings.NewReader(text))
		lines.Buffer(nil, maxLine)
		var joined strings.Builder
		continued := false
		for lines.Scan() {
			line := strings.TrimSpace(lines.Text())
			if comment(line) || line == "" && !continued {
				continue
			}
			part, more := strings.CutSuffix(line, "\\")
			if joined.Len()+len(part) > maxLine {
				return
			}
			if continued {
				joined.WriteByte(' ')
			}
			joined.WriteString(strings.TrimSpace(part))
			if continued = more; continued {
				continue
			}
			if !yield(joined.String()) {
				return
			}
			joined.Reset()
		}
		if continued {
			yield(joined.String())
		}
	}
}

func comment(line string) bool { return strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") }

// boolean reads a boolean as systemd does (parse_boolean).
func boolean(value string) bool {
	switch strings.ToLower(value) {
	case "1", "yes", "y", "true", "t", "on":
		return true
	}
	return false
}
