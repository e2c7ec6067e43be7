package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
	"github.com/portreeve/portreeve/internal/firewall/dialect/values"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// policyRules turns the rules of a policy into permits, one for each peer.
func (r *reader) policyRules(s *subject, p *policy, d int) (out []*ruleset.Rule) {
	for _, n := range p.rules[d] {
		ports, portWords := r.portsExpr(s, n.Get("ports"), d)
		peers := n.Get([2]string{"from", "to"}[d])
		if peers.Len() == 0 { // everybody
			out = append(out, permit(p, n, d, portWords, "anywhere", ports, nil))
			continue
		}
		for peer := range peers.Items() {
			e, words := r.peerExpr(p, peer, d)
			out = append(out, permit(p, peer, d, portWords, words, ports, e))
		}
	}
	return out
}

func permit(p *policy, at *document.Node, d int, ports, peer string, exprs ...ruleset.Expr) *ruleset.Rule {
	rule := &ruleset.Rule{Line: at.Line(), Comment: p.comment}
	rule.Text = fmt.Sprintf("%s/%s: allow %s %s %s", p.namespace, p.name, ports, [2]string{"from", "to"}[d], peer)
	for _, e := range exprs {
		if e != nil {
			rule.Steps = append(rule.Steps, ruleset.Match{Expr: e})
		}
	}
	rule.Steps = append(rule.Steps, ruleset.Decide{Verdict: ruleset.Accept})
	return rule
}

// portsExpr is the condition on protocol and port, nil for any.
func (r *reader) portsExpr(s *subject, list *document.Node, d int) (ruleset.Expr, string) {
	if list.Len() == 0 {
		return nil, "everything"
	}
	var any ruleset.Any
	var words []string
	for v := range list.Items() {
		e, w := r.portExpr(s, v, d)
		any, words = append(any, e), append(words, w)
	}
	return any, shown(words)
}

func (r *reader) portExpr(s *subject, v *document.Node, d int) (ruleset.Expr, string) {
	k := protocol(v.Get("protocol"))
	name := strings.ToLower(v.Get("protocol").Text())
	if name == "" {
		name = "tcp"
	}
	if k < 0 {
		r.problem(v.Get("protocol"), "no protocol of Kubernetes")
		return unknown(fmt.Sprintf("the protocol %q", name)), name
	}
	proto := ruleset.In{Field: ruleset.L4Proto, Set: ruleset.Numbers(uint64(k))}
	port, end := v.Get("port"), v.Get("endPort")
	if port.Kind() <= document.Null {
		return proto, name
	}
	lo, ok := port.Int()
	if !ok || port.Kind() == document.String {
		return ruleset.All{proto, r.namedPort(s, port.Text(), k, d)}, name + " " + port.Text()
	}
	hi := lo
	if end.Kind() > document.Null {
		hi, ok = end.Int()
	}
	if !ok || lo < 0 || hi > 65535 || hi < lo {
		r.problem(v, "no range of ports")
		return unknown("a range of ports that is not one"), name
	}
	words := fmt.Sprintf("%s %d", name, lo)
	if hi > lo {
		words += fmt.Sprintf("-%d", hi)
	}
	return ruleset.All{proto, ruleset.In{Field: ruleset.DPort, Set: ruleset.Range(ruleset.Number(uint64(lo)), ruleset.Number(uint64(hi)))}}, words
}

// namedPort is a port by the name that a container of the pod gives it: of
// the subject for ingress, of the pod at the other end for egress.
func (r *reader) namedPort(s *subject, name string, proto, d int) ruleset.Expr {
	why := fmt.Sprintf("which port is named %q", name)
	if d == ingress {
		if s.pod == nil {
			return unknown(why)
		}
		return ruleset.In{Field: ruleset.DPort, Set: s.pod.named(name, proto)}
	}
	var any ruleset.Any
	var known ruleset.Set
	for _, p := range r.pods {
		known = ruleset.Union(known, p.addrs)
		if set := p.named(name, proto); len(set) > 0 {
			any = append(any, ruleset.All{ruleset.In{Field: ruleset.DAddr, Set: p.addrs}, ruleset.In{Field: ruleset.DPort, Set: set}})
		}
	}
	return append(any, ruleset.All{ruleset.In{Field: ruleset.DAddr, Set: ruleset.DAddr.Except(known)}, unknown(why)})
}

func (p *pod) named(name string, proto int) ruleset.Set {
	set := ruleset.Set{}
	for _, v := range p.ports {
		if v.name == name && v.proto == proto {
			set = ruleset.Union(set, ruleset.Numbers(uint64(v.port)))
		}
	}
	return set
}

// peerExpr is the condition on the far end.
func (r *reader) peerExpr(p *policy, n *document.Node, d int) (ruleset.Expr, string) {
	field := [2]ruleset.Field{ruleset.SAddr, ruleset.DAddr}[d]
	block, pods, spaces := n.Get("ipBlock"), n.Get("podSelector"), n.Get("namespaceSelector")
	selects := pods.Kind() > document.Null || spaces.Kind() > document.Null
	switch {
	case block.Kind() > document.Null && !selects:
		return r.blockExpr(block, field)
	case selects && block.Kind() <= document.Null:
		return r.podsExpr(p, pods, spaces, field)
	}
	r.problem(n, "a peer that is neither an ipBlock nor a selector")
	return unknown("a peer that is neither an ipBlock nor a selector"), "somebody"
}

func (r *reader) blockExpr(n *document.Node, f ruleset.Field) (ruleset.Expr, string) {
	set, err := values.Addresses(n.Get("cidr").Text())
	words := n.Get("cidr").Text()
	for v := range n.Get("except").Each() {
		s, e := values.Addresses(v.Text())
		if e != nil {
			err = e
		}
		set = set.Minus(s)
		words += " but " + v.Text()
	}
	if err != nil {
		r.problem(n, err.Error())
		return unknown(err.Error()), words
	}
	return ruleset.In{Field: f, Set: set}, words
}

// podsExpr is the condition of being a pod that the selectors select. The
// pods of the stream are told by their addresses; others, if there may be
// any, are not known.
func (r *reader) podsExpr(p *policy, pods, spaces *document.Node, f ruleset.Field) (ruleset.Expr, string) {
	ps, ns := readSelector(pods), readSelector(spaces)
	words := "pods"
	if len(ps.needs) > 0 {
		words += " " + ps.String()
	}
	inOwn := spaces.Kind() <= document.Null
	if inOwn {
		words += " of " + p.namespace
	} else if len(ns.needs) > 0 {
		words += " of namespaces " + ns.String()
	}
	if bad := ps.bad + ns.bad; bad != "" {
		r.problem(pods, bad)
		return unknown(bad), words
	}
	match, known, hosts := ruleset.Set{}, ruleset.Set{}, ruleset.Set{}
	for _, v := range r.pods {
		in, told := v.namespace == p.namespace, true
		if !inOwn {
			in, told = r.inNamespaces(ns, v.namespace)
		}
		fits := ps.matches(v.labels)
		switch {
		case v.onHost && fits && (in || !told):
			hosts = ruleset.Union(hosts, v.addrs)
		case v.onHost || fits && !told:
		default:
			known = ruleset.Union(known, v.addrs)
			if fits && in {
				match = ruleset.Union(match, v.addrs)
			}
		}
	}
	any := ruleset.Any{ruleset.In{Field: f, Set: match}}
	why := fmt.Sprintf("whether the %s is one of the %s", f, words)
	if !r.complete(p, inOwn) {
		hosts = f.Except(known)
	}
	if hosts = hosts.Minus(known); len(hosts) > 0 {
		any = append(any, ruleset.All{ruleset.In{Field: f, Set: hosts}, unknown(why)})
	}
	return any, words
}

// inNamespaces reports whether a namespace meets a selector, and whether the
// stream tells its labels.
func (r *reader) inNamespaces(ns selector, name string) (in, told bool) {
	told = r.listed[name] || !slices.ContainsFunc(ns.needs, func(q requirement) bool { return q.key != nameLabel })
	return told && ns.matches(r.namespaces[name]), told
}

// complete reports whether the stream has all the pods that may be selected:
// of the policy's own namespace when it has one of them, of others when it
// lists the namespaces of all its pods too.
func (r *reader) complete(p *policy, inOwn bool) bool {
	if inOwn && slices.ContainsFunc(r.pods, func(v *pod) bool { return v.namespace == p.namespace }) {
		return true
	}
	return len(r.pods) > 0 && !slices.ContainsFunc(r.pods, func(v *pod) bool { return !r.listed[v.namespace] })
}
