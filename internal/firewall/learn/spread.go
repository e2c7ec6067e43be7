package learn

import "net/netip"

// A service whose clients are spread over many networks, in many of which only
// one was seen, will see clients of further ones: the chance that the next new
// client comes from a network that was not seen is the share of clients that
// are alone in theirs (Good and Turing's estimate). So is it with what more than
// half of the networks use: a new network will use it, too. Its clients are then
// all networks of one's own but those that the policy names.
const (
	spreadSegments = 6
	spreadAlone    = 0.1 // share of clients
	// With so many networks, and one client in each, every further client is of
	// another network.
	strewnSegments = 4
)

// roam is the index of the segment that stands for all that nobody named.
const roam = -2

// purpose is a service and where its servers are.
type purpose struct {
	svc uint32
	to  side
	v4  bool
}

// findSpread marks the purposes whose clients are spread.
func (e *evidence) findSpread() {
	e.spread = map[purpose]bool{}
	if e.asking || e.level.clients == 0 {
		return
	}
	clients := map[purpose]map[int]map[uint32]bool{}
	for _, r := range e.rows {
		from := e.sideOf(r.client)
		if from.seg < 0 || e.seg.list[from.seg].name != "" {
			continue
		}
		p := purpose{r.svc, e.sideOf(r.server), from.v4}
		if clients[p] == nil {
			clients[p] = map[int]map[uint32]bool{}
		}
		if clients[p][from.seg] == nil {
			clients[p][from.seg] = map[uint32]bool{}
		}
		clients[p][from.seg][r.client] = true
	}
	using := e.usingSegments()
	for p, segs := range clients {
		all, alone := 0, 0
		for _, list := range segs {
			if all += len(list); len(list) == 1 {
				alone++
			}
		}
		e.spread[p] = len(segs) >= spreadSegments && float64(alone) >= spreadAlone*float64(all) ||
			len(segs) >= strewnSegments && alone == all || len(segs) >= spreadSegments && len(segs)*2 > using[p.v4]
	}
}

// usingSegments counts the networks without a name that have clients, for IPv6
// and IPv4.
func (e *evidence) usingSegments() map[bool]int {
	seen, out := map[int]bool{}, map[bool]int{}
	for _, r := range e.rows {
		if from := e.sideOf(r.client); from.seg >= 0 && !seen[from.seg] && e.seg.list[from.seg].name == "" {
			seen[from.seg] = true
			out[from.v4]++
		}
	}
	return out
}

// clientSide is the side of a row's client.
func (e *evidence) clientSide(r row) side {
	from := e.sideOf(r.client)
	if from.seg >= 0 && e.spread[purpose{r.svc, e.sideOf(r.server), from.v4}] && e.seg.list[from.seg].name == "" {
		from.seg = roam
	}
	return from
}

// roamEnd is all networks of one's own in which hosts were seen, but those that
// the policy names.
func (e *evidence) roamEnd(v4 bool) end {
	i := 0
	if v4 {
		i = 1
	}
	if e.roams[i] == nil {
		out := e.findRoam(v4)
		e.roams[i] = &out
	}
	return *e.roams[i]
}

func (e *evidence) findRoam(v4 bool) end {
	out := end{text: "own networks"}
	var hosts []places
	wides := map[netip.Prefix]bool{}
	var named area
	for _, s := range e.seg.list {
		switch {
		case s.v4 != v4:
		case s.name != "":
			named = append(named, s.area...)
		default:
			hosts = append(hosts, s.places)
			for _, id := range s.hosts {
				wides[wide(e.hosts[id])] = true
			}
		}
	}
	out.hosts = union(hosts...)
	for p := range wides {
		out.area = append(out.area, areaOf(p)...)
	}
	out.area = out.area.normal().minus(named.normal())
	return out
}
