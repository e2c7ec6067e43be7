package drift

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
)

// comparison is one run of Compare.
type comparison struct {
	before, after *Snapshot
	unequal       bool
	spaces        spaces
	result        Result

	// What was left out.
	owners, clients, rooms, tables, devices int
	ownerWhy                                string
}

// side is one of the two snapshots.
type side bool

const (
	wasOpen side = false
	isOpen  side = true
)

func (c *comparison) of(s side) *Snapshot {
	if s == isOpen {
		return c.after
	}
	return c.before
}

// row is a listener on its way.
type row struct {
	*exposure.Socket
	at   place
	prog program
}

// place is an endpoint with its namespace as both snapshots call it.
type place struct {
	ns     string
	proto  exposure.Proto
	addr   exposure.Address
	port   uint16
	device string
}

func (p *place) compare(q *place) int {
	switch {
	case p.ns != q.ns:
		return cmp.Compare(p.ns, q.ns)
	case p.proto != q.proto:
		return cmp.Compare(p.proto, q.proto)
	case p.port != q.port:
		return cmp.Compare(p.port, q.port)
	case p.addr != q.addr:
		return cmp.Or(p.addr.IP.Compare(q.addr.IP), cmp.Compare(p.addr.Text, q.addr.Text))
	}
	return cmp.Compare(p.device, q.device)
}

// comparable refuses snapshots that have nothing to do with each other.
func (c *comparison) comparable() bool {
	a, b := c.before, c.after
	for _, s := range []*Snapshot{a, b} {
		if v := s.View.Schema; v != "" && v != HostSchema {
			c.gap("nothing was compared: one of the two has the schema %q, and this portreeve compares %s", v, HostSchema)
			return false
		}
	}
	if a.Host != b.Host && a.Host != "" && b.Host != "" {
		c.gap("nothing was compared: the two are of different hosts, %s and %s", a.Host, b.Host)
		return false
	}
	if a.View.Boot != "" && a.View.Boot == b.View.Boot && a.Self.ID != b.Self.ID && a.View.NetNS == SelfNetNS && b.View.NetNS == SelfNetNS {
		c.gap("nothing was compared: the two were taken in different network namespaces, %s and %s, and each covers only its own", nsName(a.Self), nsName(b.Self))
		return false
	}
	return true
}

func nsName(ns exposure.NetNS) string { return cmp.Or(ns.Name, ns.ID) }

func (c *comparison) gap(format string, args ...any) {
	c.result.Gaps = append(c.result.Gaps, exposure.Gap{View: "host", Why: fmt.Sprintf(format, args...)})
}

// rows are the listeners of one snapshot that can be compared, sorted.
func (c *comparison) rows(which side) []*row {
	s := c.of(which)
	kept := make([]row, 0, len(s.Sockets)) // never grows: out points into it
	out := make([]*row, 0, len(s.Sockets))
	for i := range s.Sockets {
		x := &s.Sockets[i]
		if !x.IsListener() || x.Port == 0 || slices.Contains(x.Uncertain, "addr") || slices.Contains(x.Uncertain, "port") {
			continue
		}
		at := place{c.spaces.key(which, x.NetNS), x.Proto, x.Addr, x.Port, x.Device}
		if !c.covered(which, x, at) {
			continue
		}
		kept = append(kept, row{x, at, programOf(x)})
		out = append(out, &kept[len(kept)-1])
	}
	slices.SortStableFunc(out, func(a, b *row) int {
		if order := a.at.compare(&b.at); order != 0 {
			return order
		}
		return a.prog.compare(&b.prog)
	})
	return out
}

// covered: would the other snapshot have shown the row, had it been open?
func (c *comparison) covered(which side, x *exposure.Socket, at place) bool {
	switch {
	case !c.spaces.covers(c, !which, x.NetNS, at.ns):
		c.rooms++
	case c.spaces.tableMissing(c, !which, at):
		c.tables++
	default:
		return true
	}
	return false
}

// add notes a change.
func (c *comparison) add(kind Kind, was, now *row) {
	ch := Change{Kind: kind, At: c.after.Taken}
	if was != nil {
		ch.Before, ch.Endpoint = was.Socket, was.Endpoint()
	}
	if now != nil {
		ch.After, ch.Endpoint = now.Socket, now.Endpoint()
	}
	c.result.Changes = append(c.result.Changes, ch)
}

// tell sorts the changes and says what was left out.
func (c *comparison) tell() {
	c.sortChanges()
	c.common()
	if c.rooms > 0 {
		c.gap("%s in network namespaces that one of the two does not cover: left out", listeners(c.rooms))
	}
	if c.tables > 0 {
		c.gap("%s of protocols that one of the two could not read: left out", listeners(c.tables))
	}
	if c.owners > 0 {
		c.gap("whether %s changed hands is not known: who holds them was not seen%s", listeners(c.owners), c.ownerWhy)
	}
	if c.clients > 0 {
		c.gap("%d UDP socket(s) on ports that the kernel gives to clients: left out, as telling clients from servers needs CAP_BPF and CAP_PERFMON (run as root)", c.clients)
	}
	if c.devices > 0 {
		c.gap("the bound device or dual stack of %s is not compared: one of the two could not see it", listeners(c.devices))
	}
}

func listeners(n int) string { return fmt.Sprintf("%d listener(s)", n) }

// common repeats what the snapshots themselves could not see.
func (c *comparison) common() {
	one := onlyIn(c.before, c.after)
	for _, g := range hostGaps(one) {
		c.result.Gaps = append(c.result.Gaps, exposure.Gap{View: g.View, Why: "before: " + g.Why})
	}
	for _, g := range hostGaps(onlyIn(c.after, c.before)) {
		c.result.Gaps = append(c.result.Gaps, exposure.Gap{View: g.View, Why: "after: " + g.Why})
	}
	alone := map[exposure.Gap]bool{}
	for _, g := range onlyIn(c.after, c.before) {
		alone[g] = true
	}
	for _, g := range hostGaps(c.after.Gaps) {
		if !alone[g] {
			c.result.Gaps = append(c.result.Gaps, g)
		}
	}
}

func hostGaps(gaps []exposure.Gap) []exposure.Gap {
	return slices.DeleteFunc(slices.Clone(gaps), func(g exposure.Gap) bool { return g.View != "host" })
}

func (c *comparison) sortChanges() {
	key := func(x *Change) *place {
		which, s := isOpen, x.After
		if s == nil {
			which, s = wasOpen, x.Before
		}
		return &place{c.spaces.key(which, s.NetNS), s.Proto, s.Addr, s.Port, s.Device}
	}
	slices.SortStableFunc(c.result.Changes, func(a, b Change) int {
		return cmp.Or(key(&a).compare(key(&b)), cmp.Compare(a.Kind, b.Kind))
	})
}
