package flow

import (
	"fmt"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// Grade says what a capture is worth as evidence.
type Grade struct {
	// Letter is A (nothing is missing that shows), B (small blemishes), C
	// (counts are estimates), D (most conclusions are doubtful), F (none is
	// possible).
	Letter string
	// Because are the reasons, Means what each means for conclusions: one
	// sentence of Means for each of Because.
	Because, Means []string
}

// Judge grades a capture by its own counts and by what its source lost.
func Judge(q Quality, s capture.Stats) Grade {
	g := Grade{Letter: "A"}
	if q.Packets == 0 {
		g.note("F", "no packets", "nothing can be concluded, neither that a service is used nor that it is not")
		return g
	}
	g.drops(q, s)
	g.oneSided(q)
	g.undecoded(q)
	g.duplicates(q)
	g.truncated(q)
	g.fragments(q)
	g.giants(q)
	g.evicted(q)
	return g
}

// note adds a reason that allows no better letter than the one given.
func (g *Grade) note(letter, because, means string) {
	g.Letter = max(g.Letter, letter)
	g.Because = append(g.Because, because)
	g.Means = append(g.Means, means)
}

// step gives the letter for a share: each bound that it reaches makes it worse.
func step(share float64, bounds [4]float64) string {
	letters := "ABCDF"
	n := 0
	for i, b := range bounds {
		if share >= b {
			n = i + 1
		}
	}
	return letters[n : n+1]
}

// never is a bound that no share reaches.
const never = 2

func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// percent shows a share so that a small one does not look like none.
func percent(part, whole uint64) string {
	p := 100 * share(part, whole)
	if p > 0 && p < 0.1 {
		return "under 0.1 %"
	}
	if p > 99.9 && part < whole {
		return "over 99.9 %"
	}
	return fmt.Sprintf("%.3g %%", p)
}

func (g *Grade) drops(q Quality, s capture.Stats) {
	lost := s.Dropped + s.IfDropped
	if lost == 0 {
		return
	}
	all := q.Packets + lost
	g.note(step(share(lost, all), [4]float64{0, 0.001, 0.02, 0.3}),
		fmt.Sprintf("%d packets (%s) were dropped before they could be counted", lost, percent(lost, all)),
		"packets and bytes are lower bounds, and a flow that is not listed may still have been there")
}

func (g *Grade) oneSided(q Quality) {
	part := share(q.OneSidedFlows, q.Conversations)
	if q.OneSidedFlows == 0 || part < 0.1 {
		return
	}
	because := fmt.Sprintf("%d of %d conversations (%s) have packets in one direction only",
		q.OneSidedFlows, q.Conversations, percent(q.OneSidedFlows, q.Conversations))
	g.note(step(part, [4]float64{0.1, 0.4, 0.8, never}), because,
		"either nobody answered (scans, closed ports) or the capture sees one direction: that a port was not answered is not shown")
}

func (g *Grade) undecoded(q Quality) {
	if q.Undecoded == 0 {
		return
	}
	g.note(step(share(q.Undecoded, q.Packets), [4]float64{0.01, 0.1, 0.5, 0.95}),
		fmt.Sprintf("%d packets (%s) could not be decoded", q.Undecoded, percent(q.Undecoded, q.Packets)),
		"they are in no flow: ports and pairs may be missing")
}

func (g *Grade) duplicates(q Quality) {
	if q.Duplicates == 0 {
		return
	}
	g.note(step(share(q.Duplicates, q.Packets), [4]float64{0.01, 0.2, never, never}),
		fmt.Sprintf("%d packets (%s) are copies of others, as mirror ports make them",
			q.Duplicates, percent(q.Duplicates, q.Packets)),
		"packets and bytes are too high by that much, and copies look like retransmissions; who talks to whom stays right")
}

func (g *Grade) truncated(q Quality) {
	if q.Truncated == 0 {
		return
	}
	g.note(step(share(q.Truncated, q.Packets), [4]float64{0.01, never, never, never}),
		fmt.Sprintf("%d packets (%s) were stored shorter than they were", q.Truncated, percent(q.Truncated, q.Packets)),
		"counts stay right; contents cannot be read, and content gaps in histories may be of the capture's making")
}

func (g *Grade) fragments(q Quality) {
	if q.Orphans == 0 {
		return
	}
	g.note(step(share(q.Orphans, q.Packets), [4]float64{0.001, 0.05, never, never}),
		fmt.Sprintf("%d fragments (%s) came without the first one that names the ports",
			q.Orphans, percent(q.Orphans, q.Packets)),
		"they are in no flow")
}

// jumbo is the largest packet that jumbo frames usually carry.
const jumbo = 9216

func (g *Grade) giants(q Quality) {
	if q.Giants == 0 {
		return
	}
	what := "segmentation offload or jumbo frames"
	if q.Largest > jumbo {
		what = "segmentation offload"
	}
	g.note("A", fmt.Sprintf("%d packets (%s) are larger than 1500 bytes, up to %d: %s",
		q.Giants, percent(q.Giants, q.Packets), q.Largest, what),
		"with offload the network carried more and smaller packets than were counted; bytes are nearly right")
}

func (g *Grade) evicted(q Quality) {
	if q.Evicted == 0 {
		return
	}
	g.note("A", fmt.Sprintf("%d of %d flows had to make room for others", q.Evicted, q.Flows),
		"a long flow may be listed in several parts; sums stay right")
}
