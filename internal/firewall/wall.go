package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Wall is the firewall of one network namespace, as it was read.
type Wall struct {
	rules *ruleset.RuleSet
	host  *ruleset.Host

	mu    sync.Mutex
	asked map[question]exposure.Permit
}

// question is what has one answer: ports between which no rule divides share
// a cell.
type question struct {
	proto uint8
	addr  netip.Addr
	cell  int
}

func newWall(rules *ruleset.RuleSet, host *ruleset.Host) *Wall {
	rules.Prepare()
	return &Wall{rules: rules, host: host, asked: map[question]exposure.Permit{}}
}

// Present reports that any rule, or a policy that denies, is in force.
func (w *Wall) Present() bool {
	for _, ch := range w.rules.Chains {
		if len(ch.Rules) > 0 || ch.Hook != ruleset.NoHook && ch.Policy == ruleset.Drop {
			return true
		}
	}
	return false
}

// Ask says what the rules do with a stranger's new connection or datagram to
// an address and port of this host. An unspecified address stands for all
// addresses of its family that the host has.
func (w *Wall) Ask(proto exposure.Proto, dst netip.Addr, port uint16) exposure.Permit {
	dst = dst.Unmap()
	if dst.IsUnspecified() {
		return w.AskAny(proto, dst.Is4(), dst.Is6(), port)
	}
	n, ok := protocol(proto)
	if !ok || !dst.IsValid() {
		return exposure.Permit{Verdict: exposure.UnknownPermit, Why: fmt.Sprintf("%s %s is no endpoint that a packet can be sent to", proto, dst)}
	}
	q := question{n, dst, w.rules.PortCell(port)}
	w.mu.Lock()
	p, known := w.asked[q]
	w.mu.Unlock()
	if !known {
		p = permit(w.rules.Ask(w.host, ruleset.Query{Proto: n, Addr: dst, Port: port}))
		w.mu.Lock()
		w.asked[q] = p
		w.mu.Unlock()
	}
	p.Rules = slices.Clone(p.Rules)
	return p
}

// AskAny asks for a socket bound to every address: of IPv4, of IPv6, or of
// both (a dual-stack listener). Where the addresses differ the verdict is
// partial and Why names them.
func (w *Wall) AskAny(proto exposure.Proto, v4, v6 bool, port uint16) exposure.Permit {
	if w.host.Own == nil {
		return exposure.Permit{Verdict: exposure.UnknownPermit, Why: "the addresses of this host are not known"}
	}
	var addrs []netip.Addr
	var answers []exposure.Permit
	for _, ip := range w.host.Own {
		if ip.IsLoopback() || ip.Is4() && !v4 || ip.Is6() && !v6 {
			continue
		}
		addrs = append(addrs, ip)
		answers = append(answers, w.Ask(proto, ip, port))
	}
	if len(addrs) == 0 {
		return w.askFuture(proto, v4, port)
	}
	return together(addrs, answers)
}

// Addresses that stand for one that the host may get (RFC 5737, RFC 3849).
var (
	future4 = netip.MustParseAddr("192.0.2.1")
	future6 = netip.MustParseAddr("2001:db8::1")
)

// askFuture asks for a host that has no address of the family but loopback
// now: nobody can come yet, and the rules say what holds once it has one.
func (w *Wall) askFuture(proto exposure.Proto, v4 bool, port uint16) exposure.Permit {
	ip := future6
	if v4 {
		ip = future4
	}
	h := w.host
	host := ruleset.Host{Own: append(slices.Clone(h.Own), ip), Interfaces: h.Interfaces, Inner: h.Inner, Forwarding4: h.Forwarding4,
		RouteLocalnet: h.RouteLocalnet, Forwarding6: h.Forwarding6, Routes: h.Routes}
	p := newWall(w.rules, &host).Ask(proto, ip, port)
	p.Why = strings.TrimPrefix(p.Why+"; this host has no address of that family but loopback now, so the answer is for one that it may get", "; ")
	return p
}

// together joins the answers for several addresses of one listener.
func together(addrs []netip.Addr, answers []exposure.Permit) exposure.Permit {
	out := answers[0]
	same := true
	for _, a := range answers[1:] {
		same = same && a.Verdict == out.Verdict
		out.ByDefault = out.ByDefault && a.ByDefault
		out.NamesPort = out.NamesPort || a.NamesPort
		for _, r := range a.Rules {
			if !slices.Contains(out.Rules, r) {
				out.Rules = append(out.Rules, r)
			}
		}
		if out.Target == nil {
			out.Target = a.Target
		}
	}
	if same {
		return out
	}
	out.ByDefault = false
	out.Verdict, out.Why = exposure.Partial, "differs by address: "+byVerdict(addrs, answers)
	for _, a := range answers {
		if a.Verdict == exposure.UnknownPermit {
			out.Verdict = exposure.UnknownPermit
			out.Why += "; " + a.Why
			break
		}
	}
	return out
}

func byVerdict(addrs []netip.Addr, answers []exposure.Permit) string {
	var parts []string
	for _, v := range []exposure.PermitVerdict{exposure.Permitted, exposure.Partial, exposure.Denied, exposure.UnknownPermit} {
		var at []string
		for i, a := range answers {
			if a.Verdict == v {
				at = append(at, addrs[i].String())
			}
		}
		const most = 4
		if len(at) > most {
			at = append(at[:most], fmt.Sprintf("%d more", len(at)-most))
		}
		if len(at) > 0 {
			parts = append(parts, string(v)+" at "+strings.Join(at, ", "))
		}
	}
	return strings.Join(parts, "; ")
}

// permit translates an answer into the common vocabulary.
func permit(a ruleset.Answer) exposure.Permit {
	p := exposure.Permit{Rules: a.Rules, Why: a.Why, ByDefault: a.ByDefault, NamesPort: a.NamesPort, PartlySent: a.PartlySent}
	switch a.Outcome {
	case ruleset.Permitted:
		p.Verdict = exposure.Permitted
	case ruleset.Denied:
		p.Verdict = exposure.Denied
	case ruleset.Partly:
		p.Verdict = exposure.Partial
	default:
		p.Verdict = exposure.UnknownPermit
	}
	if a.Target != nil {
		t := translation(a.Target)
		p.Target = &t
	}
	return p
}

// translation gives the first address and port that a rewrite may choose.
func translation(r *ruleset.Rewrite) exposure.Translation {
	t := exposure.Translation{Rule: r.Describe()}
	if len(r.Addrs) > 0 {
		t.Addr = r.Addrs[0].Lo.Addr()
	}
	if len(r.Ports) > 0 {
		t.Port = uint16(r.Ports[0].Lo.Lo)
	}
	return t
}

// protocol gives the IANA number of a transport.
func protocol(p exposure.Proto) (uint8, bool) {
	for n := range 256 {
		if exposure.ProtoByNumber(uint8(n)) == p {
			return uint8(n), true
		}
	}
	n, err := strconv.ParseUint(string(p), 10, 8)
	return uint8(n), err == nil
}
