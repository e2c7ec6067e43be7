package learn

import (
	"cmp"
	"slices"
)

// evidence is what is left of the pairs when what is none is taken out.
type evidence struct {
	*Learner
	home  *home
	rows  []row
	known []uint32 // hosts of one's own that were seen to live
	place []uint32 // of each in known, by host; nowhereKnown
	rank  []uint32 // of each host in the order of addresses
	// roles are the services that a host uses, and (highest bit of the service)
	// those it serves: host<<32 | service, sorted.
	roles   []uint64
	roams   [2]*end // see roamEnd: IPv6, IPv4
	vain    vain
	seg     *segments
	weights weights
	spread  map[purpose]bool
	report  *Report
	level   level
	window  int64 // nanoseconds
	// far are pairs with servers of the internet, by service; near those of its
	// clients with one's own servers, by service and server.
	far    map[uint32]tries
	near   map[[2]uint32]tries
	asking bool // proposals are made of denials: nothing is too little to ask
	// servers counts how many servers a client uses in a service.
	servers map[[2]uint32]int
}

// row is a pair that counts, with its key.
type row struct {
	pairKey
	*pair
}

// compareRows puts rows in an order that does not depend on chance: by
// service, client, server as values, not as numbers given on arrival.
func (e *evidence) compareRows(a, b row) int {
	if a.svc != b.svc {
		return compareServices(e.list[a.svc], e.list[b.svc])
	}
	return cmp.Or(cmp.Compare(e.rank[a.client], e.rank[b.client]), cmp.Compare(e.rank[a.server], e.rank[b.server]))
}

// rankHosts finds each host's place in the order of addresses.
func (l *Learner) rankHosts() []uint32 {
	ids, rank := make([]uint32, len(l.hosts)), make([]uint32, len(l.hosts))
	for i := range ids {
		ids[i] = uint32(i)
	}
	slices.SortFunc(ids, func(a, b uint32) int { return l.hosts[a].Compare(l.hosts[b]) })
	for i, id := range ids {
		rank[id] = uint32(i)
	}
	return rank
}

func compareServices(x, y service) int {
	return cmp.Or(cmp.Compare(x.proto, y.proto), cmp.Compare(x.port, y.port), cmp.Compare(x.hi, y.hi),
		cmp.Compare(x.kind, y.kind), cmp.Compare(x.from, y.from))
}

func (e *evidence) sorted() []row { return e.sortedIf(func(row) bool { return true }) }

// sortedIf are the pairs that are wanted.
func (e *evidence) sortedIf(want func(row) bool) []row {
	var rows []row
	for k, p := range e.each {
		if r := (row{k, p}); want(r) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, e.compareRows)
	return rows
}

// sift takes out what is no evidence of a need.
func (e *evidence) sift() {
	all := e.sorted()
	scans := e.findScans(all)
	for _, r := range all {
		switch {
		case r.ok == 0:
			e.report.Unanswered += r.failed
		case scans.covers(r):
			e.report.ScanFlows += r.ok + r.failed
		case e.icmpNoise(r):
			e.report.Related += r.ok
		default:
			e.rows = append(e.rows, r)
		}
	}
	e.report.Scanners = scans.report(e)
	e.nameDynamic()
	e.dropOneOffs()
	e.learnHosts()
}

// icmpNoise reports ICMP that answers or tells of another connection, which
// goes with that: only requests (echo, and IPv6's) open something of their own.
func (e *evidence) icmpNoise(r row) bool {
	s := e.list[r.svc]
	switch s.proto {
	case icmp:
		return s.port != 8 && s.port != 13 && s.port != 17
	case icmp6:
		return s.port != 128
	}
	return false
}

// nowhereKnown is the place of a host that is not one of the known.
const nowhereKnown = ^uint32(0)

// serving marks a service in a host's roles as one that it serves.
const serving = 1 << 31

// learnHosts notes who lives and what they use.
func (e *evidence) learnHosts() {
	e.known, e.roles = nil, make([]uint64, 0, 2*len(e.rows))
	e.place = make([]uint32, len(e.hosts))
	for i := range e.place {
		e.place[i] = nowhereKnown
	}
	note := func(id uint32) bool {
		if e.place[id] == nowhereKnown && e.home.internal(e.hosts[id]) {
			e.place[id] = 0
			e.known = append(e.known, id)
		}
		return e.place[id] == 0
	}
	for _, r := range e.rows {
		if note(r.client) {
			e.roles = append(e.roles, uint64(r.client)<<32|uint64(r.svc))
		}
		// What goes round all hosts (monitors) tells nothing of what they are.
		if note(r.server) && !e.goesRound(r) {
			e.roles = append(e.roles, uint64(r.server)<<32|uint64(r.svc)|serving)
		}
	}
	slices.Sort(e.roles)
	e.roles = slices.Clip(slices.Compact(e.roles))
	slices.SortFunc(e.known, func(a, b uint32) int { return cmp.Compare(e.rank[a], e.rank[b]) })
	for i, id := range e.known {
		e.place[id] = uint32(i)
	}
}

// scans are who asked many doors that did not open.
type scans struct {
	// sweep: a client asked many servers of one service in vain.
	sweep map[[2]uint32]bool // client, service
	// probe: a client asked many ports of one server in vain.
	probe map[[2]uint32]bool // client, server
	// wild: a client did so over many services and servers at once.
	wild map[uint32]bool
	// used by clients that scan nothing, too: (service, server) that a scanner
	// found open.
	used   map[[2]uint32]bool
	failed []int // doors asked in vain, by client
}

// Doors that must have stayed shut before a client counts as one who scans. A
// client with dead servers in its configuration has a handful of them; what
// walks through a network finds more within minutes (RFC 6335 leaves one door
// in a thousand open on a usual host).
const (
	sweepServers = 8
	probePorts   = 8
	wildDoors    = 20
)

// findScans looks only at clients that asked enough in vain: of the internet's
// many that knock once there is nothing to count.
func (e *evidence) findScans(rows []row) *scans {
	out := &scans{sweep: map[[2]uint32]bool{}, probe: map[[2]uint32]bool{}, wild: map[uint32]bool{}, used: map[[2]uint32]bool{}, failed: make([]int, len(e.hosts))}
	asked := make([]score, len(e.hosts))
	for _, r := range rows {
		asked[r.client].add(r)
	}
	bySvc, byServer := map[[2]uint32]*score{}, map[[2]uint32]*score{}
	for _, r := range rows {
		if asked[r.client].failed >= min(sweepServers, probePorts, wildDoors) {
			get(bySvc, [2]uint32{r.client, r.svc}).add(r)
			get(byServer, [2]uint32{r.client, r.server}).add(r)
		}
	}
	for k, s := range bySvc {
		out.sweep[k] = s.failed >= sweepServers && s.failed > s.ok
	}
	for k, s := range byServer {
		out.probe[k] = s.failed >= probePorts && s.failed > s.ok
	}
	for c, s := range asked {
		if out.failed[c] = s.failed; s.failed >= wildDoors && s.failed > s.ok {
			out.wild[uint32(c)] = true
		}
	}
	out.findUsed(rows)
	return out
}

// score counts doors that opened and that did not.
type score struct{ ok, failed int }

func (s *score) add(r row) {
	if r.ok > 0 {
		s.ok++
	} else {
		s.failed++
	}
}

// findUsed notes which of the doors that scanners found open others use.
func (s *scans) findUsed(rows []row) {
	for _, r := range rows {
		if r.ok > 0 && s.suspect(r) {
			s.used[[2]uint32{r.svc, r.server}] = false
		}
	}
	for _, r := range rows {
		door := [2]uint32{r.svc, r.server}
		if _, asked := s.used[door]; asked && r.ok > 0 && !s.suspect(r) {
			s.used[door] = true
		}
	}
}

func get[K comparable, V any](m map[K]*V, k K) *V {
	if m[k] == nil {
		m[k] = new(V)
	}
	return m[k]
}

func (s *scans) suspect(r row) bool {
	return s.sweep[[2]uint32{r.client, r.svc}] || s.probe[[2]uint32{r.client, r.server}] || s.wild[r.client]
}

// covers reports what a scan found rather than used. What one who scans asks
// as others do, day by day, is his ordinary work and stays: a worm's host still
// reads its mail.
func (s *scans) covers(r row) bool {
	if !s.suspect(r) {
		return false
	}
	shared := s.used[[2]uint32{r.svc, r.server}]
	return !shared || r.ok <= 2 && (s.sweep[[2]uint32{r.client, r.svc}] || s.probe[[2]uint32{r.client, r.server}])
}

func (s *scans) report(e *evidence) (out []Scanner) {
	who := map[uint32]*Scanner{}
	for k, is := range s.sweep {
		if is {
			get(who, k[0]).Sweeps++
		}
	}
	for k, is := range s.probe {
		if is {
			get(who, k[0]).Probed++
		}
	}
	for c, is := range s.wild {
		if is {
			get(who, c)
		}
	}
	for c, sc := range who {
		sc.Client, sc.Doors = e.hosts[c], s.failed[c]
		out = append(out, *sc)
	}
	slices.SortFunc(out, func(a, b Scanner) int { return cmp.Or(cmp.Compare(b.Doors, a.Doors), a.Client.Compare(b.Client)) })
	return out
}
