package scan

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/nmapxml"
)

// Result is what a survey found. Reasons tells why the ports of a host that
// States counts have their state.
type Result struct {
	exposure.Scan
	Asked map[exposure.Proto]string // how each protocol was asked: syn, connect, udp

	ledgers []*ledger
}

// Reasons lists, commonest first, why unlisted ports of a host have a state.
func (r *Result) Reasons(h *exposure.HostScan, state exposure.PortStateName) []nmapxml.Reason {
	listed := map[string]int{}
	for _, p := range h.Ports {
		if p.State == state {
			listed[p.Reason]++
		}
	}
	var out []nmapxml.Reason
	for reason, n := range r.counted(h.Addr, state) {
		if n -= listed[reason]; n > 0 {
			out = append(out, nmapxml.Reason{Reason: reason, Count: n})
		}
	}
	slices.SortFunc(out, func(a, b nmapxml.Reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// counted sums the ports of a host in a state by reason.
func (r *Result) counted(addr netip.Addr, state exposure.PortStateName) map[string]int {
	sums := map[string]int{}
	for _, l := range r.ledgers {
		i, ok := l.index[addr]
		if !ok {
			continue
		}
		for w, n := range l.hosts[i].counts[:len(l.words)] {
			if l.words[w].state == state && n > 0 {
				sums[l.words[w].reason] += int(n)
			}
		}
	}
	return sums
}
