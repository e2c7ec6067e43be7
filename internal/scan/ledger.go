package scan

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Bounds of what is kept of one host and protocol.
const (
	maxWords  = 24      // states with reasons; nmap knows about as many
	keepMinor = 2048    // ports of a state that may turn out to be the common one
	keepOpen  = 1 << 14 // open ports: a host with more answers for everything
)

// ledger puts the answers of many hosts together: little per answer, since
// there may be millions. One ledger is one protocol.
type ledger struct {
	proto    exposure.Proto
	all      bool // list every state
	words    []word
	index    map[netip.Addr]int32
	hosts    []account
	services map[netip.AddrPort]*exposure.Service
}

// account is one host's answers. The ports of closed and of filtered are kept
// apart until one of them is plainly the common one, whose ports need not be
// listed.
type account struct {
	addr   netip.Addr
	counts [maxWords]uint32
	lists  [states][]entry
	over   [states]bool // its list was given up
}

// entry is one port's answer.
type entry struct {
	port uint16
	word uint8
	ttl  uint8
	rtt  uint32 // microseconds
}

// Lists of an account.
const (
	openList = iota
	closedList
	filteredList
	eitherList // open|filtered
	states
)

func listOf(s exposure.PortStateName) int {
	switch s {
	case exposure.Open:
		return openList
	case exposure.Closed:
		return closedList
	case exposure.OpenFiltered:
		return eitherList
	}
	return filteredList
}

func newLedger(proto exposure.Proto, all bool) *ledger {
	return &ledger{proto: proto, all: all, index: map[netip.Addr]int32{}, services: map[netip.AddrPort]*exposure.Service{}}
}

// account gives the account of an address.
func (l *ledger) account(addr netip.Addr) *account {
	i, ok := l.index[addr]
	if !ok {
		i = int32(len(l.hosts))
		l.index[addr] = i
		l.hosts = append(l.hosts, account{addr: addr})
	}
	return &l.hosts[i]
}

// word gives the index of a state with its reason.
func (l *ledger) word(state exposure.PortStateName, reason string) uint8 {
	w := word{state, reason}
	if i := slices.Index(l.words, w); i >= 0 {
		return uint8(i)
	}
	if len(l.words) == maxWords {
		return maxWords - 1
	}
	l.words = append(l.words, w)
	return uint8(len(l.words) - 1)
}

// take adds one answer.
func (l *ledger) take(p exposure.PortState) {
	a := l.account(p.Addr)
	w := l.word(p.State, p.Reason)
	a.counts[w]++
	l.keep(a, listOf(p.State), entry{p.Port, w, p.TTL, uint32(min(p.RTT.Microseconds(), 1<<32-1))})
	if p.Service != nil {
		l.services[netip.AddrPortFrom(p.Addr, p.Port)] = p.Service
	}
}

// keep lists a port unless its state is plainly the host's common one.
func (l *ledger) keep(a *account, list int, e entry) {
	if a.over[list] {
		return
	}
	n := len(a.lists[list])
	full := list == openList && n >= keepOpen || list != openList && n >= keepMinor && n > 2*l.others(a, list)
	if full && !l.all {
		a.over[list] = list != openList
		if a.over[list] {
			a.lists[list] = slices.Clone(a.lists[list][:1]) // one, as a sample
		}
		return
	}
	a.lists[list] = append(a.lists[list], e)
}

// others is the longest list beside one that may be left out in its stead.
func (l *ledger) others(a *account, list int) int {
	most := 0
	for i := closedList; i < states; i++ {
		if i != list {
			most = max(most, len(a.lists[i]))
		}
	}
	return most
}

// few is how many open|filtered ports are always listed: they are a finding
// where they are few and noise where they are most.
const few = 25

// common is the list that is left out: the longest of closed and filtered,
// and of open|filtered where that is many.
func (l *ledger) common(a *account) int {
	var counts [states]int
	for i, n := range a.counts[:len(l.words)] {
		counts[listOf(l.words[i].state)] += int(n)
	}
	common := closedList
	if counts[filteredList] > counts[common] {
		common = filteredList
	}
	if counts[eitherList] > max(counts[common], few) {
		common = eitherList
	}
	return common
}

// asked is how many ports of a host were settled.
func (l *ledger) asked(addr netip.Addr) int {
	i, ok := l.index[addr]
	if !ok {
		return 0
	}
	sum := 0
	for _, n := range l.hosts[i].counts {
		sum += int(n)
	}
	return sum
}

// silent is how many ports of a host gave no answer at all.
func (l *ledger) silent(addr netip.Addr) int {
	i, ok := l.index[addr]
	if !ok {
		return 0
	}
	sum := 0
	for w, n := range l.hosts[i].counts[:len(l.words)] {
		if l.words[w] == (word{exposure.Filtered, "no-response"}) {
			sum += int(n)
		}
	}
	return sum
}

// forget drops what was settled of a host.
func (l *ledger) forget(addr netip.Addr) {
	if i, ok := l.index[addr]; ok {
		l.hosts[i] = account{addr: addr}
	}
}

// answered tells whether anything came from a host itself.
func (l *ledger) answered(addr netip.Addr) bool {
	i, ok := l.index[addr]
	if !ok {
		return false
	}
	for w, n := range l.hosts[i].counts[:len(l.words)] {
		if n > 0 && l.words[w].heard() {
			return true
		}
	}
	return false
}

// heard tells a reason that the host itself gives.
func (w word) heard() bool {
	switch w.reason {
	case "syn-ack", "reset", "conn-refused", "udp-response", "port-unreach", "proto-unreach", "admin-prohibited":
		return true
	}
	return false
}

// close adds a host's answers to its scan.
func (l *ledger) close(h *exposure.HostScan) {
	i, ok := l.index[h.Addr]
	if !ok {
		return
	}
	a := &l.hosts[i]
	common := l.common(a)
	listed := map[exposure.PortStateName]int{}
	n := len(h.Ports)
	for list := range a.lists {
		if list != common || l.all {
			n += len(a.lists[list])
		}
	}
	ports := append(make([]exposure.PortState, 0, n), h.Ports...)
	for list := range a.lists {
		if list == common && !l.all {
			continue
		}
		for _, e := range a.lists[list] {
			p := l.state(h.Addr, e)
			listed[p.State]++
			ports = append(ports, p)
		}
	}
	slices.SortFunc(ports[len(h.Ports):], func(a, b exposure.PortState) int { return cmp.Compare(a.Port, b.Port) })
	h.Ports = ports
	for w, n := range a.counts[:len(l.words)] {
		h.States[l.words[w].state] += int(n)
		h.Asked[l.proto] += int(n)
	}
	for state, n := range listed {
		h.States[state] -= n
	}
	maps.DeleteFunc(h.States, func(_ exposure.PortStateName, n int) bool { return n == 0 })
}

func (l *ledger) state(addr netip.Addr, e entry) exposure.PortState {
	w := l.words[e.word]
	return exposure.PortState{Addr: addr, Port: e.port, Proto: l.proto, State: w.state, Reason: w.reason, TTL: e.ttl,
		RTT: time.Duration(e.rtt) * time.Microsecond, RTTus: int64(e.rtt), Service: l.services[netip.AddrPortFrom(addr, e.port)]}
}

// open gives the open ports of a host.
func (l *ledger) open(addr netip.Addr) []uint16 {
	i, ok := l.index[addr]
	if !ok {
		return nil
	}
	var ports []uint16
	for _, e := range l.hosts[i].lists[openList] {
		ports = append(ports, e.port)
	}
	return ports
}

// closed gives one port that answered with RST, 0 if none is known.
func (l *ledger) closed(addr netip.Addr) uint16 {
	i, ok := l.index[addr]
	if !ok || len(l.hosts[i].lists[closedList]) == 0 {
		return 0
	}
	return l.hosts[i].lists[closedList][0].port
}

func compareAddr(a, b netip.Addr) int { return a.Compare(b) }
