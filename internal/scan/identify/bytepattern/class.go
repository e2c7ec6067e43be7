package bytepattern

import (
	"errors"
	"fmt"
	"strings"
)

// class translates the bracket expression at pos into the set it stands for.
func (t *translator) class() error {
	s, next, err := parseClass(t.in, t.pos, t.dialect, t.modes.fold)
	if err != nil {
		return err
	}
	t.pos, t.atom = next, len(t.out)
	t.out = append(t.out, s.expression()...)
	return nil
}

// parseClass reads a bracket expression that begins at in[i] and gives the
// index behind it. A bracket that comes first is text.
func parseClass(in string, i int, d Dialect, fold bool) (*set, int, error) {
	i++
	negate := i < len(in) && in[i] == '^'
	if negate {
		i++
	}
	var s set
	for first := true; i < len(in); first = false {
		if in[i] == ']' && !first {
			return finish(&s, fold, negate), i + 1, nil
		}
		next, err := s.addMember(in, i, d)
		if err != nil {
			return nil, 0, err
		}
		i = next
	}
	return nil, 0, errors.New("a class is not closed")
}

// finish folds before it negates: with i, [^a] leaves out A too.
func finish(s *set, fold, negate bool) *set {
	if fold {
		s = s.folded()
	}
	if negate {
		s = s.negated()
	}
	return s
}

// addMember adds the member at in[i], a byte, a range or a class, and gives
// the index behind it.
func (s *set) addMember(in string, i int, d Dialect) (int, error) {
	if named, next := namedMember(in, i); named != nil {
		s.addSet(named)
		return next, nil
	}
	low, err := member(in, i, d)
	if err != nil || low.set != nil {
		if low.set != nil {
			s.addSet(low.set)
		}
		return low.next, err
	}
	dash := low.next
	if dash+1 >= len(in) || in[dash] != '-' || in[dash+1] == ']' {
		s[low.lit] = true
		return low.next, nil
	}
	high, err := member(in, dash+1, d)
	if err != nil {
		return 0, err
	}
	if high.set != nil { // [a-\d]: the dash is text
		s[low.lit], s['-'] = true, true
		s.addSet(high.set)
		return high.next, nil
	}
	if high.lit < low.lit {
		return 0, fmt.Errorf("a range from %q to %q", low.lit, high.lit)
	}
	s.addRange(low.lit, high.lit)
	return high.next, nil
}

// member reads one byte or backslash sequence of a class.
func member(in string, i int, d Dialect) (escaped, error) {
	if in[i] != '\\' {
		return escaped{lit: in[i], next: i + 1}, nil
	}
	e, ok := byteEscape(in, i+1, d, true)
	if !ok {
		return escaped{}, errors.New("a backslash sequence that has no place in a class")
	}
	return e, nil
}

// namedMember reads [:alpha:] or [:^alpha:]; nil where there is none.
func namedMember(in string, i int) (*set, int) {
	if !strings.HasPrefix(in[i:], "[:") {
		return nil, 0
	}
	end := strings.Index(in[i:], ":]")
	if end < 2 {
		return nil, 0
	}
	name, negate := strings.CutPrefix(in[i+2:i+end], "^")
	s := posixClass(name)
	if s != nil && negate {
		s = s.negated()
	}
	return s, i + end + 2
}
