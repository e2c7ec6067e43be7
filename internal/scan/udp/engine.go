package udp

import (
	"container/heap"
	"errors"
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Bounds of the engine's memory.
const (
	maxHosts   = 65536                // remembered at once; those with nothing outstanding are forgotten first
	tightLeast = 3 * time.Millisecond // refills within that time do not matter
	tightMost  = 16                   // probes of a burst that one control vouches for
	pullMost   = 256                  // taken from the Work between two datagrams
)

// engine decides what is sent when, and what the answers mean. It knows no
// socket and no clock: the caller asks next what to send, tells it what was
// heard, and tells the time.
type engine struct {
	t     *Transport
	table *table
	work  Work
	zones func(zone string) (uint32, error)
	own   map[uint16]bool // local ports of the sockets, asked later from others
	tell  func(i uint64, p exposure.PortState)
	id    func(spot) [8]byte

	pulled   uint64
	later    []uint64 // numbers whose port is one of own
	hosts    map[place]*host
	probes   map[spot]*probe
	strays   map[place]*probe // asked of a protocol that answers from another port
	heap     hostHeap
	seq      uint64
	unasked  map[string]*unasked // by why
	spacing  time.Duration       // between datagrams at the rate in use
	tight    time.Duration       // see host
	canaries canaries
	counts   struct{ sent, received, asked, told int64 }
}

func newEngine(t *Transport, tab *table, w Work, tell func(uint64, exposure.PortState)) *engine {
	return &engine{t: t, table: tab, work: w, tell: tell, hosts: map[place]*host{}, probes: map[spot]*probe{},
		strays: map[place]*probe{}, unasked: map[string]*unasked{}, own: map[uint16]bool{},
		zones:   func(string) (uint32, error) { return 0, nil },
		id:      func(spot) [8]byte { return [8]byte{} },
		spacing: time.Microsecond, tight: tightLeast,
		canaries: canaries{pending: map[spot]instant{}}}
}

// next gives the datagram that is due now; else when to ask again, never when
// only the Work's end is left.
func (e *engine) next(now instant) (s shot, ok bool, wake instant) {
	if s, ok := e.canaries.due(now, e.counts.sent); ok {
		e.counts.sent++
		return s, true, now
	}
	for pulls := 0; ; {
		if len(e.heap) > 0 && e.heap[0].wake <= now {
			if s, ok := e.step(now, e.heap[0]); ok {
				return s, true, now
			}
			continue
		}
		if pulls == pullMost {
			return shot{}, false, now
		}
		if !e.pull(now) {
			break
		}
		pulls++
	}
	wake = e.canaries.wake()
	if len(e.heap) > 0 {
		wake = min(wake, e.heap[0].wake)
	}
	return shot{}, false, wake
}

// over tells that everything is told.
func (e *engine) over() bool {
	return e.pulled == e.work.Len() && len(e.probes) == 0 && len(e.canaries.pending) == 0
}

// paced hears of the rate in use, in packets a second.
func (e *engine) paced(rate float64) {
	e.spacing = max(time.Duration(float64(time.Second)/rate), time.Nanosecond)
	e.tight = max(tightLeast, e.spacing*3/2)
}

// step lets one host go on.
func (e *engine) step(now instant, h *host) (shot, bool) {
	e.linger(now, h)
	if h.idle() {
		e.rest(h)
		return shot{}, false
	}
	e.patience(now, h)
	h.tight, h.tightBurst = e.tight, max(1, min(tightMost, int(e.tight/e.spacing)))
	s, ok := h.step(now)
	if p := h.stay.front(); p != nil {
		h.wake = min(h.wake, max(p.sent+h.rtt.stay(), now+1))
	}
	heap.Fix(&e.heap, h.heapIndex)
	if ok {
		e.fill(&s)
	}
	return s, ok
}

// fill chooses the request.
func (e *engine) fill(s *shot) {
	e.counts.sent++
	p := s.probe
	if p == nil {
		s.request = e.table.requestsFor(s.to.port)[0]
		return
	}
	e.seq++
	p.seq = e.seq
	s.request = p.request(e.table)
	if s.request.stray {
		e.strays[s.to.place] = p
	}
	if s.first {
		e.counts.asked++
	}
}

// request is what the probe asked last.
func (p *probe) request(t *table) *request {
	all := t.requestsFor(p.port)
	return all[(max(int(p.asks), 1)-1)%len(all)]
}

// linger tells ports whose time for late answers is over.
func (e *engine) linger(now instant, h *host) {
	for p := h.stay.front(); p != nil; p = h.stay.front() {
		if !p.done && p.sent+h.rtt.stay() > now {
			return
		}
		h.stay.pop()
		if !p.done {
			e.settle(p, exposure.PortState{State: exposure.OpenFiltered, Reason: "no-response"})
		}
	}
}

// patience ends the wait for a host's limit.
func (e *engine) patience(now instant, h *host) {
	if e.t.Patience > 0 && h.lim.limited() && now-h.lim.met > e.t.Patience && h.fresh.len() == 0 {
		h.giveUp(now)
	}
}

// pull takes one number from the Work.
func (e *engine) pull(now instant) bool {
	if e.pulled == e.work.Len() || len(e.probes) >= e.t.window() {
		return false
	}
	i := e.pulled
	e.pulled++
	addr, port := e.work.At(i)
	at, err := e.placeOf(addr)
	switch {
	case err != nil:
		e.notAsked(addr, 1, err)
	case e.own[port]:
		e.later = append(e.later, i)
	default:
		e.add(now, i, spot{at, port}, addr)
	}
	return true
}

// unasked counts ports that were not asked for one reason.
type unasked struct {
	ports int
	first netip.Addr
}

// notAsked counts ports without a state. Reasons do not name addresses, so
// that they stay few.
func (e *engine) notAsked(addr netip.Addr, ports int, why error) {
	u := e.unasked[why.Error()]
	if u == nil {
		u = &unasked{first: addr}
		e.unasked[why.Error()] = u
	}
	u.ports += ports
}

// Addresses that cannot be asked.
var (
	errAddress = errors.New("this is no unicast address")
	errZone    = errors.New("a link-local address needs a zone (as in fe80::1%eth0) or an interface")
)

func (e *engine) placeOf(addr netip.Addr) (place, error) {
	addr = addr.Unmap()
	if !addr.IsValid() || addr.IsUnspecified() {
		return place{}, errAddress
	}
	if !addr.Is6() || !addr.IsLinkLocalUnicast() && !addr.IsLinkLocalMulticast() {
		return place{addr: addr.WithZone("")}, nil
	}
	zone := addr.Zone()
	if zone == "" {
		zone = e.t.Iface
	}
	if zone == "" {
		return place{}, errZone
	}
	n, err := e.zones(zone)
	return place{addr: addr.WithZone(""), zone: n}, err
}

func (e *engine) add(now instant, i uint64, to spot, shown netip.Addr) {
	if p := e.probes[to]; p != nil {
		p.numbers = append(p.numbers, i)
		return
	}
	h := e.hosts[to.place]
	if h == nil {
		h = newHost(to.place, shown, e.t.tries())
		e.hosts[to.place] = h
	}
	p := &probe{numbers: []uint64{i}, host: h, port: to.port}
	e.probes[to] = p
	h.fresh.push(p)
	e.wakeUp(h, max(now, min(h.paceAt, now+time.Second)))
}

// wakeUp lets a host go on at a time, if that is earlier than it would.
func (e *engine) wakeUp(h *host, at instant) {
	if h.heapIndex < 0 {
		h.wake = at
		heap.Push(&e.heap, h)
	} else if at < h.wake {
		h.wake = at
		heap.Fix(&e.heap, h.heapIndex)
	}
}

// rest takes a host without work from the heap, and forgets it when many are
// known.
func (e *engine) rest(h *host) {
	heap.Remove(&e.heap, h.heapIndex)
	h.ring, h.fresh, h.stay, h.walked = queue{}, queue{}, queue{}, nil
	h.stage, h.until, h.bonusing = resting, 0, false
	if len(e.hosts) > maxHosts && h.unwaited == 0 {
		delete(e.hosts, h.place)
	}
}

// hostHeap orders hosts by when they want to go on (container/heap).
type hostHeap []*host

func (q hostHeap) Len() int           { return len(q) }
func (q hostHeap) Less(i, j int) bool { return q[i].wake < q[j].wake }
func (q hostHeap) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].heapIndex, q[j].heapIndex = i, j
}
func (q *hostHeap) Push(x any) {
	h := x.(*host)
	h.heapIndex = len(*q)
	*q = append(*q, h)
}
func (q *hostHeap) Pop() any {
	old := *q
	h := old[len(old)-1]
	old[len(old)-1] = nil
	h.heapIndex = -1
	*q = old[:len(old)-1]
	return h
}
