package bytepattern

import (
	"fmt"
	"strings"
)

// set is a set of bytes.
type set [256]bool

func (s *set) addRange(lo, hi byte) {
	for b := int(lo); b <= int(hi); b++ {
		s[b] = true
	}
}

func (s *set) addSet(other *set) {
	for b, in := range other {
		s[b] = s[b] || in
	}
}

func (s *set) negated() *set {
	var not set
	for b, in := range s {
		not[b] = !in
	}
	return &not
}

// folded adds the other case of every ASCII letter of s.
func (s *set) folded() *set {
	both := *s
	for b := 'a'; b <= 'z'; b++ {
		upper := b - 'a' + 'A'
		both[b] = s[b] || s[upper]
		both[upper] = both[b]
	}
	return &both
}

// expression is the set as a class that both engines read alike.
func (s *set) expression() string {
	var b strings.Builder
	for lo := 0; lo < 256; lo++ {
		if !s[lo] {
			continue
		}
		hi := lo
		for hi < 255 && s[hi+1] {
			hi++
		}
		fmt.Fprintf(&b, `\x%02x-\x%02x`, lo, hi)
		lo = hi
	}
	switch b.String() {
	case "":
		return `[^\x00-\xff]` // no byte at all
	case `\x00-\xff`:
		return `(?s:.)`
	}
	return "[" + b.String() + "]"
}

// ranges makes a set from pairs of bounds: "az" is a to z.
func ranges(pairs string) *set {
	var s set
	for i := 0; i+1 < len(pairs); i += 2 {
		s.addRange(pairs[i], pairs[i+1])
	}
	return &s
}

// posixClass is a class name of POSIX in the C locale, or nil.
func posixClass(name string) *set {
	switch name {
	case "alpha":
		return ranges("azAZ")
	case "digit":
		return ranges("09")
	case "alnum":
		return ranges("azAZ09")
	case "upper":
		return ranges("AZ")
	case "lower":
		return ranges("az")
	case "space":
		return ranges("\t\r  ")
	case "blank":
		return ranges("\t\t  ")
	case "cntrl":
		return ranges("\x00\x1f\x7f\x7f")
	case "graph":
		return ranges("!~")
	case "print":
		return ranges(" ~")
	case "punct":
		return ranges("!/:@[`{~")
	case "xdigit":
		return ranges("09afAF")
	case "word":
		return ranges("azAZ09__")
	}
	return nil
}
