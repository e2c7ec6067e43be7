package closing

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/remedy"
)

type expect = policy.Expect

// Names of refusals. A protected port's is followed by the port.
const (
	ownSession = "own-session"
	lastWayIn  = "last-way-in"
	protected  = "protected:"
)

func (p *Plan) refuse(name, why string) {
	if slices.ContainsFunc(p.Refused, func(r Refusal) bool { return r.Name == name }) {
		return
	}
	p.Refused = append(p.Refused, Refusal{Name: name, Why: why, Overridden: slices.Contains(p.o.Override, name)})
}

// forbidPorts refuses the protected ports among those asked for, whether
// anything listens there or not.
func (p *Plan) forbidPorts() {
	for _, port := range p.o.Ports {
		protos := []exposure.Proto{port.Proto}
		if port.Proto == "" {
			protos = []exposure.Proto{exposure.TCP, exposure.UDP, exposure.SCTP, exposure.DCCP}
		}
		for _, proto := range protos {
			p.forbidPort(proto, port.Port)
		}
	}
}

// forbidPort refuses a port that the policy or the table protects.
func (p *Plan) forbidPort(proto exposure.Proto, port uint16, names ...string) {
	why := p.protection(proto, port, names...)
	if why == "" {
		return
	}
	name := Port{Proto: proto, Port: port}.String()
	p.refuse(protected+name, fmt.Sprintf("port %s is protected: %s", name, strings.TrimRight(why, ".")))
}

// protection tells why a port may not be closed; "" when it may.
func (p *Plan) protection(proto exposure.Proto, port uint16, names ...string) string {
	if p.o.Policy != nil {
		for _, x := range p.o.Policy.Protected {
			if x.Port.Covers(proto, port) {
				return orElse(x.Reason, "the policy protects it")
			}
		}
	}
	for _, a := range []*knowledge.Advice{p.o.Book.Advice(proto, port), p.o.Book.AdviceAt(proto, port, names...)} {
		if a != nil && a.Protected {
			return a.ProtectedWhy
		}
	}
	return ""
}

// judge looks for everything that forbids the plan, over all endpoints that
// it shuts, not only those asked for.
func (p *Plan) judge() {
	for _, s := range p.shut() {
		p.forbidPort(s.Proto, s.Port, holders(s)...)
	}
	p.forbidSession()
	p.forbidLastWay()
}

// shut are the listeners that the plan shuts for others.
func (p *Plan) shut() (out []*exposure.Socket) {
	for _, s := range p.seen.listeners() {
		if slices.Contains(p.gone, s.Endpoint()) {
			out = append(out, s)
		}
	}
	return out
}

// forbidSession keeps the caller's own session: its port, its tunnel, the
// processes between it and this one.
func (p *Plan) forbidSession() {
	shut := p.shut()
	for _, x := range p.seen.sessions.Sessions {
		if x.Own && (slices.ContainsFunc(shut, func(s *exposure.Socket) bool { return carries(s, x) }) || p.publishedFor(x)) {
			p.refuse(ownSession, fmt.Sprintf("this would cut your own session, %s", x))
		}
	}
	for _, pid := range p.ended() {
		if slices.Contains(p.seen.sessions.Ancestors, pid) {
			p.refuse(ownSession, fmt.Sprintf("this would end process %d, in which your own session runs", pid))
		}
	}
}

// carries reports a listener by which a session came: the port it is
// connected to, or the kernel's tunnel below it.
func carries(s *exposure.Socket, x remedy.Session) bool {
	if s.Kernel != nil && s.Kernel.Detail != "" && s.Kernel.Detail == x.Device {
		return true
	}
	if s.Proto != exposure.TCP || s.Port != x.Local.Port() {
		return false
	}
	ip := s.Addr.IP.Unmap()
	return !ip.IsValid() || ip.IsUnspecified() || ip.WithZone("") == x.Local.Addr().WithZone("")
}

// publishedFor reports a closed port that leads to the session's by a rule.
func (p *Plan) publishedFor(x remedy.Session) bool {
	for _, c := range p.Closures {
		for _, d := range c.published {
			port := d.Target.Port
			if port == 0 {
				port = c.Port.Port
			}
			if c.How == Firewall && d.Proto == exposure.TCP && port == x.Local.Port() {
				return true
			}
		}
	}
	return false
}

// ended are the processes that the plan ends.
func (p *Plan) ended() (out []int) {
	for _, s := range p.Steps {
		switch {
		case s.Processes != nil:
			for _, r := range s.Processes.All {
				out = append(out, r.PID)
			}
		case s.Units != nil:
			for _, x := range p.seen.snap.Sockets {
				if slices.Contains(s.Units.Stop, x.Unit) && x.IsListener() {
					for _, q := range x.Processes {
						out = append(out, q.PID)
					}
				}
			}
		}
	}
	return slices.DeleteFunc(out, func(pid int) bool { return pid <= 1 })
}

// forbidLastWay refuses what leaves no listener by which a person could come
// in from elsewhere, where there is one now.
func (p *Plan) forbidLastWay() {
	var before, after []string
	shut := p.gone
	for _, s := range p.seen.listeners() {
		if !p.wayIn(s) {
			continue
		}
		before = append(before, s.Endpoint().String())
		if !slices.Contains(shut, s.Endpoint()) {
			after = append(after, s.Endpoint().String())
		}
	}
	if len(before) > 0 && len(after) == 0 {
		slices.Sort(before)
		p.refuse(lastWayIn, "this would leave no way to administer this host from elsewhere: "+strings.Join(slices.Compact(before), ", ")+" is all there is")
	}
}

// loginNames begin the names of servers of remote shells and desktops.
var loginNames = []string{"sshd", "dropbear", "telnetd", "in.telnetd", "xrdp", "tailscaled", "mosh-server", "cockpit"}

// wayIn reports a listener that others reach and that gives a person a shell,
// a desktop, or the administration of the host.
func (p *Plan) wayIn(s *exposure.Socket) bool {
	if s.Scope == exposure.ScopeLoopback || s.Proto != exposure.TCP && !strings.HasPrefix(name(s), "mosh") {
		return false
	}
	if slices.ContainsFunc(loginNames, func(n string) bool { return strings.HasPrefix(name(s), n) }) {
		return true
	}
	if strings.HasPrefix(s.ActivatedBy, "ssh") || strings.HasPrefix(s.ActivatedBy, "cockpit") {
		return true
	}
	a := p.o.Book.AdviceAt(s.Proto, s.Port, holders(s)...)
	return a != nil && a.Is(knowledge.RemoteLogin) && slices.ContainsFunc(holders(s), func(n string) bool { return slices.Contains(a.Processes, n) })
}

func name(s *exposure.Socket) string {
	if len(s.Processes) == 0 {
		return ""
	}
	return s.Processes[0].Name
}

// loopback reports an address that only this host reaches.
func loopback(ip netip.Addr) bool { return ip.Unmap().IsLoopback() }
