package ruleset

import (
	_ "embed"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/space"
)

//go:embed sensitive.txt
var sensitiveData string

// services are names of services by protocol and port.
type services map[uint32]string

// sensitiveTable reads the table of ports that should not be open to everyone.
func sensitiveTable() services {
	out := services{}
	for line := range strings.Lines(sensitiveData) {
		proto, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		port, name, ok := strings.Cut(rest, " ")
		n, err := strconv.ParseUint(port, 10, 16)
		number := map[string]uint8{"tcp": protoTCP, "udp": protoUDP}[proto]
		if ok && err == nil && number != 0 {
			out[serviceKey(number, uint16(n))] = name
		}
	}
	return out
}

func serviceKey(proto uint8, port uint16) uint32 { return uint32(proto)<<16 | uint32(port) }

func (s services) name(proto uint8, port uint16) string { return s[serviceKey(proto, port)] }

// Thresholds of too-wide. A source (or destination) is any when it holds at
// least half of all addresses of a family. A rule is too wide when it permits
// new packets from any source, not only on the loopback interface,
//
//   - to any destination with any protocol, or all ports of TCP or of UDP
//     (at least half of the ports), or
//   - to a port of the table of sensitive services.
//
// Chains of output are not looked at.
const anyPart = 0.5

// wide looks whether a rule permits too much.
func (l *linter) wide(ch *Chain, r *Rule) {
	if ch.Hook == Output || ch.Hook == Postrouting {
		return
	}
	why, sure := "", true
	for _, e := range l.rulings[r] {
		if e.entries[e.at].verdict != Accept || e.entries[e.at].chain != ch || e.entries[e.at].st.target != nil || e.local {
			continue
		}
		for _, b := range e.within([]space.Box{e.boxes[e.at]}) {
			if one := l.wideBox(e.plan, b); one != "" && (why == "" || strings.HasPrefix(one, "any")) {
				why, sure = one, !e.atoms(b)
			}
		}
	}
	if why != "" {
		l.rule(TooWide, ch, r, "permits "+why, nil, sure)
	}
}

// wideBox says what a box permits too much; "" when nothing.
func (l *linter) wideBox(p *plan, b space.Box) string {
	f := packets{p, b}
	if !f.fresh() || !f.anyAddress(SAddr) {
		return ""
	}
	protos, ports := f.set(L4Proto), f.set(DPort)
	many := 2*size(ports) >= 1<<16
	switch {
	case f.anyAddress(DAddr) && size(protos) > 128:
		return "any protocol from any source to any destination"
	case f.anyAddress(DAddr) && many && protos.Has(Number(protoTCP)):
		return "all TCP ports from any source to any destination"
	case f.anyAddress(DAddr) && many && protos.Has(Number(protoUDP)):
		return "all UDP ports from any source to any destination"
	}
	return l.sensitive(protos, ports)
}

func (l *linter) sensitive(protos, ports Set) string {
	var names []string
	for _, proto := range []uint8{protoTCP, protoUDP} {
		if !protos.Has(Number(uint64(proto))) || 2*size(ports) >= 1<<16 {
			continue
		}
		for _, iv := range ports {
			for n := iv.Lo.Lo; n <= min(iv.Hi.Lo, math.MaxUint16); n++ {
				if name := l.opt.Sensitive(proto, uint16(n)); name != "" {
					names = append(names, name+" ("+itoa(int(n))+")")
				}
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return strings.Join(capped(slices.Compact(names), 6), ", ") + " from any source"
}

// packets is a box with the meaning of its axes.
type packets struct {
	*plan
	box space.Box
}

// set gives the values of a field in the box.
func (p packets) set(f Field) Set {
	i := p.ax.fields[f]
	if i < 0 {
		return f.domain()
	}
	spans := p.box.Axis(i)
	if spans == nil {
		return f.domain()
	}
	s, _ := p.ax.info[i].set(spans)
	return s
}

// fresh reports that first packets of connections from outside are among them.
func (p packets) fresh() bool {
	if !p.set(CtState).Has(Number(StateNew)) {
		return false
	}
	if p.ax.fields[TCPFlags] >= 0 && p.set(L4Proto).Equal(Numbers(protoTCP)) && !p.set(TCPFlags).Has(Number(flagSYN)) {
		return false
	}
	in := p.set(IIf)
	return !in.Within(Of(Name("lo"), Value{})) || p.ax.fields[IIf] < 0
}

// anyAddress reports that a field holds at least half of a family.
func (p packets) anyAddress(f Field) bool {
	s := p.set(f)
	return share(s, allIPv4) >= anyPart || share(s, allIPv6) >= anyPart
}

// share is which part of a family's addresses the set holds.
func share(s, family Set) float64 { return size(s.And(family)) / size(family) }

// size is the number of values.
func size(s Set) (n float64) {
	for _, iv := range s {
		n += float64(iv.Hi.Hi-iv.Lo.Hi)*math.Pow(2, 64) + float64(iv.Hi.Lo) - float64(iv.Lo.Lo) + 1
	}
	return n
}

// mostAsked bounds the ports and addresses of a rule that are asked for
// listeners; wider rules are not about single services.
const mostAsked = 64

// listener looks whether something listens at what a rule permits.
func (l *linter) listener(ch *Chain, r *Rule) {
	if l.opt.Listens == nil || ch.Hook != NoHook && ch.Hook != Input {
		return
	}
	asked, ports := false, Set(nil)
	for _, e := range l.rulings[r] {
		if e.entries[e.at].verdict != Accept || e.entries[0].chain == nil {
			continue
		}
		for _, b := range e.within([]space.Box{e.boxes[e.at]}) {
			f := packets{e.plan, b}
			few := f.set(DPort)
			if !f.fresh() || size(few) > mostAsked {
				continue
			}
			asked, ports = true, Union(ports, few)
			if l.heard(f, few) {
				return
			}
		}
	}
	if asked && len(ports) > 0 {
		l.rule(NoListener, ch, r, "nothing listens on "+DPort.text(ports), nil, true)
	}
}

// heard reports a listener at one of the ports.
func (l *linter) heard(f packets, ports Set) bool {
	addrs, ok := f.set(DAddr).Addrs(mostAsked)
	if !ok {
		addrs = []netip.Addr{{}}
	}
	for _, proto := range []uint8{protoTCP, protoUDP, protoSCTP, protoDCCP, protoUDPLite} {
		if !f.set(L4Proto).Has(Number(uint64(proto))) {
			continue
		}
		for _, iv := range ports {
			for n := iv.Lo.Lo; n <= iv.Hi.Lo; n++ {
				if slices.ContainsFunc(addrs, func(ip netip.Addr) bool { return l.opt.Listens(proto, ip, uint16(n)) }) {
					return true
				}
			}
		}
	}
	return false
}
