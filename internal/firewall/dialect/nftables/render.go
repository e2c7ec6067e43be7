package nftables

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/ordered"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// Chains are the base chains that are written.
type Chains uint8

// Base chains. The zero value is both.
const (
	InputChain Chains = 1 << iota
	ForwardChain
)

// RenderOptions say what is written.
type RenderOptions struct {
	Chains Chains
	// Helpers writes connection tracking helpers for rules of the control
	// connections of ftp, tftp, sip and their like; the kernel must have them.
	Helpers bool
}

// mostComment is what nftables keeps of a comment (libnftnl, udata.h).
const mostComment = 127

// Render writes a file for `nft -f`: a table of its own that permits what the
// file permits, what belongs to it, and what IPv6 cannot work without, and
// drops the rest. Loading it again replaces it; other tables are left alone.
func Render(w io.Writer, f *rulefile.File, o RenderOptions) (notes []string, err error) {
	rules, err := ordered.Rules(f)
	if err != nil {
		return nil, err
	}
	if o.Chains == 0 {
		o.Chains = InputChain | ForwardChain
	}
	r := &renderer{w: bufio.NewWriter(w), opt: o, name: ordered.Name(f)}
	r.head()
	if o.Helpers {
		r.helpers(rules)
	}
	r.line("\tchain rules {")
	for i := range rules {
		r.rule(&rules[i])
	}
	r.line("\t}")
	if o.Chains&InputChain != 0 {
		r.base("input", `		iifname "lo" accept comment "loopback"`)
	}
	if o.Chains&ForwardChain != 0 {
		r.base("forward")
	}
	r.line("}")
	return r.notes, r.w.Flush()
}

type renderer struct {
	w     *bufio.Writer
	opt   RenderOptions
	name  string
	notes ordered.Notes
}

func (r *renderer) line(format string, args ...any) { fmt.Fprintf(r.w, format+"\n", args...) }

func (r *renderer) head() {
	r.line("#!/usr/sbin/nft -f")
	r.line("# Rules of portreeve, in a table of their own.")
	r.line("# check: nft -c -f FILE    load: nft -f FILE    undo: nft delete table inet %s", r.name)
	r.line("table inet %s", r.name)
	r.line("delete table inet %s", r.name)
	r.line("table inet %s {", r.name)
}

// base writes a base chain: what every packet filter needs, then the rules.
func (r *renderer) base(hook string, first ...string) {
	r.line("\tchain %s {", hook)
	r.line("\t\ttype filter hook %s priority filter; policy drop;", hook)
	r.line(`		ct state established,related accept comment "what belongs to a permitted connection"`)
	for _, l := range first {
		r.line("%s", l)
	}
	r.line(`		meta l4proto ipv6-icmp icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept comment "neighbour discovery (RFC 4890)"`)
	r.line("\t\tct state invalid drop")
	r.line(`		icmp type { destination-unreachable, time-exceeded, parameter-problem } accept comment "errors that connections need"`)
	r.line(`		icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept comment "errors that connections need (RFC 4890)"`)
	r.line("\t\tjump rules")
	r.line(`		counter comment "dropped by policy"`)
	r.line("\t}")
}

// helpers writes objects for control connections and where they are attached.
func (r *renderer) helpers(rules []ordered.Rule) {
	var attach []string
	seen := map[string]bool{}
	for i := range rules {
		rule := &rules[i]
		name := fmt.Sprintf("%s-%d", rule.Dynamic, rule.ControlPort())
		if !rule.Control() || seen[name] {
			continue
		}
		seen[name] = true
		proto := rule.Rule.Proto
		r.line("\tct helper %s {\n\t\ttype %q protocol %s;\n\t}", name, rule.Dynamic, proto)
		attach = append(attach, fmt.Sprintf("\t\t%s dport %d ct helper set %q", proto, rule.ControlPort(), name))
	}
	if attach != nil {
		r.line("\tchain helpers {\n\t\ttype filter hook prerouting priority filter; policy accept;\n%s\n\t}", strings.Join(attach, "\n"))
	}
}

// rule writes one rule, and one more for each ICMP type with a code.
func (r *renderer) rule(rule *ordered.Rule) {
	if !r.opt.Helpers {
		r.notes.NoteControl(rule, "ask for helpers to permit them, or permit the port range that the server is set to")
	}
	words := r.matches(rule)
	end := fmt.Sprintf("counter %s comment %q", verdictWord(rule), rule.Comment(mostComment))
	if rule.Types == nil {
		r.line("\t\t%s", strings.Join(append(words, end), " "))
		return
	}
	kind := "icmp"
	if rule.Families.IPv6 {
		kind = "icmpv6"
	}
	whole, single := ordered.Whole(rule.Types)
	if whole != nil {
		types := make([]string, len(whole))
		for i, t := range whole {
			types[i] = fmt.Sprint(t)
		}
		r.line("\t\t%s", strings.Join(append(words, kind+" type "+braced(types), end), " "))
	}
	for _, t := range single {
		r.line("\t\t%s %s type %d %s code %d %s", strings.Join(words, " "), kind, t.Type, kind, t.Code, end)
	}
}

func verdictWord(rule *ordered.Rule) string {
	if rule.Permits() {
		return "accept"
	}
	return "drop"
}

func (r *renderer) matches(rule *ordered.Rule) (words []string) {
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if rule.In != "" {
		add("iifname %q", rule.In)
	}
	if rule.Out != "" {
		add("oifname %q", rule.Out)
	}
	ip := "ip"
	if !rule.Families.IPv4 {
		ip = "ip6"
	}
	if rule.From == nil && rule.To == nil && rule.Families.IPv4 != rule.Families.IPv6 {
		add("meta nfproto %s", map[string]string{"ip": "ipv4", "ip6": "ipv6"}[ip])
	}
	if rule.From != nil {
		add("%s saddr %s", ip, addressWords(rule.From))
	}
	if rule.To != nil {
		add("%s daddr %s", ip, addressWords(rule.To))
	}
	if rule.Proto != rulefile.AnyProto {
		add("meta l4proto %d", rule.Proto)
	}
	if rule.FromPorts != nil {
		add("th sport %s", portWords(rule.FromPorts))
	}
	if rule.Ports != nil {
		add("th dport %s", portWords(rule.Ports))
	}
	return words
}

func braced(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return "{ " + strings.Join(list, ", ") + " }"
}

func addressWords(list []rulefile.AddrRange) string {
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = a.String()
	}
	return braced(words)
}

func portWords(list []rulefile.PortRange) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.String()
	}
	return braced(words)
}
