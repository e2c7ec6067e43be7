package learn

import (
	"math/bits"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
)

// control are the ports on which protocols agree further ports, and the name
// that a rule file gives the protocol.
var control = []struct {
	proto uint8
	port  uint16
	kind  string
}{
	{tcp, 21, "ftp"}, {udp, 69, "tftp"}, {tcp, 111, "rpc"}, {udp, 111, "rpc"}, {tcp, 135, "msrpc"},
	{udp, 5060, "sip"}, {tcp, 5060, "sip"}, {tcp, 5061, "sip"}, {udp, 2427, "sip"}, {tcp, 2000, "sip"},
	{tcp, 554, "rtsp"}, {tcp, 1720, "h323"},
}

// door is a port of a server.
type door struct {
	server uint32
	proto  uint8
	port   uint16
}

// ends are two hosts, in no order.
type ends struct{ a, b uint32 }

func endsOf(a, b uint32) ends { return ends{min(a, b), max(a, b)} }

// agreements are who spoke a control protocol.
type agreements struct {
	between map[ends][]string
	serves  map[uint32][]string // kinds that a host serves
	speaks  map[uint32][]string // kinds that a host has to do with
}

func (e *evidence) agreements() *agreements {
	a := &agreements{map[ends][]string{}, map[uint32][]string{}, map[uint32][]string{}}
	for _, r := range e.rows {
		s := e.list[r.svc]
		for _, c := range control {
			if c.proto != s.proto || c.port != s.port || s.kind != "" {
				continue
			}
			k := endsOf(r.client, r.server)
			a.between[k] = add(a.between[k], c.kind)
			a.serves[r.server] = add(a.serves[r.server], c.kind)
			a.speaks[r.client], a.speaks[r.server] = add(a.speaks[r.client], c.kind), add(a.speaks[r.server], c.kind)
		}
	}
	return a
}

func add(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// kindOf is the protocol that a high port of two hosts was agreed by, "" for
// none.
func (a *agreements) kindOf(r row, s service) string {
	switch between := a.between[endsOf(r.client, r.server)]; {
	case r.media != noMedia:
		return r.media.kind()
	case slices.Contains(a.serves[r.server], "msrpc") && s.proto == tcp && s.port >= 49152:
		return "msrpc"
	case s.proto == udp && slices.Contains(a.speaks[r.client], "sip") && slices.Contains(a.speaks[r.server], "sip"):
		return "sip" // phones send each other what their exchange agreed
	case len(between) > 0 && between[0] != "msrpc" && between[0] != "sip" && (between[0] != "ftp" || s.proto == tcp) && (between[0] != "tftp" || s.proto == udp):
		return between[0]
	}
	return ""
}

// use is how a server's port is used.
type use struct {
	clients int
	flows   uint64
	days    uint64
}

// steady reports a port that is a service by itself: several clients found it,
// or one came back on another day.
func (u *use) steady() bool {
	return u.clients >= 3 || u.flows >= 6 && bits.OnesCount64(u.days) >= 2
}

// nameless is how many unsteady ports of one server make a range of them where
// no control protocol explains them.
const nameless = 6

// nameDynamic makes one service of the ports that were agreed in band, instead
// of one for each.
func (e *evidence) nameDynamic() {
	uses, unsteady := e.uses()
	a := e.agreements()
	kinds := make([]string, len(e.rows))
	spread := map[service]*ports{}
	for i, r := range e.rows {
		s := e.list[r.svc]
		d := door{r.server, s.proto, s.port}
		if s.kind != "" || s.port < 1024 || s.proto != tcp && s.proto != udp {
			continue
		}
		kind := a.kindOf(r, s)
		if kind == "" && unsteady[door{r.server, s.proto, 0}] >= nameless {
			kind = "-" // agreed, nobody knows how
		}
		if kind == "" || kind != "msrpc" && r.media == noMedia && (uses[d].steady() || e.registered(s)) {
			continue
		}
		kinds[i] = kind
		get(spread, service{proto: s.proto, kind: kind}).note(s.port)
	}
	e.rekey(kinds, spread)
}

// registered: a port below the dynamic ranges that has a name is a service's.
func (e *evidence) registered(s service) bool {
	return s.port < 10000 && e.opt.Registry != nil && e.opt.Registry(exposure.ProtoByNumber(s.proto), s.port) != ""
}

func (e *evidence) uses() (map[door]*use, map[door]int) {
	uses := map[door]*use{}
	for _, r := range e.rows {
		s := e.list[r.svc]
		if s.port >= 1024 && s.kind == "" {
			u := get(uses, door{r.server, s.proto, s.port})
			u.clients++
			u.flows += r.ok
			u.days |= r.days
		}
	}
	unsteady := map[door]int{}
	for d, u := range uses {
		if !u.steady() && !e.registered(service{proto: d.proto, port: d.port}) {
			unsteady[door{d.server, d.proto, 0}]++
		}
	}
	return uses, unsteady
}

// ports are the ports seen of a dynamic protocol.
type ports struct {
	lo, hi uint16
	seen   map[uint16]struct{}
}

func (p *ports) note(n uint16) {
	if p.seen == nil {
		p.seen, p.lo, p.hi = map[uint16]struct{}{}, n, n
	}
	p.lo, p.hi = min(p.lo, n), max(p.hi, n)
	p.seen[n] = struct{}{}
}

// windows are ranges that systems and products hand ports out of: RFC 6335's
// dynamic ports, Linux's (ip_local_port_range), what VoIP products take for
// RTP.
var windows = [][2]uint16{{10000, 20000}, {16384, 32767}, {49152, 65535}, {32768, 60999}, {32768, 65535}, {1024, 65535}}

// bounds is the range that the ports seen were probably drawn from: with n of
// them seen, the next one lies outside of lo to hi by a few times (hi-lo)/n.
func (p *ports) bounds(kind string) (lo, hi uint16) {
	if kind == "msrpc" {
		return 49152, 65535 // since Windows Vista
	}
	n := len(p.seen)
	margin := 3 * (int(p.hi) - int(p.lo)) / n
	from, to := max(int(p.lo)-margin, 1024)/100*100, min((int(p.hi)+margin)/100*100+99, 65535)
	from = max(from, 1024)
	for _, w := range windows {
		a, b := int(w[0]), int(w[1])
		if int(p.lo) >= a && int(p.hi) <= b && (n < 8 || 10*(to-from) >= 6*(b-a)) {
			return w[0], w[1]
		}
	}
	return uint16(from), uint16(to)
}

// rekey gives the rows of dynamic ports their common service.
func (e *evidence) rekey(kinds []string, spread map[service]*ports) {
	joined := map[pairKey]int{}
	kept := make([]row, 0, len(e.rows))
	for i, r := range e.rows {
		if kinds[i] == "" {
			kept = append(kept, r)
			continue
		}
		s := service{proto: e.list[r.svc].proto, kind: kinds[i]}
		s.port, s.hi = spread[s].bounds(s.kind)
		k := pairKey{e.svcID(s), r.client, r.server}
		at, ok := joined[k]
		if !ok {
			joined[k] = len(kept)
			copied := *r.pair
			kept = append(kept, row{k, &copied})
			continue
		}
		kept[at].merge(r.pair)
	}
	slices.SortFunc(kept, e.compareRows)
	e.rows = kept
}

func (p *pair) merge(o *pair) {
	p.ok, p.failed, p.denied = p.ok+o.ok, p.failed+o.failed, p.denied+o.denied
	p.packets, p.bytes = p.packets+o.packets, p.bytes+o.bytes
	if p.first == 0 || o.first != 0 && o.first < p.first {
		p.first = o.first
	}
	p.last, p.days, p.badDays = max(p.last, o.last), p.days|o.days, p.badDays|o.badDays
}
