package connect

import (
	"context"
	"net/netip"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// list is a work list of some ports of some hosts, ports first.
type list struct {
	addrs []netip.Addr
	ports []uint16
}

func (l list) Len() uint64 { return uint64(len(l.addrs)) * uint64(len(l.ports)) }

func (l list) At(i uint64) (netip.Addr, uint16) {
	n := uint64(len(l.ports))
	return l.addrs[i/n], l.ports[i%n]
}

// answers is what one network sweep told.
type answers struct {
	t     *testing.T
	ports map[netip.AddrPort]exposure.PortState
	count map[exposure.PortStateName]int
	stats exposure.ScanStats
	gaps  []exposure.Gap
	err   error
}

// ask sweeps inside a namespace and checks that nothing is told twice or
// under a wrong number.
func ask(ctx context.Context, t *testing.T, ns *nettest.NS, tr *Network, w Work) *answers {
	t.Helper()
	a := &answers{t: t, ports: map[netip.AddrPort]exposure.PortState{}, count: map[exposure.PortStateName]int{}}
	ns.Do(func() { a.stats, a.gaps, a.err = tr.Sweep(ctx, w, a.hear(w)) })
	return a
}

func (a *answers) hear(w Work) func(uint64, exposure.PortState) {
	return func(i uint64, p exposure.PortState) {
		addr, port := w.At(i)
		key := netip.AddrPortFrom(p.Addr, p.Port)
		if key != netip.AddrPortFrom(addr.Unmap(), port) {
			a.t.Errorf("probe %d to %s:%d told as %s", i, addr, port, key)
		}
		if old, twice := a.ports[key]; twice {
			a.t.Errorf("%s told twice: %+v, %+v", key, old, p)
		}
		a.ports[key] = p
		a.count[p.State]++
	}
}

func (a *answers) open() []uint16 {
	var out []uint16
	for k, p := range a.ports {
		if p.State == exposure.Open {
			out = append(out, k.Port())
		}
	}
	return out
}

var (
	near = netip.MustParseAddr("10.9.0.1")
	far  = netip.MustParseAddr("10.9.0.2")
)

// pair is a scanner's and a target's namespace on one link.
func pair(t testing.TB) (scanner, target *nettest.NS) {
	t.Helper()
	scanner, target = nettest.New(t), nettest.New(t)
	nettest.Veth(t, scanner, target, near.String()+"/24", far.String()+"/24")
	return scanner, target
}
