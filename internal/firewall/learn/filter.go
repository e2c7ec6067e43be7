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
	known []uint32          // hosts of one's own that were seen to live
	place map[uint32]uint32 // of each in known
	// clientOf are the services that a host uses, serverOf those it serves.
	clientOf, serverOf map[uint32]map[uint32]bool
	seg                *segments
	weights            weights
	spread             map[purpose]bool
	report             *Report
	level              level
	window             int64 // nanoseconds
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
func (l *Learner) compareRows(a, b row) int {
	x, y := l.list[a.svc], l.list[b.svc]
	return cmp.Or(compareServices(x, y), l.hosts[a.client].Compare(l.hosts[b.client]), l.hosts[a.server].Compare(l.hosts[b.server]))
}

func compareServices(x, y service) int {
	return cmp.Or(cmp.Compare(x.proto, y.proto), cmp.Compare(x.port, y.port), cmp.Compare(x.hi, y.hi),
		cmp.Compare(x.kind, y.kind), cmp.Compare(x.from, y.from))
}

func (l *Learner) sorted() []row { return l.sortedIf(func(row) bool { return true }) }

// sortedIf are the pairs that are wanted.
func (l *Learner) sortedIf(want func(row) bool) []row {
	var rows []row
	for k, p := range l.pairs {
		if r := (row{k, p}); want(r) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, l.compareRows)
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

// learnHosts notes who lives and what they use.
func (e *evidence) learnHosts() {
	e.clientOf, e.serverOf = map[uint32]map[uint32]bool{}, map[uint32]map[uint32]bool{}
	seen := map[uint32]bool{}
	note := func(id uint32) {
		if !seen[id] && e.home.internal(e.hosts[id]) {
			seen[id] = true
			e.known = append(e.known, id)
		}
	}
	for _, r := range e.rows {
		note(r.client)
		note(r.server)
		addTo(e.clientOf, r.client, r.svc)
		// What goes round all hosts (monitors) tells nothing of what they are.
		if !e.goesRound(r) {
			addTo(e.serverOf, r.server, r.svc)
		}
	}
	slices.SortFunc(e.known, func(a, b uint32) int { return e.hosts[a].Compare(e.hosts[b]) })
	e.place = make(map[uint32]uint32, len(e.known))
	for i, id := range e.known {
		e.place[id] = uint32(i)
	}
}

func addTo(m map[uint32]map[uint32]bool, k, v uint32) {
	if m[k] == nil {
		m[k] = map[uint32]bool{}
	}
	m[k][v] = true
}

// scans are who asked many doors that did not open.
type scans struct {
	// sweep: a client asked many servers of one service in vain.
	sweep map[[2]uint32]bool // client, service
	// probe: a client asked many ports of one server in vain.
	probe map[[2]uint32]bool // client, server
	// wild: a client did so over many services and servers at once.
	wild map[uint32]bool
	// used by clients that scan nothing: (service, server).
	used   map[[2]uint32]bool
	failed map[uint32]int // doors asked in vain, by client
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

func (e *evidence) findScans(rows []row) *scans {
	type score struct{ ok, failed int }
	bySvc, byServer := map[[2]uint32]*score{}, map[[2]uint32]*score{}
	byClient := map[uint32]*score{}
	add := func(s *score, r row) {
		if r.ok > 0 {
			s.ok++
		} else {
			s.failed++
		}
	}
	for _, r := range rows {
		k, v := [2]uint32{r.client, r.svc}, [2]uint32{r.client, r.server}
		for _, s := range []*score{get(bySvc, k), get(byServer, v), get(byClient, r.client)} {
			add(s, r)
		}
	}
	out := &scans{sweep: map[[2]uint32]bool{}, probe: map[[2]uint32]bool{}, wild: map[uint32]bool{}, used: map[[2]uint32]bool{}, failed: map[uint32]int{}}
	for k, s := range bySvc {
		out.sweep[k] = s.failed >= sweepServers && s.failed > s.ok
	}
	for k, s := range byServer {
		out.probe[k] = s.failed >= probePorts && s.failed > s.ok
	}
	for c, s := range byClient {
		out.failed[c] = s.failed
		out.wild[c] = s.failed >= wildDoors && s.failed > s.ok
	}
	for _, r := range rows {
		if r.ok > 0 && !out.suspect(r) {
			out.used[[2]uint32{r.svc, r.server}] = true
		}
	}
	return out
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
