package scan

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/exposure"
)

// A ledger says what a list of all answers says: nothing is lost, the common
// state of closed and filtered is counted, everything else listed.
func TestLedgerAgainstAList(t *testing.T) {
	words := []word{{exposure.Open, "syn-ack"}, {exposure.Closed, "reset"}, {exposure.Filtered, "no-response"},
		{exposure.Filtered, "admin-prohibited"}, {exposure.OpenFiltered, "no-response"}}
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(exposure.TCP, rapid.Bool().Draw(t, "all"))
		naive := map[netip.Addr]map[uint16]exposure.PortState{}
		weights := rapid.SliceOfN(rapid.IntRange(0, len(words)-1), 1, 12).Draw(t, "weights")
		for h := range rapid.IntRange(1, 3).Draw(t, "hosts") {
			addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(h)})
			naive[addr] = map[uint16]exposure.PortState{}
			for port := range uint16(rapid.IntRange(0, 6000).Draw(t, "ports")) {
				w := words[weights[int(port)*7%len(weights)]]
				p := exposure.PortState{Addr: addr, Port: port + 1, Proto: exposure.TCP, State: w.state, Reason: w.reason}
				naive[addr][port+1] = p
				l.take(p)
			}
		}
		for addr, want := range naive {
			h := exposure.HostScan{Addr: addr, States: map[exposure.PortStateName]int{}, Asked: map[exposure.Proto]int{}}
			l.close(&h)
			counts, total := map[exposure.PortStateName]int{}, 0
			for _, p := range want {
				counts[p.State]++
			}
			for _, p := range h.Ports {
				if w := want[p.Port]; w.State != p.State || w.Reason != p.Reason {
					t.Fatalf("%v port %d: %+v, want %+v", addr, p.Port, p, w)
				}
				counts[p.State]--
			}
			for state, n := range h.States {
				total += n
				if counts[state] != n {
					t.Fatalf("%v: %d %s counted, %d are not listed", addr, n, state, counts[state])
				}
				if state == exposure.Open {
					t.Fatal("open ports are not listed")
				}
			}
			if total+len(h.Ports) != len(want) || h.Asked[exposure.TCP] != len(want) {
				t.Fatalf("%v: %d counted and %d listed of %d", addr, total, len(h.Ports), len(want))
			}
			if l.all && total > 0 {
				t.Fatalf("%d states are not listed where all should be", total)
			}
			if len(h.States) > 1 && len(want) < keepMinor {
				t.Fatalf("%v: more than one state is left out: %v", addr, h.States)
			}
		}
	})
}

// An account of a host that answers like 65,535 closed ports costs little.
func TestLedgerForgetsTheCommonState(t *testing.T) {
	l := newLedger(exposure.TCP, false)
	addr := netip.MustParseAddr("10.0.0.1")
	for port := range uint16(65535) {
		l.take(exposure.PortState{Addr: addr, Port: port + 1, State: exposure.Closed, Reason: "reset"})
	}
	if n := cap(l.hosts[0].lists[closedList]); n > keepMinor {
		t.Errorf("%d closed ports are kept", n)
	}
	if n := testing.AllocsPerRun(1000, func() { l.take(exposure.PortState{Addr: addr, Port: 1, State: exposure.Closed, Reason: "reset"}) }); n > 0 {
		t.Errorf("an answer allocates %v times", n)
	}
}
