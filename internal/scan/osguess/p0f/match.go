package p0f

import (
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/osguess/synack"
)

// Via is the word of this database's guesses.
const Via = "p0f"

// Accuracy of a guess by how it was found; a SYN-ACK is all that p0f looks at.
const (
	accuracySpecific = 85
	accuracyGeneric  = 65
	accuracyFuzzy    = 60
)

// maxDistance is how many hops away a host may be (README section 5: TTLs).
const maxDistance = 35

// Match gives the first specific signature that fits, else the first generic,
// else the first that nearly fits; none at all is no guess.
func (t *Table) Match(p synack.Print) []exposure.OSGuess {
	if p.SYNACK == nil {
		return nil
	}
	best, accuracy := -1, 0
	for i := range t.signatures {
		if a := t.signatures[i].judge(p.SYNACK); a > accuracy {
			best, accuracy = i, a
		}
	}
	if best < 0 {
		return nil
	}
	return []exposure.OSGuess{{Name: t.signatures[best].name, Accuracy: accuracy, Via: Via}}
}

// judge is the accuracy of a fit, 0 for none.
func (s *signature) judge(a *synack.Answer) int {
	if !s.fits(a) {
		return 0
	}
	v6 := a.Src.Is6()
	has, want := quirksOf(a)&^quirkECN, s.quirks&^quirkECN
	if v6 {
		want &^= only4
	} else {
		want &^= only6
	}
	gone, added := want&^has, has&^want
	exact := gone == 0 && added == 0 && s.ttlFits(int(a.TTL))
	fuzzy := gone&^(quirkDF|quirkIDPlus) == 0 && added&^quirkIDMinus == 0
	switch {
	case exact && !s.generic:
		return accuracySpecific
	case exact:
		return accuracyGeneric
	case fuzzy && !s.generic:
		return accuracyFuzzy
	}
	return 0
}

// fits compares what must be the same in every kind of match.
func (s *signature) fits(a *synack.Answer) bool {
	version := byte('4')
	if a.Src.Is6() {
		version = '6'
	}
	scale := max(a.Scale, 0) // without the option it counts as 0
	return (s.version == '*' || s.version == version) &&
		(s.ipOpts == anything || s.ipOpts == int(a.IPOptions)) &&
		(s.mss == anything || s.mss == int(a.MSS)) &&
		(s.scale == anything || s.scale == scale) &&
		s.layout == a.Layout && s.pad == a.Pad &&
		(s.payload == '*' || (s.payload == '+') == (a.Payload > 0)) &&
		s.window.fits(a)
}

func (s *signature) ttlFits(ttl int) bool {
	return s.ttl == anything || ttl <= s.ttl && (s.ttlBad || s.ttl-ttl <= maxDistance)
}

func (w window) fits(a *synack.Answer) bool {
	have := int(a.Window)
	headers := 40
	if a.Src.Is6() {
		headers = 60
	}
	switch w.kind {
	case '*':
		return true
	case '=':
		return have == w.n
	case '%':
		return w.n > 0 && have%w.n == 0
	case 'm':
		return a.MSS != 0 && (have == w.n*int(a.MSS) || have == w.n*a.EffectiveMSS())
	}
	return a.MSS != 0 && have == w.n*(int(a.MSS)+headers)
}

// quirksOf lists the oddities of an answer.
func quirksOf(a *synack.Answer) quirks {
	var set quirks
	note := func(q quirks, is bool) {
		if is {
			set |= q
		}
	}
	if a.Src.Is4() {
		note(quirkDF, a.DF)
		note(quirkIDPlus, a.DF && a.ID != 0)
		note(quirkIDMinus, !a.DF && a.ID == 0)
		note(quirkZero, a.MustBeZero)
	} else {
		note(quirkFlow, a.FlowLabel != 0)
	}
	note(quirkECN, a.ECE() || a.CWR() || a.ECT != 0)
	note(quirkSeqMinus, a.Seq == 0)
	note(quirkAckMinus, a.Ack == 0)
	note(quirkUrgentPointer, a.Urgent && a.Flags&0x20 == 0)
	note(quirkUrgentFlag, a.Flags&0x20 != 0)
	note(quirkPush, a.Flags&0x08 != 0)
	note(quirkTS1Minus, a.HasTimestamp() && a.TSVal == 0)
	note(quirkOptPlus, a.PadNotZero)
	note(quirkScale, a.Scale > 14)
	note(quirkBad, a.BadOptions)
	return set
}
