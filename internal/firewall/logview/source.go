package logview

import "bytes"

// sourceMore is what a source has beside its tally.
type sourceMore struct {
	ports    portset
	classes  [client + 1]uint32 // events by class, saturating
	uncommon uint32             // probes for ports that the internet's noise leaves alone
	outside  bool
	// The probes' first and last time, lowest and highest port and target.
	first, last int64
	low, high   uint16
	ported      bool // low and high are told
	from, to    [16]byte
}

func (v *View) addSource(s *sight) {
	n, _ := v.sources.find(s.srcHash, s.src)
	r := &v.sources.rows[n]
	r.add(s)
	m := &r.more
	m.outside = m.outside || s.outside
	if s.port.has(hasPort) {
		m.ports.add(s.port.number(), &v.sourceRoom)
	}
	first := m.classes[probe] == 0
	up(&m.classes[s.class])
	if s.class == probe {
		m.probe(s, first)
	}
	if !s.repeat {
		v.target(n, s)
	}
}

// target adds the target, and what was probed, to the source's sets.
func (v *View) target(n uint32, s *sight) {
	v.sources.see(n, sourceTargets, s.dstHash)
	if s.class != probe {
		return
	}
	v.sources.see(n, probedTargets, s.dstHash)
	v.sources.see(n, probedPorts, uint64(s.port))
	v.sources.see(n, probedBoth, mix(s.dstHash, uint64(s.port)))
}

func up(n *uint32) {
	if *n < 1<<32-1 {
		*n++
	}
}

func (m *sourceMore) probe(s *sight, first bool) {
	if !s.common {
		up(&m.uncommon)
	}
	p := sourceMore{first: s.time, last: s.time, from: s.dst, to: s.dst}
	if s.port.has(hasPort) {
		p.low, p.high, p.ported = s.port.number(), s.port.number(), true
	}
	m.widen(&p, first)
}

// widen takes in the bounds of o's probes.
func (m *sourceMore) widen(o *sourceMore, first bool) {
	t := tally{first: m.first, last: m.last}
	t.span(o.first, o.last)
	m.first, m.last = t.first, t.last
	if first || bytes.Compare(o.from[:], m.from[:]) < 0 {
		m.from = o.from
	}
	if first || bytes.Compare(o.to[:], m.to[:]) > 0 {
		m.to = o.to
	}
	if !o.ported {
		return
	}
	if !m.ported {
		m.low, m.high, m.ported = o.low, o.high, true
	}
	m.low, m.high = min(m.low, o.low), max(m.high, o.high)
}

func (m *sourceMore) merge(o *sourceMore, r *room) {
	m.ports.merge(&o.ports, r)
	m.outside = m.outside || o.outside
	if o.classes[probe] > 0 {
		m.widen(o, m.classes[probe] == 0)
	}
	for c := range m.classes {
		m.classes[c] = plus(m.classes[c], o.classes[c])
	}
	m.uncommon = plus(m.uncommon, o.uncommon)
}

func plus(a, b uint32) uint32 { return uint32(min(uint64(a)+uint64(b), 1<<32-1)) }
