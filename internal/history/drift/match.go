package drift

import (
	"github.com/portreeve/portreeve/internal/exposure"
)

// match pairs the rows of the two snapshots, the surest pairs first, and adds
// a change for each pair that differs and for each row without a partner.
func (c *comparison) match(old, now []row) {
	p := &pairing{old: old, now: now, oldUsed: make([]bool, len(old)), nowUsed: make([]bool, len(now))}
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
	for _, mark := range programMarks() {
		join(p, func(r *row) (inPlace, bool) { return marked(at(r), mark, r) }, c.restarted)
	}
	join(p, func(r *row) (inPlace, bool) { return inPlace{at(r), r.prog.byName}, r.prog.known }, c.changedHands)
	join(p, func(r *row) (inPlace, bool) { return inPlace{at(r), ""}, true }, c.changedHands)
}

type inPlace struct {
	at   place
	mark string
}

func marked(at place, mark func(*row) string, r *row) (inPlace, bool) {
	m := mark(r)
	return inPlace{at, m}, m != ""
}

// instanceMark is what is equal for one run of a holder without processes.
func instanceMark(r *row) string {
	if r.prog.known && r.prog.main == nil {
		return r.prog.hard
	}
	return ""
}

// programMarks: what is equal for two runs of one program, the surest first.
func programMarks() []func(*row) string {
	return []func(*row) string{
		func(r *row) string { return r.prog.hard },
		func(r *row) string { return r.prog.byUnit },
		func(r *row) string { return r.prog.byPackage },
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
			where[held{at(&p.old[i]), p.old[i].Processes[k].PID}] = i
		}
	}
	for j := range p.now {
		if p.nowUsed[j] {
			continue
		}
		for k := range p.now[j].Processes {
			i, ok := where[held{at(&p.now[j]), p.now[j].Processes[k].PID}]
			if ok && !p.oldUsed[i] && c.sameBoot() && holdsSame(&p.old[i], &p.now[j].Processes[k]) {
				p.oldUsed[i], p.nowUsed[j] = true, true
				c.stays(&p.old[i], &p.now[j])
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
	if handedOver(*was, *now) {
		c.pair("", was, now)
		return
	}
	c.pair(Replaced, was, now)
}

// handedOver: systemd held the socket all the while, and its service began or
// ended.
func handedOver(a, b row) bool {
	return a.ActivatedBy != "" && a.ActivatedBy == b.ActivatedBy && a.prog.activated != b.prog.activated && shareInode(a.Socket, b.Socket)
}

// changedHands: nothing showed that it is one program still.
func (c *comparison) changedHands(was, now *row) {
	known := was.prog.known && now.prog.known
	switch {
	case handedOver(*was, *now), !known && c.sameBoot() && shareInode(was.Socket, now.Socket):
		c.stays(was, now)
	case !known:
		c.unknownOwner(was, now)
	case sameProgram(was.prog, now.prog):
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
	for _, mark := range programMarks() {
		join(p, func(r *row) (inPlace, bool) {
			return marked(place{ns: r.at.ns, proto: r.at.proto, port: r.at.port}, mark, r)
		}, func(was, now *row) { c.add(ScopeChanged, was, now) })
	}
	join(p, func(r *row) (inPlace, bool) {
		home := r.home()
		return inPlace{place{proto: r.at.proto, addr: r.at.addr, port: r.at.port, device: r.at.device}, home + "\x00" + r.prog.hard}, home != ""
	}, c.restarted)
}

// home is what a program keeps when its network namespace is made anew.
func (r *row) home() string {
	switch {
	case r.Container != nil && r.Container.Name != "":
		return containerName(r.Container)
	case r.Container == nil && r.prog.byUnit != "":
		return r.prog.byUnit
	}
	return ""
}

// doubtfulClient: a datagram socket that a client may have, by a listing that
// could not tell.
func (r *row) doubtfulClient(s *Snapshot) bool {
	return r.State == exposure.Unconnected && r.Kernel == nil && !s.tellsClients() && s.clientPort(r.Port)
}

// pairing is what is still without a partner.
type pairing struct {
	old, now         []row
	oldUsed, nowUsed []bool
}

// join pairs, in order, the rows that key puts together.
func join[K comparable](p *pairing, key func(*row) (K, bool), met func(was, now *row)) {
	waiting := map[K][]int{}
	for i := range p.old {
		if p.oldUsed[i] {
			continue
		}
		if k, ok := key(&p.old[i]); ok {
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
		k, ok := key(&p.now[j])
		if list := waiting[k]; ok && len(list) > 0 {
			i := list[0]
			waiting[k] = list[1:]
			p.oldUsed[i], p.nowUsed[j] = true, true
			met(&p.old[i], &p.now[j])
		}
	}
}

// rest are the rows that nobody was paired with.
func (p *pairing) rest(alone func(side, *row)) {
	for i := range p.old {
		if !p.oldUsed[i] {
			alone(wasOpen, &p.old[i])
		}
	}
	for j := range p.now {
		if !p.nowUsed[j] {
			alone(isOpen, &p.now[j])
		}
	}
}
