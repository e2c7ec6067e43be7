package osguess

import (
	"cmp"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
)

// maxGuesses bounds what is told of one host.
const maxGuesses = 5

// certain is what no guess exceeds, however many witnesses agree.
const certain = 98

// guess is one with the family it belongs to ("" where none is known).
type guess struct {
	exposure.OSGuess
	family string
}

// claims turns banners' claims into guesses: the same name once, a little more
// certain for each further service that says so.
func claims(found []claim) []guess {
	var out []guess
	for _, c := range found {
		at := slices.IndexFunc(out, func(g guess) bool { return g.Name == c.name })
		if at < 0 {
			out = append(out, guess{exposure.OSGuess{Name: c.name, Accuracy: c.accuracy, Via: ViaBanner}, c.family})
			continue
		}
		out[at].Accuracy = min(certain, max(out[at].Accuracy, c.accuracy)+3)
	}
	return out
}

// combine lets what banners say and what headers show bear each other out, and
// keeps what they disagree about: a Windows banner behind a Linux stack may be
// a load balancer or a container, and both are true.
func (t *stacks) combine(all []guess) []exposure.OSGuess {
	raised := slices.Clone(all)
	for i, g := range all {
		best := 0
		for _, other := range all {
			if (g.Via == ViaBanner) != (other.Via == ViaBanner) && t.related(g.family, other.family) {
				best = max(best, other.Accuracy)
			}
		}
		// Half of the witness counts: it was heard from the same host.
		raised[i].Accuracy = min(max(certain, g.Accuracy), 100-(100-g.Accuracy)*(200-best)/200)
	}
	slices.SortStableFunc(raised, func(a, b guess) int { return cmp.Compare(b.Accuracy, a.Accuracy) })
	return choose(raised)
}

// choose takes at most maxGuesses, each kind of witness heard first.
func choose(sorted []guess) []exposure.OSGuess {
	picked := make([]bool, len(sorted))
	left := maxGuesses
	heard := map[string]bool{}
	for i, g := range sorted {
		if !heard[g.Via] && left > 0 {
			heard[g.Via], picked[i] = true, true
			left--
		}
	}
	var out []exposure.OSGuess
	for i, g := range sorted {
		if !picked[i] && left > 0 {
			picked[i] = true
			left--
		}
		if picked[i] {
			out = append(out, g.OSGuess)
		}
	}
	return out
}
