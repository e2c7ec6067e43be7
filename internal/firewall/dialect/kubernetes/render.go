package kubernetes

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/permits"
	"github.com/portreeve/portreeve/internal/firewall/dialect/values"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// RenderOptions say what is written.
type RenderOptions struct {
	// Namespace is that of the policies ("default" without one).
	Namespace string
	// PodSelector are the labels of the pods that are protected. Nil: every
	// set of destinations is a policy of its own, for pods with a label that
	// names it (LabelKey), which has to be given to them. Empty, not nil: all
	// pods of the namespace.
	PodSelector map[string]string
	// For are the addresses of the pods that are protected: only what goes to
	// them is written. Empty: everything.
	For []netip.Prefix
}

// LabelKey is the label by which pods are chosen when no selector is given.
const LabelKey = "portreeve.dev/destination"

// ErrSeveral is returned when a selector is given and the rules have several
// sets of destinations.
var ErrSeveral = errors.New("the rules have several destinations, and a policy is for all the pods that it selects: say which addresses they have")

// Render writes NetworkPolicies of ingress that permit what the file permits,
// by address blocks, and deny everything else to the pods. What a policy has
// no words for is left out, in a comment and in the notes.
func Render(w io.Writer, f *rulefile.File, o RenderOptions) (notes []string, err error) {
	policy, err := permits.Of(f, permits.Able{For: o.For})
	if err != nil {
		return nil, err
	}
	groups := permits.ByDestination(policy.Permits)
	if len(groups) > 1 && o.PodSelector != nil {
		return nil, ErrSeveral
	}
	p := &printer{notes: policy.Notes}
	name := objectName(cmp.Or(f.Name, "portreeve"))
	var docs []string
	if len(groups) == 0 { // nothing is permitted
		groups = []permits.Group{{To: permits.Full(permits.To)}}
	}
	for i, g := range groups {
		labels, at := o.PodSelector, name
		if labels == nil && !g.To.Equal(permits.Full(permits.To)) {
			labels = map[string]string{LabelKey: labelValue(g.To)}
			at = fmt.Sprintf("%s-%d", name, i+1)
			p.notes = append(p.notes, fmt.Sprintf("label the pods with the addresses %s: %s=%s", permits.Addresses(g.To), LabelKey, labelValue(g.To)))
		}
		docs = append(docs, p.policy(at, cmp.Or(o.Namespace, "default"), labels, g))
	}
	var b bytes.Buffer
	for _, n := range p.notes {
		fmt.Fprintf(&b, "# %s\n", oneLine(n))
	}
	b.WriteString(strings.Join(docs, "---\n"))
	_, err = w.Write(b.Bytes())
	return p.notes, err
}

type printer struct{ notes []string }

// policy writes one object.
func (p *printer) policy(name, space string, labels map[string]string, g permits.Group) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: %s\n  namespace: %s\n", quote(name), quote(space))
	b.WriteString("spec:\n  podSelector:")
	if len(labels) == 0 {
		b.WriteString(" {}\n")
	} else {
		b.WriteString("\n    matchLabels:\n")
		keys := make([]string, 0, len(labels))
		for k := range labels {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			fmt.Fprintf(&b, "      %s: %s\n", quote(k), quote(labels[k]))
		}
	}
	b.WriteString("  policyTypes:\n  - Ingress\n")
	var rules strings.Builder
	for i := range g.Regions {
		p.rule(&rules, &g.Regions[i])
	}
	if rules.Len() == 0 {
		b.WriteString("  ingress: []\n")
		return b.String()
	}
	return b.String() + "  ingress:\n" + rules.String()
}

// rule writes the rule of a region: who may, and to which ports.
func (p *printer) rule(b *strings.Builder, r *permits.Region) {
	ports, ok := p.ports(r)
	if !ok {
		fmt.Fprintf(b, "  # left out: %s\n", oneLine(permits.Name(r.Rule)))
		return
	}
	fmt.Fprintf(b, "  # %s\n", oneLine(strings.TrimSpace(permits.Name(r.Rule)+" "+r.Rule.Comment)))
	first := "  - "
	line := func(s string) {
		b.WriteString(first + s + "\n")
		first = "    "
	}
	if !r.Any(permits.From) {
		line("from:")
		for _, x := range values.Prefixes(r.Sets[permits.From]) {
			line("- ipBlock:")
			line("    cidr: " + quote(x.String()))
		}
	}
	if len(ports) > 0 {
		line("ports:")
		for _, s := range ports {
			line(s)
		}
	}
	if first == "  - " {
		b.WriteString("  - {}\n")
	}
}

// ports writes the ports of a region; none are all. ok is false when nothing
// of the region can be said.
func (p *printer) ports(r *permits.Region) (out []string, ok bool) {
	protocols := r.Protocols()
	if protocols == nil {
		return nil, true
	}
	var lost []string
	for _, n := range protocols {
		name := map[int]string{values.TCP: "TCP", values.UDP: "UDP", values.SCTP: "SCTP"}[n]
		if name == "" {
			lost = append(lost, strconv.Itoa(n))
			continue
		}
		if r.Any(permits.Ports) {
			out = append(out, "- protocol: "+name)
			continue
		}
		permits.Values(r.Sets[permits.Ports], func(lo, hi int) {
			if lo == 0 { // no API server takes port 0, and nothing listens there
				lo = min(1, hi)
			}
			if hi == 0 {
				return
			}
			out = append(out, "- protocol: "+name, fmt.Sprintf("  port: %d", lo))
			if hi > lo {
				out = append(out, fmt.Sprintf("  endPort: %d", hi))
			}
		})
	}
	if len(lost) > 0 {
		p.notes = append(p.notes, fmt.Sprintf("%s is left out for the protocols %s: a NetworkPolicy knows TCP, UDP and SCTP only", permits.Name(r.Rule), ranges(protocols, out != nil)))
	}
	return out, len(out) > 0
}

// ranges writes numbers of protocols, but for those that can be said.
func ranges(list []int, some bool) string {
	var words []string
	for i := 0; i < len(list); i++ {
		if n := list[i]; some && (n == values.TCP || n == values.UDP || n == values.SCTP) {
			continue
		}
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 && !(some && (list[j+1] == values.TCP || list[j+1] == values.UDP || list[j+1] == values.SCTP)) {
			j++
		}
		if j > i {
			words = append(words, fmt.Sprintf("%d-%d", list[i], list[j]))
		} else {
			words = append(words, strconv.Itoa(list[i]))
		}
		i = j
	}
	return strings.Join(words, ", ")
}

// quote writes a YAML scalar in double quotes, which are JSON's.
func quote(s string) string { return strconv.QuoteToASCII(s) }

// oneLine makes text safe for a comment.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == 0x85 || c == 0x2028 || c == 0x2029 || c == 0xfeff {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
}

// objectName makes a DNS subdomain name of text (RFC 1123).
func objectName(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			return c
		case c >= 'A' && c <= 'Z':
			return c - 'A' + 'a'
		}
		return '-'
	}, s)
	s = strings.Trim(s[:min(len(s), 200)], "-")
	return cmp.Or(s, "portreeve")
}

// labelValue makes a label's value of addresses: at most 63 of letters,
// digits, "-", "_" and ".".
func labelValue(s ruleset.Set) string {
	text := strings.NewReplacer("/", "_", ":", "-", ", ", ".").Replace(permits.Addresses(s))
	if len(text) > 60 {
		sum := uint32(2166136261) // FNV-1a
		for i := range len(text) {
			sum = (sum ^ uint32(text[i])) * 16777619
		}
		text = fmt.Sprintf("%s.%08x", text[:50], sum)
	}
	return strings.Trim(text, "-_.")
}
