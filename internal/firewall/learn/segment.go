package learn

import (
	"math"
	"net/netip"
	"slices"
)

// segment is a network whose hosts are alike: named by the policy, or found.
type segment struct {
	name  string // policy's name, "" for a found one
	area  area
	v4    bool
	hosts []uint32 // known hosts in it
	// places are its hosts among the known ones.
	places places
}

// segments finds the segment of every host of one's own.
type segments struct {
	list []*segment
	of   map[uint32]int // host → index in list
}

// find divides the known hosts. Networks that the policy names are taken as
// they are. Others are found around /24 (the size in which IPv4 networks are
// given to people; /64 in IPv6, RFC 4291), see branch.
func (e *evidence) findSegments() *segments {
	s := &segments{of: map[uint32]int{}}
	var rest []uint32
	stated := make([]*segment, len(e.opt.Policy.Segments))
	for i, p := range e.opt.Policy.Segments {
		stated[i] = &segment{name: p.Name, area: areaOf(p.Prefixes...)}
	}
	for _, id := range e.known {
		if i := narrowest(e.opt.Policy.Segments, e.hosts[id]); i >= 0 {
			stated[i].hosts = append(stated[i].hosts, id)
		} else {
			rest = append(rest, id)
		}
	}
	for _, seg := range stated {
		s.addStated(e, seg)
	}
	for _, group := range split(rest, func(id uint32) netip.Prefix { return wide(e.hosts[id]) }) {
		for _, seg := range e.branch(group) {
			s.add(e, &segment{area: seg.area, v4: seg.v4, hosts: seg.hosts})
		}
	}
	return s
}

// addStated adds a policy's segment, one for each family.
func (s *segments) addStated(e *evidence, seg *segment) {
	for _, v4 := range []bool{true, false} {
		part := &segment{name: seg.name, v4: v4}
		for _, r := range seg.area {
			if r.Lo.Is4() == v4 {
				part.area = append(part.area, r)
			}
		}
		for _, id := range seg.hosts {
			if e.hosts[id].Is4() == v4 {
				part.hosts = append(part.hosts, id)
			}
		}
		if len(part.hosts) > 0 {
			s.add(e, part)
		}
	}
}

func (s *segments) add(e *evidence, seg *segment) {
	seg.places = e.placesOf(seg.hosts)
	for _, id := range seg.hosts {
		s.of[id] = len(s.list)
	}
	s.list = append(s.list, seg)
}

// narrowest is the policy's smallest segment that holds the address, -1: none.
func narrowest(list []Segment, a netip.Addr) int {
	best, bits := -1, -1
	for i := range list {
		for _, p := range list[i].Prefixes {
			if p.Contains(a) && p.Bits() > bits {
				best, bits = i, p.Bits()
			}
		}
	}
	return best
}

// split puts hosts with one prefix together, in the order of addresses.
func split(ids []uint32, by func(uint32) netip.Prefix) [][]uint32 {
	groups := map[netip.Prefix][]uint32{}
	var keys []netip.Prefix
	for _, id := range ids {
		p := by(id)
		if groups[p] == nil {
			keys = append(keys, p)
		}
		groups[p] = append(groups[p], id)
	}
	slices.SortFunc(keys, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	out := make([][]uint32, len(keys))
	for i, k := range keys {
		out[i] = groups[k]
	}
	return out
}

// block is a network of a size that is given to people, or several such that
// are alike.
type block struct {
	area  area
	v4    bool
	hosts []uint32
	at    netip.Prefix // smallest prefix that holds all of it
	count int          // blocks of the first size in it
	uses  map[uint32]int
}

// Sizes of networks that are given to people, and the smallest that are told
// apart by what their hosts do.
const (
	usual4, least4 = 24, 28
	usual6         = 64
)

// branch divides the hosts of one wide network: small blocks first, which are
// joined to the usual size unless they clearly differ, and beyond it where
// they are clearly alike.
func (e *evidence) branch(ids []uint32) []*block {
	usual, least := usual4, least4
	if !e.hosts[ids[0]].Is4() {
		usual, least = usual6, usual6
	}
	var blocks []*block
	for _, group := range split(ids, func(id uint32) netip.Prefix { p, _ := e.hosts[id].Prefix(least); return p }) {
		p, _ := e.hosts[group[0]].Prefix(least)
		blocks = append(blocks, &block{area: areaOf(p), v4: p.Addr().Is4(), hosts: group, at: p, count: 1, uses: e.usesOf(group)})
	}
	for bits := least - 1; bits >= usual; bits-- {
		blocks = joinSmall(blocks, bits)
	}
	for bits := usual - 1; bits >= 16 && len(blocks) > 1; bits-- {
		blocks = joinLevel(blocks, bits)
	}
	return blocks
}

// joinSmall joins blocks within a usual network; one that is alone in a prefix
// has all of it.
func joinSmall(blocks []*block, bits int) []*block {
	out := blocks[:0:0]
	for i := 0; i < len(blocks); i++ {
		b := blocks[i]
		up, _ := b.at.Addr().Prefix(bits)
		n := 1
		for i+n < len(blocks) && up.Contains(blocks[i+n].at.Addr()) {
			n++
		}
		switch {
		case n == 1:
			b.at, b.area = up, areaOf(up)
		case n == 2 && !differ(b, blocks[i+1]):
			b = b.join(blocks[i+1], up)
			i++
		}
		out = append(out, b)
	}
	return out
}

// differ reports blocks of which each has services of its own: of those that
// half of the hosts of either have to do with (and three at least, so that
// chance makes none), less than a third are common.
func differ(a, b *block) bool {
	same, all := common(a, b, func(uses, hosts int) bool { return uses >= 3 && uses*2 >= hosts })
	return same*3 < all && a.own() && b.own()
}

// own reports blocks in which there is a service that half of the hosts, and
// three at least, have to do with.
func (b *block) own() bool {
	for _, n := range b.uses {
		if n >= 3 && n*2 >= len(b.hosts) {
			return true
		}
	}
	return false
}

// joinLevel joins neighbours that share a prefix of so many bits and are
// alike.
func joinLevel(blocks []*block, bits int) []*block {
	out := blocks[:0:0]
	for i := 0; i < len(blocks); i++ {
		b := blocks[i]
		up, _ := b.at.Addr().Prefix(bits)
		if i+1 < len(blocks) && b.at.Bits() > bits && up.Contains(blocks[i+1].at.Addr()) &&
			(i+2 >= len(blocks) || !up.Contains(blocks[i+2].at.Addr())) && alike(b, blocks[i+1]) {
			b = b.join(blocks[i+1], up)
			i++
		}
		out = append(out, b)
	}
	return out
}

func (b *block) join(o *block, up netip.Prefix) *block {
	j := &block{v4: b.v4, at: up, count: b.count + o.count, uses: map[uint32]int{}}
	j.hosts = append(slices.Clone(b.hosts), o.hosts...)
	for _, m := range []map[uint32]int{b.uses, o.uses} {
		for k, n := range m {
			j.uses[k] += n
		}
	}
	j.area = b.area.union(o.area)
	usual := usual4
	if !b.v4 {
		usual = usual6
	}
	if up.Bits() >= usual {
		j.area, j.count = areaOf(up), 1
		return j
	}
	// Where a quarter of the prefix's networks have hosts it is one network;
	// where fewer have, these and not what lies between.
	if free := usual - up.Bits(); free <= 8 && j.count*4 >= 1<<free {
		j.area = areaOf(up)
	}
	return j
}

// usesOf counts the hosts that are clients in a service, and those that serve
// it (with the highest bit set).
func (e *evidence) usesOf(ids []uint32) map[uint32]int {
	uses := map[uint32]int{}
	for _, id := range ids {
		at, _ := slices.BinarySearch(e.roles, uint64(id)<<32)
		for ; at < len(e.roles) && e.roles[at]>>32 == uint64(id); at++ {
			uses[uint32(e.roles[at])]++
		}
	}
	return uses
}

// alike reports blocks that have two thirds of the services in common that a
// third of their hosts have to do with, or in which all services have nearly
// the same share of the hosts.
func alike(a, b *block) bool {
	same, all := common(a, b, func(uses, hosts int) bool { return uses*3 >= hosts })
	return all > 0 && same*3 >= all*2 || min(len(a.hosts), len(b.hosts)) >= 8 && cosine(a.uses, b.uses) >= 0.85
}

// cosine is of the angle between two counts: 1 where they are in proportion.
func cosine(a, b map[uint32]int) float64 {
	var aa, bb, ab float64
	for k, n := range a {
		aa, ab = aa+float64(n*n), ab+float64(n*b[k])
	}
	for _, n := range b {
		bb += float64(n * n)
	}
	return ab / math.Sqrt(aa*bb)
}

// common counts the services that are typical of either block, and of both.
func common(a, b *block, typical func(uses, hosts int) bool) (same, all int) {
	for svc := range merged(a.uses, b.uses) {
		inA, inB := typical(a.uses[svc], len(a.hosts)), typical(b.uses[svc], len(b.hosts))
		if inA || inB {
			all++
		}
		if inA && inB {
			same++
		}
	}
	return same, all
}

func merged(a, b map[uint32]int) map[uint32]struct{} {
	out := make(map[uint32]struct{}, len(a)+len(b))
	for k := range a {
		out[k] = struct{}{}
	}
	for k := range b {
		out[k] = struct{}{}
	}
	return out
}
