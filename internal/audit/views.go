package audit

import (
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// seeWall asks the firewall about the row's address, or about every own
// address when it is bound to all.
func (r *row) seeWall(in *Input) {
	if in.Wall == nil {
		r.permit = exposure.Permit{Verdict: exposure.UnknownPermit, Why: in.noWall()}
	} else {
		r.permit = r.askWall(in)
	}
	if p := &r.permit; r.sock == nil && p.Verdict == exposure.Permitted && p.PartlySent != "" {
		p.Verdict, p.Why = exposure.Partial, "only some packets are sent on to what answers here; it depends on "+p.PartlySent
	}
	r.Views.Firewall = r.permit.Verdict
	r.Firewall = r.permit.Rules
}

func (in *Input) noWall() string {
	if len(in.Evidence) > 0 {
		return "no rule set is among the evidence"
	}
	return "no rule set could be read"
}

func (r *row) askWall(in *Input) exposure.Permit {
	ip := r.Addr.IP
	if !ip.Unmap().IsUnspecified() {
		return in.Wall.Ask(r.Proto, ip.Unmap(), r.Port)
	}
	v4 := r.DualStack || ip.Unmap().Is4()
	return in.Wall.AskAny(r.Proto, v4, !ip.Unmap().Is4(), r.Port)
}

// seeNetwork takes the outside view where there is one, else the self-scan.
func (r *row) seeNetwork(in *Input) {
	r.Views.Network = Unknown
	for i := range in.Vantages {
		if st := stateFor(in, &in.Vantages[i], r, false); st != "" {
			r.Views.Network, r.outside = string(st), true
			return
		}
	}
	if in.Scan == nil {
		return
	}
	if st := stateFor(in, in.Scan, r, true); st != "" {
		r.Views.Network = string(r.settle(st))
	}
}

// settle uses the host's own word for silence on UDP: the socket is there and
// nothing refused the probe, so it was delivered.
func (r *row) settle(st exposure.PortStateName) exposure.PortStateName {
	if st == exposure.OpenFiltered && r.sock != nil && r.permit.Verdict != exposure.Denied {
		return exposure.Open
	}
	return st
}

// openness ranks port states, so that a row with several addresses shows the
// most open answer.
var openness = map[exposure.PortStateName]int{
	exposure.Open: 5, exposure.OpenFiltered: 4, exposure.Unfiltered: 3, exposure.Filtered: 2, exposure.Closed: 1,
}

// stateFor joins what one scan says of a row's addresses; "" when it asked
// none of them.
func stateFor(in *Input, sc *exposure.Scan, r *row, self bool) exposure.PortStateName {
	best := exposure.PortStateName("")
	for i := range sc.Hosts {
		h := &sc.Hosts[i]
		if !in.isOwn(h.Addr) || !r.takes(h.Addr) || (!self && h.Addr.IsLoopback()) {
			continue
		}
		if st := stateAt(h, r.Proto, r.Port); openness[st] > openness[best] {
			best = st
		}
	}
	return best
}

// stateAt is what one host answered on a port: listed, or the single state of
// all that is not listed when the whole range was asked.
func stateAt(h *exposure.HostScan, proto exposure.Proto, port uint16) exposure.PortStateName {
	for i := range h.Ports {
		if p := &h.Ports[i]; p.Port == port && p.Proto == proto {
			return p.State
		}
	}
	if h.Asked[proto] < 65535 || len(h.States) != 1 {
		return ""
	}
	for st := range h.States {
		return st
	}
	return ""
}

// seeTraffic joins who used the row.
func (r *row) seeTraffic(in *Input) {
	u := in.usageOf(r)
	if u == nil {
		return
	}
	v := &TrafficView{Clients: u.Count, Packets: u.Packets, AtLeast: u.AtLeast}
	r.UsedBy = u.Clients
	if !u.Last.IsZero() {
		last := u.Last
		v.Last = &last
	}
	r.Views.Traffic = v
}

func (in *Input) usageOf(r *row) *exposure.Usage {
	if in.Traffic == nil {
		return nil
	}
	return usageIn(in.Traffic, r)
}

func usageIn(t *exposure.Traffic, r *row) *exposure.Usage {
	for i := range t.Usage {
		u := &t.Usage[i]
		if u.Endpoint.Proto == r.Proto && u.Endpoint.Port == r.Port && u.Endpoint.Addr == r.Addr && u.Endpoint.Device == r.Device {
			return u
		}
	}
	return nil
}

// wallSays is the firewall's answer in a sentence.
func (r *row) wallSays() string {
	by := ""
	if len(r.permit.Rules) > 0 {
		by = " (" + strings.Join(lastFew(r.permit.Rules, 2), "; ") + ")"
	}
	switch r.permit.Verdict {
	case exposure.Permitted:
		if by == "" {
			return "no firewall rule keeps strangers out"
		}
		return "the firewall lets any stranger in" + by
	case exposure.Denied:
		return "the firewall keeps strangers out" + by
	case exposure.Partial:
		return "the firewall lets some strangers in: " + r.permit.Why + by
	}
	return "what the firewall does is unknown: " + r.permit.Why + by
}

func lastFew(list []string, n int) []string {
	if len(list) > n {
		return list[len(list)-n:]
	}
	return list
}

// bound says where the row listens.
func (r *row) bound() string {
	switch {
	case r.Views.Host == Unknown:
		return fmt.Sprintf("it answers at %s (%s)", r.Addr, r.Scope)
	case r.Device != "":
		return fmt.Sprintf("it listens on %s, bound to device %s", r.Addr, r.Device)
	case r.Addr.IP.Unmap().IsUnspecified() && r.DualStack:
		return "it listens on every address, IPv4 and IPv6"
	case r.Addr.IP.Unmap().IsUnspecified():
		return "it listens on every address (" + r.Addr.String() + ")"
	}
	return fmt.Sprintf("it listens on %s (%s)", r.Addr, r.Scope)
}
