package kubernetes

import (
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
	"github.com/portreeve/portreeve/internal/firewall/dialect/values"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// pod is a pod with what policies ask of it.
type pod struct {
	namespace, name string
	labels          map[string]string
	addrs, node     ruleset.Set
	onHost          bool // it has the node's network: policies do not apply to it
	ports           []namedPort
}

// namedPort is a port that a container gives a name.
type namedPort struct {
	name  string
	proto int
	port  int
}

func (r *reader) pod(n *document.Node) {
	p := &pod{namespace: namespace(n), name: n.At("metadata", "name").Text(), labels: labels(n)}
	spec, status := n.Get("spec"), n.Get("status")
	if phase := status.Get("phase").Text(); phase == "Succeeded" || phase == "Failed" {
		return // its address may be another's by now
	}
	p.onHost = spec.Get("hostNetwork").True()
	p.addrs = r.podAddress(p.addrs, status.Get("podIP"))
	for v := range status.Get("podIPs").Items() {
		p.addrs = r.podAddress(p.addrs, v.Get("ip"))
	}
	p.node = r.podAddress(p.node, status.Get("hostIP"))
	for v := range status.Get("hostIPs").Items() {
		p.node = r.podAddress(p.node, v.Get("ip"))
	}
	for c := range spec.Get("containers").Items() {
		for v := range c.Get("ports").Items() {
			k, ok := v.Get("containerPort").Int()
			if name := v.Get("name").Text(); name != "" && ok && k > 0 && k <= 65535 {
				p.ports = append(p.ports, namedPort{name, protocol(v.Get("protocol")), k})
			}
		}
	}
	r.pods = append(r.pods, p)
	if r.namespaces[p.namespace] == nil {
		r.namespaces[p.namespace] = map[string]string{nameLabel: p.namespace}
	}
}

func (r *reader) podAddress(have ruleset.Set, n *document.Node) ruleset.Set {
	if n.Text() == "" {
		return have
	}
	s, err := values.Addresses(n.Text())
	if err != nil {
		r.problem(n, err.Error())
		return have
	}
	return ruleset.Union(have, s)
}

// protocol reads a port's protocol, TCP without one; -1 is one that
// Kubernetes does not have.
func protocol(n *document.Node) int {
	switch strings.ToUpper(n.Text()) {
	case "", "TCP":
		return values.TCP
	case "UDP":
		return values.UDP
	case "SCTP":
		return values.SCTP
	}
	return -1
}
