package pace

import "time"

// A policer lets a fixed number of answers or probes a second through,
// however many are sent: hosts that limit their RSTs (FreeBSD: 200 a second),
// firewalls that limit new connections. Loss is then the same in every
// window, as random loss is; only sending less, by the clock, tells them
// apart. So where much is lost a trial is made: for a moment no more is sent
// than came through. If a larger share comes through then, the ceiling stays
// and follows it; if not, the loss is random and is left alone.
const (
	heavyLoss   = 0.3  // share that is worth a trial
	trialShare  = 0.7  // of what came through, sent in a trial
	curedGain   = 1.3  // times the share that came through before
	raise       = 0.05 // of the ceiling, where little is lost; twice as much each time
	mostRaise   = 0.2
	fewLost     = 0.05 // beyond what slowing down does not cure
	manyLost    = 0.12
	outgrown    = 2   // times what came through before the trial
	stubborn    = 0.8 // of the loss before a cut: the cut did not help
	periodTime  = 500 * time.Millisecond
	periodMin   = 48  // samples of a period
	trialMin    = 128 // probes of a trial
	trialTime   = time.Second
	trialPassed = 12 // probes that must come through in one
	firstPause  = 4 * time.Second
	longPause   = 64 * time.Second
	slowest     = 10  // probes a second
	worthTrial  = 100 // probes a second: who is slower need not find out why
)

// Policed is the level of what is sent while a ceiling holds that is not the
// window's.
const Policed = maxLevels - 1

// policer looks for one and keeps below it.
type policer struct {
	ceiling      bucket // rate 0: none
	trial        bool   // the ceiling is being tried
	since        time.Time
	counted      time.Time // what becomes known before was sent in another period
	sent, passed float64   // probes of the period, and those known to have got through
	seen         outcome   // samples of the period
	before       outcome   // lost and sent before the trial, by samples
	through      float64   // share of all probes that came through then
	passing      float64   // and how many a second
	base         float64   // loss that slowing down does not cure
	cut          float64   // loss before the last cut; 0: none was made
	step         float64   // of the next raise
	pause        time.Duration
	rest         time.Time // no trial before
}

// limits tells that a ceiling holds.
func (p *policer) limits() bool { return p.ceiling.limited() }

// sample takes what became of a probe; lag is how long loss takes to be known.
func (p *policer) sample(now time.Time, lost bool, lag time.Duration) {
	if p.since.IsZero() || now.Before(p.counted) {
		p.period(now)
		return
	}
	p.seen.sent++
	if lost {
		p.seen.lost++
	}
	took := now.Sub(p.since)
	switch {
	case p.trial:
		if p.sent >= trialMin && took > periodTime/2 || took > trialTime {
			p.endTrial(now)
		}
	case took < periodTime || p.seen.sent < periodMin:
	case p.limits():
		p.adjust(now, lag)
	default:
		p.mayBeTry(now, lag)
	}
}

// rate is how many probes a second came through in the period.
func (p *policer) rate(now time.Time) float64 {
	return max(p.passed/max(now.Sub(p.since).Seconds(), 0.001), slowest)
}

// share is how much of what was sent in the period came through.
func (p *policer) share() float64 { return p.passed / max(p.sent, 1) }

func (p *policer) mayBeTry(now time.Time, lag time.Duration) {
	if p.seen.share() < heavyLoss || now.Before(p.rest) || p.rate(now) < worthTrial {
		p.period(now)
		return
	}
	p.trial, p.before, p.through, p.passing = true, p.seen, p.share(), p.rate(now)
	p.cap(now, p.rate(now)*trialShare, lag)
}

func (p *policer) endTrial(now time.Time) {
	p.trial = false
	gain := p.share() / max(p.through, 0.001)
	drains := p.share() > 1.1 // a queue that was full: congestion, which the window minds
	if p.passed >= trialPassed && gain > curedGain && !drains {
		p.pause, p.step = 0, raise
		p.base = max(min(p.seen.share(), 1-gain*(1-p.before.share())), 0)
	} else {
		p.lift(now, min(max(2*p.pause, firstPause), longPause))
	}
	p.period(now)
}

// lift ends a ceiling; no other is tried for a while.
func (p *policer) lift(now time.Time, pause time.Duration) {
	p.ceiling, p.cut, p.pause, p.rest = bucket{}, 0, pause, now.Add(pause)
	p.period(now)
}

// adjust follows what comes through.
func (p *policer) adjust(now time.Time, lag time.Duration) {
	share, cut := p.seen.share(), p.cut
	p.cut = 0
	switch {
	case share < p.base+fewLost && p.ceiling.rate > outgrown*p.passing:
		p.lift(now, firstPause) // it was no policer, or is none any more
		return
	case share < p.base+fewLost:
		p.cap(now, p.ceiling.rate*(1+p.step), lag)
		p.step = min(2*p.step, mostRaise)
		return
	case share < p.base+manyLost:
	case cut > 0 && share > stubborn*cut:
		p.lift(now, firstPause) // the last cut cured nothing
		return
	default:
		p.cut = share
		p.cap(now, min(p.rate(now)/(1-p.base), p.ceiling.rate)*0.9, lag)
	}
	p.step = raise
	p.period(now)
}

// cap sets the ceiling; what was sent before is not counted.
func (p *policer) cap(now time.Time, rate float64, lag time.Duration) {
	p.ceiling = newBucket(max(rate, slowest), now)
	p.counted = now.Add(min(lag, time.Second))
	p.period(now)
}

// period begins a new one.
func (p *policer) period(now time.Time) {
	p.since, p.sent, p.passed, p.seen = now, 0, 0, outcome{}
}
