package osguess

import (
	"cmp"
	"math"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/osguess/synack"
)

// How guesses from headers are judged; points of 100.
const (
	threshold  = 72 // below it, no guess
	alike      = 4  // signatures this near each other cannot be told apart
	behind     = 15 // further behind the best than this, not worth naming
	stackLimit = 95 // headers alone are never more certain than this
	plainLimit = 80 // nor than this where the options say nothing
	torn       = 10 // what each unrelated family as good as the best costs
	twoHosts   = 15 // the RST came from another stack than the SYN-ACK
)

// candidate is what one family's signatures made of a print.
type candidate struct {
	name, family string
	first, last  int
	score        float64
}

// guess judges one print; best first.
func (t *stacks) guess(p synack.Print) []exposure.OSGuess {
	if p.SYNACK == nil {
		return nil
	}
	found := t.joinKin(t.byFamily(observe(p)))
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	limit := stackLimit
	if len(p.SYNACK.Layout) <= 1 {
		limit = plainLimit
	}
	var out []exposure.OSGuess
	for _, c := range found {
		if c.score < threshold || c.score < found[0].score-behind {
			break
		}
		out = append(out, exposure.OSGuess{Name: c.name, Via: ViaStack,
			Accuracy: max(1, min(limit, int(math.Round(c.score)))-doubt(found, p))})
	}
	return out
}

// byFamily takes each family's best signature, and widens its range of
// versions by those that fit as well.
func (t *stacks) byFamily(features []seen) []candidate {
	scores := make([]float64, len(t.signatures))
	best := map[string]float64{}
	for i := range t.signatures {
		s := &t.signatures[i]
		scores[i] = t.score(s, features)
		best[s.family] = max(best[s.family], scores[i])
	}
	var found []candidate
	for i := range t.signatures {
		s := &t.signatures[i]
		if scores[i] < best[s.family]-alike {
			continue
		}
		at := slices.IndexFunc(found, func(c candidate) bool { return c.family == s.family })
		if at < 0 {
			found = append(found, candidate{family: s.family, first: s.first, last: s.last, score: best[s.family]})
			continue
		}
		found[at].first, found[at].last = min(found[at].first, s.first), max(found[at].last, s.last)
	}
	for i, c := range found {
		found[i].name = t.name(c.family, c.first, c.last)
	}
	return found
}

// joinKin gives families that share a name, and that cannot be told apart
// here, one guess under it.
func (t *stacks) joinKin(found []candidate) []candidate {
	best := map[string]float64{}
	for _, c := range found {
		best[t.kin[c.family]] = max(best[t.kin[c.family]], c.score)
	}
	near := func(c candidate) bool {
		kin := t.kin[c.family]
		return kin != "" && c.score >= best[kin]-alike
	}
	sharing := map[string]int{}
	for _, c := range found {
		if near(c) {
			sharing[t.kin[c.family]]++
		}
	}
	var out []candidate
	for _, c := range found {
		if kin := t.kin[c.family]; near(c) && sharing[kin] > 1 {
			c.name, c.score = kin, best[kin]
		}
		if !slices.ContainsFunc(out, func(o candidate) bool { return o.name == c.name }) {
			out = append(out, c)
		}
	}
	return out
}

// doubt is what a print's guesses lose together: others are as good as the
// best, or two stacks answered for one address.
func doubt(found []candidate, p synack.Print) int {
	points := 0
	for _, c := range found[1:] {
		if c.score >= threshold && c.score >= found[0].score-alike {
			points += torn
		}
	}
	if p.RST != nil && synack.InitialTTL(p.RST.TTL) != synack.InitialTTL(p.SYNACK.TTL) {
		points += twoHosts
	}
	return points
}
