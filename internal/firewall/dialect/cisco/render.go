package cisco

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/ordered"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// RenderOptions say what is written.
type RenderOptions struct {
	// Platform is IOS (the zero value as well) or ASA.
	Platform Platform
	// In is the interface that the lists are applied on inward; rules for
	// another are left out. Without it a rule that names an interface cannot
	// be said.
	In string
}

// Errors of Render.
var (
	ErrPlatform = errors.New("access lists are written for IOS and ASA")
	ErrLong     = errors.New("the rules make more lines than a device takes")
)

// mostLines bounds what the lists of a rule multiply to.
const mostLines = 200_000

// Render writes access lists that permit what the file permits. For IOS these
// are NAME and NAME-v6 for packets on their way in, and NAME-back and
// NAME-back-v6 for the answers on their way out, which IOS does not follow by
// itself. For ASA it is one list, as the firewall follows connections. What
// an access list has no words for is in the notes.
func Render(w io.Writer, f *rulefile.File, o RenderOptions) (notes []string, err error) {
	rules, err := ordered.Rules(f)
	if err != nil {
		return nil, err
	}
	r := &renderer{opt: o, name: ordered.Name(f), w: bufio.NewWriter(w)}
	kept := r.sayable(rules)
	switch o.Platform {
	case Auto, IOS:
		r.ios(kept)
	case ASA:
		r.asa(kept)
	default:
		return nil, ErrPlatform
	}
	if r.lines > mostLines {
		return r.notes, fmt.Errorf("%w (%d)", ErrLong, r.lines)
	}
	return r.notes, r.w.Flush()
}

type renderer struct {
	opt   RenderOptions
	name  string
	w     *bufio.Writer
	lines int
	notes ordered.Notes
}

func (r *renderer) line(format string, args ...any) {
	if r.lines++; r.lines <= mostLines {
		fmt.Fprintf(r.w, format+"\n", args...)
	}
}

// sayable leaves out what an access list cannot say.
func (r *renderer) sayable(rules []ordered.Rule) (out []ordered.Rule) {
	for _, rule := range rules {
		if rule.In != "" && rule.In == r.opt.In {
			rule.In = ""
		}
		switch {
		case rule.In != "" && r.opt.In != "" && !strings.HasSuffix(rule.In, "*"):
			continue // of another interface
		case rule.In != "" && !r.notes.Cannot(&rule, "it is for interface "+rule.In+", and an access list is for all that it is applied on"),
			rule.Out != "" && !r.notes.Cannot(&rule, "it is for packets that leave by "+rule.Out),
			rule.Proto == 0 && !r.notes.Cannot(&rule, "protocol 0 stands for any"),
			(rule.Ports != nil || rule.FromPorts != nil) && rule.Proto != 6 && rule.Proto != 17 &&
				!r.notes.Cannot(&rule, "access lists have ports of TCP and UDP only"):
			continue
		}
		if rule.Proto != 6 && rule.Proto != 17 {
			rule.Ports, rule.FromPorts = nil, nil
		}
		r.notes.NoteControl(&rule, "inspection on the device follows them (ASA: inspect "+rule.Dynamic+"; IOS: a zone-based firewall)")
		out = append(out, rule)
	}
	return out
}

// head says how the lists are used.
func (r *renderer) head(load, check, undo string) {
	r.line("! Rules of portreeve.")
	r.line("! load: %s", load)
	r.line("! check: %s", check)
	r.line("! undo: %s", undo)
	r.line("!")
}

func (r *renderer) ios(rules []ordered.Rule) {
	n := r.name
	r.head("paste in configuration mode, then on the interface: ip access-group "+n+" in, ip access-group "+n+"-back out,"+
		" ipv6 traffic-filter "+n+"-v6 in, ipv6 traffic-filter "+n+"-back-v6 out",
		"show access-lists "+n,
		"take the lists off the interface first, then: no ip access-list extended "+n+" (and the others)")
	r.notes.Add("IOS does not follow connections: the lists %s-back and %s-back-v6 let answers pass, those of UDP by their ports alone", n, n)
	for _, six := range []bool{false, true} {
		r.iosList(rules, six, false)
		r.iosList(rules, six, true)
	}
}

func (r *renderer) iosList(rules []ordered.Rule, six, back bool) {
	name, head, end := r.name, "ip access-list extended ", "deny ip any any"
	if back {
		name += "-back"
	}
	if six {
		name, head, end = name+"-v6", "ipv6 access-list ", "deny ipv6 any any"
	}
	r.line("no %s%s", head, name)
	r.line("%s%s", head, name)
	for i := range rules {
		rule := &rules[i]
		if six && !rule.Families.IPv6 || !six && !rule.Families.IPv4 || back && !rule.Permits() {
			continue
		}
		r.line(" remark %s", rule.Comment(90))
		r.entries(" ", rule, iosSides{six: six}, six, back)
	}
	if six {
		r.line(" permit icmp any any nd-na")
		r.line(" permit icmp any any nd-ns")
	}
	r.line(" %s", end)
	r.line("exit")
	r.line("!")
}

// sides writes one side of an entry.
type sides interface {
	addresses(list []rulefile.AddrRange) []string
}

// entries writes the lines of a rule: every source, destination, port and
// type.
func (r *renderer) entries(head string, rule *ordered.Rule, s sides, six, back bool) {
	from, to, fromPorts, toPorts := s.addresses(rule.From), s.addresses(rule.To), portWords(rule.FromPorts), portWords(rule.Ports)
	tails := []string{""}
	if rule.Types != nil {
		tails = typeWords(rule.Types)
	}
	if back {
		from, to, fromPorts, toPorts = to, from, toPorts, fromPorts
		if rule.Proto == 6 {
			tails = []string{" established"}
		} else if rule.Types != nil {
			tails = answers(rule, six)
		}
	}
	if n := len(from) * len(to) * len(fromPorts) * len(toPorts) * len(tails); n > mostLines {
		r.lines += n
		return
	}
	verdict := "deny"
	if rule.Permits() {
		verdict = "permit"
	}
	for _, a := range from {
		for _, p := range fromPorts {
			for _, b := range to {
				for _, q := range toPorts {
					for _, t := range tails {
						r.line("%s%s %s %s%s %s%s%s", head, verdict, r.proto(rule, six), a, p, b, q, t)
					}
				}
			}
		}
	}
}

// proto writes a protocol. ICMP of IPv6 is icmp in IPv6 lists, icmp6 on ASA.
func (r *renderer) proto(rule *ordered.Rule, six bool) string {
	switch rule.Proto {
	case rulefile.AnyProto:
		if six && r.opt.Platform != ASA {
			return "ipv6"
		}
		return "ip"
	case 1:
		if six && r.opt.Platform != ASA {
			return "1" // ICMP of IPv4 over IPv6: no packets, but what the rule says
		}
		return "icmp"
	case 58:
		if r.opt.Platform == ASA {
			return "icmp6"
		}
		return "icmp"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	}
	return fmt.Sprint(rule.Proto)
}

func portWords(list []rulefile.PortRange) (out []string) {
	for _, p := range list {
		if p.Lo == p.Hi {
			out = append(out, fmt.Sprintf(" eq %d", p.Lo))
		} else {
			out = append(out, fmt.Sprintf(" range %d %d", p.Lo, p.Hi))
		}
	}
	if out == nil {
		return []string{""}
	}
	return out
}

func typeWords(list []rulefile.ICMPType) (out []string) {
	whole, single := ordered.Whole(list)
	for _, t := range whole {
		out = append(out, fmt.Sprintf(" %d", t))
	}
	for _, t := range single {
		out = append(out, fmt.Sprintf(" %d %d", t.Type, t.Code))
	}
	return out
}

// answers are the ICMP types that answer those of a rule (RFC 792, RFC 4443);
// other types have none.
func answers(rule *ordered.Rule, six bool) (out []string) {
	replies := map[uint8]int{8: 0, 13: 14, 15: 16, 17: 18}
	if six {
		replies = map[uint8]int{128: 129}
	}
	for _, t := range rule.Types {
		if reply, ok := replies[t.Type]; ok {
			out = append(out, fmt.Sprintf(" %d", reply))
		}
	}
	return out
}

// iosSides writes addresses with wildcard bits, or as prefixes of IPv6.
type iosSides struct{ six bool }

func (s iosSides) addresses(list []rulefile.AddrRange) (out []string) {
	for _, p := range ordered.Prefixes(list) {
		switch {
		case p.Bits() == p.Addr().BitLen():
			out = append(out, "host "+p.Addr().String())
		case s.six:
			out = append(out, p.String())
		default:
			out = append(out, p.Addr().String()+" "+mask(p.Bits(), true))
		}
	}
	if out == nil {
		return []string{"any"}
	}
	return out
}

// mask writes a netmask, or the wildcard bits that it leaves.
func mask(bits int, wild bool) string {
	n := ^uint32(0)
	if bits < 32 {
		n = ^(^uint32(0) >> bits)
	}
	if wild {
		n = ^n
	}
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).String()
}
