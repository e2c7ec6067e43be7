package discover

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/discover/rounds"
	"github.com/portreeve/portreeve/internal/scan/route"
)

// chunkSize is how many targets are held in memory.
const chunkSize = 1 << 16

// Find asks which of the targets are up and tells each that is, once, with
// its number, in the calling goroutine. What was not asked is in the
// Summary's gaps; the error is for a search that could not begin.
func Find(ctx context.Context, targets Targets, o Options, tell func(i uint64, h Host)) (Summary, error) {
	begun := time.Now()
	f := &finder{o: o, targets: targets, tell: tell, order: newOrder(targets.Len()), failures: map[string]*failure{}}
	f.sum.Targets = targets.Len()
	if err := f.open(); err != nil {
		return f.sum, err
	}
	defer f.close()
	for at := uint64(0); at < f.sum.Targets && f.ended == nil; at += chunkSize {
		f.chunk(ctx, at, min(f.sum.Targets, at+chunkSize))
	}
	f.finish(begun)
	return f.sum, nil
}

// finder is one search.
type finder struct {
	o       Options
	targets Targets
	tell    func(i uint64, h Host)
	order   order
	table   *route.Table
	raw     *rawSockets // nil: not permitted
	sum     Summary

	gateways map[gateway][]byte // hardware addresses; nil: does not answer
	failures map[string]*failure
	ended    error // why the search ends early
	visited  uint64
}

type gateway struct {
	index int
	addr  netip.Addr
}

// failure counts targets that were not asked for one reason.
type failure struct {
	n     uint64
	first netip.Addr
}

func (f *finder) open() (err error) {
	if f.table, err = route.Open(route.Options{From: f.o.From, Iface: f.o.Iface}); err != nil {
		return fmt.Errorf("discover hosts: %w", err)
	}
	if f.o.Method == Connect {
		return nil
	}
	f.raw, err = openRaw()
	if err != nil && (f.o.Method == Raw || !errors.Is(err, os.ErrPermission)) {
		_ = f.table.Close()
		return fmt.Errorf("discover hosts: %w", err)
	}
	return nil
}

func (f *finder) close() {
	_ = f.table.Close()
	if f.raw != nil {
		f.raw.close()
	}
}

// fail counts targets that were not asked.
func (f *finder) fail(why string, addrs ...netip.Addr) {
	if len(addrs) == 0 {
		return
	}
	x := f.failures[why]
	if x == nil {
		x = &failure{first: addrs[0]}
		f.failures[why] = x
	}
	x.n += uint64(len(addrs))
}

func (f *finder) finish(begun time.Time) {
	missed := f.sum.Targets - f.visited
	for _, why := range slices.Sorted(maps.Keys(f.failures)) {
		x := f.failures[why]
		missed += x.n
		f.gap(fmt.Sprintf("%d of %d addresses (first %s) were not asked whether a host is up: %s", x.n, f.sum.Targets, x.first, why))
	}
	if f.visited < f.sum.Targets {
		f.gap(fmt.Sprintf("host discovery ended early, %d of %d addresses not reached: %v", f.sum.Targets-f.visited, f.sum.Targets, f.ended))
	}
	f.sum.Asked = f.sum.Targets - missed
	f.sum.Stats.Seconds = time.Since(begun).Seconds()
	if l := &f.sum.Stats.Loss; l.CanarySent > 0 {
		l.Estimate = float64(l.CanaryLost) / float64(l.CanarySent)
	}
	if f.o.Progress != nil {
		f.o.Progress(f.visited, f.sum.Targets)
	}
}

func (f *finder) gap(why string) {
	f.sum.Gaps = append(f.sum.Gaps, exposure.Gap{View: "network", Why: why})
}

func (f *finder) up(i uint64, h Host) {
	f.sum.Up++
	f.tell(i, h)
}

// group is targets that are asked alike.
type group struct {
	path  route.Path
	addrs []netip.Addr
	index []uint64 // numbers among the targets
	via   []uint16 // beyond: places in hops
	hops  []hop
}

// hop is a way beyond the link.
type hop struct {
	path route.Path
	hw   []byte // of the next hop; nil on bare links
}

func (g *group) add(addr netip.Addr, i uint64) {
	g.addrs = append(g.addrs, addr)
	g.index = append(g.index, i)
}

// chunk asks the targets at some positions of the order.
func (f *finder) chunk(ctx context.Context, from, to uint64) {
	c := f.sort(from, to)
	for i := range c.links {
		f.askLink(ctx, &c.links[i])
	}
	for i := range c.beyond {
		f.askBeyond(ctx, &c.beyond[i])
	}
	for i := range c.connect {
		f.askConnect(ctx, &c.connect[i])
	}
	f.visited = to
}

// sorted is a chunk by what asks for it; beyond and connect by family.
type sorted struct {
	links           []group
	beyond, connect [2]group
	hopIndex        map[hopKey]uint16
}

type hopKey struct {
	index        int
	gateway, src netip.Addr
}

func (f *finder) sort(from, to uint64) *sorted {
	c := &sorted{hopIndex: map[hopKey]uint16{}}
	for at := from; at < to; at++ {
		i := f.order.at(at)
		addr := f.targets.At(i).Unmap()
		p, err := f.table.Path(addr)
		var why *route.Error
		switch {
		case errors.Is(err, route.ErrNotUnicast):
			f.sum.NoHost++
		case errors.As(err, &why):
			f.fail(why.Err.Error(), addr)
		case err != nil:
			f.fail(err.Error(), addr)
		case p.Local:
			f.up(i, Host{Addr: addr, Reason: reasonLocal})
		default:
			c.place(f, p, addr, i)
		}
	}
	return c
}

func (c *sorted) place(f *finder, p route.Path, addr netip.Addr, i uint64) {
	family := 0
	if addr.Is6() {
		family = 1
	}
	switch {
	case f.raw == nil, p.Link == route.Foreign, p.Link == route.Loopback, !p.Src.IsValid() && p.Gateway.IsValid():
		c.connect[family].add(addr, i)
	case p.Link == route.Ethernet && !p.Gateway.IsValid() && !p.NoARP:
		c.link(p).add(addr, i)
	default:
		g := &c.beyond[family]
		key := hopKey{p.Index, p.Gateway, p.Src}
		n, ok := c.hopIndex[key]
		if !ok {
			if len(g.hops) == 1<<16-1 {
				c.connect[family].add(addr, i)
				return
			}
			n = uint16(len(g.hops))
			g.hops = append(g.hops, hop{path: p, hw: p.HW})
			c.hopIndex[key] = n
		}
		g.add(addr, i)
		g.via = append(g.via, n)
	}
}

// link is the group of an interface and source.
func (c *sorted) link(p route.Path) *group {
	for i := range c.links {
		if g := &c.links[i]; g.path.Index == p.Index && g.path.Src == p.Src {
			return g
		}
	}
	c.links = append(c.links, group{path: p})
	return &c.links[len(c.links)-1]
}

// end takes the error of a group's asking; asked tells how far it came.
func (f *finder) end(ctx context.Context, g *group, asked func(i int) bool, err error) {
	if err == nil {
		return
	}
	why := err.Error()
	if ctx.Err() != nil {
		f.ended = errInterrupted
		why = f.ended.Error()
	}
	var left []netip.Addr
	for i, addr := range g.addrs {
		if !asked(i) {
			left = append(left, addr)
		}
	}
	f.fail(why, left...)
	if len(left) == 0 {
		f.gap("hosts that were to be asked again whether they are up were not: " + why)
	}
}

func (f *finder) count(s rounds.Stats) {
	f.sum.Stats.Sent += s.Sent
	f.sum.Stats.Received += s.Received
	f.sum.Stats.Loss.CanarySent += s.CanarySent
	f.sum.Stats.Loss.CanaryLost += s.CanaryLost
}

// told turns a group's progress into that of the search.
func (f *finder) told(g *group) func(sent, planned int) {
	if f.o.Progress == nil {
		return nil
	}
	return func(sent, planned int) {
		done := uint64(float64(len(g.addrs)) * float64(sent) / float64(max(planned, 1)))
		f.o.Progress(min(f.sum.Targets, f.visited+done), f.sum.Targets)
	}
}

// askLink asks an Ethernet link by ARP or neighbour solicitations.
func (f *finder) askLink(ctx context.Context, g *group) {
	if f.ended != nil {
		f.fail(f.ended.Error(), g.addrs...)
		return
	}
	reason := reasonARP
	if g.addrs[0].Is6() {
		reason = reasonND
	}
	o := route.ResolveOptions{
		Rate: f.o.rate(linkRate), Tries: f.o.Tries,
		Check: func() error { return f.table.Down(g.path.Index) }, Told: f.told(g),
	}
	stats, err := route.Ask(ctx, g.path, g.addrs, o, func(i int, n route.Neighbour) {
		f.up(g.index[i], Host{Addr: g.addrs[i], Reason: reason, RTT: n.RTT, MAC: n.HW.String()})
	})
	f.count(stats)
	// The first try goes through them in order.
	f.end(ctx, g, func(i int) bool { return i < int(stats.Sent) }, err)
}

// resolve finds the gateways of a group, once a search.
func (f *finder) resolve(ctx context.Context, g *group) {
	if f.gateways == nil {
		f.gateways = map[gateway][]byte{}
	}
	for i := range g.hops {
		h := &g.hops[i]
		if h.path.Link != route.Ethernet || !h.path.Gateway.IsValid() {
			continue
		}
		key := gateway{h.path.Index, h.path.Gateway}
		hw, ok := f.gateways[key]
		if !ok {
			// An error leaves the gateway unknown, which is told with its targets.
			found, _ := route.Resolve(ctx, h.path, []netip.Addr{h.path.Gateway}, route.ResolveOptions{Tries: 3})
			hw = found[h.path.Gateway]
			f.gateways[key] = hw
		}
		h.hw = hw
	}
}

// lost takes out those whose gateway does not answer.
func (f *finder) lost(g *group) {
	kept := 0
	for i, addr := range g.addrs {
		h := &g.hops[g.via[i]]
		if h.path.Link == route.Ethernet && h.hw == nil {
			f.fail(fmt.Sprintf("gateway %s on %s does not answer", h.path.Gateway.WithZone(""), h.path.Iface), addr)
			continue
		}
		g.addrs[kept], g.index[kept], g.via[kept] = addr, g.index[i], g.via[i]
		kept++
	}
	g.addrs, g.index, g.via = g.addrs[:kept], g.index[:kept], g.via[:kept]
}

// askBeyond asks with own packets.
func (f *finder) askBeyond(ctx context.Context, g *group) {
	if f.ended != nil {
		f.fail(f.ended.Error(), g.addrs...)
		return
	}
	f.resolve(ctx, g)
	f.lost(g)
	if len(g.addrs) == 0 {
		return
	}
	l := newRawLine(f, g)
	l.run = rounds.New(rounds.Plan{
		Targets: len(g.addrs), Kinds: kinds(g.addrs[0].Is4()), Tries: f.o.Tries, Rate: f.o.rate(beyondRate),
		Gap: beyondGap, Last: beyondLast, Told: f.told(g), Ask: func() error { return f.holds(g) },
	}, l)
	err := l.run.Run(ctx)
	f.count(l.run.Stats())
	f.end(ctx, g, l.run.Asked, err)
}

// holds checks a few of the ways that a group takes.
func (f *finder) holds(g *group) error {
	for i := range g.addrs[:min(len(g.addrs), 4)] {
		if err := f.table.Check(g.addrs[i], g.hops[g.via[i]].path); err != nil {
			return err
		}
	}
	return nil
}

// Waits beyond the link: a path around the world takes some 300 ms.
const (
	beyondGap  = 100 * time.Millisecond
	beyondLast = time.Second
)

var errInterrupted = errors.New("the scan was interrupted")
