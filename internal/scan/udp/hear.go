package udp

import (
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/unreach"
)

// settle tells a probe's state.
func (e *engine) settle(p *probe, s exposure.PortState) {
	h := p.host
	h.settled(p)
	at := spot{h.place, p.port}
	delete(e.probes, at)
	if e.strays[h.place] == p {
		delete(e.strays, h.place)
	}
	s.Addr, s.Port, s.Proto, s.RTTus = h.shown, p.port, exposure.UDP, s.RTT.Microseconds()
	e.counts.told += int64(len(p.numbers))
	for _, i := range p.numbers {
		e.tell(i, s)
	}
}

// answered hears a datagram. stray is one that came to the socket of
// protocols that answer from a port of their choice.
func (e *engine) answered(now instant, from spot, stray bool, reply []byte, ttl uint8) {
	e.counts.received++
	if e.canaries.answered(from) {
		return
	}
	p := e.probes[from]
	if p == nil && stray {
		p = e.strayed(from.place, reply)
	}
	if p == nil || p.asks == 0 {
		return
	}
	req := p.request(e.table)
	// Whatever the asked port itself sends shows that something is there; an
	// identifier decides only about answers from elsewhere.
	if id := e.id(spot{p.host.place, p.port}); from != (spot{p.host.place, p.port}) && req.foreign(reply, id[:]) {
		return
	}
	rtt := now - p.sent
	if h := p.host; h.rtt.smooth == 0 || rtt < h.rtt.smooth {
		h.rtt.sample(rtt)
	}
	if at := (spot{p.host.place, p.port}); at == from {
		e.canaries.learn(at, req, rtt)
	}
	e.settle(p, exposure.PortState{State: exposure.Open, Reason: "udp-response", RTT: rtt, TTL: ttl,
		Service: service(req, e.table.requestsFor(p.port), reply)})
	e.wakeUp(p.host, now)
}

// strayed is the probe that an answer from another port belongs to: the one
// outstanding of its kind, if the answer has its form.
func (e *engine) strayed(from place, reply []byte) *probe {
	p := e.strays[from]
	if p == nil {
		return nil
	}
	if _, ok := p.request(e.table).recognise(reply); !ok {
		return nil
	}
	return p
}

// refused hears an ICMP error about a datagram that was sent to a spot.
func (e *engine) refused(now instant, to spot, reason string) {
	e.counts.received++
	h := e.hosts[to.place]
	if h == nil {
		return
	}
	if p := e.probes[to]; p != nil && p.asks > 0 {
		e.refusedProbe(now, h, p, reason)
	} else if to.port == h.control && h.controlling {
		h.controlling = false
		h.rtt.sample(now - h.controlSent)
		h.lim.refused(h.controlSent)
		h.tokenHeard(now, h.controlSent, never64)
	}
	if h.heapIndex >= 0 {
		e.wakeUp(h, now)
	}
}

func (e *engine) refusedProbe(now instant, h *host, p *probe, reason string) {
	state := exposure.Filtered
	if reason == unreach.PortUnreach {
		state = exposure.Closed
	}
	rtt := now - p.sent
	e.settle(p, exposure.PortState{State: state, Reason: reason, RTT: rtt})
	h.rtt.sample(rtt)
	if p.asks == 1 {
		h.refusals++
	}
	if h.mute {
		return
	}
	h.lim.refused(p.sent)
	h.refuses(p.port)
	if h.stage == resting && !h.lim.limited() {
		h.until = min(h.until, now+h.rtt.wait())
	}
	if h.stage != resting && p.asks > 1 {
		h.tokenHeard(now, p.sent, p.seq)
	} else if h.lim.limited() && h.stage == resting {
		h.until = max(h.until, h.lim.next())
	}
}

// denied settles a probe that this host's own rules kept from leaving.
func (e *engine) denied(p *probe) {
	if !p.done {
		e.settle(p, exposure.PortState{State: exposure.Filtered, Reason: "not-permitted"})
	}
}

// dropped gives up a probe that could not be sent: no state, a gap says why.
func (e *engine) dropped(p *probe, why error) {
	if p.done {
		return
	}
	p.host.settled(p)
	delete(e.probes, spot{p.host.place, p.port})
	if e.strays[p.host.place] == p {
		delete(e.strays, p.host.place)
	}
	e.notAsked(p.host.shown, len(p.numbers), why)
}
