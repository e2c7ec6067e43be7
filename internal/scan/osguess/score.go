package osguess

import (
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/scan/osguess/synack"
)

// What a feature earns of its weight.
const (
	creditUsual   = 1.0
	creditUnusual = 0.8
	creditUnknown = 0.5 // the signature does not say
)

// seen is what a print shows of one feature. match compares it with one value
// of the table.
type seen struct {
	feature string
	match   func(value string) bool
}

// observe lists the features that a print shows; those that this protocol or
// this answer cannot show are left out.
func observe(p synack.Print) []seen {
	a := p.SYNACK
	ttl := "ttl"
	if p.Addr.Is6() {
		ttl = "ttl6"
	}
	features := []seen{
		{ttl, isNumber(int(synack.InitialTTL(a.TTL)))},
		{"opts", isText(a.Layout)},
		{"win", func(v string) bool { return windowMatches(a, v) }},
		{"mss", isNumber(int(a.MSS))},
	}
	if a.Scale != synack.NoScale { // else the layout has said so
		features = append(features, seen{"scale", isNumber(a.Scale)})
	}
	if p.Addr.Is4() {
		features = append(features, seen{"df", isYes(a.DF)}, seen{"id", idMatcher(p)})
	}
	if a.HasTimestamp() {
		features = append(features, seen{"tsval", isText(map[bool]string{true: "zero", false: "set"}[a.TSVal == 0])})
	}
	if p.ECNAsked {
		features = append(features, seen{"ecn", isYes(a.ECE() && !a.CWR())})
	}
	if p.Echo != 0 {
		features = append(features, seen{"echo", isNumber(int(synack.InitialTTL(p.Echo)))})
	}
	if p.RST != nil && p.Addr.Is4() {
		features = append(features, seen{"rstdf", isYes(p.RST.DF)})
	}
	return features
}

// score is 0–100: the weights earned of the weights of all that was seen.
// Options in an order that the signature does not know are no fit at all,
// however well the numbers fit: those can be set, the order is the program's.
func (t *stacks) score(s *signature, features []seen) float64 {
	var earned, all float64
	for _, f := range features {
		weight, credit := float64(t.weight(f)), s.credit(f)
		if f.feature == "opts" && credit == 0 {
			return 0
		}
		all += weight
		earned += weight * credit
	}
	if all == 0 {
		return 0
	}
	return 100 * earned / all
}

// weight is a feature's. Options that hold nothing but a segment size weigh
// less, because all stacks that know no others look so.
func (t *stacks) weight(f seen) int {
	if f.feature == "opts" && (f.match("M") || f.match("")) {
		return t.weights["plain"]
	}
	return t.weights[strings.TrimSuffix(f.feature, "6")]
}

func (s *signature) credit(f seen) float64 {
	list, stated := s.features[f.feature]
	if !stated {
		list, stated = s.features[strings.TrimSuffix(f.feature, "6")]
	}
	if !stated {
		return creditUnknown
	}
	best := 0.0
	for _, v := range list {
		if !f.match(v.text) {
			continue
		}
		if !v.unusual {
			return creditUsual
		}
		best = creditUnusual
	}
	return best
}

func isText(have string) func(string) bool { return func(v string) bool { return v == have } }

func isYes(have bool) func(string) bool { return func(v string) bool { return (v == "yes") == have } }

// isNumber compares with a number or a range "a-b".
func isNumber(have int) func(string) bool {
	return func(v string) bool {
		from, to, isRange := strings.Cut(v, "-")
		if !isRange {
			to = from
		}
		a, errA := strconv.Atoi(from)
		b, errB := strconv.Atoi(to)
		return errA == nil && errB == nil && a <= have && have <= b
	}
}

// near is how far apart two identifications of one counter may be that were
// drawn within a second of each other.
const near = 1024

// idMatcher tells zero, count (two answers near each other) and nonzero. A
// single non-zero identification may be of a counter.
func idMatcher(p synack.Print) func(string) bool {
	id := p.SYNACK.ID
	counting := id != 0 && (p.RST == nil || p.RST.ID != 0 && (p.RST.ID-id < near || id-p.RST.ID < near))
	return func(v string) bool {
		switch v {
		case "zero":
			return id == 0
		case "count":
			return counting
		}
		return id != 0
	}
}

// windowMatches compares the window field with one value of the table.
func windowMatches(a *synack.Answer, v string) bool {
	window := int(a.Window)
	if n, err := strconv.Atoi(v); err == nil {
		return window == n
	}
	for _, mss := range segmentSizes(a) {
		if multipleMatches(window, mss, v) {
			return true
		}
	}
	return false
}

func multipleMatches(window, mss int, v string) bool {
	if times, ok := strings.CutPrefix(v, "mss*"); ok {
		if times == "" {
			return window > 0 && window%mss == 0
		}
		n, err := strconv.Atoi(times)
		return err == nil && window == n*mss
	}
	kind, number, _ := strings.Cut(v, ":")
	n, err := strconv.Atoi(number)
	if err != nil || window == 0 {
		return false
	}
	switch kind {
	case "fill":
		return window == n/mss*mss
	case "ceil":
		return window == (n+mss-1)/mss*mss
	}
	return false
}

// segmentSizes are the segment sizes that a window may count in: the answer's
// own, and where a gateway may have lowered that on the way, those of usual
// links (Ethernet for IPv4 and IPv6, jumbo frames of 9000 and 9001 bytes).
func segmentSizes(a *synack.Answer) []int {
	options := int(a.MSS) - a.EffectiveMSS()
	var sizes []int
	for _, mss := range [...]int{int(a.MSS), 1460, 1440, 8960, 8961, 8940} {
		if mss >= int(a.MSS) && mss > options {
			sizes = append(sizes, mss-options)
		}
	}
	return sizes
}
