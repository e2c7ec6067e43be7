package nmapprobes

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// errTemplate ends the expansion of a template that cannot be filled in; the
// field is then left out.
var errTemplate = errors.New("template cannot be filled in")

// captured gives the bytes of a group; bytepattern.Groups has it.
type captured interface {
	Get(n int) (string, bool)
}

// expand fills in $1 to $9, $P(1), $SUBST(1,"from","to") and $I(1,">").
// change is done to what is filled in, where it is not nil. A group that took
// no part in the match is empty.
func expand(template string, g captured, change func(string) string) (string, error) {
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(template, "$")
		b.WriteString(text)
		if !found {
			return b.String(), nil
		}
		value, after, err := variable(rest, g)
		if err != nil {
			return "", err
		}
		if change != nil {
			value = change(value)
		}
		b.WriteString(value)
		template = after
	}
}

// variable reads what follows a dollar sign.
func variable(s string, g captured) (value, rest string, err error) {
	if s != "" && s[0] >= '1' && s[0] <= '9' {
		value, _ = g.Get(int(s[0] - '0'))
		return value, s[1:], nil
	}
	name, rest, _ := strings.Cut(s, "(")
	args, rest, err := arguments(rest)
	if err != nil {
		return "", "", err
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 || n > 9 {
		return "", "", fmt.Errorf("%w: $%.10s(%.10q…)", errTemplate, name, args[0])
	}
	value, _ = g.Get(n)
	switch {
	case name == "P" && len(args) == 1:
		return printable(value), rest, nil
	case name == "SUBST" && len(args) == 3:
		return substitute(value, args[1], args[2]), rest, nil
	case name == "I" && len(args) == 2:
		value, err = number(value, args[1])
		return value, rest, err
	}
	return "", "", fmt.Errorf("%w: $%.10s with %d arguments", errTemplate, name, len(args))
}

// arguments reads 1,"text","text") and what follows it.
func arguments(s string) (args []string, rest string, err error) {
	for len(args) < 4 {
		var arg string
		if quoted, isText := strings.CutPrefix(s, `"`); isText {
			arg, s, _ = strings.Cut(quoted, `"`)
		} else {
			end := strings.IndexAny(s, ",)")
			if end < 0 {
				break
			}
			arg, s = s[:end], s[end:]
		}
		args = append(args, arg)
		if after, closed := strings.CutPrefix(s, ")"); closed {
			return args, after, nil
		}
		if s = strings.TrimPrefix(s, ","); s == "" {
			break
		}
	}
	return nil, "", fmt.Errorf("%w: a function is not closed", errTemplate)
}

// printable leaves out what is not printable ASCII: UTF-16 texts become
// readable.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}

// substitute replaces from by to, which an empty from leaves alone.
func substitute(s, from, to string) string {
	if from == "" {
		return s
	}
	return strings.ReplaceAll(s, from, to)
}

// number reads up to eight bytes as an unsigned integer, the high byte first
// where order is ">".
func number(s, order string) (string, error) {
	if len(s) > 8 || order != ">" && order != "<" {
		return "", fmt.Errorf("%w: %d bytes are no number", errTemplate, len(s))
	}
	var n uint64
	for i := range len(s) {
		b := s[i]
		if order == "<" {
			b = s[len(s)-1-i]
		}
		n = n<<8 | uint64(b)
	}
	return strconv.FormatUint(n, 10), nil
}

// field fills in a template as valid, bounded UTF-8; "" where it cannot.
func field(template string, g captured) string {
	if template == "" {
		return ""
	}
	text, err := expand(template, g, nil)
	if err != nil {
		return ""
	}
	return tidy(text)
}

// cpeName fills in a name of the CPE 2.2 URI form (NISTIR 7695, section 6.1).
func cpeName(template string, g captured) string {
	text, err := expand(template, g, cpePart)
	if err != nil {
		return ""
	}
	return tidy("cpe:/" + strings.TrimRight(text, ":"))
}

// cpePart writes captured text as one part of a name: lower case, spaces as
// underscores, all but letters, digits and -._~ percent-encoded.
func cpePart(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		case c == ' ':
			b.WriteByte('_')
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// tidy makes text valid UTF-8 of at most maxField bytes.
func tidy(s string) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= maxField {
		return s
	}
	end := maxField
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
