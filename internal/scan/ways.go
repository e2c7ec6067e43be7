package scan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/scan/route"
	"github.com/portreeve/portreeve/internal/scan/syn/wide"
)

// errNoRaw says that frames cannot be built here; connect can ask.
var errNoRaw = errors.New("routes and neighbours are not known here")

// maxWays bounds the hops that are remembered by destination.
const maxWays = 1 << 20

// ways knows how packets reach the targets. It belongs to one goroutine.
type ways struct {
	table *route.Table // nil: not known on this system
	macs  map[netip.Addr]net.HardwareAddr
	hops  map[hopKey]*wide.Hop
	to    map[netip.Addr]*wide.Hop
	used  map[int]bool // interfaces
	watch netip.Addr   // a target whose route is watched
	path  route.Path
}

// hopKey is what makes hops differ.
type hopKey struct {
	index int
	next  netip.Addr
	src   netip.Addr
}

func openWays(from netip.Addr, iface string) (*ways, error) {
	w := &ways{macs: map[netip.Addr]net.HardwareAddr{}, hops: map[hopKey]*wide.Hop{}, to: map[netip.Addr]*wide.Hop{}, used: map[int]bool{}}
	table, err := route.Open(route.Options{From: from, Iface: iface})
	if errors.Is(err, route.ErrUnsupported) {
		return w, nil
	}
	w.table = table
	return w, err
}

func (w *ways) close() {
	if w.table != nil {
		_ = w.table.Close()
	}
}

// split tells this host's own addresses from others, in order.
func (w *ways) split(addrs []netip.Addr) (own, others []netip.Addr) {
	for _, addr := range addrs {
		if w.local(addr) {
			own = append(own, addr)
		} else {
			others = append(others, addr)
		}
	}
	return own, others
}

func (w *ways) local(addr netip.Addr) bool {
	if w.table == nil {
		return addr.IsLoopback()
	}
	p, err := w.table.Path(addr)
	return err == nil && p.Local
}

// resolve learns the hardware addresses that the way to hosts needs.
func (w *ways) resolve(ctx context.Context, hosts []netip.Addr) error {
	if w.table == nil {
		return errNoRaw
	}
	type link struct {
		path route.Path
		next []netip.Addr
	}
	links := map[int]*link{}
	asked := map[netip.Addr]bool{}
	for _, addr := range hosts {
		p, err := w.table.Path(addr)
		if err != nil || p.Link != route.Ethernet || p.NoARP {
			continue // Hop says what is wrong, if anything is
		}
		w.watch, w.path = addr, p
		next := p.NextHop(addr)
		if asked[next] || w.macs[next] != nil {
			continue
		}
		asked[next] = true
		key := p.Index*2 + family(next)
		if links[key] == nil {
			links[key] = &link{path: p}
		}
		links[key].next = append(links[key].next, next)
	}
	for _, l := range links {
		found, err := route.Resolve(ctx, l.path, l.next, route.ResolveOptions{})
		for addr, mac := range found {
			w.macs[addr] = mac
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("find the hardware addresses of %d neighbours on %s: %w", len(l.next), l.path.Iface, err)
		}
	}
	return nil
}

func family(a netip.Addr) int {
	if a.Is6() {
		return 1
	}
	return 0
}

// Hop is the way to dst, for wide.Router.
func (w *ways) Hop(dst netip.Addr) (*wide.Hop, error) {
	if h := w.to[dst]; h != nil {
		return h, nil
	}
	p, err := w.table.Path(dst)
	var why *route.Error
	if errors.As(err, &why) {
		return nil, why.Err // without the address: there may be thousands alike
	}
	if err != nil {
		return nil, err
	}
	h, err := w.hop(p, dst)
	if err == nil && len(w.to) < maxWays {
		w.to[dst] = h
	}
	return h, err
}

func (w *ways) hop(p route.Path, dst netip.Addr) (*wide.Hop, error) {
	w.used[p.Index] = true
	w.watch, w.path = dst, p
	key := hopKey{p.Index, netip.Addr{}, p.Src}
	framed := p.Link == route.Ethernet && !p.NoARP
	if framed {
		key.next = p.NextHop(dst)
	}
	if h := w.hops[key]; h != nil {
		return h, nil
	}
	if !p.Src.IsValid() {
		return nil, fmt.Errorf("%s has no address of the family", p.Iface)
	}
	var header []byte
	if framed {
		mac := w.macs[key.next]
		switch {
		case mac == nil && key.next == dst:
			return nil, wide.ErrNoHost
		case mac == nil:
			return nil, errNoNeighbour
		}
		header = ethernet(mac, p.HW, p.Src)
	}
	h := wide.NewHop(p.Index, header, p.Src, p.MTU)
	w.hops[key] = h
	return h, nil
}

// errNoNeighbour is a gateway that answers no ARP or neighbour solicitation:
// nothing can be sent to what is behind it.
var errNoNeighbour = errors.New("the gateway to their hosts does not answer on the link (ARP, neighbour discovery)")

// ethernet is a frame's header (IEEE 802.3).
func ethernet(to, from net.HardwareAddr, src netip.Addr) []byte {
	h := append(slices.Clone([]byte(to)), from...)
	if src.Is6() {
		return append(h, 0x86, 0xdd)
	}
	return append(h, 0x08, 0x00)
}

// down says why the way to the targets is gone, nil while it is not.
func (w *ways) down() error {
	for index := range w.used {
		if err := w.table.Down(index); err != nil {
			return fmt.Errorf("%w: %w", wide.ErrDown, err)
		}
	}
	if w.watch.IsValid() {
		if err := w.table.Check(w.watch, w.path); err != nil && !errors.Is(err, route.ErrMoved) {
			return fmt.Errorf("%w: %w", wide.ErrDown, err)
		}
	}
	return nil
}

// gateway tells whether any of the hosts is beyond a gateway.
func (w *ways) gateway(hosts []netip.Addr) bool {
	if w.table == nil {
		return true
	}
	end := time.Now().Add(time.Second) // a hint, not worth more
	for _, addr := range hosts {
		if p, err := w.table.Path(addr); err == nil && p.Gateway.IsValid() {
			return true
		}
		if time.Now().After(end) {
			return true
		}
	}
	return false
}
