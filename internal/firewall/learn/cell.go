package learn

import (
	"cmp"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
)

// side is one end of a cell: a segment of one's own, or the internet.
type side struct {
	seg int // index of segments, -1: internet
	v4  bool
}

// cell is one service between two sides: the piece that rules are made of.
type cell struct {
	svcs     []uint32
	from, to end
	stat     pair
	clients  []uint32 // in the order of addresses, see settle
	servers  []uint32
	rows     []row
	parts    []*cell // that it was joined from; rows are theirs until gathered
	why      []string
	v4       bool
}

// end is a generalised set of clients or servers.
type end struct {
	area  area
	hosts places // known hosts of one's own in it
	far   bool   // has hosts of the internet in it
	wide  bool   // has all the internet in it
	named int    // hosts of the internet that are in it by name
	text  string // for people: a segment's name, "the internet"
}

// holds reports an address that is in it.
func (x *end) holds(a netip.Addr) bool { return x.area.contains(a) }

func (e *evidence) sideOf(id uint32) side {
	v4 := e.hosts[id].Is4()
	if i, ok := e.seg.of[id]; ok {
		return side{i, v4}
	}
	return side{-1, v4}
}

// cells groups the rows.
func (e *evidence) cells() []*cell {
	type key struct {
		svc      uint32
		from, to side
	}
	byKey := map[key]*cell{}
	var list []*cell
	for _, r := range e.rows {
		k := key{r.svc, e.clientSide(r), e.sideOf(r.server)}
		c := byKey[k]
		if c == nil {
			c = &cell{svcs: []uint32{r.svc}, v4: k.from.v4}
			byKey[k] = c
			list = append(list, c)
		}
		c.add(r)
	}
	kept := list[:0]
	for _, c := range list {
		e.settle(c)
		if why := e.thin(c); why != "" {
			for _, r := range c.rows {
				e.leaveOut(r, why)
			}
			continue
		}
		e.generalise(c)
		kept = append(kept, c)
	}
	return kept
}

// gather gives a joined cell the rows of its parts.
func (e *evidence) gather(c *cell) {
	if c.rows != nil {
		return
	}
	stat := c.stat
	for todo := slices.Clone(c.parts); len(todo) > 0; {
		p := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], p.parts...)
		for _, r := range p.rows {
			c.add(r)
		}
	}
	c.stat = stat
	e.settle(c)
}

func (c *cell) add(r row) {
	c.rows = append(c.rows, r)
	c.stat.merge(r.pair)
}

// settle counts who the clients and servers are, once all rows are there.
func (e *evidence) settle(c *cell) {
	c.clients, c.servers = make([]uint32, len(c.rows)), make([]uint32, len(c.rows))
	for i, r := range c.rows {
		c.clients[i], c.servers[i] = r.client, r.server
	}
	c.clients, c.servers = e.inOrder(c.clients), e.inOrder(c.servers)
}

// thin tells why a cell is no evidence of a need: few connections on one
// occasion, by one or two clients.
func (e *evidence) thin(c *cell) string {
	if e.asking || e.protects(c.rows[0]) || len(c.clients) > 2 || slices.ContainsFunc(c.rows, e.goesRound) {
		return ""
	}
	if len(c.clients) == 1 && e.once(&c.stat) {
		return "one client, one occasion, and nobody else of its network did so"
	}
	for _, r := range c.rows {
		if !e.once(r.pair) {
			return ""
		}
	}
	if bits.OnesCount64(c.stat.days) > 1 {
		return ""
	}
	return "each of its clients did so on one occasion only"
}

// generalise widens a cell's ends as far as the level allows.
func (e *evidence) generalise(c *cell) {
	if r := c.rows[0]; e.clientSide(r).seg == roam {
		c.from = e.roamEnd(c.v4)
		c.why = append(c.why, fmt.Sprintf("%d clients are spread over so many networks that new ones will come", len(c.clients)))
	} else {
		c.from = e.endOf(c, c.clients, true)
	}
	c.to = e.endOf(c, c.servers, false)
}

func (e *evidence) endOf(c *cell, ids []uint32, client bool) end {
	s := e.sideOf(ids[0])
	switch {
	case s.seg < 0:
		return e.farEnd(c, ids, s.v4, client)
	case client && e.level.clients > 0 && len(ids) >= e.level.clients:
		return e.segmentEnd(c, s.seg, len(ids), "clients")
	case !client && e.level.servers > 0 && e.manyServers(c, s.seg, len(ids)):
		return e.segmentEnd(c, s.seg, len(ids), "servers")
	}
	return e.exact(ids)
}

// inOrder sorts hosts by their addresses, each once, in place.
func (e *evidence) inOrder(ids []uint32) []uint32 {
	slices.SortFunc(ids, func(a, b uint32) int { return cmp.Compare(e.rank[a], e.rank[b]) })
	return slices.Clip(slices.Compact(ids))
}

// exact is the hosts themselves.
func (e *evidence) exact(ids []uint32) end {
	out := end{hosts: e.placesOf(ids)}
	for _, id := range ids {
		out.area = append(out.area, single(e.hosts[id]))
		if !e.home.internal(e.hosts[id]) {
			out.far = true
			out.named++
		}
	}
	return out
}

// family are all known hosts of IPv4, or of IPv6: the one stand before the other.
func (e *evidence) family(v4 bool) places {
	n, _ := slices.BinarySearchFunc(e.known, false, func(id uint32, _ bool) int {
		if e.hosts[id].Is4() {
			return -1
		}
		return 1
	})
	r := run{0, uint32(n)}
	if !v4 {
		r = run{uint32(n), uint32(len(e.known))}
	}
	if r.lo == r.hi {
		return nil
	}
	return places{r}
}

// manyServers: so many of a segment's hosts serve that the others, and those
// to come, do too.
func (e *evidence) manyServers(c *cell, seg, n int) bool {
	known := len(e.seg.list[seg].hosts)
	// Where the same clients ask others of the segment in vain, it is only
	// those that answer.
	asked := crossing{c.svcs[0], e.sideOf(c.clients[0]), side{seg, c.v4}}
	if e.vain.sides[asked]*20 > c.stat.ok {
		return false
	}
	return n >= e.level.servers && float64(n) >= e.level.share*float64(known)
}

func (e *evidence) segmentEnd(c *cell, i, n int, what string) end {
	seg := e.seg.list[i]
	out := end{area: seg.area, hosts: seg.places, text: seg.name}
	if e.level.private && what == "clients" && seg.name == "" {
		return e.homeEnd(seg.v4)
	}
	c.why = append(c.why, fmt.Sprintf("%d of %s's %d known hosts are %s", n, title(seg), len(seg.hosts), what))
	return out
}

func title(s *segment) string {
	if s.name != "" {
		return s.name
	}
	return s.area[0].String()
}

// homeEnd is every network of one's own but those that the policy names, whose
// names mean something.
func (e *evidence) homeEnd(v4 bool) end {
	out := end{hosts: e.family(v4), text: "own networks"}
	for _, p := range e.home.own {
		if p.Addr().Is4() == v4 {
			out.area = out.area.union(areaOf(p))
		}
	}
	var named area
	for _, s := range e.opt.Policy.Segments {
		for _, p := range s.Prefixes {
			if p.Addr().Is4() == v4 {
				named = append(named, areaOf(p)...)
			}
		}
	}
	out.area = out.area.minus(named.normal())
	return out
}

// farEnd is the internet where hosts of many networks were seen, else the
// hosts, those of one small network together.
func (e *evidence) farEnd(c *cell, ids []uint32, v4, client bool) end {
	nets := map[netip.Prefix]bool{}
	for _, id := range ids {
		nets[wide(e.hosts[id])] = true
	}
	if len(nets) >= e.level.internet && e.worthInternet(c, client) {
		what := "servers"
		if client {
			what = "clients"
		}
		c.why = append(c.why, fmt.Sprintf("%d public %s in %d networks: new ones will come", len(ids), what, len(nets)))
		return end{area: e.home.internet(v4), far: true, wide: true, text: "the internet"}
	}
	out := end{far: true, named: len(ids)}
	small := 24
	if !v4 {
		small = 64
	}
	for _, group := range split(ids, func(id uint32) netip.Prefix { p, _ := e.hosts[id].Prefix(small); return p }) {
		if p, _ := e.hosts[group[0]].Prefix(small); e.level.clients > 0 && len(group) >= e.level.clients {
			out.area = append(out.area, areaOf(p)...)
			continue
		}
		for _, id := range group {
			out.area = append(out.area, single(e.hosts[id]))
		}
	}
	return out
}

// worthInternet: a service in which most far doors stayed shut is not one that
// the internet offers; what answered stays by name. So it is with servers of
// one's own at which most of the internet's clients were not answered.
func (e *evidence) worthInternet(c *cell, client bool) bool {
	for _, id := range c.svcs {
		t := e.far[id]
		if client {
			t = tries{}
			for _, server := range c.servers {
				near := e.near[[2]uint32{id, server}]
				t.open, t.shut = t.open+near.open, t.shut+near.shut
			}
		}
		if t.shut > t.open {
			return false
		}
	}
	return true
}

// compareCells orders cells by weight, then by what they are.
func (e *evidence) compareCells(a, b *cell) int {
	return cmp.Or(cmp.Compare(b.stat.ok, a.stat.ok), compareServices(e.list[a.svcs[0]], e.list[b.svcs[0]]),
		compareAreas(a.from.area, b.from.area), compareAreas(a.to.area, b.to.area))
}

func compareAreas(a, b area) int {
	for i := range min(len(a), len(b)) {
		if d := cmp.Or(a[i].Lo.Compare(b[i].Lo), a[i].Hi.Compare(b[i].Hi)); d != 0 {
			return d
		}
	}
	return cmp.Compare(len(a), len(b))
}
