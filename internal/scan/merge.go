package scan

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Merge joins scans of one network, as those of shards, into one. The ports of
// a host are joined; of a port that several scans have, the one that says
// more stays (open, then what has an answer). Counts of unlisted states add
// up, so the scans should have asked different probes.
func Merge(scans []exposure.Scan) exposure.Scan {
	out := exposure.Scan{Hosts: []exposure.HostScan{}}
	index := map[netip.Addr]int{}
	for _, s := range scans {
		if out.Taken.IsZero() || s.Taken.Before(out.Taken) {
			out.Taken = s.Taken
		}
		out.Stats = addStats(out.Stats, s.Stats)
		for _, g := range s.Gaps {
			if !slices.Contains(out.Gaps, g) {
				out.Gaps = append(out.Gaps, g)
			}
		}
		out.Notes = append(out.Notes, s.Notes...)
		for i := range s.Hosts {
			at, ok := index[s.Hosts[i].Addr]
			if !ok {
				index[s.Hosts[i].Addr] = len(out.Hosts)
				out.Hosts = append(out.Hosts, ownCopy(s.Hosts[i]))
				continue
			}
			mergeHost(&out.Hosts[at], &s.Hosts[i])
		}
	}
	slices.SortFunc(out.Hosts, func(a, b exposure.HostScan) int { return a.Addr.Compare(b.Addr) })
	return out
}

// ownCopy does not share what mergeHost writes to.
func ownCopy(h exposure.HostScan) exposure.HostScan {
	h.Ports = slices.Clone(h.Ports)
	states := map[exposure.PortStateName]int{}
	for state, n := range h.States {
		states[state] = n
	}
	h.States = states
	return h
}

func addStats(a, b exposure.ScanStats) exposure.ScanStats {
	lost := a.Loss.Estimate*float64(a.Sent) + b.Loss.Estimate*float64(b.Sent)
	a.Sent += b.Sent
	a.Received += b.Received
	a.Seconds = max(a.Seconds, b.Seconds)
	a.Loss.CanarySent += b.Loss.CanarySent
	a.Loss.CanaryLost += b.Loss.CanaryLost
	if a.Sent > 0 {
		a.Loss.Estimate = lost / float64(a.Sent)
	}
	return a
}

func mergeHost(to, from *exposure.HostScan) {
	to.Up = to.Up || from.Up
	to.EverythingAnswers = to.EverythingAnswers || from.EverythingAnswers
	to.Name, to.MAC, to.Reason = cmp.Or(to.Name, from.Name), cmp.Or(to.MAC, from.MAC), cmp.Or(to.Reason, from.Reason)
	if len(from.OS) > len(to.OS) {
		to.OS = from.OS
	}
	for state, n := range from.States {
		to.States[state] += n
	}
	to.Ports = mergePorts(append(to.Ports, from.Ports...))
}

// mergePorts sorts ports and keeps of each the entry that says most.
func mergePorts(ports []exposure.PortState) []exposure.PortState {
	slices.SortStableFunc(ports, func(a, b exposure.PortState) int {
		return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port), cmp.Compare(weight(b), weight(a)))
	})
	return slices.CompactFunc(ports, func(a, b exposure.PortState) bool { return a.Proto == b.Proto && a.Port == b.Port })
}

// weight is how much an entry says.
func weight(p exposure.PortState) int {
	w := map[exposure.PortStateName]int{exposure.Open: 8, exposure.Closed: 6, exposure.Unfiltered: 4, exposure.Filtered: 2}[p.State]
	if p.Service != nil {
		w++
	}
	return w
}
