package negotiate

import (
	"container/list"
	"time"
)

const (
	// callHold is how long after a description media may begin, or begin
	// again after silence.
	callHold = time.Hour
	// maxDescriptions of one call, maxAddrs of one description.
	maxDescriptions = 8
	maxAddrs        = 4
	// maxCallID is the longest identifier that is kept.
	maxCallID = 256
)

// description is what one side said about where it wants media.
type description struct {
	answer bool // it came in a response
	media  []media
	via    [16]byte // the address that it was sent from; zero when another's
	when   int64
}

// addrs are the addresses that the side may send from.
func (d *description) addrs() []([16]byte) {
	var out [][16]byte
	add := func(a [16]byte) {
		for _, o := range out {
			if o == a {
				return
			}
		}
		if a != anyone && len(out) <= maxAddrs {
			out = append(out, a)
		}
	}
	add(d.via)
	for _, m := range d.media {
		add(m.at.Addr)
	}
	return out
}

// same reports a repetition, on this or another leg of the way.
func (d *description) same(o *description) bool {
	if d.answer != o.answer || d.via != o.via || len(d.media) != len(o.media) {
		return false
	}
	for i := range d.media {
		if d.media[i] != o.media[i] {
			return false
		}
	}
	return true
}

// call is what is known of one call.
type call struct {
	id    string
	said  []description
	life  life
	place *list.Element
}

// calls are the calls, the longest silent at the front.
type calls struct {
	max   int
	byID  map[string]*call
	order list.List
}

func newCalls(limit int) calls { return calls{max: limit, byID: map[string]*call{}} }

func (cs *calls) get(id string) *call {
	if c := cs.byID[id]; c != nil {
		cs.order.MoveToBack(c.place)
		return c
	}
	for len(cs.byID) >= cs.max {
		old := cs.order.Front()
		cs.order.Remove(old)
		delete(cs.byID, old.Value.(*call).id)
	}
	c := &call{id: id}
	c.place = cs.order.PushBack(c)
	cs.byID[id] = c
	return c
}

// describe takes a description of a call, and pairs it with those of the
// other side: an offer counts once it was answered.
func (x *exchange) describe(id, protocol string, d description) {
	if len(d.media) == 0 || id == "" || len(id) > maxCallID {
		return
	}
	c := x.w.calls.get(protocol + " " + id)
	if c.life.ended {
		c.life, c.said = life{}, nil
	}
	d.when = x.when
	d = c.remember(d)
	x.life = &c.life
	for i := range c.said {
		if e := &c.said[i]; e.answer != d.answer {
			x.pair(protocol, &d, e)
			x.pair(protocol, e, &d)
		}
	}
}

// remember keeps a description; of one that is repeated, when it was first
// said.
func (c *call) remember(d description) description {
	for i := range c.said {
		if c.said[i].same(&d) {
			return c.said[i]
		}
	}
	if len(c.said) >= maxDescriptions {
		c.said = c.said[1:]
	}
	c.said = append(c.said, d)
	return d
}

// pair notes that there is sent from one side to the other's endpoints: at
// the address that is named, and at the one that the other was seen with.
func (x *exchange) pair(protocol string, to, from *description) {
	since := min(to.when, from.when)
	for _, m := range to.media {
		a := Agreement{Name: m.name, ControlProto: protocol, Detail: m.kind, Since: since}
		for _, peer := range from.addrs() {
			x.agree(m.proto, m.at, peer, a, callHold)
			if to.via != anyone && to.via != m.at.Addr {
				x.agree(m.proto, Endpoint{to.via, m.at.Port}, peer, a, callHold)
			}
		}
	}
}
