package kubernetes

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
	"github.com/portreeve/portreeve/internal/firewall/dialect/problem"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Options is empty so far: everything that is needed stands in the stream.
type Options struct{}

var (
	// ErrFormat is returned for a stream without a NetworkPolicy.
	ErrFormat = errors.New("no NetworkPolicy of Kubernetes")
	// ErrForeign is returned for a stream with nothing but policies of other
	// kinds.
	ErrForeign = errors.New("policies of Cilium, Calico and AdminNetworkPolicies are not read")
)

// Read reads a stream of YAML or JSON. See the package comment.
func Read(in io.Reader, _ Options) (*ruleset.RuleSet, []problem.Problem, error) {
	data, err := document.Bytes(in)
	if err != nil {
		return nil, nil, err
	}
	r := &reader{namespaces: map[string]map[string]string{}, listed: map[string]bool{}}
	if document.IsJSON(data) {
		var docs []*document.Node
		if docs, err = document.JSON(data); err != nil && len(docs) == 0 {
			if r.stream(data); len(r.policies) == 0 { // YAML's flow style begins alike
				return nil, nil, err
			}
			err = nil
		}
		for _, d := range docs {
			r.object(d, "", 0)
		}
	} else {
		r.stream(data)
	}
	if err != nil {
		r.unread = append(r.unread, "the file is damaged: "+err.Error())
	}
	switch {
	case len(r.policies) == 0 && err != nil:
		return nil, r.problems.All(), err
	case len(r.policies) == 0 && len(r.foreign) > 0:
		return nil, r.problems.All(), fmt.Errorf("%w: %s", ErrForeign, shown(r.foreign))
	case len(r.policies) == 0 && len(r.unread) > 0:
		return nil, r.problems.All(), fmt.Errorf("%w: %s", ErrFormat, r.unread[0])
	case len(r.policies) == 0:
		return nil, r.problems.All(), ErrFormat
	}
	return r.ruleSet(), r.problems.All(), err
}

type reader struct {
	problems   problem.List
	policies   []*policy
	pods       []*pod
	namespaces map[string]map[string]string // labels
	listed     map[string]bool              // namespaces whose labels the stream has
	foreign    []string                     // policies of other kinds
	unread     []string                     // parts that could not be read
}

func (r *reader) problem(n *document.Node, why string) {
	r.problems.Add(n.Line(), n.Column(), n.Text(), why)
}

// stream reads YAML.
func (r *reader) stream(data []byte) {
	for _, p := range document.Parts(data) {
		kind := p.Entry("kind")
		if _, items, ok := p.Items("items"); ok && (kind == "" || strings.HasSuffix(kind, "List")) {
			if !wanted(strings.TrimSuffix(kind, "List")) {
				continue
			}
			for _, item := range items {
				r.part(item, strings.TrimSuffix(kind, "List"))
			}
			continue
		}
		r.part(p, "")
	}
}

// wanted reports kinds that have to be read: "" is one that is not known yet.
func wanted(kind string) bool {
	switch kind {
	case "", "List", "NetworkPolicy", "Pod", "Namespace":
		return true
	}
	return isForeign(kind)
}

func isForeign(kind string) bool {
	return strings.Contains(kind, "NetworkPolic") || strings.HasSuffix(kind, "NetworkSet")
}

func (r *reader) part(p document.Part, kind string) {
	kind = cmp.Or(p.Entry("kind"), kind)
	if kind != "" && !wanted(kind) && !strings.HasSuffix(kind, "List") {
		return
	}
	n, err := p.Node()
	if err != nil {
		var at *document.Error
		if !errors.As(err, &at) {
			at = &document.Error{Line: p.Line, Err: err}
		}
		r.problems.Add(at.Line, at.Column, "", at.Err.Error())
		r.unread = append(r.unread, fmt.Sprintf("a document that cannot be read, at line %d: %v", at.Line, at.Err))
		return
	}
	r.object(n, kind, 0)
}

const mostNested = 5

// object reads one object of the API, or a list of them.
func (r *reader) object(n *document.Node, kind string, depth int) {
	kind = cmp.Or(n.Get("kind").Text(), kind)
	api := n.Get("apiVersion").Text()
	switch {
	case depth > mostNested:
	case n.Kind() == document.List:
		for v := range n.Items() {
			r.object(v, "", depth+1)
		}
	case strings.HasSuffix(kind, "List") || kind == "" && n.Get("items").Kind() == document.List:
		for v := range n.Get("items").Items() {
			r.object(v, strings.TrimSuffix(kind, "List"), depth+1)
		}
	case kind == "NetworkPolicy" && (api == "" || strings.HasPrefix(api, "networking.k8s.io/") || strings.HasPrefix(api, "extensions/")):
		r.policies = append(r.policies, readPolicy(n))
	case isForeign(kind):
		r.foreign = append(r.foreign, kind+" "+n.At("metadata", "name").Text())
		r.problem(n, "a policy that is not read: "+kind+" "+api)
	case kind == "Pod":
		r.pod(n)
	case kind == "Namespace":
		name := n.At("metadata", "name").Text()
		r.listed[name], r.namespaces[name] = true, labels(n)
		r.namespaces[name][nameLabel] = name
	}
}

// nameLabel is a label that the API server sets on every namespace.
const nameLabel = "kubernetes.io/metadata.name"

func labels(n *document.Node) map[string]string {
	out := map[string]string{}
	for k, v := range n.At("metadata", "labels").Fields() {
		out[k] = v.Text()
	}
	return out
}

func namespace(n *document.Node) string {
	return cmp.Or(n.At("metadata", "namespace").Text(), "default")
}

// policy is a NetworkPolicy.
type policy struct {
	namespace, name string
	at              *document.Node
	pods            selector
	// isolates says which directions it speaks of; rules are those of each.
	isolates [2]bool
	rules    [2][]*document.Node
	comment  string
}

// Directions.
const (
	ingress = iota
	egress
)

var directions = [2]string{"ingress", "egress"}

func readPolicy(n *document.Node) *policy {
	spec := n.Get("spec")
	p := &policy{namespace: namespace(n), name: n.At("metadata", "name").Text(), at: n, pods: readSelector(spec.Get("podSelector"))}
	p.rules = [2][]*document.Node{slices.Collect(spec.Get("ingress").Items()), slices.Collect(spec.Get("egress").Items())}
	p.comment = n.At("metadata", "annotations", "comment").Text()
	types := spec.Get("policyTypes").Texts()
	if len(types) == 0 { // as the API server fills it in
		p.isolates = [2]bool{true, len(p.rules[egress]) > 0}
	}
	for _, t := range types {
		p.isolates[ingress] = p.isolates[ingress] || t == "Ingress"
		p.isolates[egress] = p.isolates[egress] || t == "Egress"
	}
	return p
}

func shown(list []string) string {
	const most = 5
	if len(list) > most {
		list = append(list[:most:most], fmt.Sprintf("… and %d more", len(list)-most))
	}
	return strings.Join(list, ", ")
}
