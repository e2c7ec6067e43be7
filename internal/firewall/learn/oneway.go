package learn

import (
	"fmt"
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// oneWay are UDP services that nobody answers by their nature: SNMP traps
// (RFC 3417), syslog (RFC 5426), NetFlow, IPFIX (RFC 7011), sFlow, StatsD and
// GELF. Their flows look like attempts in vain, so they make no permits; that
// they may be needed is put before a person.
var oneWay = []uint16{162, 514, 2055, 4739, 6343, 8125, 9995, 9996, 12201}

// A sender that keeps at it, and no more rules of this sort than a person will
// look at.
const (
	oneWayFlows = 10
	oneWayRules = 3
)

// askOneWay are rules of action ask, at most so many.
func (e *evidence) askOneWay(most int) (out []rulefile.Rule) {
	most = min(most, oneWayRules)
	if most <= 0 {
		return nil
	}
	for _, c := range e.oneWayCells() {
		if len(out) == most {
			break
		}
		r := e.rule(c)
		r.Action = rulefile.Ask
		r.Comment = "nobody answers this by its nature: a person knows whether it is needed"
		r.Evidence.Flows, r.Evidence.Confidence = 0, "low"
		r.Evidence.Why = fmt.Sprintf("%d datagram flows without an answer by %d clients", c.stat.ok, len(c.clients))
		out = append(out, r)
	}
	return out
}

// oneWayCells groups what was never answered of these services, the busiest
// first.
func (e *evidence) oneWayCells() []*cell {
	keep := e.rows
	defer func() { e.rows = keep }()
	e.rows = nil
	for _, r := range e.sortedIf(e.isOneWay) {
		asked := *r.pair
		asked.ok, asked.days = r.failed-r.denied, r.badDays
		e.rows = append(e.rows, row{r.pairKey, &asked})
	}
	e.asking = true
	cells := e.mergeSame(e.cells())
	for _, c := range cells {
		e.gather(c)
	}
	slices.SortFunc(cells, e.compareCells)
	return cells
}

// isOneWay reports a pair of such a service that keeps at it.
func (e *evidence) isOneWay(r row) bool {
	s := e.list[r.svc]
	return r.ok == 0 && s.proto == udp && slices.Contains(oneWay, s.port) && r.failed-r.denied >= oneWayFlows && e.home.internal(e.hosts[r.client])
}
