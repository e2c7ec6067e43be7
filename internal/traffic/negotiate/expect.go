package negotiate

import (
	"container/list"
	"net/netip"
	"time"
)

const (
	// early is how long before its agreement a flow may begin: packets of
	// several queues are not in order.
	early = time.Second
	// after is how long after the end of the control connection a flow may
	// begin.
	after = 10 * time.Second
)

// anyone is the peer of an expectation that holds for all.
var anyone = [16]byte{}

// expectKey is an agreed endpoint and who is to use it.
type expectKey struct {
	proto uint8
	at    Endpoint
	peer  [16]byte
}

// expectation is an Agreement with its place in the order of age.
type expectation struct {
	key  expectKey
	what Agreement
	life *life // of what it was agreed in, whose end ends this; may be nil
}

// expects are the expectations, the oldest at the front.
type expects struct {
	max   int
	seen  ports // ports that were ever agreed: most flows are no further looked at
	byKey map[expectKey]*list.Element
	order list.List
}

func newExpects(limit int) expects {
	return expects{max: limit, byKey: map[expectKey]*list.Element{}}
}

func (e *expects) add(k expectKey, a Agreement, l *life) {
	if old := e.byKey[k]; old != nil {
		e.renew(old, a, l)
		return
	}
	for len(e.byKey) >= e.max {
		e.drop(e.order.Front())
	}
	e.seen.add(k.at.Port)
	e.byKey[k] = e.order.PushBack(&expectation{key: k, what: a, life: l})
}

// renew replaces an agreement about the same endpoint; the same thing agreed
// again holds since the first time.
func (e *expects) renew(old *list.Element, a Agreement, l *life) {
	x := old.Value.(*expectation)
	if sameThing(x.what, a) && a.Since <= x.what.Until {
		a.Since = min(a.Since, x.what.Since)
	}
	x.what, x.life = a, l
	e.order.MoveToBack(old)
}

func sameThing(a, b Agreement) bool {
	return a.Name == b.Name && a.Control == b.Control && a.ControlClient == b.ControlClient
}

func (e *expects) drop(old *list.Element) {
	e.order.Remove(old)
	delete(e.byKey, old.Value.(*expectation).key)
}

// find gives what is agreed about a flow that began at first; nil for nothing.
func (e *expects) find(k expectKey, first int64) *Agreement {
	found := e.byKey[k]
	if found == nil {
		return nil
	}
	if x := found.Value.(*expectation); x.holds(first) {
		return &x.what
	}
	return nil
}

// holds reports whether a flow that began at first is meant.
func (x *expectation) holds(first int64) bool {
	if first < x.what.Since-int64(early) || first > x.what.Until {
		return false
	}
	return x.life == nil || !x.life.ended || first <= x.life.end+int64(after)
}

// ordinary reports an address that one host can have: no wildcard, multicast
// or broadcast.
func ordinary(a [16]byte) bool {
	addr := netip.AddrFrom16(a).Unmap()
	return !addr.IsUnspecified() && !addr.IsMulticast() && addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// parseAddr reads an address as text; ok is false for names and for what no
// single host can have.
func parseAddr(text string) (a [16]byte, ok bool) {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return a, false
	}
	a = addr.As16()
	return a, ordinary(a)
}
