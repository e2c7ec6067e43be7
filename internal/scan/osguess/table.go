package osguess

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed stack.txt
var stackText string

// loadStacks reads the embedded table once; a test reads it too, so that an
// error cannot be shipped.
var loadStacks = sync.OnceValues(func() (*stacks, error) { return parseStacks(stackText) })

// stacks is stack.txt. It is not changed once read.
type stacks struct {
	weights    map[string]int
	families   map[string][]string // name → versions, oldest first
	kin        map[string]string   // family → the name it may share
	aliases    map[string]string   // other name → family
	signatures []signature
}

// signature is one line of stack.txt: what a range of versions answers.
type signature struct {
	family      string
	first, last int // indexes of the family's versions; -1 where it has none
	features    map[string][]value
}

// value is one permitted value of a feature.
type value struct {
	text    string
	unusual bool
}

var errTable = errors.New("table of operating systems")

func parseStacks(text string) (*stacks, error) {
	t := &stacks{weights: map[string]int{}, families: map[string][]string{}, kin: map[string]string{}, aliases: map[string]string{}}
	err := eachLine(text, t.line)
	if err == nil && (len(t.signatures) == 0 || len(t.weights) == 0) {
		err = fmt.Errorf("%w: no signature or no weight", errTable)
	}
	return t, err
}

// eachLine hands on the words of every line that is not empty.
func eachLine(text string, line func(words []string) error) error {
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		words, err := split(lines.Text())
		if err == nil && len(words) > 0 {
			err = line(words)
		}
		if err != nil {
			return fmt.Errorf("%w: line %d: %w", errTable, n, err)
		}
	}
	return lines.Err()
}

// split cuts a line into words and Go string literals; # begins a comment.
func split(line string) ([]string, error) {
	var words []string
	for line = strings.TrimSpace(line); line != "" && line[0] != '#'; line = strings.TrimSpace(line) {
		if line[0] == '"' || line[0] == '`' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("a literal that does not end: %w", err)
			}
			word, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			words, line = append(words, word), line[len(quoted):]
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		words, line = append(words, word), rest
	}
	return words, nil
}

func (t *stacks) line(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("%q: too few words", words[0])
	}
	switch name := words[1]; words[0] {
	case "weight":
		n, err := strconv.Atoi(words[len(words)-1])
		t.weights[name] = n
		return err
	case "kin":
		for _, family := range words[2:] {
			t.kin[family] = name
		}
	case "family":
		t.families[name] = words[2:]
	case "alias":
		for _, other := range words[2:] {
			t.aliases[other] = name
		}
	case "sig":
		return t.signature(words[1:])
	default:
		return fmt.Errorf("%q is no word of the table", words[0])
	}
	return nil
}

func (t *stacks) signature(words []string) error {
	versions, known := t.families[words[0]]
	if !known || len(words) < 4 {
		return fmt.Errorf("signature of %q: no such family, or too few words", words[0])
	}
	s := signature{family: words[0], first: slices.Index(versions, words[1]), last: slices.Index(versions, words[2]),
		features: map[string][]value{}}
	if versioned := words[1] != "-" || words[2] != "-"; versioned && (s.first < 0 || s.last < s.first) {
		return fmt.Errorf("signature of %s: %q to %q is no range of its versions", s.family, words[1], words[2])
	}
	for _, word := range words[3:] {
		feature, list, _ := strings.Cut(word, "=")
		if t.weights[strings.TrimSuffix(feature, "6")] == 0 || list == "" {
			return fmt.Errorf("signature of %s: %q is no feature with a weight", s.family, word)
		}
		s.features[feature] = values(list)
	}
	if len(s.features["opts"]) == 0 || len(s.features["ttl"]) == 0 {
		return fmt.Errorf("signature of %s: opts and ttl must be known", s.family)
	}
	t.signatures = append(t.signatures, s)
	return nil
}

func values(list string) []value {
	var out []value
	for text := range strings.SplitSeq(list, ",") {
		plain := strings.TrimPrefix(text, "~")
		out = append(out, value{text: plain, unusual: plain != text})
	}
	return out
}

// name is a family with a range of its versions; the whole range is the
// family's name alone.
func (t *stacks) name(family string, first, last int) string {
	versions := t.families[family]
	switch {
	case first < 0 || first == 0 && last == len(versions)-1 && len(versions) > 1:
		return family
	case first == last:
		return family + " " + versions[first]
	}
	dash := "–"
	if strings.Contains(versions[first]+versions[last], " ") {
		dash = " – "
	}
	return family + " " + versions[first] + dash + versions[last]
}

// familyOf is the family that a name of another table belongs to: the name
// itself, an alias, or either followed by a version. "" where none fits.
func (t *stacks) familyOf(name string) string {
	for end := len(name); end > 0; end = strings.LastIndexByte(name[:end], ' ') {
		head := name[:end]
		if _, ok := t.families[head]; ok {
			return head
		}
		if family, ok := t.aliases[head]; ok {
			return family
		}
	}
	return ""
}

// related tells whether two families are one or may share a guess.
func (t *stacks) related(a, b string) bool {
	return a != "" && (a == b || t.kin[a] != "" && t.kin[a] == t.kin[b])
}
