package drift

import (
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
)

// match pairs the rows of the two snapshots, the surest pairs first, and adds
// a change for each pair that differs and for each row without a partner.
func (c *comparison) match(old, now []*row) {
	p := &pairing{old: old, now: now, oldUsed: make([]bool, len(old)), nowUsed: make([]bool, len(now))}
	if !c.unequal {
		c.oneToOne(p)
	}
	c.sameEndpoint(p)
	c.sameProgramElsewhere(p)
	p.rest(func(which side, r *row) {
		switch {
		case r.doubtfulClient(c.of(which)):
			c.clients++
		case which == wasOpen:
			c.add(Closed, r, nil)
		default:
			c.add(Opened, nil, r)
		}
	})
}

// sameEndpoint pairs rows of one endpoint: the same process, the same socket
// unit, the same program, at last whoever is there.
func (c *comparison) sameEndpoint(p *pairing) {
	at := func(r *row) place {
		if c.unequal {
			return place{r.at.ns, r.at.proto, r.at.addr, r.at.port, ""}
		}
		return r.at
	}
	join(p, func(r *row) (inPlace, bool) { return marked(at(r), instanceMark, r) }, c.stays)
	c.processes(p, at)
	for _, of := range programMarks() {
		join(p, func(r *row) (inPlace, bool) { return marked(at(r), of, r) }, c.restarted)
	}
	join(p, func(r *row) (inPlace, bool) { return inPlace{at(r), r.prog.byName}, r.prog.known }, c.changedHands)
	join(p, func(r *row) (inPlace, bool) { return inPlace{at(r), mark{}}, true }, c.changedHands)
}

// oneToOne settles the endpoints that one row holds before and one after,
// which are nearly all, by walking the two sorted lists together.
func (c *comparison) oneToOne(p *pairing) {
	i, j := 0, 0
	for i < len(p.old) && j < len(p.now) {
		order := p.old[i].at.compare(&p.now[j].at)
		switch {
		case order < 0:
			i++
		case order > 0:
			j++
		default:
			n, m := run(p.old, i), run(p.now, j)
			if n == 1 && m == 1 {
				p.oldUsed[i], p.nowUsed[j] = true, true
				c.two(p.old[i], p.now[j])
			}
			i, j = i+n, j+m
		}
	}
}

// run is how many rows from i on have one place.
func run(rows []*row, i int) int {
	n := 1
	for i+n < len(rows) && rows[i+n].at == rows[i].at {
		n++
	}
	return n
}

// two says what the only holder of an endpoint and the only one after it are
// to each other.
func (c *comparison) two(was, now *row) {
	nobody := was.prog.known && was.prog.main == nil
	switch {
	case nobody && now.prog.known && now.prog.main == nil && was.prog.hard == now.prog.hard:
		c.stays(was, now)
	case c.sameBoot() && slices.ContainsFunc(now.Processes, func(p exposure.Process) bool { return holdsSame(was, &p) }):
		c.stays(was, now)
	case sameProgram(&was.prog, &now.prog):
		c.restarted(was, now)
	default:
		c.changedHands(was, now)
	}
}

type inPlace struct {
	at   place
	mark mark
}

func marked(at place, of func(*row) mark, r *row) (inPlace, bool) {
	m := of(r)
	return inPlace{at, m}, !m.none()
}

// instanceMark is what is equal for one run of a holder without processes.
func instanceMark(r *row) mark {
	if r.prog.known && r.prog.main == nil {
		return r.prog.hard
	}
	return mark{}
}

// programMarks: what is equal for two runs of one program, the surest first.
func programMarks() []func(*row) mark {
	return []func(*row) mark{
		func(r *row) mark { return r.prog.hard },
		func(r *row) mark { return r.prog.byUnit },
		func(r *row) mark { return r.prog.byPackage },
	}
}

// processes pairs rows of one endpoint that a process holds in both.
func (c *comparison) processes(p *pairing, at func(*row) place) {
	type held struct {
		at  place
		pid int
	}
	where := map[held]int{}
	for i := range p.old {
		if p.oldUsed[i] {
			continue
		}
		for k := range p.old[i].Processes {
			where[held{at(p.old[i]), p.old[i].Processes[k].PID}] = i
		}
	}
	for j := range p.now {
		if p.nowUsed[j] {
			continue
		}
		for k := range p.now[j].Processes {
			i, ok := where[held{at(p.now[j]), p.now[j].Processes[k].PID}]
			if ok && !p.oldUsed[i] && c.sameBoot() && holdsSame(p.old[i], &p.now[j].Processes[k]) {
				p.oldUsed[i], p.nowUsed[j] = true, true
				c.stays(p.old[i], p.now[j])
				break
			}
		}
	}
}

func holdsSame(r *row, with *exposure.Process) bool {
	for i := range r.Processes {
		if sameRun(&r.Processes[i], with) {
			return true
		}
	}
	return false
}

// sameBoot: process numbers of the two may be compared.
func (c *comparison) sameBoot() bool {
	a, b := c.before.View.Boot, c.after.View.Boot
	return a == "" || b == "" || a == b
}

// stays: the same holder; only how wide it is bound may have changed.
func (c *comparison) stays(was, now *row) { c.pair("", was, now) }

func (c *comparison) restarted(was, now *row) {
	if handedOver(was, now) {
		c.pair("", was, now)
		return
	}
	c.pair(Replaced, was, now)
}

// handedOver: systemd held the socket all the while, and its service began or
// ended.
func handedOver(a, b *row) bool {
	return a.ActivatedBy != "" && a.ActivatedBy == b.ActivatedBy && a.prog.activated != b.prog.activated && shareInode(a.Socket, b.Socket)
}

// changedHands: nothing showed that it is one program still.
func (c *comparison) changedHands(was, now *row) {
	known := was.prog.known && now.prog.known
	switch {
	case handedOver(was, now), !known && c.sameBoot() && shareInode(was.Socket, now.Socket):
		c.stays(was, now)
	case !known:
		c.unknownOwner(was, now)
	case sameProgram(&was.prog, &now.prog):
		c.pair(Replaced, was, now)
	case was.doubtfulClient(c.before) && now.doubtfulClient(c.after):
		c.clients++
	default:
		c.pair(OwnerChanged, was, now)
	}
}

// unknownOwner: who holds it is not known in one of the two at least.
func (c *comparison) unknownOwner(was, now *row) {
	c.owners++
	c.noteOwner(was, "before")
	c.noteOwner(now, "after")
	c.stays(was, now)
}

func (c *comparison) noteOwner(r *row, when string) {
	if c.ownerWhy == "" && !r.prog.known && r.OwnerUnknown != "" {
		c.ownerWhy = " (" + when + ": " + r.OwnerUnknown + ")"
	}
}

func shareInode(a, b *exposure.Socket) bool {
	for _, x := range a.Inodes {
		for _, y := range b.Inodes[:min(len(b.Inodes), manyInodes)] {
			if x == y && x != 0 {
				return true
			}
		}
	}
	return false
}

// manyInodes bounds the search of one row's sockets.
const manyInodes = 64

// pair adds the change of two rows of one endpoint, if there is one. kind ""
// is none but for how wide it is bound.
func (c *comparison) pair(kind Kind, was, now *row) {
	narrower := was.DualStack != now.DualStack || was.Device != now.Device
	switch {
	case narrower && c.unequal:
		c.devices++
	case narrower && kind != OwnerChanged:
		kind = ScopeChanged
	}
	if kind != "" {
		c.add(kind, was, now)
	}
}

// sameProgramElsewhere pairs what is left of one program and port: it is bound
// to another address now, or its container or unit has a new namespace.
func (c *comparison) sameProgramElsewhere(p *pairing) {
	for _, of := range programMarks() {
		join(p, func(r *row) (inPlace, bool) {
			return marked(place{ns: r.at.ns, proto: r.at.proto, port: r.at.port}, of, r)
		}, func(was, now *row) { c.add(ScopeChanged, was, now) })
	}
	join(p, func(r *row) (homed, bool) {
		home := r.home()
		return homed{place{proto: r.at.proto, addr: r.at.addr, port: r.at.port, device: r.at.device}, home, r.prog.hard}, !home.none()
	}, c.restarted)
}

// home is what a program keeps when its network namespace is made anew.
func (r *row) home() mark {
	switch {
	case r.Container != nil && r.Container.Name != "":
		return mark{containerName(r.Container)}
	case r.Container == nil:
		return r.prog.byUnit
	}
	return mark{}
}

type homed struct {
	at         place
	home, hard mark
}

// doubtfulClient: a datagram socket that a client may have, by a listing that
// could not tell.
func (r *row) doubtfulClient(s *Snapshot) bool {
	return r.State == exposure.Unconnected && r.Kernel == nil && !s.tellsClients() && s.clientPort(r.Port)
}

// pairing is what is still without a partner.
type pairing struct {
	old, now         []*row
	oldUsed, nowUsed []bool
}

// join pairs, in order, the rows that key puts together.
func join[K comparable](p *pairing, key func(*row) (K, bool), met func(was, now *row)) {
	waiting := map[K][]int{}
	for i := range p.old {
		if p.oldUsed[i] {
			continue
		}
		if k, ok := key(p.old[i]); ok {
			waiting[k] = append(waiting[k], i)
		}
	}
	if len(waiting) == 0 {
		return
	}
	for j := range p.now {
		if p.nowUsed[j] {
			continue
		}
		k, ok := key(p.now[j])
		if list := waiting[k]; ok && len(list) > 0 {
			i := list[0]
			waiting[k] = list[1:]
			p.oldUsed[i], p.nowUsed[j] = true, true
			met(p.old[i], p.now[j])
		}
	}
}

// rest are the rows that nobody was paired with.
func (p *pairing) rest(alone func(side, *row)) {
	for i := range p.old {
		if !p.oldUsed[i] {
			alone(wasOpen, p.old[i])
		}
	}
	for j := range p.now {
		if !p.nowUsed[j] {
			alone(isOpen, p.now[j])
		}
	}
}
