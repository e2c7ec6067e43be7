package udp

import (
	"net"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// result is what one sweep told.
type result struct {
	states map[uint64]exposure.PortState
	stats  exposure.ScanStats
	gaps   []exposure.Gap
}

func (r result) count(s exposure.PortStateName) (n int) {
	for _, p := range r.states {
		if p.State == s {
			n++
		}
	}
	return n
}

func sweepIn(t *testing.T, ns *nettest.NS, tr *Transport, w Work) result {
	t.Helper()
	r := result{states: map[uint64]exposure.PortState{}}
	ns.Do(func() {
		var err error
		r.stats, r.gaps, err = tr.Sweep(t.Context(), w, func(i uint64, p exposure.PortState) {
			if _, twice := r.states[i]; twice {
				t.Errorf("number %d told twice", i)
			}
			r.states[i] = p
		})
		if err != nil {
			t.Error(err)
		}
	})
	return r
}

func echoOn(t *testing.T, ns *nettest.NS, addrs ...string) {
	for _, a := range addrs {
		pc := ns.ListenPacket("udp", a)
		serve(pc, func(_ int, b []byte, from net.Addr) { _, _ = pc.WriteTo(append(b, 'x'), from) })
	}
}

func serviceList() []uint16 {
	return append([]uint16{53, 69, 111, 123, 137, 161, 500, 1194, 1900, 2049, 3478, 5060, 11211}, through(7001, 7041)...)
}

func TestBench4(t *testing.T) {
	a, b := nettest.New(t), nettest.New(t)
	nettest.Veth(t, a, b, "10.9.0.1/24", "10.9.0.2/24")
	var l []string
	for _, p := range serviceList()[:13] {
		l = append(l, net.JoinHostPort("10.9.0.2", itoa(p)))
	}
	echoOn(t, b, l...)
	begun := time.Now()
	r := sweepIn(t, a, &Transport{}, ports("10.9.0.2", serviceList()...))
	t.Logf("%v open %d closed %d of %d; %+v %v", time.Since(begun), r.count("open"), r.count("closed"), len(r.states), r.stats, r.gaps)
}

func TestBench6(t *testing.T) {
	a, b := nettest.New(t), nettest.New(t)
	nettest.Veth(t, a, b, "fd09::1/64", "fd09::2/64")
	var l []string
	for _, p := range serviceList()[:13] {
		l = append(l, net.JoinHostPort("fd09::2", itoa(p)))
	}
	echoOn(t, b, l...)
	begun := time.Now()
	r := sweepIn(t, a, &Transport{}, ports("fd09::2", serviceList()...))
	t.Logf("%v open %d closed %d of %d; %+v %v", time.Since(begun), r.count("open"), r.count("closed"), len(r.states), r.stats, r.gaps)
}

func TestLoop(t *testing.T) {
	a := nettest.New(t)
	echoOn(t, a, "127.0.0.1:53", "127.0.0.1:1000")
	a.ListenPacket("udp", "127.0.0.1:7000")
	begun := time.Now()
	r := sweepIn(t, a, &Transport{MaxRate: 1e6}, ports("127.0.0.1", through(1, 65535)...))
	t.Logf("%v open %d closed %d of %d; %+v %v", time.Since(begun), r.count("open"), r.count("closed"), len(r.states), r.stats, r.gaps)
	begun = time.Now()
	r = sweepIn(t, a, &Transport{}, ports("127.0.0.1", through(1, 2000)...))
	t.Logf("%v open %d closed %d of %d; %+v %v", time.Since(begun), r.count("open"), r.count("closed"), len(r.states), r.stats, r.gaps)
}
