package learn

import (
	"cmp"
	"net/netip"
	"slices"
)

// home is which networks are one's own.
type home struct {
	own []netip.Prefix
	// guessed are those that no policy named.
	guessed []netip.Prefix
}

func (h *home) internal(a netip.Addr) bool { return anyContains(h.own, a) }

// findHome takes the private ranges and the policy's networks. Where many
// flows have no end in them, one's own addresses are public: the networks that
// most of these flows have in common are taken for one's own.
func (l *Learner) findHome() *home {
	h := &home{own: slices.Clone(private)}
	h.own = append(h.own, l.opt.Policy.Owned...)
	for _, s := range l.opt.Policy.Segments {
		h.own = append(h.own, s.Prefixes...)
	}
	const most = 6
	for range most {
		p, ok := l.commonest(h)
		if !ok {
			break
		}
		h.own, h.guessed = append(h.own, p), append(h.guessed, p)
	}
	return h
}

// commonest is the public network that most flows without an end at home
// share, if there are enough of both.
func (l *Learner) commonest(h *home) (netip.Prefix, bool) {
	weight := map[netip.Prefix]uint64{}
	var all, away uint64
	for k, p := range l.each {
		if p.ok == 0 {
			continue
		}
		c, s := l.hosts[k.client], l.hosts[k.server]
		all += p.ok
		if h.internal(c) || h.internal(s) {
			continue
		}
		away += p.ok
		a, b := wide(c), wide(s)
		weight[a] += p.ok
		if b != a {
			weight[b] += p.ok
		}
	}
	// Up to one flow in fifty may be stray (spoofed sources, mirrored twice).
	if away*50 < all || away == 0 {
		return netip.Prefix{}, false
	}
	var best netip.Prefix
	for p, w := range weight {
		if d := cmp.Or(cmp.Compare(w, weight[best]), best.Addr().Compare(p.Addr())); d > 0 {
			best = p
		}
	}
	return best, weight[best]*5 >= away
}

// wide is the network that one holder usually has: /16, /48.
func wide(a netip.Addr) netip.Prefix {
	n := 16
	if !a.Is4() {
		n = 48
	}
	p, _ := a.Prefix(n)
	return p
}

// internet is every public address that is not one's own.
func (h *home) internet(v4 bool) area {
	all := areaOf(global)
	if v4 {
		all = areaOf(netip.PrefixFrom(netip.IPv4Unspecified(), 0)).minus(areaOf(nowhere...))
	}
	for _, p := range h.own {
		if p.Addr().Is4() == v4 {
			all = all.minus(areaOf(p))
		}
	}
	return all
}
