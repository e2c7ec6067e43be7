package audit

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// absentRows are endpoints that answer, or are published, though nothing of
// this namespace listens on them.
func absentRows(in *Input) []*row {
	keys := map[exposure.Endpoint]bool{}
	var out []*row
	add := func(proto exposure.Proto, ip netip.Addr, port uint16) {
		ep := exposure.Endpoint{Proto: proto, Addr: exposure.IPAddress(ip), Port: port}
		if !keys[ep] {
			keys[ep] = true
			out = append(out, absentRow(in, ep))
		}
	}
	for _, p := range in.unexplained() {
		add(p.Proto, p.Addr, p.Port)
	}
	for _, pub := range in.Published {
		for _, ep := range in.publishedEndpoints(pub) {
			add(ep.Proto, ep.Addr.IP, ep.Port)
		}
	}
	return out
}

// unexplained are the TCP answers, inside and outside, that no listener
// covers: from the self-scan only what the re-check confirmed.
func (in *Input) unexplained() []exposure.PortState {
	var out []exposure.PortState
	for _, ep := range Suspects(in) {
		if st, ok := in.recheckOf(ep); ok && st.State == exposure.Open {
			out = append(out, st)
		}
	}
	for i := range in.Vantages {
		for _, h := range in.Vantages[i].Hosts {
			out = append(out, in.outsideAnswers(&h)...)
		}
	}
	return out
}

func (in *Input) outsideAnswers(h *exposure.HostScan) []exposure.PortState {
	if h.EverythingAnswers || !in.isOwn(h.Addr) || h.Addr.IsLoopback() {
		return nil
	}
	var out []exposure.PortState
	for _, p := range h.Ports {
		if p.State == exposure.Open && !in.listens(p.Proto, h.Addr, p.Port) && !in.insideWideRange(p.Proto, h.Addr, p.Port) {
			p.Addr = h.Addr
			out = append(out, p)
		}
	}
	return out
}

// insideWideRange reports a port for which the row of a published range stands.
func (in *Input) insideWideRange(proto exposure.Proto, ip netip.Addr, port uint16) bool {
	pub := in.publishes(proto, ip, port)
	return pub != nil && wideRange(pub) && port != pub.First
}

func (in *Input) recheckOf(ep exposure.Endpoint) (exposure.PortState, bool) {
	for _, p := range in.Rechecked {
		if p.Proto == ep.Proto && p.Port == ep.Port && p.Addr == ep.Addr.IP {
			return p, true
		}
	}
	return exposure.PortState{}, false
}

// maxPublishedRange bounds how many ports of one published range become rows
// of their own; of a wider one the first port's row stands for all.
const maxPublishedRange = 32

func wideRange(pub *exposure.PublishedPort) bool {
	return int(pub.Last)-int(pub.First) >= maxPublishedRange
}

// rangeText says what a row of a wide range stands for; "" for others.
func rangeText(pub *exposure.PublishedPort) string {
	if !wideRange(pub) {
		return ""
	}
	return fmt.Sprintf("this row stands for all of %d-%d/%s", pub.First, pub.Last, pub.Proto)
}

// publishedEndpoints are the own addresses and ports of a DNAT or redirect
// rule that no listener stands behind.
func (in *Input) publishedEndpoints(pub exposure.PublishedPort) []exposure.Endpoint {
	if pub.OnlyLocal || pub.First == 0 {
		return nil
	}
	last := int(pub.Last)
	if wideRange(&pub) {
		last = int(pub.First)
	}
	var out []exposure.Endpoint
	for _, ip := range in.publishedAddrs(pub) {
		for port := int(pub.First); port <= last; port++ {
			if !in.listens(pub.Proto, ip, uint16(port)) {
				out = append(out, exposure.Endpoint{Proto: pub.Proto, Addr: exposure.IPAddress(ip), Port: uint16(port)})
			}
		}
	}
	return out
}

func (in *Input) publishedAddrs(pub exposure.PublishedPort) []netip.Addr {
	if pub.Addr.IsValid() && !pub.Addr.IsUnspecified() {
		if !in.isOwn(pub.Addr) || pub.Addr.IsLoopback() && !pub.Local {
			return nil // a stranger's packet to loopback never arrives
		}
		return []netip.Addr{pub.Addr}
	}
	var out []netip.Addr
	for _, a := range in.Addrs {
		if !a.IP.IsLoopback() && !a.IP.IsLinkLocalUnicast() && holdsFor(&pub, a.IP) {
			out = append(out, a.IP)
		}
	}
	return out
}

// holdsFor reports whether a rule is about packets to ip: its address may be
// missing (every address) or unspecified (every address of that family), and
// a rewrite stays in its family.
func holdsFor(pub *exposure.PublishedPort, ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if to := pub.Target.Addr.Unmap(); to.IsValid() && to.Is4() != ip.Is4() {
		return false
	}
	switch at := pub.Addr.Unmap(); {
	case !at.IsValid():
		return true
	case at.IsUnspecified():
		return at.Is4() == ip.Is4()
	default:
		return at == ip
	}
}

// absentRow sees an endpoint without a listener.
func absentRow(in *Input, ep exposure.Endpoint) *row {
	r := &row{Endpoint: Endpoint{
		Proto: ep.Proto, Addr: ep.Addr, Port: ep.Port, Scope: exposure.ScopeOf(ep.Addr.IP),
		NetNS: in.Self,
	}}
	r.Views.Host = Absent
	r.seeTarget(in)
	r.see(in)
	r.seeAnswer(in)
	if r.SentTo == "" && r.greeting == nil {
		r.Service = "" // what the port is for says nothing of what answers unlisted
	}
	return r
}

// seeTarget follows DNAT to the listener behind it, in whatever namespace.
func (r *row) seeTarget(in *Input) {
	pub := in.publishes(r.Proto, r.Addr.IP, r.Port)
	if pub == nil {
		return
	}
	to := in.targetOf(pub, r.Addr.IP, r.Port)
	r.SentTo = exposure.HostPort(to.Addr, to.Port)
	if t := rangeText(pub); t != "" {
		r.Why = append(r.Why, t)
	}
	r.target = in.anyListener(to)
	if r.target == nil {
		return
	}
	r.Processes, r.Unit, r.Package, r.Container = r.target.Processes, r.target.Unit, r.target.Package, r.target.Container
}

// publishes finds the rule that sends an endpoint elsewhere.
func (in *Input) publishes(proto exposure.Proto, ip netip.Addr, port uint16) *exposure.PublishedPort {
	for i := range in.Published {
		p := &in.Published[i]
		if p.Proto == proto && p.First <= port && port <= p.Last && holdsFor(p, ip) {
			return p
		}
	}
	return nil
}

// targetOf is where a published port ends: DNAT keeps the offset in a range
// only when the rule says so, which the rule's reader has resolved.
func (in *Input) targetOf(pub *exposure.PublishedPort, ip netip.Addr, port uint16) exposure.Endpoint {
	to := exposure.Endpoint{Proto: pub.Proto, Addr: exposure.IPAddress(ip), Port: port}
	if pub.Target.Addr.IsValid() {
		to.Addr = exposure.IPAddress(pub.Target.Addr)
	}
	if pub.Target.Port != 0 {
		to.Port = pub.Target.Port
	}
	return to
}

// anyListener finds who listens at a DNAT target: here when the address is
// our own, else in whichever other namespace holds a listener for it.
func (in *Input) anyListener(to exposure.Endpoint) *exposure.Socket {
	if s := listenerAt(in.After.Sockets, in.Self.ID, to.Proto, to.Addr.IP, to.Port); s != nil && in.isOwn(to.Addr.IP) {
		return s
	}
	if in.isOwn(to.Addr.IP) {
		return nil
	}
	var found *exposure.Socket
	for i := range in.After.Sockets {
		s := &in.After.Sockets[i]
		if s.NetNS.ID == in.Self.ID || !covers(s, to.Proto, to.Addr.IP, to.Port) {
			continue
		}
		if s.Addr.IP.Unmap() == to.Addr.IP.Unmap() {
			return s
		}
		if found != nil {
			return nil // several namespaces could be meant: no guess
		}
		found = s
	}
	return found
}

// Targets are the DNAT targets that the caller should ask, because a
// self-scan does not pass the hook that rewrites a stranger's packet.
func Targets(in *Input) []exposure.Endpoint {
	seen := map[exposure.Endpoint]bool{}
	var out []exposure.Endpoint
	for i := range in.Published {
		pub := &in.Published[i]
		for _, ep := range in.publishedEndpoints(*pub) {
			to := in.targetOf(pub, ep.Addr.IP, ep.Port)
			if pub.Proto == exposure.TCP && to.Addr.IP.IsValid() && !publicAddr(to.Addr.IP) && !seen[to] {
				seen[to] = true
				out = append(out, to)
			}
		}
	}
	return out
}

// publicAddr: somebody else's machine is never asked unbidden.
func publicAddr(ip netip.Addr) bool { return exposure.ScopeOf(ip) == exposure.ScopePublic }

// seeAnswer completes the network view of a published port with what its
// target answered.
func (r *row) seeAnswer(in *Input) {
	if st, ok := in.recheckOf(exposure.Endpoint{Proto: r.Proto, Addr: r.Addr, Port: r.Port}); ok && !r.outside {
		r.Views.Network = string(st.State)
	}
	pub := in.publishes(r.Proto, r.Addr.IP, r.Port)
	if pub == nil || r.outside || r.Views.Network == string(exposure.Open) {
		return
	}
	r.Views.Network = Unknown
	if st, ok := in.recheckOf(in.targetOf(pub, r.Addr.IP, r.Port)); ok {
		r.Views.Network = string(st.State)
	}
}

// ownerText names the holders of a row in few words.
func ownerText(procs []exposure.Process) string {
	var names []string
	for _, p := range procs {
		name := p.Name
		if p.Exe != "" && p.Deleted {
			name += " (deleted " + p.Exe + ")"
		}
		names = append(names, name+"["+itoa(p.PID)+"]")
	}
	return strings.Join(names, ", ")
}
