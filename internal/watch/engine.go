package watch

import (
	"fmt"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/host/event"
)

// portKey is what a rebind keeps.
type portKey struct {
	proto exposure.Proto
	port  uint16
	netns string
}

func portOf(e exposure.Endpoint) portKey { return portKey{e.Proto, e.Port, e.NetNS} }

// Engine is the state of a watch. See the package comment.
type Engine struct {
	o       Options
	rows    map[exposure.Endpoint][]*row
	open    int                // rows kept
	closing map[portKey][]*row // rows that may come back
	queue   []*row             // the same, in the order of their closing
	touched *recent[exposure.Endpoint, time.Time]
	suspect map[suspicion]bool // differences of the last listing
	flaps   *recent[exposure.Endpoint, *flap]
	holding map[exposure.Endpoint]*flap // those of flaps that hold something back
	judged  judgement
	out     Out
	full    bool // said that there are too many rows
}

// NewEngine makes an engine that knows of nothing.
func NewEngine(o Options) *Engine {
	e := &Engine{o: o.withDefaults(), rows: map[exposure.Endpoint][]*row{}, closing: map[portKey][]*row{}}
	e.touched = newRecent[exposure.Endpoint, time.Time](e.o.Limits.Endpoints, nil)
	e.flaps, e.holding = newRecent(e.o.Limits.Endpoints, e.forgetFlap), map[exposure.Endpoint]*flap{}
	e.judged.init()
	return e
}

// Start takes the listing with which the watch begins. Nothing of it is a
// change; what it means is judged.
func (e *Engine) Start(open []exposure.Socket, at time.Time) {
	for i := range open {
		s := &open[i]
		if !s.IsListener() {
			continue
		}
		if r := e.add(rowOfListing(s, e.o.Limits.Members)); r != nil {
			e.judge(r.at, drift.Change{Kind: drift.Opened, Endpoint: r.at, After: copySocket(s), At: at}, "listing", at)
		}
	}
	e.judged.dirty = true
	e.orphans(at)
}

// Take hands over what there is to say since the last call.
func (e *Engine) Take() Out {
	out := e.out
	e.out = Out{}
	return out
}

// Open lists what is open, closing rows included, in no order.
func (e *Engine) Open() []*exposure.Socket {
	out := make([]*exposure.Socket, 0, e.open)
	for _, rows := range e.rows {
		for _, r := range rows {
			out = append(out, &r.sock)
		}
	}
	return out
}

// Size is how many rows are open.
func (e *Engine) Size() int { return e.open }

// add keeps a row; nil when there are too many.
func (e *Engine) add(r *row) *row {
	if e.open >= e.o.Limits.Rows {
		if !e.full {
			e.full = true
			e.lose("more than %d listeners: those beyond are told as they open, and their end is not", e.o.Limits.Rows)
		}
		return nil
	}
	e.open++
	e.rows[r.at] = append(e.rows[r.at], r)
	return r
}

func (e *Engine) remove(r *row) {
	rows := e.rows[r.at]
	i := slices.Index(rows, r)
	if i < 0 {
		return
	}
	e.open--
	e.full = e.full && e.open >= e.o.Limits.Rows
	if len(rows) == 1 {
		delete(e.rows, r.at)
		return
	}
	e.rows[r.at] = slices.Delete(rows, i, i+1)
}

const mostLost = 64

func (e *Engine) lose(format string, args ...any) {
	if len(e.out.Lost) < mostLost {
		e.out.Lost = append(e.out.Lost, fmt.Sprintf(format, args...))
	}
}

// Event takes what the kernel said. Events of one socket come in order.
func (e *Engine) Event(ev event.Event) {
	if !ev.Socket.IsListener() && ev.Kind == event.Opened {
		return
	}
	e.touched.put(ev.Socket.Endpoint(), ev.At)
	if ev.Kind == event.Opened {
		e.opened(&ev)
	} else {
		e.ended(&ev)
	}
}

// opened is a kernel socket that began to listen.
func (e *Engine) opened(ev *event.Event) {
	ep, m := ev.Socket.Endpoint(), memberOf(ev)
	if e.known(ep, m, &ev.Socket) {
		return
	}
	for _, r := range e.rows[ep] {
		if !r.closing && sameProgram(&r.sock, &ev.Socket) {
			e.another(r, m, ev)
			return
		}
	}
	n := e.newRow(ev, m)
	if old := e.cameBack(ep, &ev.Socket); old != nil {
		e.succeed(old, n, ev.At, ev.Source)
		return
	}
	e.begin(n, ev.At, ev.Source)
}

// known reports a socket that a listing told of before its event came.
func (e *Engine) known(ep exposure.Endpoint, m member, s *exposure.Socket) bool {
	for _, r := range e.rows[ep] {
		if i := r.find(m); m.named() && i >= 0 {
			r.members[i].cookie = max(r.members[i].cookie, m.cookie)
			r.members[i].inode = max(r.members[i].inode, m.inode)
			r.merge(s)
			return true
		}
	}
	return false
}

// another is one more kernel socket of a service that is open.
func (e *Engine) another(r *row, m member, ev *event.Event) {
	r.join(m, &ev.Socket, e.o.Limits.Members)
	r.touched = ev.At
	if ev.At.Sub(r.toldAt) <= e.o.Settle {
		r.told = append(r.told, pidsOf(&ev.Socket)...)
	}
}

func (e *Engine) newRow(ev *event.Event, m member) *row {
	r := &row{at: ev.Socket.Endpoint(), sock: *copySocket(&ev.Socket), opened: ev.At, touched: ev.At, toldAt: ev.At, told: pidsOf(&ev.Socket)}
	r.join(m, &ev.Socket, e.o.Limits.Members)
	return r
}

// begin is a service that was not there.
func (e *Engine) begin(r *row, at time.Time, source string) {
	e.add(r)
	e.tell(drift.Change{Kind: drift.Opened, Endpoint: r.at, After: copySocket(&r.sock), At: at}, source)
}

// ended is a kernel socket that closed.
func (e *Engine) ended(ev *event.Event) {
	ep, m := ev.Socket.Endpoint(), memberOf(ev)
	r := e.holder(ep, m, &ev.Socket)
	if r == nil {
		return
	}
	r.touched = ev.At
	r.leave(m)
	if r.open() > 0 {
		e.overlapped(r, ev)
		return
	}
	r.merge(&ev.Socket)
	e.close(r, ev.At, ev.Source)
}

// holder is the row that a kernel socket belongs to.
func (e *Engine) holder(ep exposure.Endpoint, m member, s *exposure.Socket) *row {
	rows := e.rows[ep]
	for _, r := range rows {
		if m.named() && r.find(m) >= 0 {
			return r
		}
	}
	may := func(r *row) bool { return !r.closing && (r.unnamed > 0 || r.nameless(m) >= 0) }
	for _, r := range rows {
		if may(r) && sameProgram(&r.sock, s) {
			return r
		}
	}
	for _, r := range rows {
		if may(r) && len(s.Processes) == 0 {
			return r
		}
	}
	return nil
}

// overlapped: a member left and others stay. When all that the last line named
// are gone, the program was replaced without ever being closed.
func (e *Engine) overlapped(r *row, ev *event.Event) {
	left := slices.DeleteFunc(slices.Clone(r.sock.Processes), func(p exposure.Process) bool {
		return !slices.ContainsFunc(r.members, func(m member) bool { return m.pid == p.PID })
	})
	known := r.unnamed == 0 && !slices.ContainsFunc(r.members, func(m member) bool { return m.pid == 0 })
	if !known || len(left) == 0 {
		return
	}
	before := copySocket(&r.sock)
	before.Processes = slices.DeleteFunc(before.Processes, func(p exposure.Process) bool { return !slices.Contains(r.told, p.PID) })
	r.sock.Processes = left
	if len(before.Processes) == 0 || slices.ContainsFunc(left, func(p exposure.Process) bool { return slices.Contains(r.told, p.PID) }) {
		return
	}
	r.told, r.toldAt = pidsOf(&r.sock), ev.At
	e.tell(drift.Change{Kind: drift.Replaced, Endpoint: r.at, Before: before, After: copySocket(&r.sock), At: ev.At}, ev.Source)
}

// close ends a row: at once when it was short, else when nobody takes its
// place in time.
func (e *Engine) close(r *row, at time.Time, source string) {
	r.closing, r.closed, r.closedBy = true, at, source
	short := !r.opened.IsZero() && at.Sub(r.opened) < shortLife
	if e.o.Settle <= 0 || short {
		e.gone(r)
		return
	}
	k := portOf(r.at)
	e.closing[k] = append(e.closing[k], r)
	e.queue = append(e.queue, r)
}

// shortLife: what lived shorter than this was never a service; its end is told
// at once, also when the same program opens the same port again.
const shortLife = 500 * time.Millisecond

// gone tells of a closing and forgets the row.
func (e *Engine) gone(r *row) {
	e.remove(r)
	e.settle(r)
	e.tell(drift.Change{Kind: drift.Closed, Endpoint: r.at, Before: copySocket(&r.sock), At: r.closed}, r.closedBy)
}

// settle takes a row out of those that may come back.
func (e *Engine) settle(r *row) {
	r.toldClose = true
	k := portOf(r.at)
	rows := slices.DeleteFunc(e.closing[k], func(o *row) bool { return o == r })
	if len(rows) == 0 {
		delete(e.closing, k)
		return
	}
	e.closing[k] = rows
}

// cameBack finds the closing row that a new socket stands for: the same
// program at the same endpoint, another there, or the same at another address.
func (e *Engine) cameBack(ep exposure.Endpoint, s *exposure.Socket) *row {
	var taken, moved *row
	for _, r := range e.closing[portOf(ep)] {
		same := sameProgram(&r.sock, s)
		switch {
		case r.at == ep && same:
			return r
		case r.at == ep && taken == nil:
			taken = r
		case r.at != ep && same && moved == nil:
			moved = r
		}
	}
	if taken != nil {
		return taken
	}
	return moved
}

// succeed tells that a row took another's place.
func (e *Engine) succeed(old, n *row, at time.Time, source string) {
	before := copySocket(&old.sock)
	e.remove(old)
	e.settle(old)
	e.add(n)
	kind := drift.Replaced
	switch {
	case old.at != n.at:
		kind = drift.ScopeChanged
	case !sameProgram(&old.sock, &n.sock):
		kind = drift.OwnerChanged
	}
	e.tell(drift.Change{Kind: kind, Endpoint: n.at, Before: before, After: copySocket(&n.sock), At: at}, source)
	if old.at != n.at {
		e.judge(old.at, drift.Change{Kind: kind, Endpoint: n.at, Before: before, After: copySocket(&n.sock), At: at}, source, at)
	}
}

// tell says a change, and judges its endpoint anew.
func (e *Engine) tell(c drift.Change, source string) {
	s := c.After
	if s == nil {
		s = c.Before
	}
	t := Told{Change: c, Source: source, Host: e.o.Host, Maintenance: e.maintained(c.At, s)}
	e.out.Changes = append(e.out.Changes, t)
	e.flapping(&t)
	e.judge(c.Endpoint, c, source, c.At)
	e.judged.dirty = true
}

func (e *Engine) maintained(at time.Time, s *exposure.Socket) string {
	if e.o.Maintenance == nil {
		return ""
	}
	return e.o.Maintenance(at, s)
}

// Tick does what is due at now.
func (e *Engine) Tick(now time.Time) {
	e.expireClosings(now)
	e.tickFlaps(now)
	e.tickFindings(now)
}

func (e *Engine) expireClosings(now time.Time) {
	n := 0
	for _, r := range e.queue {
		if !r.toldClose {
			if now.Before(r.closed.Add(e.o.Settle)) {
				break
			}
			e.gone(r)
		}
		n++
	}
	e.queue = slices.Delete(e.queue, 0, n)
}

// Finish tells of closings that wait for a successor: the watch ends.
func (e *Engine) Finish() {
	for _, r := range e.queue {
		if !r.toldClose {
			e.gone(r)
		}
	}
	e.queue = nil
	e.flaps.each(e.forgetFlap)
}

// Set changes the rules from here on (a reloaded configuration): what is known
// stays, and is judged anew.
func (e *Engine) Set(o Options, at time.Time) {
	e.o = o.withDefaults()
	e.dueAnew()
	e.Rejudge(at)
}

// Next is when Tick has something to do; zero when nothing is waiting.
func (e *Engine) Next() time.Time {
	next := earlier(e.nextFlap(), e.nextFinding())
	if len(e.queue) > 0 {
		next = earlier(next, e.queue[0].closed.Add(e.o.Settle))
	}
	return next
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
