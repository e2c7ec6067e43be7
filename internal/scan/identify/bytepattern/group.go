package bytepattern

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// escape translates a backslash sequence outside classes.
func (t *translator) escape() error {
	if e, ok := byteEscape(t.in, t.pos+1, t.dialect, false); ok {
		t.pos = e.next
		if e.set != nil {
			t.emitSet(e.set)
		} else {
			t.emitByte(e.lit)
		}
		return nil
	}
	if t.pos+1 >= len(t.in) {
		return errors.New("a backslash ends it")
	}
	c := t.in[t.pos+1]
	t.pos += 2
	switch c {
	case 'A':
		t.assertion(`\A`)
	case 'z':
		t.assertion(`\z`)
	case 'Z':
		t.beforeLastNewline()
	case 'b', 'B':
		t.wordBoundary(c)
	case 'Q':
		t.verbose = true
	case 'E':
	case 'C':
		t.emitSet(everyByte)
	case 'R':
		t.atom = len(t.out)
		t.out = append(t.out, `(?:\x0d\x0a|[\x0a-\x0d\x85])`...)
	case 'k', 'g':
		return t.longReference()
	default:
		if c < '1' || c > '9' {
			return fmt.Errorf(`\%c is not supported`, c)
		}
		t.pos--
		return t.numberedReference()
	}
	return nil
}

// numberedReference translates \1 or, where there are not so many groups,
// an octal number.
func (t *translator) numberedReference() error {
	end := t.pos
	for end < len(t.in) && end < t.pos+3 && t.in[end] >= '0' && t.in[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(t.in[t.pos:end])
	if err != nil {
		return err
	}
	if n < 10 || n <= t.groups {
		t.pos = end
		return t.reference(n)
	}
	e := octalEscape(t.in, t.pos)
	if e.next == t.pos {
		return fmt.Errorf(`\%d refers to no group`, n)
	}
	t.pos = e.next
	t.emitByte(e.lit)
	return nil
}

// longReference translates what follows \k or \g: a name or number in braces,
// angle brackets or quotes, or for \g a bare number.
func (t *translator) longReference() error {
	rest := t.in[t.pos:]
	if rest == "" {
		return errors.New("a reference to nothing")
	}
	if i := strings.IndexByte("{<'", rest[0]); i >= 0 {
		end := strings.IndexByte(rest[1:], "}>'"[i])
		if end < 0 {
			return errors.New("a reference is not closed")
		}
		t.pos += end + 2
		return t.referenceTo(rest[1 : end+1])
	}
	n := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	t.pos += n
	return t.referenceTo(rest[:n])
}

// referenceTo refers to a group by name, number or negative number.
func (t *translator) referenceTo(which string) error {
	if n, ok := t.names[which]; ok {
		return t.reference(n)
	}
	n, err := strconv.Atoi(which)
	if err != nil {
		return fmt.Errorf("a reference to %q, which is no group", which)
	}
	if n < 0 {
		n += t.groups + 1
	}
	return t.reference(n)
}

func (t *translator) reference(n int) error {
	if n < 1 || n > t.groups {
		return fmt.Errorf("a reference to group %d of %d", n, t.groups)
	}
	t.heavy = true
	t.atom = len(t.out)
	mode := "(?:"
	if t.modes.fold {
		mode = "(?i:"
	}
	t.out = fmt.Appendf(t.out, `%s\%d)`, mode, n)
	return nil
}

// openParen translates the beginning of a group.
func (t *translator) openParen() error {
	rest := t.in[t.pos+1:]
	if strings.HasPrefix(rest, "*") {
		return errors.New("a verb is not supported")
	}
	if !strings.HasPrefix(rest, "?") {
		t.pos++
		if t.named {
			return t.push("(?:")
		}
		t.groups++
		return t.push("(")
	}
	t.pos += 2
	rest = t.in[t.pos:]
	for _, plain := range []string{":", "=", "!", "<=", "<!", ">"} {
		if strings.HasPrefix(rest, plain) {
			t.pos += len(plain)
			t.heavy = t.heavy || plain != ":"
			return t.push("(?" + plain)
		}
	}
	switch {
	case strings.HasPrefix(rest, "#"):
		return t.comment()
	case strings.HasPrefix(rest, "P="):
		return t.namedReference()
	case strings.HasPrefix(rest, "P<"), strings.HasPrefix(rest, "<"), strings.HasPrefix(rest, "'"):
		return t.namedGroup()
	}
	return t.options()
}

// push opens a group whose text begins with head.
func (t *translator) push(head string) error {
	if len(t.open) >= maxDepth {
		return fmt.Errorf("more than %d groups within groups", maxDepth)
	}
	t.open = append(t.open, openGroup{start: len(t.out), modes: t.modes})
	t.out, t.atom = append(t.out, head...), -1
	return nil
}

func (t *translator) closeParen() error {
	if len(t.open) == 0 {
		return errors.New("a group is closed that is not open")
	}
	t.pos++
	last := t.open[len(t.open)-1]
	t.open = t.open[:len(t.open)-1]
	t.out, t.atom, t.modes = append(t.out, ')'), last.start, last.modes
	return nil
}

func (t *translator) comment() error {
	end := strings.IndexByte(t.in[t.pos:], ')')
	if end < 0 {
		return errors.New("a comment is not closed")
	}
	t.pos += end + 1
	return nil
}

// namedReference translates the (?P=name) whose P is at pos.
func (t *translator) namedReference() error {
	name, _, found := strings.Cut(t.in[t.pos+2:], ")")
	if !found {
		return errors.New("a reference is not closed")
	}
	t.pos += 2 + len(name) + 1
	return t.referenceTo(name)
}

// namedGroup translates (?<name>, (?P<name> and (?'name' into a plain group:
// groups are asked for by number, and the two engines number named ones
// differently.
func (t *translator) namedGroup() error {
	rest := strings.TrimPrefix(t.in[t.pos:], "P")
	closing := byte('>')
	if rest[0] == '\'' {
		closing = '\''
	}
	end := strings.IndexByte(rest[1:], closing)
	if end < 1 {
		return errors.New("a group's name is not closed")
	}
	t.pos = len(t.in) - len(rest) + end + 2
	t.groups++
	t.names[rest[1:end+1]] = t.groups
	return t.push("(")
}

// options translates (?i), (?s-i:…) and the like, whose first letter is at pos.
func (t *translator) options() error {
	m, on := t.modes, true
	for ; t.pos < len(t.in); t.pos++ {
		switch c := t.in[t.pos]; {
		case c == '-':
			on = false
		case c == 'i':
			m.fold = on
		case c == 'x':
			m.extended = on
		case c == 's' && t.dialect == PCRE, c == 'm' && t.dialect == Ruby:
			m.dotAll = on
		case c == 'm':
			m.lines = on
		case c == ')':
			t.pos++
			t.modes, t.atom = m, -1
			return nil
		case c == ':':
			t.pos++
			err := t.push("(?:")
			t.modes = m
			return err
		default:
			return fmt.Errorf("(?%c is not supported", c)
		}
	}
	return errors.New("a group is not closed")
}
