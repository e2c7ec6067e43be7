package udp

import (
	"slices"
	"time"
)

// shot is one datagram to send.
type shot struct {
	to      spot
	probe   *probe // nil for a control or a canary
	request *request
	first   bool
}

const (
	never   = instant(1<<63 - 1)
	never64 = uint64(1<<64 - 1)
)

// step does what is due at a host: it gives at most one datagram, or none and
// a later wake.
func (h *host) step(now instant) (shot, bool) {
	if h.fresh.len() > 0 {
		if now < h.paceAt {
			h.wake = h.paceAt
			return shot{}, false
		}
		h.judge()
		h.asked++
		return h.ask(now, h.fresh.pop()), true
	}
	switch h.stage {
	case resting:
		h.rest(now)
	case walking:
		return h.walk(now)
	case listening:
		h.listened(now)
	}
	return shot{}, false
}

// ask sends a probe once (more) and puts it at the ring's end.
func (h *host) ask(now instant, p *probe) shot {
	h.probeSent(now)
	if p.asks == 0 {
		h.unknown++
		h.quietUntil(now)
	}
	if p.asks < 255 {
		p.asks++
	}
	p.sent = now
	h.requeue(p)
	h.wake = now
	return shot{to: spot{h.place, p.port}, probe: p, first: p.asks == 1}
}

// quietUntil keeps walks away while first askings go on.
func (h *host) quietUntil(now instant) {
	if h.stage != resting {
		return
	}
	wait := h.rtt.wait()
	if h.control == 0 {
		wait = h.gap()
	}
	h.until = max(h.until, now+wait)
}

// rest begins a walk when its time has come.
func (h *host) rest(now instant) {
	h.wake = h.until
	if now < h.until {
		return
	}
	p := h.oldest()
	if p == nil {
		h.wake = never
		return
	}
	h.trust = h.lim.sure()
	if at := p.sent + h.gap(); at > now && !h.lim.uncertain() {
		h.until, h.wake = at, at // answers to the last round may still come
		return
	}
	h.stage, h.walked, h.remain, h.wake = walking, h.walked[:0], h.unknown, now
	h.since = h.lim.due()
	h.begin(1)
	if h.control == 0 {
		h.begin(h.remain)
	}
}

// begin starts a burst.
func (h *host) begin(size int) {
	h.burst, h.left, h.hits = size, size, 0
	h.stage = walking
}

// walk sends the next probe of the burst, oldest first. A burst is not paced:
// its probes should meet the same token.
func (h *host) walk(now instant) (shot, bool) {
	if h.left == h.burst && now < h.paceAt {
		h.wake = h.paceAt
		return shot{}, false
	}
	p := h.oldest()
	if p != nil && h.left > 0 && h.remain > 0 {
		h.ring.pop().inRing = false
		h.left, h.remain = h.left-1, h.remain-1
		h.walked = append(h.walked, p)
		return h.ask(now, p), true
	}
	h.listen(now)
	if h.control == 0 || h.bonusing || h.trust && h.remain > 0 || len(h.walked) == 0 {
		return shot{}, false
	}
	h.probeSent(now)
	h.controlSent, h.controlling = now, true
	return shot{to: spot{h.place, h.control}}, true
}

// oldest is the ring's front without stale entries.
func (h *host) oldest() *probe {
	for h.ring.len() > 0 {
		p := h.ring.front()
		if !p.done && !p.staying {
			return p
		}
		h.ring.pop().inRing = false
	}
	return nil
}

func (h *host) listen(now instant) {
	h.stage, h.until = listening, now+h.rtt.wait()
	if h.control == 0 {
		h.until = now + h.gap()
	}
	h.wake = h.until
}

// listened goes on when a burst had its time to be refused.
func (h *host) listened(now instant) {
	h.wake = h.until
	if now < h.until {
		return
	}
	h.wake = now
	h.walked = slices.DeleteFunc(h.walked, func(p *probe) bool { return p.done })
	switch {
	case h.bonusing:
		h.lim.tried(false)
		h.endRound(now)
	case h.control == 0:
		h.validate(never64, 0)
		h.endRound(now)
	case h.trust && h.remain > 0:
		h.begin(min(2*h.burst, maxBurst))
	case h.hits > 0 && h.remain > 0:
		h.begin(min(2*h.burst, h.tightBurst))
	case h.hits > 0 || len(h.walked) == 0:
		h.endRound(now)
	default:
		h.nothing(now)
	}
}

// nothing learns that neither a burst nor the control was refused: the host
// has no token. Where no limit is known a second look tells it from loss.
func (h *host) nothing(now instant) {
	h.controlling = false
	if !h.lim.limited() && h.doubts == 0 {
		h.doubts++
		h.remain = h.unknown
		h.begin(1)
		return
	}
	h.doubts = 0
	if h.lim.dry(h.controlSent) {
		h.endRound(now)
	} else {
		h.giveUp(now)
	}
}

// validate counts a silence for the walk's probes before seq that were sent
// since a time; later ones stay in question.
func (h *host) validate(before uint64, since instant) {
	rest := h.walked[:0]
	for _, p := range h.walked {
		switch {
		case p.done || p.staying:
		case p.seq >= before:
			rest = append(rest, p)
		case p.sent >= since:
			h.silent(p)
		}
	}
	h.walked = rest
}

// silent counts one valid silence.
func (h *host) silent(p *probe) {
	p.valid++
	if p.valid >= h.need && p.asks > h.need {
		p.staying = true
		h.unknown--
		h.stay.push(p)
		if h.mute && h.heldBack > 0 {
			h.unwaited++
		}
	}
}

// tokenHeard hears that a probe of the current walk, or the control, was
// refused, and when it was sent.
func (h *host) tokenHeard(now, sent instant, seq uint64) {
	bonus := h.bonusing
	switch {
	case bonus:
	case h.trust && sent-h.since < h.lim.period/2:
		h.validate(seq, h.since)
	default:
		h.validate(seq, sent-h.tight)
	}
	h.hits++
	h.doubts = 0
	switch {
	case !h.lim.limited():
		if seq == never64 && h.stage == listening {
			h.until = now // the control was the burst's last
		}
	case bonus && h.hits < h.burst:
	case bonus:
		h.lim.tried(true)
		h.tryBonus(now, min(2*h.burst, maxBurst))
	case h.lim.bonus():
		h.tryBonus(now, 1)
	default:
		h.endRound(now)
	}
}

// tryBonus asks for more tokens at once.
func (h *host) tryBonus(now instant, burst int) {
	if h.unknown == 0 {
		h.endRound(now)
		return
	}
	h.walked, h.remain, h.bonusing = h.walked[:0], h.unknown, true
	h.begin(burst)
}

// endRound rests until the next walk makes sense.
func (h *host) endRound(now instant) {
	h.stage, h.walked, h.bonusing = resting, h.walked[:0], false
	h.until = max(now, h.lim.next())
}

// giveUp waits for refusals no longer.
func (h *host) giveUp(now instant) {
	h.mute, h.control, h.controlling = true, 0, false
	h.heldBack = max(h.lim.period, time.Nanosecond)
	h.lim = limit{}
	h.endRound(now)
}
