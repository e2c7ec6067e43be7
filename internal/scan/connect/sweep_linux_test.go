package connect

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

func allPorts() []uint16 {
	ports := make([]uint16, 65535)
	for i := range ports {
		ports[i] = uint16(i + 1)
	}
	return ports
}

type result struct {
	states map[netip.AddrPort]exposure.PortState
	count  map[exposure.PortStateName]int
	stats  exposure.ScanStats
	gaps   []exposure.Gap
	err    error
}

func sweepIn(ns *nettest.NS, tr *Transport, addrs []netip.Addr, ports []uint16) result {
	r := result{states: map[netip.AddrPort]exposure.PortState{}, count: map[exposure.PortStateName]int{}}
	ns.Do(func() {
		r.stats, r.gaps, r.err = tr.Sweep(context.Background(), addrs, ports, func(p exposure.PortState) {
			r.count[p.State]++
			if p.State != exposure.Closed {
				r.states[netip.AddrPortFrom(p.Addr, p.Port)] = p
			}
		})
	})
	return r
}

func TestFirst(t *testing.T) {
	ns := nettest.New(t)
	ns.Script("ip link add d0 type bridge; ip addr add 10.1.2.3/24 dev d0; ip addr add fd00::7/64 dev d0 nodad; ip link set d0 up")
	ns.Listen("tcp4", "0.0.0.0:8080")
	ns.Listen("tcp6", "[::]:8081")
	for range 3 {
		start := time.Now()
		r := sweepIn(ns, &Transport{}, []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fd00::7")}, allPorts())
		t.Log(time.Since(start), r.count, r.stats, r.gaps, r.err)
		for _, s := range r.states {
			t.Log(s)
		}
	}
}
