package main

import (
	"slices"
	"time"
)

// pair is one round: both commands, one after the other.
type pair struct{ ours, theirs time.Duration }

// timing sums up the rounds of a contest.
type timing struct {
	ours, theirs       time.Duration // medians
	ratio, least, most float64       // theirs to ours: median, extremes of the pairs
	rounds             int
}

func sumUp(pairs []pair) timing {
	var ours, theirs []time.Duration
	var ratios []float64
	for _, p := range pairs {
		ours, theirs = append(ours, p.ours), append(theirs, p.theirs)
		ratios = append(ratios, float64(p.theirs)/float64(max(p.ours, 1)))
	}
	return timing{
		ours: median(ours), theirs: median(theirs),
		ratio: median(ratios), least: slices.Min(ratios), most: slices.Max(ratios),
		rounds: len(pairs),
	}
}

// median of a list that is not empty; the mean of the middle two when even.
func median[T time.Duration | float64](list []T) T {
	sorted := slices.Sorted(slices.Values(list))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

func mean(list []float64) float64 {
	sum := 0.0
	for _, v := range list {
		sum += v
	}
	return sum / float64(len(list))
}
