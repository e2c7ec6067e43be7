package learn

import (
	"math/bits"
	"net/netip"
	"slices"
	"time"
)

// An occasion is what lies within an hour: a person who connects again, a
// program that tries twice.
const occasion = int64(time.Hour)

// once reports a pair that was used on one occasion only: once, or twice where
// a day or more was watched.
func (e *evidence) once(p *pair) bool {
	most := uint64(1)
	if e.window >= day {
		most = 2
	}
	return p.ok <= most && p.last-p.first < occasion && bits.OnesCount64(p.days) <= 1
}

// regulars is how many different servers (or clients) of one service make a
// host one whose work it is to go round: a monitor, a backup, a resolver.
const regulars = 5

// dropOneOffs takes out what one client did once, with a server of one's own
// that nobody else used so. With servers of the internet being new is no sign,
// nor is it where three clients use the same service of that server's
// neighbours: printers, phones.
func (e *evidence) dropOneOffs() {
	clients, near := map[[2]uint32]int{}, map[neighbours]three{}
	e.servers = map[[2]uint32]int{}
	for _, r := range e.rows {
		if e.home.internal(e.hosts[r.server]) {
			clients[[2]uint32{r.svc, r.server}]++
			k := e.neighbours(r)
			near[k] = near[k].with(r.client)
		}
	}
	e.countServers()
	kept := e.rows[:0]
	for _, r := range e.rows {
		if e.once(r.pair) && clients[[2]uint32{r.svc, r.server}] == 1 && !e.goesRound(r) && near[e.neighbours(r)].n < 3 && !e.protects(r) && !e.agreed(r) {
			e.leaveOut(r, "one client, one occasion, and nobody else used that server so")
			continue
		}
		kept = append(kept, r)
	}
	e.rows = kept
}

// countServers notes the clients that use many servers of one service. Rows are
// in the order of services, then of clients.
func (e *evidence) countServers() {
	n := 0
	for i, r := range e.rows {
		if n++; i+1 < len(e.rows) && e.rows[i+1].svc == r.svc && e.rows[i+1].client == r.client {
			continue
		}
		if n >= regulars {
			e.servers[[2]uint32{r.svc, r.client}] = n
		}
		n = 0
	}
}

// three are up to three different clients.
type three struct {
	list [3]uint32
	n    int
}

func (t three) with(id uint32) three {
	if t.n < len(t.list) && !slices.Contains(t.list[:t.n], id) {
		t.list[t.n] = id
		t.n++
	}
	return t
}

// goesRound reports clients that use many servers of one service.
func (e *evidence) goesRound(r row) bool { return e.servers[[2]uint32{r.svc, r.client}] >= regulars }

// neighbours are a service's servers in one small network.
type neighbours struct {
	svc uint32
	net netip.Prefix
}

func (e *evidence) neighbours(r row) neighbours {
	a := e.hosts[r.server]
	n := 24
	if !a.Is4() {
		n = 64
	}
	p, _ := a.Prefix(n)
	return neighbours{r.svc, p}
}

// protects reports what the policy names.
func (e *evidence) protects(r row) bool {
	s := e.list[r.svc]
	for _, p := range e.opt.Policy.Protected {
		if protoNumber(p.Proto) == s.proto && s.port >= p.First && s.port <= p.Last {
			return true
		}
	}
	return false
}

// agreed reports ports that were agreed in band, each used once by nature.
func (e *evidence) agreed(r row) bool { return e.list[r.svc].kind != "" || r.media != noMedia }

const mostLeftOut = 200

func (e *evidence) leaveOut(r row, why string) {
	e.report.OneOff += r.ok
	if len(e.report.LeftOut) < mostLeftOut {
		e.report.LeftOut = append(e.report.LeftOut, LeftOut{
			Service: e.label(e.list[r.svc]), Client: e.hosts[r.client], Server: e.hosts[r.server], Flows: r.ok, Why: why,
		})
	}
}
