package scan

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Bounds of a host where everything answers.
const (
	controls     = 8    // random high ports asked to learn whether everything answers
	controlFloor = 1024 // lowest control
	maxEchoes    = 1024 // open ports listed of a host where everything answers
)

// hostTally puts the answers of one address together.
type hostTally struct {
	scan     exposure.HostScan
	wanted   map[uint16]bool // nil: all
	controls map[uint16]bool // control port → answered as open
	words    []word          // what answers said, few
	records  []record        // TCP answers
	others   []exposure.PortState
}

// word is a state with its reason.
type word struct {
	state  exposure.PortStateName
	reason string
}

// record is one TCP answer, small because there are 65,535 of them.
type record struct {
	port uint16
	word uint8
	rtt  int32 // microseconds
}

func newHostTally(addr netip.Addr, plan tcpPlan) *hostTally {
	h := &hostTally{
		scan: exposure.HostScan{Addr: addr, States: map[exposure.PortStateName]int{},
			Asked: map[exposure.Proto]int{}},
		wanted:   plan.wanted,
		controls: map[uint16]bool{},
		records:  make([]record, 0, len(plan.ports)),
	}
	for _, p := range plan.controls {
		h.controls[p] = false
	}
	return h
}

// take adds one answer.
func (h *hostTally) take(p exposure.PortState) {
	h.scan.Up = h.scan.Up || p.Reason != "no-response" && p.Reason != "not-permitted"
	if p.Proto != exposure.TCP {
		h.scan.Asked[p.Proto]++
		h.others = append(h.others, p)
		return
	}
	if _, control := h.controls[p.Port]; control {
		h.controls[p.Port] = p.State == exposure.Open
	}
	if h.wanted != nil && !h.wanted[p.Port] {
		return
	}
	h.scan.Asked[exposure.TCP]++
	h.records = append(h.records, h.record(p))
}

func (h *hostTally) record(p exposure.PortState) record {
	return record{p.Port, h.say(p.State, p.Reason), int32(min(p.RTT.Microseconds(), 1<<30))}
}

// say gives the index of a word; a transport knows about ten.
func (h *hostTally) say(state exposure.PortStateName, reason string) uint8 {
	w := word{state, reason}
	if i := slices.Index(h.words, w); i >= 0 {
		return uint8(i)
	}
	h.words = append(h.words, w)
	return uint8(len(h.words) - 1)
}

// result closes the tally: the commoner of closed and filtered is counted,
// every other TCP port is listed; UDP endpoints are all listed. Where
// everything answers only the first maxEchoes open ports are.
func (h *hostTally) result() exposure.HostScan {
	h.scan.EverythingAnswers = h.everything()
	counts := map[exposure.PortStateName]int{}
	for _, r := range h.records {
		counts[h.words[r.word].state]++
	}
	common := exposure.Closed
	if counts[exposure.Filtered] > counts[exposure.Closed] {
		common = exposure.Filtered
	}
	slices.SortFunc(h.records, func(a, b record) int { return cmp.Compare(a.port, b.port) })
	list := []exposure.PortState{}
	opens := 0
	for _, r := range h.records {
		p := h.state(r)
		if p.State == exposure.Open {
			opens++
		}
		if p.State == common || p.State == exposure.Open && h.scan.EverythingAnswers && opens > maxEchoes {
			h.scan.States[p.State]++
			continue
		}
		list = append(list, p)
	}
	slices.SortFunc(h.others, func(a, b exposure.PortState) int { return cmp.Compare(a.Port, b.Port) })
	h.scan.Ports = append(list, h.others...)
	return h.scan
}

func (h *hostTally) state(r record) exposure.PortState {
	w := h.words[r.word]
	return exposure.PortState{Addr: h.scan.Addr, Port: r.port, Proto: exposure.TCP, State: w.state, Reason: w.reason,
		RTT: time.Duration(r.rtt) * time.Microsecond, RTTus: int64(r.rtt)}
}

func (h *hostTally) everything() bool {
	for _, open := range h.controls {
		if !open {
			return false
		}
	}
	return len(h.controls) > 0
}

// StateOf tells a TCP port's state in a scan made by Self: as listed, or the
// one that States counts. ok is false where the port was not asked or the
// host's unlisted ports do not share one state.
func StateOf(h exposure.HostScan, port uint16) (state exposure.PortStateName, ok bool) {
	for _, p := range h.Ports {
		if p.Port == port && p.Proto == exposure.TCP {
			return p.State, true
		}
	}
	if len(h.States) != 1 || h.Asked[exposure.TCP] != 65535 {
		return "", false
	}
	for state := range h.States {
		return state, true
	}
	return "", false
}

// tcpPlan is which TCP ports are asked and which of them count.
type tcpPlan struct {
	ports    []uint16        // asked, ascending
	controls []uint16        // among them, only to learn whether everything answers
	wanted   map[uint16]bool // nil: all of ports
}

func planTCP(ranges []PortRange) (tcpPlan, error) {
	ports, err := listPorts(ranges)
	if err != nil {
		return tcpPlan{}, err
	}
	plan := tcpPlan{ports: ports, controls: pickControls()}
	if len(ports) == 65535 {
		return plan, nil
	}
	plan.wanted = map[uint16]bool{}
	for _, p := range ports {
		plan.wanted[p] = true
	}
	plan.ports = append(plan.ports, plan.controls...)
	slices.Sort(plan.ports)
	plan.ports = slices.Compact(plan.ports)
	return plan, nil
}

// pickControls chooses the control ports, distinct.
func pickControls() []uint16 {
	seen := map[uint16]bool{}
	var picked []uint16
	for len(picked) < controls {
		p := uint16(controlFloor + rand.IntN(1<<16-controlFloor))
		if !seen[p] {
			seen[p], picked = true, append(picked, p)
		}
	}
	return picked
}
