package audit

import (
	"fmt"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
)

// ruleUnknownService: no registry, advice, process or greeting says what a
// reachable port is.
func ruleUnknownService(in *Input, r *row) {
	if r.sock == nil || !r.reachable() || r.expected || r.Kernel != nil {
		return
	}
	backdoor := r.kind(knowledge.Backdoor) && r.greeting == nil
	if !backdoor && (r.Service != "" || r.advice != nil) {
		return
	}
	f := exposure.Finding{Rule: "unknown-service", Severity: exposure.Low,
		Title:       fmt.Sprintf("port %d/%s is in no registry", r.Port, r.Proto),
		Because:     []string{"no service is registered for it and it did not say what it is", knowledge.Reserved(r.Port)},
		SafeBecause: r.ownerSpeaks(),
	}
	switch {
	case backdoor:
		f.Title = fmt.Sprintf("port %d/%s is a default of intruders' tools (%s)", r.Port, r.Proto, r.advice.ID)
		f.Because = append([]string{"nothing that is known for honest use listens there"}, r.advice.Unsafe...)
		f.SafeBecause = append(f.SafeBecause, "a port number alone proves nothing")
	case r.Package != "" && r.Unit != "", r.Proto == exposure.UDP && r.Port >= firstEphemeral:
		f.Severity = exposure.Info // a client's socket looks the same
	}
	r.raise(f)
}

// firstEphemeral begins the ports that Linux hands out by itself
// (net.ipv4.ip_local_port_range).
const firstEphemeral = 32768

// ruleUnruled: on a host whose firewall permits ports by name, one is open
// that no rule and no policy names.
func ruleUnruled(in *Input, r *row) {
	if r.sock == nil || r.loopbackOnly() || r.expected || in.Policy != nil || len(in.PermitRules) == 0 {
		return
	}
	if r.permit.Verdict != exposure.Permitted || !r.permit.ByDefault {
		return
	}
	r.raise(exposure.Finding{Rule: "unruled-listener", Severity: exposure.Low,
		Title:       "open though no firewall rule names it",
		Because:     []string{fmt.Sprintf("other ports are permitted by name (%d rules), this one only by default", len(in.PermitRules)), r.wallSays()},
		SafeBecause: r.ownerSpeaks(),
	})
}

// maxStaleRange: a rule for more ports than this is meant for ports that come
// and go (passive FTP, RPC).
const maxStaleRange = 100

// ruleStale raises permits with no listener behind them.
func ruleStale(in *Input) []exposure.Finding {
	seen := map[string]bool{}
	var out []exposure.Finding
	for i := range in.PermitRules {
		p := &in.PermitRules[i]
		ep := permitEndpoint(p)
		if int(p.Last)-int(p.First) >= maxStaleRange || seen[ep] || in.stoodBehind(p) || in.otherwiseUsed(p) {
			continue
		}
		seen[ep] = true
		out = append(out, staleFinding(p, ep))
	}
	return out
}

// otherwiseUsed: a permit that is about no listener of this host: multicast and
// other addresses, and answers to DHCP clients, which read a packet socket.
func (in *Input) otherwiseUsed(p *exposure.PermitRule) bool {
	if p.Addr.IsValid() && !p.Addr.IsUnspecified() && !in.isOwn(p.Addr) {
		return true
	}
	return p.Proto == exposure.UDP && p.First == p.Last && (p.First == 68 || p.First == 546)
}

func permitEndpoint(p *exposure.PermitRule) string {
	a := exposure.ParseAddress("0.0.0.0")
	if p.Addr.IsValid() {
		a = exposure.IPAddress(p.Addr)
	}
	return exposure.Endpoint{Proto: p.Proto, Addr: a, Port: p.First}.String()
}

// stoodBehind reports a listener, or a published port, behind a permit.
func (in *Input) stoodBehind(p *exposure.PermitRule) bool {
	for _, socks := range [][]exposure.Socket{in.After.Sockets, in.Before.Sockets} {
		for i := range socks {
			if s := &socks[i]; s.NetNS.ID == in.Self.ID && s.IsListener() && within(p, s.Proto, s.Port) {
				return true
			}
		}
	}
	for i := range in.Published {
		pub := &in.Published[i]
		if within(p, pub.Proto, pub.First) || pub.Proto == p.Proto && pub.First <= p.First && p.First <= pub.Last {
			return true
		}
		if within(p, pub.Proto, pub.Target.Port) {
			return true
		}
	}
	return false
}

func within(p *exposure.PermitRule, proto exposure.Proto, port uint16) bool {
	return p.Proto == proto && p.First <= port && port <= p.Last
}

func staleFinding(p *exposure.PermitRule, ep string) exposure.Finding {
	ports := itoa(int(p.First))
	if p.Last != p.First {
		ports += "-" + itoa(int(p.Last))
	}
	return exposure.Finding{Rule: "stale-permit", Severity: exposure.Low, Endpoint: ep,
		Title:       fmt.Sprintf("a rule lets strangers in to %s/%s, and nothing listens", ports, p.Proto),
		Because:     []string{"rule: " + p.Rule, "no listener before or after the scan"},
		SafeBecause: []string{"nothing is served now; whoever listens there next is open at once"},
		Fix:         []exposure.Fix{{What: "find the rule and remove it if it is not needed", Command: "(nft -a list ruleset; iptables-legacy-save; ip6tables-legacy-save) 2>/dev/null | grep -w " + itoa(int(p.First))}},
	}
}
