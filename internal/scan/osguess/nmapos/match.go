package nmapos

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/osguess/synack"
)

// Via is the word of this database's guesses.
const Via = "nmap-os-db"

// How guesses are judged; points of 100.
const (
	most       = 75   // a handshake shows too little for more
	mostPlain  = 40   // where the options are nothing but a segment size
	worstFit   = 0.85 // of the weights compared
	asGood     = 0.05 // of the best fit: cannot be told apart
	leastShare = 0.25 // of the fingerprints that fit best
	maxGuesses = 2
)

// Match gives the families among the fingerprints that fit best.
func (t *Table) Match(p synack.Print) []exposure.OSGuess {
	if p.SYNACK == nil || !p.Addr.Is4() {
		return nil
	}
	credits := t.compare(observe(p))
	scores := make([]float64, len(t.fingerprints))
	for i := range t.fingerprints {
		scores[i] = t.score(&t.fingerprints[i], &credits)
	}
	best := slices.Max(scores)
	if best < worstFit {
		return nil
	}
	var fitting []*fingerprint
	for i := range t.fingerprints {
		if scores[i] >= best-asGood {
			fitting = append(fitting, &t.fingerprints[i])
		}
	}
	limit := float64(most)
	if len(p.SYNACK.Layout) <= 1 {
		limit = mostPlain
	}
	return tell(fitting, limit*best)
}

// comparison gives the part of an attribute's weight that an expression
// earns, or skip.
type comparison func(expression string) float64

// observe says how each attribute is compared with what was heard; nil where
// nothing was.
func observe(p synack.Print) [attributes]comparison {
	a := p.SYNACK
	tests := [attributes]comparison{
		attrOptions: options(a),
		attrWindow:  number(uint64(a.Window)),
		attrDF:      word(yes(a.DF)),
		attrTTL:     number(uint64(synack.InitialTTL(a.TTL))),
		attrID:      func(e string) float64 { return idCredit(e, a.ID) },
	}
	if p.ECNAsked {
		tests[attrECN] = word(congestion(a))
	}
	if p.RST != nil {
		tests[attrResetDF] = word(yes(p.RST.DF))
		tests[attrResetTTL] = number(uint64(synack.InitialTTL(p.RST.TTL)))
		tests[attrResetWin] = number(uint64(p.RST.Window))
	}
	if p.Echo != 0 {
		tests[attrEchoTTL] = number(uint64(synack.InitialTTL(p.Echo)))
	}
	return tests
}

// compare gives the credit of every expression of the table, by its place;
// the first is that of no expression.
func (t *Table) compare(tests [attributes]comparison) [attributes][]float64 {
	var credits [attributes][]float64
	for a, compare := range tests {
		credits[a] = make([]float64, len(t.expressions[a])+1)
		credits[a][0] = skip
		for i, e := range t.expressions[a] {
			credits[a][i+1] = skip
			if compare != nil {
				credits[a][i+1] = compare(e)
			}
		}
	}
	return credits
}

// skip says that an attribute tells nothing here.
const skip = -1

func number(have uint64) comparison {
	return func(e string) float64 { return credit(permits(e, have)) }
}

func word(have string) comparison {
	return func(e string) float64 { return credit(oneOf(e, have)) }
}

func credit(fits bool) float64 {
	if fits {
		return 1
	}
	return 0
}

func yes(b bool) string {
	if b {
		return "Y"
	}
	return "N"
}

// congestion is the attribute CC: what the answer to an ECN-setup SYN has.
func congestion(a *synack.Answer) string {
	switch ece, cwr := a.ECE(), a.CWR(); {
	case ece && cwr:
		return "S"
	case ece:
		return "Y"
	case cwr:
		return "O"
	}
	return "N"
}

// idCredit compares one identification with how six of them went: Z is always
// zero. The other letters cannot be told from one.
func idCredit(expression string, id uint16) float64 {
	if zero := oneOf(expression, "Z"); id == 0 || zero && expression == "Z" {
		return credit(zero && id == 0)
	}
	return skip
}

// options compares the options: the whole for the same text, half for the same
// order.
func options(a *synack.Answer) comparison {
	have := optionText(a)
	sized, order := withoutSize(have, a.MSS), letters(have)
	return func(expression string) float64 {
		best := 0.0
		for part := range strings.SplitSeq(expression, "|") {
			switch {
			case withoutSize(part, a.MSS) == sized:
				return 1
			case letters(part) == order:
				best = 0.5
			}
		}
		return best
	}
}

// optionText writes the options as the database does: M and W with their
// numbers, T with a digit for each timestamp that is not zero, L for the end.
func optionText(a *synack.Answer) string {
	var b strings.Builder
	for _, letter := range []byte(a.Layout) {
		switch letter {
		case synack.LetterMSS:
			fmt.Fprintf(&b, "M%X", a.MSS)
		case synack.LetterScale:
			fmt.Fprintf(&b, "W%X", a.Scale)
		case synack.LetterTimestamp:
			fmt.Fprintf(&b, "T%d%d", min(a.TSVal, 1), min(a.TSEcr, 1))
		case synack.LetterEnd:
			b.WriteString("L" + strings.Repeat("L", a.Pad))
		default:
			b.WriteByte(letter)
		}
	}
	return b.String()
}

// usualSegment is what a link of today gives; below it the size is the
// system's own choice.
const usualSegment = 1000

// withoutSize leaves out the segment size where it and ours are usual ones.
func withoutSize(text string, ours uint16) string {
	at := strings.IndexByte(text, 'M')
	if at < 0 || ours < usualSegment {
		return text
	}
	end := at + 1
	for end < len(text) && strings.IndexByte("0123456789ABCDEF", text[end]) >= 0 {
		end++
	}
	if n, err := strconv.ParseUint(text[at+1:end], 16, 32); err != nil || n < usualSegment {
		return text
	}
	return text[:at+1] + text[end:]
}

// letters leaves only the order. Hexadecimal digits follow letters that are
// none themselves.
func letters(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("MNWSTL", r) {
			return r
		}
		return -1
	}, text)
}

// score is the part of the weights that a fingerprint earns, of those of the
// attributes that both have.
func (t *Table) score(f *fingerprint, credits *[attributes][]float64) float64 {
	var earned, all float64
	for a, at := range f.tests {
		part := credits[a][at]
		if part == skip {
			continue
		}
		weight := float64(t.weights[a])
		all += weight
		earned += weight * part
	}
	if f.tests[attrOptions] == 0 || all == 0 {
		return 0
	}
	return earned / all
}

// tell names the families that the best fingerprints have, by their share of
// an accuracy.
func tell(fitting []*fingerprint, accuracy float64) []exposure.OSGuess {
	generations := map[string]map[string]bool{}
	count := map[string]int{}
	for _, f := range fitting {
		seen := map[string]bool{}
		for _, c := range f.classes {
			name := c.name()
			if !seen[name] {
				seen[name] = true
				count[name]++
			}
			if generations[name] == nil {
				generations[name] = map[string]bool{}
			}
			generations[name][c.generation] = true
		}
	}
	names := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	var out []exposure.OSGuess
	for _, name := range names[:min(len(names), maxGuesses)] {
		share := float64(count[name]) / float64(len(fitting))
		if share < leastShare {
			break
		}
		out = append(out, exposure.OSGuess{Name: named(name, generations[name]), Via: Via,
			Accuracy: int(accuracy * min(1, share))})
	}
	return out
}

// name is the family, with the vendor where the family is no name by itself.
func (c class) name() string {
	if c.family == "" || c.family == "embedded" {
		return strings.TrimSpace(c.vendor + " embedded")
	}
	return c.family
}

// named adds the generations: a range of "4.X" kinds, up to three others.
func named(family string, generations map[string]bool) string {
	all := slices.SortedFunc(maps.Keys(generations), byNumber)
	switch {
	case generations[""]:
		return family
	case len(all) == 1:
		return family + " " + all[0]
	case !slices.ContainsFunc(all, func(g string) bool { return !strings.HasSuffix(g, ".X") }):
		return family + " " + all[0] + "–" + all[len(all)-1]
	case len(all) <= 3:
		return family + " " + strings.Join(all, "/")
	}
	return family
}

// byNumber orders generations such as "2.6.X" and "10.X".
func byNumber(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		if errX != nil || errY != nil {
			break
		}
		if x != y {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(a, b)
}
