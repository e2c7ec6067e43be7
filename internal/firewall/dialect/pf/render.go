package pf

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/ordered"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// RenderOptions say what is written; there is nothing to say yet.
type RenderOptions struct{}

// mostLabel is what pf keeps of a label (PF_RULE_LABEL_SIZE is 64).
const mostLabel = 63

// Render writes a pf.conf that OpenBSD and FreeBSD take: it blocks what comes
// in and is not permitted, and lets out what this host or a permitted
// connection sends. What pf has no words for is in the notes.
func Render(w io.Writer, f *rulefile.File, _ RenderOptions) (notes []string, err error) {
	rules, err := ordered.Rules(f)
	if err != nil {
		return nil, err
	}
	r := &renderer{w: bufio.NewWriter(w)}
	r.head(ordered.Name(f))
	for i := range rules {
		r.rule(rules[i])
	}
	return r.notes, r.w.Flush()
}

type renderer struct {
	w     *bufio.Writer
	notes ordered.Notes
}

func (r *renderer) line(format string, args ...any) { fmt.Fprintf(r.w, format+"\n", args...) }

func (r *renderer) head(name string) {
	r.line("# Rules of portreeve (%s).", name)
	r.line("# check: pfctl -n -f FILE    load: pfctl -f FILE; pfctl -e    undo: pfctl -f /etc/pf.conf")
	r.line("set skip on lo")
	r.line("block drop in all")
	r.line("pass out all keep state")
	r.line("# neighbour discovery, and the errors that connections need (RFC 4890)")
	r.line("pass in quick inet6 proto ipv6-icmp icmp6-type { 133, 134, 135, 136 }")
	r.line("pass in quick inet6 proto ipv6-icmp icmp6-type { 1, 2, 3, 4 }")
	r.line("pass in quick inet proto icmp icmp-type { 3, 11, 12 }")
}

func (r *renderer) rule(rule ordered.Rule) {
	switch {
	case rule.In != "" && !strings.HasSuffix(rule.In, "*") && !isDevice(rule.In) && !r.notes.Cannot(&rule, "pf takes "+rule.In+" for a group of interfaces"),
		rule.Out != "" && !r.notes.Cannot(&rule, "it is for packets that leave by "+rule.Out+", and pf decides on their way in"),
		rule.Proto == 0 && !r.notes.Cannot(&rule, "protocol 0 is not one of pf's"),
		(rule.Ports != nil || rule.FromPorts != nil) && rule.Proto != 6 && rule.Proto != 17 && !r.notes.Cannot(&rule, "pf has ports of TCP and UDP only"):
		return
	}
	if (rule.Ports != nil || rule.FromPorts != nil) && rule.Proto != 6 && rule.Proto != 17 {
		rule.Ports, rule.FromPorts = nil, nil
	}
	if rule.In != "" && !strings.HasSuffix(rule.In, "*") && !isDevice(rule.In) {
		rule.In = ""
	}
	if strings.HasSuffix(rule.In, "*") {
		stem := strings.TrimSuffix(rule.In, "*")
		if !strings.Contains(drivers, " "+stem+" ") {
			if !r.notes.Cannot(&rule, "pf has groups of interfaces, and "+rule.In+" is none of a driver") {
				return
			}
			rule.In = ""
		}
		rule.In = strings.TrimSuffix(rule.In, "*")
	}
	r.notes.NoteControl(&rule, "a proxy permits them (ftp-proxy(8))")
	for _, family := range families(&rule) {
		r.line("%s", strings.Join(words(&rule, family), " "))
	}
}

func isDevice(s string) bool { last := s[len(s)-1]; return last >= '0' && last <= '9' }

// families are the words for a rule's families; one word where it is for both.
func families(rule *ordered.Rule) []string {
	switch f := rule.Families; {
	case f.IPv4 && f.IPv6:
		return []string{""}
	case f.IPv4:
		return []string{"inet"}
	}
	return []string{"inet6"}
}

func words(rule *ordered.Rule, family string) []string {
	out := []string{"block drop in quick"}
	if rule.Permits() {
		out = []string{"pass in quick"}
	}
	add := func(s ...string) { out = append(out, s...) }
	if rule.In != "" {
		add("on", rule.In)
	}
	if family != "" {
		add(family)
	}
	if rule.Proto != rulefile.AnyProto {
		add("proto", fmt.Sprint(rule.Proto))
	}
	add("from", addressWords(rule.From))
	if rule.FromPorts != nil {
		add("port", portWords(rule.FromPorts))
	}
	add("to", addressWords(rule.To))
	if rule.Ports != nil {
		add("port", portWords(rule.Ports))
	}
	if rule.Types != nil {
		add(typeWords(rule.Types, rule.Families.IPv6))
	}
	if rule.Permits() {
		add("keep state")
	}
	return append(out, fmt.Sprintf("label %q", rule.Comment(mostLabel)))
}

func braced(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return "{ " + strings.Join(list, ", ") + " }"
}

func addressWords(list []rulefile.AddrRange) string {
	if list == nil {
		return "any"
	}
	var out []string
	for _, p := range ordered.Prefixes(list) {
		if p.Bits() == p.Addr().BitLen() {
			out = append(out, p.Addr().String())
		} else {
			out = append(out, p.String())
		}
	}
	return braced(out)
}

func portWords(list []rulefile.PortRange) string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = fmt.Sprint(p.Lo)
		if p.Lo != p.Hi {
			out[i] = fmt.Sprintf("%d:%d", p.Lo, p.Hi)
		}
	}
	return braced(out)
}

func typeWords(list []rulefile.ICMPType, six bool) string {
	var out []string
	whole, single := ordered.Whole(list)
	for _, t := range whole {
		out = append(out, fmt.Sprint(t))
	}
	for _, t := range single {
		out = append(out, fmt.Sprintf("%d code %d", t.Type, t.Code))
	}
	if six {
		return "icmp6-type " + braced(out)
	}
	return "icmp-type " + braced(out)
}
