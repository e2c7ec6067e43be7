package bytepattern

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// none stands for a group that took no part in a match.
const none = "\x00none"

// budget is time for anything.
func budget() *Budget { return &Budget{Left: time.Hour} }

// found are the groups of a match as text; nil is no match.
func found(t testing.TB, p *Pattern, text string) []string {
	t.Helper()
	g, ok, err := p.Find(NewText([]byte(text)), budget())
	if err != nil {
		t.Fatalf("%q: %v", p.Source(), err)
	}
	if !ok {
		return nil
	}
	groups := []string{}
	for n := range len(g.loc) / 2 {
		s, took := g.Get(n)
		if !took {
			s = none
		}
		groups = append(groups, s)
	}
	return groups
}

// What the two dialects mean, one line each: pattern, options, text, groups.
func TestDialects(t *testing.T) {
	for _, c := range []struct {
		d             Dialect
		f             Flags
		pattern, text string
		want          string // groups joined by a slash; "none"
	}{
		{PCRE, Flags{}, `^a(b)?c$`, "ac\n", "ac\n/" + none},
		{PCRE, Flags{}, `^a$`, "a\n\n", "none"},
		{PCRE, Flags{}, `^b`, "a\nb", "none"},
		{Ruby, Flags{}, `^b$`, "a\nb\nc", "b"},
		{PCRE, Flags{}, `(?m)^b$`, "a\nb\nc", "b"},
		{PCRE, Flags{}, `a.b`, "a\nb", "none"},
		{PCRE, Flags{DotAll: true}, `a.b`, "a\nb", "a\nb"},
		{PCRE, Flags{}, `(?s:a.)b.`, "a\nb\n", "none"},
		{Ruby, Flags{}, `(?m)a.b`, "a\nb", "a\nb"},
		{Ruby, Flags{}, `a.b`, "a·b", "a·b"},
		{PCRE, Flags{}, `a.b`, "a·b", "none"},
		{PCRE, Flags{}, `a..b`, "a·b", "a·b"},
		{PCRE, Flags{}, `\h+`, "ab \t", " \t"},
		{Ruby, Flags{}, `\h+`, "xyfF0", "fF0"},
		{PCRE, Flags{}, `\s`, "\v", "\v"},
		{PCRE, Flags{}, `\w`, "\xe9", "none"},
		{PCRE, Flags{IgnoreCase: true}, `K\xe9`, "k\xe9", "k\xe9"},
		{PCRE, Flags{IgnoreCase: true}, `\xe9`, "\xc9", "none"},
		{PCRE, Flags{IgnoreCase: true}, `[^a]`, "A", "none"},
		{PCRE, Flags{IgnoreCase: true}, `[k-m]+(?-i)x`, "KLMx", "KLMx"},
		{PCRE, Flags{}, `(?i:a)b`, "AB", "none"},
		{PCRE, Flags{}, `[\x80-\xff]+`, "a\x80\xff", "\x80\xff"},
		{PCRE, Flags{}, `[^\0]+`, "\x00a\xff", "a\xff"},
		{PCRE, Flags{}, `[]a-]+[[:digit:][:^print:]]`, "]-a\x01", "]-a\x01"},
		{PCRE, Flags{}, `[\d-x]+[a\]]`, "1-x]", "1-x]"},
		{PCRE, Flags{}, `\0\01\x2\x{41}\e\cA`, "\x00\x01\x02A\x1b\x01", "\x00\x01\x02A\x1b\x01"},
		{PCRE, Flags{}, `a{2}b{,3}c{x}`, "aab{,3}c{x}", "aab{,3}c{x}"},
		{Ruby, Flags{}, `^a{,2}$`, "aa", "aa"},
		{PCRE, Flags{}, `\Qa.b\E.`, "a.bc", "a.bc"},
		{PCRE, Flags{}, `(?x) a \  b # c` + "\n" + `[ ]`, "a b ", "a b "},
		{PCRE, Flags{}, `a(?#no)b`, "ab", "ab"},
		{PCRE, Flags{}, `(?<n>a)(b)\k<n>`, "aba", "aba/a/b"},
		{PCRE, Flags{}, `(?P<n>a)(?P=n)\g{-1}0`, "aaa0", "aaa0/a"},
		{Ruby, Flags{}, `(a)(?<n>b)`, "ab", "ab/b"},
		{PCRE, Flags{}, `a++b|a`, "aab", "aab"},
		{PCRE, Flags{}, `(?>a+)ab`, "aaab", "none"},
		{PCRE, Flags{}, `(?<!x)a(?!b)`, "xa ab ac", "a"},
		{PCRE, Flags{}, `(?<=\xe9)\ba`, "\xe9a", "a"},
		{PCRE, Flags{}, `a\b(?= )\B `, "a ", "none"},
		{PCRE, Flags{}, `(?=a)a$`, "a\n", "a"},
		{PCRE, Flags{}, `x{1001}`, strings.Repeat("x", 1001), strings.Repeat("x", 1001)},
		{PCRE, Flags{IgnoreCase: true}, `(a)\1`, "aA", "aA/a"},
		{PCRE, Flags{}, `\R\N\Z`, "\r\na\n", "\r\na\n"},
	} {
		got := "none"
		if groups := found(t, New(c.pattern, c.d, c.f, &Shelf{Timeout: time.Minute}), c.text); groups != nil {
			got = strings.Join(groups, "/")
		}
		if got != c.want {
			t.Errorf("%v %q %+v on %q: %q, want %q", c.d, c.pattern, c.f, c.text, got, c.want)
		}
	}
}

// What cannot be run says so, and is asked of no engine.
func TestUnsupported(t *testing.T) {
	for _, pattern := range []string{`(`, `)`, `[a`, `a\`, `*`, `(?R)`, `(?|a)`, `(*ACCEPT)`, `a\Kb`, `(?(1)a)`, `\p{L}`, `\k<n>`, `\g9`, `(?<n`, `(?#`, `(?z)`, `[b-a]`, `[\z]`, `\x{100}`, `(?P=x`,
		strings.Repeat("(", 200) + strings.Repeat(")", 200), strings.Repeat("a", maxPattern+1)} {
		p := New(pattern, PCRE, Flags{}, new(Shelf))
		if _, err := p.Check(); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%.40q: %v", pattern, err)
		}
	}
}

// What a pattern needs is never more than what a match of it holds.
func TestNeed(t *testing.T) {
	for pattern, want := range map[string]need{
		`^220 (\S+) ESMTP\r\n`:   {prefix: "220 ", within: " ESMTP\r\n"},
		`^ab?cd*e+`:              {prefix: "a", within: "c"},
		`a|b`:                    {},
		`^abc{2}d(?:x|y)efg\.h?`: {prefix: "ab", within: "efg."},
		`x(?i)y`:                 {},
		`^[a-z\]](?!\)|[)])long`: {within: "long"},
		`^abc`:                   {prefix: "abc"},
		`.\dhello\Qa|b\E`:        {},
		`a{,2}b{x`:               {within: "a{,2}b{x"},
	} {
		if got := scanNeed(pattern, PCRE, Flags{}); got != want {
			t.Errorf("%q: %+v, want %+v", pattern, got, want)
		}
	}
	if got := scanNeed("^HeLLo", PCRE, Flags{IgnoreCase: true}); got.prefix != "hello" || !got.lower {
		t.Errorf("%+v", got)
	}
	if got := scanNeed("^a", Ruby, Flags{}); got.prefix != "" || got.within != "a" {
		t.Errorf("%+v", got)
	}
}

// drawPattern makes patterns of everything that both engines and Python have.
func drawPattern(t *rapid.T, depth int) string {
	atoms := []string{"a", "b", "A", `\x41`, `\.`, ".", `[ab]`, `[^a]`, `\w`, `\S`, `[\x80-\xff]`, `\r\n`, `\xe9`, `[]b]`, "a?", "b*", "a+?", "(b)", "^", "$", `\b`, "ab", "a{2}"}
	var b strings.Builder
	for range rapid.IntRange(0, 5).Draw(t, "atoms") {
		if depth > 0 && rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
			open := rapid.SampledFrom([]string{"(", "(?:", "(?=", "(?!", "(?<!a)("}).Draw(t, "open")
			b.WriteString(open + drawPattern(t, depth-1) + ")")
			continue
		}
		b.WriteString(rapid.SampledFrom(atoms).Draw(t, "atom"))
	}
	if depth > 0 && rapid.IntRange(0, 4).Draw(t, "alt") == 0 {
		b.WriteString("|" + drawPattern(t, depth-1))
	}
	return b.String()
}

// The literals asked for first change no answer, and both engines agree.
func TestNeedAndEnginesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := drawPattern(t, 2)
		flags := Flags{IgnoreCase: rapid.Bool().Draw(t, "i"), DotAll: rapid.Bool().Draw(t, "s")}
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "A", ".", "\n", "\r\n", "\xe9", "\xc9", "]", " "}), 0, 8).Draw(t, "text"), "")
		p, plain := New(source, PCRE, flags, &Shelf{Room: 2, Timeout: time.Minute}), New(source, PCRE, flags, &Shelf{Room: 2, Timeout: time.Minute})
		plain.need = need{}
		g, ok, err := p.Find(NewText([]byte(text)), budget())
		h, okPlain, errPlain := plain.Find(NewText([]byte(text)), budget())
		if ok != okPlain || err != nil || errPlain != nil {
			t.Fatalf("%q on %q: %v %v with literals, %v %v without", source, text, ok, err, okPlain, errPlain)
		}
		if !ok || plain.compiled().heavy != nil {
			return
		}
		heavyText, _, err := translate(source, PCRE, flags, backtracking)
		if err != nil {
			t.Fatal(err)
		}
		re, err := compileHeavy(heavyText, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		k, okHeavy, err := findHeavy(re, NewText([]byte(text)))
		one, _ := h.Get(1)
		two, _ := k.Get(1)
		if again, _ := g.Get(1); !okHeavy || err != nil || one != two || one != again {
			t.Fatalf("%q on %q: group 1 is %q and %q, %v", source, text, one, two, err)
		}
	})
}

// Patterns beyond the shelf's room work, and are not kept.
func TestShelf(t *testing.T) {
	shelf := &Shelf{Room: 1}
	first, second := New("a", PCRE, Flags{}, shelf), New("b", PCRE, Flags{}, shelf)
	for range 2 {
		if found(t, first, "a") == nil || found(t, second, "b") == nil {
			t.Fatal("no match")
		}
	}
	if first.kept.Load() == nil || second.kept.Load() != nil || shelf.kept.Load() != 1 {
		t.Error("one of the two should be kept")
	}
}

// A pattern that backtracks without end is stopped; no time and a context that
// is done stop any that would be tried.
func TestTime(t *testing.T) {
	p := New(`^(?=a)(a*)*(b|c)\1$`, PCRE, Flags{}, &Shelf{Room: 1})
	b := budget()
	start := time.Now()
	if _, _, err := p.Find(NewText([]byte(strings.Repeat("a", 4096))), b); !errors.Is(err, ErrTimeout) {
		t.Error(err)
	}
	if took := time.Since(start); took > 30*time.Second || b.Left > time.Hour-matchTimeout/2 {
		t.Errorf("%v, %v left", took, b.Left)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, b := range []*Budget{{}, {Left: time.Hour, Context: ctx}} {
		if _, _, err := p.Find(NewText([]byte("a")), b); !errors.Is(err, ErrBudget) {
			t.Error(err)
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, s := range []string{`^a(b)?c$`, `(?i)[^\x80]{2,}(?<!x)`, `(?<n>a)\k<n>\g{-1}`, `[[:alpha:]\]-]`, `(?>a+)b++`, `(?s-m:.)`, `\Q(\E`, `(?x) #`, `a{1001}{1001}`, `(((a{99}){99}){99})\1`} {
		f.Add(s, true, "aab\xff\n")
	}
	f.Fuzz(func(t *testing.T, source string, other bool, text string) {
		if len(text) > 1024 || len(source) > 1024 {
			return
		}
		d := PCRE
		if other {
			d = Ruby
		}
		g, ok, _ := New(source, d, Flags{IgnoreCase: other}, new(Shelf)).Find(NewText([]byte(text)), &Budget{Left: time.Second})
		if whole, _ := g.Get(0); ok && !strings.Contains(text, whole) {
			t.Errorf("%q on %q: %q", source, text, whole)
		}
	})
}
