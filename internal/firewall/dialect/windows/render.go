package windows

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/permits"
	"github.com/portreeve/portreeve/internal/firewall/dialect/values"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// RenderOptions say what is written.
type RenderOptions struct {
	// For are the addresses of the host: only what goes to them is written,
	// and for any local address. Empty: everything, with its local addresses.
	For []netip.Prefix
	// KeepDefaults leaves the profiles' default actions alone; otherwise they
	// are set to block inbound and allow outbound connections.
	KeepDefaults bool
}

// Render writes a PowerShell script that makes the file's rules those of the
// host for inbound connections: it takes away the rules of an earlier run by
// their group, makes the new ones, and sets the default. A denial becomes a
// rule that blocks, as far as no earlier rule permits the same, because in
// Windows a block always wins. What cannot be said is left out, in a comment
// and in the notes.
func Render(w io.Writer, f *rulefile.File, o RenderOptions) (notes []string, err error) {
	policy, err := permits.Of(f, permits.Able{FromPorts: true, Denials: true, For: o.For})
	if err != nil {
		return nil, err
	}
	p := &printer{group: oneLine(cmp.Or(f.Name, "portreeve")), notes: policy.Notes}
	for i := range policy.Denials {
		p.region(&policy.Denials[i], "Block")
	}
	for i := range policy.Permits {
		p.region(&policy.Permits[i], "Allow")
	}
	var b bytes.Buffer
	p.head(&b)
	for _, n := range p.notes {
		fmt.Fprintf(&b, "# Note: %s\n", oneLine(n))
	}
	p.removal(&b)
	b.Write(p.body.Bytes())
	if !o.KeepDefaults {
		b.WriteString("\n# What no rule allows is blocked; outbound connections are allowed.\n" +
			"Set-NetFirewallProfile -All -Enabled True -DefaultInboundAction Block -DefaultOutboundAction Allow\n")
	}
	_, err = w.Write(b.Bytes())
	return p.notes, err
}

type printer struct {
	group string
	body  bytes.Buffer
	count int
	notes []string
}

func (p *printer) head(b *bytes.Buffer) {
	g := psQuote(p.group)
	fmt.Fprintf(b, `# Inbound rules of the group %[1]s for Windows Defender Firewall.
# Run as administrator: powershell -ExecutionPolicy Bypass -File THIS-FILE
# It may be run again: the rules of an earlier run are replaced.
#
# Look before:  netsh advfirewall export before.wfw
# Try it:       add -WhatIf to the commands
# Check after:  Get-NetFirewallRule -Group %[1]s | Format-Table DisplayName, Direction, Action, Enabled
# Undo:         Remove-NetFirewallRule -Group %[1]s
#               netsh advfirewall import before.wfw
#
# Rules of other groups stay as they are: what they allow or block is added to
# this. The operator's own access has to be among the rules.
`, g)
}

func (p *printer) removal(b *bytes.Buffer) {
	fmt.Fprintf(b, "Remove-NetFirewallRule -Group %s -ErrorAction SilentlyContinue\n\n", psQuote(p.group))
}

// region writes the rules of a region, one for each protocol.
func (p *printer) region(r *permits.Region, action string) {
	protocols := r.Protocols()
	if protocols == nil {
		p.rule(r, action, "Any")
		return
	}
	for _, n := range protocols {
		switch {
		case n == values.TCP:
			p.rule(r, action, "TCP")
		case n == values.UDP:
			p.rule(r, action, "UDP")
		case n == values.ICMP:
			p.rule(r, action, "ICMPv4")
		case n == values.ICMPv6:
			p.rule(r, action, "ICMPv6")
		case values.HasPorts(n) && !(r.Any(permits.Ports) && r.Any(permits.FromPorts)):
			p.notes = append(p.notes, fmt.Sprintf("%s is left out for protocol %d: Windows Firewall knows no ports of it", permits.Name(r.Rule), n))
		default:
			p.rule(r, action, strconv.Itoa(n))
		}
	}
}

// rule writes one New-NetFirewallRule.
func (p *printer) rule(r *permits.Region, action, protocol string) {
	p.count++
	name := oneLine(strings.TrimSpace(cmp.Or(r.Rule.Name, fmt.Sprintf("rule %d", r.Rule.Index+1))))
	fmt.Fprintf(&p.body, "New-NetFirewallRule -Name %s -DisplayName %s -Group %s", psQuote(fmt.Sprintf("%s-%04d", p.group, p.count)), psQuote(name), psQuote(p.group))
	if c := oneLine(r.Rule.Comment); c != "" {
		fmt.Fprintf(&p.body, " -Description %s", psQuote(c))
	}
	fmt.Fprintf(&p.body, " -Enabled True -Profile Any -Direction Inbound -Action %s -Protocol %s", action, protocol)
	if protocol == "TCP" || protocol == "UDP" {
		p.list("-LocalPort", portWords(r, permits.Ports))
		p.list("-RemotePort", portWords(r, permits.FromPorts))
	}
	if strings.HasPrefix(protocol, "ICMP") && !r.Any(permits.Types) {
		p.list("-IcmpType", icmpWords(r.Sets[permits.Types]))
	}
	p.list("-LocalAddress", addressWords(r, permits.To))
	p.list("-RemoteAddress", addressWords(r, permits.From))
	p.body.WriteString("\n")
}

// list writes a parameter with several values; none is any.
func (p *printer) list(parameter string, list []string) {
	if len(list) == 0 {
		return
	}
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = psQuote(s)
	}
	fmt.Fprintf(&p.body, " %s @(%s)", parameter, strings.Join(quoted, ","))
}

func portWords(r *permits.Region, d int) (out []string) {
	if r.Any(d) {
		return nil
	}
	permits.Values(r.Sets[d], func(lo, hi int) { out = append(out, span(lo, hi)) })
	return out
}

func span(lo, hi int) string {
	if lo == hi {
		return strconv.Itoa(lo)
	}
	return fmt.Sprintf("%d-%d", lo, hi)
}

// icmpWords writes types as "8", with a code as "3:4".
func icmpWords(s ruleset.Set) (out []string) {
	permits.Values(s, func(lo, hi int) {
		for v := lo; v <= hi; v++ {
			if v&255 == 0 && v+255 <= hi {
				out = append(out, strconv.Itoa(v>>8))
				v += 255
				continue
			}
			out = append(out, fmt.Sprintf("%d:%d", v>>8, v&255))
		}
	})
	return out
}

func addressWords(r *permits.Region, d int) (out []string) {
	if r.Any(d) {
		return nil
	}
	for _, x := range values.Prefixes(r.Sets[d]) {
		if x.IsSingleIP() {
			out = append(out, x.Addr().String())
			continue
		}
		out = append(out, x.String())
	}
	return out
}

// psQuote writes a literal string of PowerShell: in single quotes nothing but
// the quote itself has a meaning, and PowerShell takes four more characters
// for one (about_Quoting_Rules; U+2018 to U+201B).
func psQuote(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, c := range s {
		switch c {
		case '\'', '\u2018', '\u2019', '\u201a', '\u201b':
			b.WriteString("''")
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// oneLine makes text safe for a line of its own.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == 0x85 || c == 0x2028 || c == 0x2029 || c == 0xfeff {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
}
