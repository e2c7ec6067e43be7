package connect

import (
	"math"

	"github.com/portreeve/portreeve/internal/exposure"
)

// missShare is the share of answering ports that retries may miss.
const missShare = 0.0005

// enough is how many attempts make an estimate worth acting on.
const enough = 16

// lossMeter measures how many attempts at ports that do answer go unanswered:
// the loss of a round trip, probe or answer, wherever on the way.
type lossMeter struct {
	attempts, lost         int64 // of ports that answered in the end
	canaries, canariesLost int64
}

// answered takes a port that answered after missed attempts.
func (l *lossMeter) answered(missed int) {
	l.attempts += int64(missed) + 1
	l.lost += int64(missed)
}

func (l *lossMeter) canary(answered bool) {
	l.canaries++
	if !answered {
		l.canariesLost++
	}
}

// estimate pools canaries and retries; 0 where nothing answered.
func (l *lossMeter) estimate() float64 { return share(l.lost+l.canariesLost, l.attempts+l.canaries) }

// suspected is the estimate that retries go by. While ports still wait to be
// asked again the pooled one is too low, so the canaries' own counts if it is
// higher.
func (l *lossMeter) suspected() float64 {
	if l.attempts+l.canaries < enough {
		return 0
	}
	if l.canaries < enough {
		return l.estimate()
	}
	return max(l.estimate(), share(l.canariesLost, l.canaries))
}

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// report is the measured loss as results give it.
func (l *lossMeter) report() exposure.ScanLoss {
	return exposure.ScanLoss{CanarySent: l.canaries, CanaryLost: l.canariesLost, Estimate: l.estimate()}
}

// triesFor is how often a silent port of h is asked: base times where the
// host never answered; once more where silence is its exception; and, where
// loss is measured, until fewer than missShare of answering ports are missed.
func triesFor(h *host, base int, loss float64) int {
	if h.answered == 0 {
		return base
	}
	n := base
	if h.answered > 3*h.silent {
		n++
	}
	if loss > 0 && loss < 1 {
		n = max(n, int(math.Ceil(math.Log(missShare)/math.Log(loss))))
	}
	if loss >= 1 {
		n = mostTries
	}
	return max(base, min(n, mostTries))
}
