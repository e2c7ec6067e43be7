package audit

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Bounds of what a FlowUsage keeps, whatever comes.
const (
	maxUsers   = 1 << 18 // clients of all listeners together, and again as many that only sent
	maxServers = 1 << 12 // servers that are known from flows alone
	maxStrange = 64      // addresses that are named to the reader
)

// FlowUsage joins flows with listeners: who used which. A flow counts for the
// listeners that the kernel would give its packets to: bound to the server's
// address before those bound to all, bound to its device before others. Flows
// may come in any order. It belongs to one goroutine.
//
// Use is a handshake that the client completed, or data both ways; an attempt
// that nobody answered, that was refused or given up is none. Datagrams that
// nobody answers and nobody refuses are use once a client has sent a few.
type FlowUsage struct {
	o       UseOptions
	list    []listenerUse
	at      map[servicePort][]int
	users   map[user]bool
	senders map[user]sent
	strange []netip.Addr
	taken   []netip.Addr
	census  Census
}

// UseOptions say whose listeners they are.
type UseOptions struct {
	// Own are the host's addresses; loopback need not be among them. Without
	// any, a server at any address is taken for the host.
	Own []exposure.OwnAddress
	// AllKnown: there are no other addresses than Own and loopback.
	AllKnown bool
	// Servers makes a listener of every server that was used and that no
	// listener given accounts for.
	Servers bool
}

// Census counts conversations, for judging a capture.
type Census struct {
	// Both are TCP conversations of which both directions were seen, OneWay
	// those that were up and of which one was.
	Both, OneWay uint64
	// Local were between own addresses, Outside with another host.
	Local, Outside uint64
}

type servicePort struct {
	proto exposure.Proto
	port  uint16
}

type listenerUse struct {
	dual    bool
	unclear bool
	use     exposure.Usage
}

type user struct {
	listener int
	addr     netip.Addr
}

// sent is what a client sent that was not answered.
type sent struct {
	packets uint64
	last    int64
}

// NewFlowUsage makes one without listeners.
func NewFlowUsage(o UseOptions) *FlowUsage {
	return &FlowUsage{o: o, at: map[servicePort][]int{}, users: map[user]bool{}, senders: map[user]sent{}}
}

// Listen adds the listeners of one namespace that are not known yet.
func (u *FlowUsage) Listen(self exposure.NetNS, socks []exposure.Socket) {
	for i := range socks {
		s := &socks[i]
		if s.NetNS.ID != self.ID || !s.IsListener() || s.Port == 0 || !s.Addr.IP.IsValid() {
			continue
		}
		u.listen(exposure.Endpoint{Proto: s.Proto, Addr: s.Addr, Port: s.Port, Device: s.Device}, s.DualStack)
	}
}

func (u *FlowUsage) listen(ep exposure.Endpoint, dual bool) int {
	key := servicePort{ep.Proto, ep.Port}
	for _, i := range u.at[key] {
		if u.list[i].use.Endpoint == ep {
			u.list[i].dual = u.list[i].dual || dual
			return i
		}
	}
	u.list = append(u.list, listenerUse{dual: dual, use: exposure.Usage{Endpoint: ep}})
	u.at[key] = append(u.at[key], len(u.list)-1)
	return len(u.list) - 1
}

// Unclear notes that a port was used by somebody on some host: its listeners
// can no longer be called unused.
func (u *FlowUsage) Unclear(proto exposure.Proto, port uint16) {
	for _, i := range u.at[servicePort{proto, port}] {
		u.list[i].unclear = true
	}
}

// Add counts a flow. Nothing of it is kept.
func (u *FlowUsage) Add(f *flow.Flow) {
	client, server := flowAddr(f.Client), flowAddr(f.Server)
	u.census.count(f, u.own(client), u.own(server))
	kind := useOf(f)
	proto := exposure.ProtoByNumber(f.Proto)
	if kind == noUse || server.IsMulticast() && f.ClientPort == f.ServerPort && u.own(client) {
		return // the last is the listener's own sending to its group
	}
	mine := u.own(server) || isGroup(server) || len(u.o.Own) == 0
	listeners := u.takers(proto, server, f.ServerPort)
	if !mine {
		u.elsewhere(listeners, server)
		return
	}
	if len(listeners) == 0 && u.o.Servers && kind == twoWay {
		listeners = u.newServer(proto, server, f.ServerPort)
	}
	if len(listeners) > 0 && len(u.o.Own) == 0 && !isGroup(server) {
		u.taken = remember(u.taken, server)
	}
	for _, i := range listeners {
		u.count(i, client, kind, f.PacketsToServer+f.PacketsToClient, f.Last)
	}
}

func flowAddr(a [16]byte) netip.Addr { return wire.Addr(a).Unmap() }

func (u *FlowUsage) own(a netip.Addr) bool {
	return a.IsLoopback() || slices.ContainsFunc(u.o.Own, func(o exposure.OwnAddress) bool { return sameHost(o.IP, a) })
}

func sameHost(a, b netip.Addr) bool { return a.Unmap().WithZone("") == b.Unmap().WithZone("") }

// isGroup: sent to many. Of a network's own broadcast address only the card
// knows.
func isGroup(a netip.Addr) bool {
	return a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

func (u *FlowUsage) newServer(proto exposure.Proto, server netip.Addr, port uint16) []int {
	if len(u.list) >= maxServers {
		return nil
	}
	return []int{u.listen(exposure.Endpoint{Proto: proto, Addr: exposure.IPAddress(server), Port: port}, false)}
}

// elsewhere notes use of a listener's port at an address that may be this
// host's, as long as not all of them are known.
func (u *FlowUsage) elsewhere(listeners []int, server netip.Addr) {
	if u.o.AllKnown || len(listeners) == 0 {
		return
	}
	u.strange = remember(u.strange, server)
	for _, i := range listeners {
		u.list[i].unclear = true
	}
}

func remember(list []netip.Addr, a netip.Addr) []netip.Addr {
	if len(list) < maxStrange && !slices.Contains(list, a) {
		return append(list, a)
	}
	return list
}

// takers are the listeners that packets to an address reach: several only
// where their devices cannot be told apart.
func (u *FlowUsage) takers(proto exposure.Proto, server netip.Addr, port uint16) []int {
	var best []int
	top := 0
	for _, i := range u.at[servicePort{proto, port}] {
		score := u.score(&u.list[i], server)
		switch {
		case score == 0 || score < top:
		case score > top:
			best, top = append(best[:0:0], i), score
		default:
			best = append(best, i)
		}
	}
	return best
}

// score ranks listeners as the kernel does (inet_lhash2_lookup): the address
// first, then the device, then the family; 0: not reached.
func (u *FlowUsage) score(l *listenerUse, server netip.Addr) int {
	bind := l.use.Endpoint.Addr.IP
	if !reaches(bind, l.dual, server) {
		return 0
	}
	score := 1
	if !bind.Unmap().IsUnspecified() {
		score += 4
	}
	if dev := u.device(server); l.use.Endpoint.Device != "" && dev != "" {
		if dev != l.use.Endpoint.Device {
			return 0
		}
		score += 2
	}
	if bind.Unmap().Is4() == server.Is4() {
		score++
	}
	return score
}

// device is the interface that holds an own address; "" where none is known,
// or several do.
func (u *FlowUsage) device(a netip.Addr) string {
	name := ""
	for _, o := range u.o.Own {
		if !sameHost(o.IP, a) {
			continue
		}
		if name != "" && name != o.Interface {
			return ""
		}
		name = o.Interface
	}
	return name
}

func (u *FlowUsage) count(i int, client netip.Addr, kind useKind, packets uint64, last int64) {
	who := user{i, client}
	if kind == onlySent {
		packets, last, kind = u.send(who, packets, last)
		if kind == noUse {
			return
		}
	}
	use := &u.list[i].use
	use.Packets += packets
	u.seen(who, time.Unix(0, last).UTC())
}

// send adds datagrams that nobody answered. The first few of a client are held
// back until there are enough of them.
func (u *FlowUsage) send(who user, packets uint64, last int64) (uint64, int64, useKind) {
	had, known := u.senders[who]
	if !known && len(u.senders) >= maxUsers {
		u.list[who.listener].use.AtLeast = true
		return 0, 0, noUse
	}
	now := sent{had.packets + packets, max(had.last, last)}
	u.senders[who] = now
	switch {
	case now.packets < fewDatagrams:
		return 0, 0, noUse
	case had.packets < fewDatagrams:
		return now.packets, now.last, onlySent
	}
	return packets, last, onlySent
}

// seen notes a client.
func (u *FlowUsage) seen(who user, last time.Time) {
	use := &u.list[who.listener].use
	if last.After(use.Last) {
		use.Last = last
	}
	switch {
	case u.users[who]:
	case len(u.users) >= maxUsers:
		use.AtLeast = true
		use.Count = max(use.Count, 1)
	default:
		u.users[who] = true
		use.Count++
		use.Clients = append(use.Clients, who.addr)
	}
}

// Connected adds the clients that the kernel's connection table showed.
func (u *FlowUsage) Connected(table []exposure.Usage) {
	for _, t := range table {
		i := u.listen(t.Endpoint, t.Endpoint.Addr.IP == netip.IPv6Unspecified())
		for _, c := range t.Clients {
			u.seen(user{i, c.Unmap().WithZone("")}, t.Last)
		}
		u.list[i].use.AtLeast = u.list[i].use.AtLeast || t.Count > len(t.Clients)
	}
}

// Usage is what came out, one entry for each listener of which something can
// be said.
func (u *FlowUsage) Usage() []exposure.Usage {
	var out []exposure.Usage
	for i := range u.list {
		l := &u.list[i]
		if l.unclear && l.use.Count == 0 {
			continue
		}
		one := l.use
		one.AtLeast = one.AtLeast || l.unclear
		one.Clients = slices.SortedFunc(slices.Values(l.use.Clients), netip.Addr.Compare)
		one.Clients = one.Clients[:min(len(one.Clients), maxClients)]
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b exposure.Usage) int {
		return cmp.Or(cmp.Compare(a.Endpoint.Port, b.Endpoint.Port), cmp.Compare(a.Endpoint.Proto, b.Endpoint.Proto))
	})
	return out
}

// Strange are addresses at which ports of listeners were used and of which it
// is not known whether they are this host's; Taken those that were taken for
// its own because none was known. Both are bounded.
func (u *FlowUsage) Strange() []netip.Addr { return u.strange }

// Taken: see Strange.
func (u *FlowUsage) Taken() []netip.Addr { return u.taken }

// Census gives the counts so far.
func (u *FlowUsage) Census() Census { return u.census }
