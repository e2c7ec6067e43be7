package udp

import "time"

// instant is a time since the sweep began; the pure parts know no other clock.
type instant = time.Duration

// Figures of the estimator.
const (
	marginShare = 20                     // an attempt comes this part of a period after the token is due
	minMargin   = 2 * time.Millisecond   // and at least so much
	snapShare   = 7                      // a measured period this near above a known one is that one
	patientTop  = 10 * time.Second       // a refill that takes longer is none
	surfeit     = 8                      // bonus attempts fail so often before they become rare
	onTimeBy    = time.Millisecond       // an attempt this much after the token was due was the first
	provenBy    = 2                      // tokens on time that prove an estimate
	rareBonus   = 8                      // then every so many tokens
	runGap      = 20 * time.Millisecond  // between tokens of different runs
	firstStep   = 250 * time.Microsecond // shortest wait after an attempt that came too early
)

// rungs are the refill intervals that known systems have, the order in which
// an unknown one is looked for. Linux: icmp_ratelimit of 1 s for each peer;
// for IPv6 100 ms (older kernels 1 s), halved for each 32 bits that the route
// is shorter than 128. BSD and macOS: icmplim of 200 or 250 a second.
// Routers: 500 ms.
func rungs() []time.Duration {
	const ms = time.Millisecond
	return []time.Duration{4 * ms, 5 * ms, 10 * ms, 12500 * time.Microsecond, 25 * ms, 50 * ms, 62500 * time.Microsecond,
		100 * ms, 125 * ms, 200 * ms, 250 * ms, 500 * ms, 1000 * ms, 2000 * ms, 5000 * ms, patientTop}
}

// limit estimates how a host limits its ICMP errors: a bucket that held some
// tokens when first asked and gets one every period. A token is heard of as a
// refusal, that is, an ICMP error. Times are those at which the refused probe
// was sent.
//
// Tokens come on a grid (anchor + n×period), so lateness of one attempt does
// not delay the next. An attempt that finds no token is dry; the next comes a
// growing step later. After a refusal a bonus attempt asks for a second token
// at once: if one is there the period is shorter than believed.
type limit struct {
	period   time.Duration // 0: no limit was met
	anchor   instant       // a token was had, or the bucket was full
	last     instant       // when the latest token was had
	count    int           // tokens had since
	base     instant       // where the period is measured from
	total    int           // tokens had since then
	rung     int           // next of rungs to try while the period is searched
	search   bool          // dry, and no period is known
	dryAt    instant       // last dry attempt; meaningful while step is not 0
	step     time.Duration // wait after a dry attempt with a period; 0: none was dry
	fixed    bool          // the period was corrected: known ones are no guide
	onTime   int           // tokens in a row that were there when due
	trusted  bool          // the estimate held before the dry attempts
	failures int           // bonus attempts in a row that failed
	tokens   int           // refusals in all
	met      instant       // when the limit was first met
}

// limited tells that the host was seen to hold refusals back.
func (l *limit) limited() bool { return l.search || l.period > 0 }

// sure tells that a token is there when next says so.
func (l *limit) sure() bool { return l.period > 0 && l.step == 0 && l.onTime >= provenBy }

// uncertain tells that the next attempt looks for the limit rather than for
// answers.
func (l *limit) uncertain() bool { return l.search || l.step > 0 }

// refused hears of a token.
func (l *limit) refused(sent instant) {
	l.tokens++
	before := l.last
	l.last = max(l.last, sent)
	switch {
	case l.search:
		l.found(sent)
	case l.period == 0:
		if l.tokens == 1 || sent-before > runGap {
			l.anchor = sent // of a run of tokens: the bucket was full, or got one
		}
	default:
		l.had(sent, before)
	}
	l.step = 0
}

// found ends the search: the token came between the last dry attempt and
// sent, so its interval is the rung that was tried.
func (l *limit) found(sent instant) {
	l.search, l.count = false, 1
	l.base, l.total = l.anchor, 1
	l.period = rungs()[max(l.rung-1, 0)]
	if sent-l.anchor < l.period {
		l.period = max(sent-l.anchor, firstStep)
	}
}

// had counts a token on the grid and corrects the period.
func (l *limit) had(sent instant, before instant) {
	late := sent - l.due()
	l.count++
	l.total++
	switch {
	case l.step > 0 && l.trusted && late >= l.period/2:
		// Tokens passed unheard: they were lost on the way, or others had them.
		l.count += int((late + l.period/2) / l.period)
	case l.step > 0:
		// The period is longer than believed: it is what lies between this
		// token and the one before.
		l.fixed = l.fixed || l.onTime > 0
		l.measure(max(l.period, sent-before))
		l.rebase(sent)
	case late < -l.period/2: // a bonus
		if p := (sent - l.base) / time.Duration(l.total); p < l.period {
			l.measure(p)
		}
		l.anchor, l.count = sent, 0
	case late > onTimeBy:
		// What was asked when it was due was silent, or the token came later
		// than a grid would have it: buckets that hold few tokens do that.
		l.anchor, l.count = sent, 0
		return
	default:
		l.onTime++
		return
	}
	l.onTime = 0
}

// rebase begins the measurement of the period anew.
func (l *limit) rebase(at instant) {
	l.anchor, l.count, l.base, l.total = at, 0, at, 0
}

// measure sets the period, to a known one that is a little shorter if that
// was not found wrong.
func (l *limit) measure(p time.Duration) {
	if !l.fixed {
		for _, known := range rungs() {
			if p >= known && p-known <= known/snapShare {
				p = known
				break
			}
		}
	}
	l.period = max(p, firstStep)
}

func (l *limit) margin() time.Duration { return max(minMargin, l.period/marginShare) }

// due is when the next token is there for certain, if the estimate holds.
func (l *limit) due() instant {
	return l.anchor + time.Duration(l.count+1)*l.period + l.margin()
}

// dry hears that a probe sent at now found no token, shown by a control that
// went unanswered. It tells false when it makes no sense to wait any longer.
func (l *limit) dry(now instant) bool {
	if !l.limited() {
		l.search, l.rung, l.met, l.count = true, 0, now, 0
	}
	if l.search {
		return l.climb(now)
	}
	if l.step == 0 {
		l.step, l.trusted = max(l.period/marginShare, firstStep), l.onTime >= provenBy
	} else {
		l.step += l.step / 2
	}
	l.dryAt = now
	return now-l.due() < max(patientTop, 5*l.period)
}

// climb chooses the next interval to try.
func (l *limit) climb(now instant) bool {
	all := rungs()
	for l.rung < len(all) && l.at(all[l.rung]) <= now {
		l.rung++
	}
	l.dryAt = now
	l.rung++
	return l.rung <= len(all)
}

// at is when a token of this interval is there.
func (l *limit) at(period time.Duration) instant {
	return l.anchor + period + max(minMargin, period/marginShare)
}

// next is when to try again.
func (l *limit) next() instant {
	switch {
	case l.search:
		return l.at(rungs()[min(max(l.rung, 1), len(rungs()))-1])
	case l.period == 0:
		return 0
	case l.step > 0:
		return max(l.dryAt+l.step, l.due())
	}
	return l.due()
}

// bonus tells whether to try for a second token after a refusal.
func (l *limit) bonus() bool {
	return l.period > 0 && (l.failures < surfeit || l.count%rareBonus == 0)
}

// tried hears how a bonus attempt went.
func (l *limit) tried(got bool) {
	if got {
		l.failures = 0
	} else {
		l.failures++
	}
}
