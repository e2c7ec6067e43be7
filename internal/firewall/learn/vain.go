package learn

import (
	"cmp"
	"net/netip"
	"slices"
)

// shutDoor is a port of a server of one's own that answered nobody, and who
// asked for it. Rules are kept off such doors: a merge that opens them lets in
// what the evidence shows to be in vain (a file server that refuses 445 and
// speaks 139 beside one that speaks both).
type shutDoor struct {
	server  uint32
	tries   uint64
	clients []caller // at most mostCallers, who asked most
}

type caller struct {
	host  uint32
	tries uint64
}

const (
	mostCallers = 16
	mostDoors   = 64
	// fewAttempts: of fewer attempts in all, one is no measure.
	fewAttempts = 1000
	// vainPrice is how much a merge's share of the smaller part rises where it
	// opens all attempts that there were: a thousandth of them is as much as
	// twice the smaller part's own doors.
	vainPrice = 2000
)

// vain is what was asked in vain.
type vain struct {
	// doors by service; only servers that serve something else.
	doors map[uint32][]*shutDoor // those asked most, at most mostDoors each
	// sides counts attempts at shut doors by service and both sides: what a
	// whole segment as servers would let in.
	sides map[crossing]uint64
}

// crossing is a service between two sides.
type crossing struct {
	svc      uint32
	from, to side
}

// findVain gathers the attempts at doors that never opened.
func (e *evidence) findVain() {
	e.vain = vain{map[uint32][]*shutDoor{}, map[crossing]uint64{}}
	lives := map[[2]uint32]bool{}
	for k, p := range e.each {
		if p.ok > 0 {
			lives[[2]uint32{k.svc, k.server}] = true
		}
	}
	at, doors := e.sidesByAddress(), map[[2]uint32]*shutDoor{}
	for k, p := range e.each {
		key := [2]uint32{k.svc, k.server}
		if tries := p.failed - p.denied; tries > 0 && !lives[key] && e.home.internal(e.hosts[k.server]) {
			e.vain.sides[crossing{k.svc, at(k.client), at(k.server)}] += tries
			if e.serves(k.server) {
				d := get(doors, key)
				d.server = k.server
				d.tries += tries
				d.clients = append(d.clients, caller{k.client, tries})
			}
		}
	}
	for key, d := range doors {
		slices.SortFunc(d.clients, func(a, b caller) int {
			return cmp.Or(cmp.Compare(b.tries, a.tries), cmp.Compare(e.rank[a.host], e.rank[b.host]))
		})
		d.clients = slices.Clip(d.clients[:min(len(d.clients), mostCallers)])
		e.vain.doors[key[0]] = append(e.vain.doors[key[0]], d)
	}
	for svc, list := range e.vain.doors {
		slices.SortFunc(list, func(a, b *shutDoor) int {
			return cmp.Or(cmp.Compare(b.tries, a.tries), cmp.Compare(e.rank[a.server], e.rank[b.server]))
		})
		e.vain.doors[svc] = list[:min(len(list), mostDoors)]
	}
}

// serves reports a host that serves anything.
func (e *evidence) serves(id uint32) bool {
	at, _ := slices.BinarySearch(e.roles, uint64(id)<<32|serving)
	return at < len(e.roles) && e.roles[at]>>32 == uint64(id)
}

// sidesByAddress finds the side of any host, also of one that never lived: by
// the segment around it.
func (e *evidence) sidesByAddress() func(id uint32) side {
	type piece struct {
		seg int
		area
	}
	var list []piece
	for i, s := range e.seg.list {
		for j := range s.area {
			list = append(list, piece{i, s.area[j : j+1]})
		}
	}
	slices.SortFunc(list, func(a, b piece) int { return a.area[0].Lo.Compare(b.area[0].Lo) })
	return func(id uint32) side {
		s, a := e.sideOf(id), e.hosts[id]
		if s.seg >= 0 || !e.home.internal(a) {
			return s
		}
		i, found := slices.BinarySearchFunc(list, a, func(p piece, _ netip.Addr) int { return p.area[0].Lo.Compare(a) })
		if !found {
			i--
		}
		if i >= 0 && list[i].area[0].Contains(a) {
			s.seg = list[i].seg
		}
		return s
	}
}

// opened counts the attempts at shut doors that two cells let in together and
// neither does alone.
func (e *evidence) opened(a, b *cell) (n uint64) {
	for i, svcs := range [][]uint32{a.svcs, b.svcs} {
		for _, svc := range svcs {
			if i == 1 && slices.Contains(a.svcs, svc) {
				continue
			}
			for _, d := range e.vain.doors[svc] {
				n += e.openedAt(svc, d, a, b)
			}
		}
	}
	return n
}

func (e *evidence) openedAt(svc uint32, d *shutDoor, a, b *cell) (n uint64) {
	server := e.hosts[d.server]
	toA, toB := a.to.holds(server), b.to.holds(server)
	if !toA && !toB {
		return 0
	}
	inA, inB := toA && slices.Contains(a.svcs, svc), toB && slices.Contains(b.svcs, svc)
	for _, c := range d.clients {
		who := e.hosts[c.host]
		fromA, fromB := a.from.holds(who), b.from.holds(who)
		if (fromA || fromB) && !(inA && fromA) && !(inB && fromB) {
			n += c.tries
		}
	}
	return n
}

// vainShare is what so many attempts are of all.
func (e *evidence) vainShare(n uint64) float64 {
	return float64(n) / float64(max(e.total.failed, fewAttempts))
}
