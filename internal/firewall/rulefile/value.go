package rulefile

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// AddrRange is the addresses from Lo to Hi, both included, of one family.
type AddrRange struct{ Lo, Hi netip.Addr }

// PortRange is the ports from Lo to Hi, both included.
type PortRange struct{ Lo, Hi uint16 }

// ICMPType is a type, and a code where Code is not negative.
type ICMPType struct {
	Type uint8
	Code int16
}

// ParseAddrRange reads an address, a prefix or a range a-b. Bits beyond a
// prefix's length and zones are errors: nobody can tell what was meant.
func ParseAddrRange(s string) (AddrRange, error) {
	const allowed = "write 192.0.2.7, 192.0.2.0/24, 192.0.2.7-192.0.2.9 or 2001:db8::/32"
	if a, err := parseAddr(s); err == nil {
		return AddrRange{a, a}, nil
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return prefixRange(s, p)
	}
	lo, hi, is := strings.Cut(s, "-")
	a, errA := parseAddr(lo)
	b, errB := parseAddr(hi)
	switch {
	case !is || errA != nil || errB != nil:
		return AddrRange{}, fmt.Errorf("%.60q is no address, prefix or range (%s)", s, allowed)
	case a.Is4() != b.Is4():
		return AddrRange{}, fmt.Errorf("%q begins and ends in different families", s)
	case b.Less(a):
		return AddrRange{}, fmt.Errorf("%q ends before it begins", s)
	}
	return AddrRange{a, b}, nil
}

func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err == nil && a.Zone() != "" {
		err = fmt.Errorf("zone")
	}
	return a.Unmap(), err
}

func prefixRange(s string, p netip.Prefix) (AddrRange, error) {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if m := p.Masked(); m != p {
		return AddrRange{}, fmt.Errorf("%q has bits set beyond its length (write %s, or %s for the one address)", s, m, p.Addr())
	}
	return RangeOf(p), nil
}

// RangeOf is the range that a prefix covers.
func RangeOf(p netip.Prefix) AddrRange {
	p = p.Masked()
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	hi, _ := netip.AddrFromSlice(b)
	return AddrRange{p.Addr(), hi}
}

// Contains reports whether the range holds the address.
func (r AddrRange) Contains(a netip.Addr) bool {
	return a.BitLen() == r.Lo.BitLen() && !a.Less(r.Lo) && !r.Hi.Less(a)
}

// Prefix is the prefix that the range is, if it is one.
func (r AddrRange) Prefix() (netip.Prefix, bool) {
	p := widestAt(r.Lo, r.Hi)
	return p, RangeOf(p).Hi == r.Hi
}

// Prefixes are the fewest prefixes that cover just the range.
func (r AddrRange) Prefixes() (out []netip.Prefix) {
	for at := r.Lo; at.IsValid() && !r.Hi.Less(at); {
		p := widestAt(at, r.Hi)
		out = append(out, p)
		at = RangeOf(p).Hi.Next()
	}
	return out
}

// widestAt is the widest prefix that begins at lo and does not pass hi.
func widestAt(lo, hi netip.Addr) netip.Prefix {
	best := netip.PrefixFrom(lo, lo.BitLen())
	for n := lo.BitLen() - 1; n >= 0; n-- {
		p := netip.PrefixFrom(lo, n)
		if p.Masked().Addr() != lo || hi.Less(RangeOf(p).Hi) {
			break
		}
		best = p
	}
	return best
}

// String writes an address, a prefix or a range.
func (r AddrRange) String() string {
	if r.Lo == r.Hi {
		return r.Lo.String()
	}
	if p, ok := r.Prefix(); ok {
		return p.String()
	}
	return r.Lo.String() + "-" + r.Hi.String()
}

// ParsePortRange reads "443" or "8000-8010".
func ParsePortRange(s string) (PortRange, error) {
	first, last, is := strings.Cut(s, "-")
	if !is {
		last = first
	}
	lo, okLo := decimal(first, 65535)
	hi, okHi := decimal(last, 65535)
	switch {
	case !okLo || !okHi:
		return PortRange{}, fmt.Errorf("%.60q is no port (write 443 or 8000-8010, 0 to 65535)", s)
	case hi < lo:
		return PortRange{}, fmt.Errorf("%q ends before it begins", s)
	}
	return PortRange{uint16(lo), uint16(hi)}, nil
}

// decimal reads digits without sign or leading zero, so that 0443 is never
// taken for something.
func decimal(s string, most uint64) (uint64, bool) {
	if s == "" || len(s) > 1 && s[0] == '0' || s[0] == '+' {
		return 0, false
	}
	v, err := strconv.ParseUint(s, 10, 32)
	return v, err == nil && v <= most
}

// String writes a port or a range.
func (r PortRange) String() string {
	if r.Lo == r.Hi {
		return strconv.Itoa(int(r.Lo))
	}
	return fmt.Sprintf("%d-%d", r.Lo, r.Hi)
}

// ParseICMPType reads "8" or "3/4".
func ParseICMPType(s string) (ICMPType, error) {
	typ, code, is := strings.Cut(s, "/")
	t, ok := decimal(typ, 255)
	out := ICMPType{Type: uint8(t), Code: -1}
	if is && ok {
		var c uint64
		c, ok = decimal(code, 255)
		out.Code = int16(c)
	}
	if !ok {
		return out, fmt.Errorf("%.60q is no ICMP type (write 8, or 3/4 for type 3 code 4)", s)
	}
	return out, nil
}

// String writes the type, and the code where there is one.
func (t ICMPType) String() string {
	if t.Code < 0 {
		return strconv.Itoa(int(t.Type))
	}
	return fmt.Sprintf("%d/%d", t.Type, t.Code)
}

// protoNumbers are the names that Rule.Proto may have (IANA protocol-numbers).
var protoNumbers = map[string]int{
	"any": AnyProto, "icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "icmp6": 58, "sctp": 132, "udplite": 136,
}

// AnyProto is Resolved.Proto of a rule for every protocol.
const AnyProto = -1

// ParseProto reads a protocol's name or number.
func ParseProto(s string) (int, error) {
	if n, ok := protoNumbers[s]; ok {
		return n, nil
	}
	n, ok := decimal(s, 255)
	if !ok {
		return 0, fmt.Errorf("%.60q is no protocol (tcp, udp, sctp, udplite, dccp, icmp, icmp6, any, or a number from 0 to 255)", s)
	}
	return int(n), nil
}

// ProtoNumber is the IANA number of a flow's protocol.
func ProtoNumber(p exposure.Proto) (uint8, bool) {
	n, err := ParseProto(string(p))
	if err != nil || n == AnyProto {
		return 0, false
	}
	return uint8(n), true
}

// hasPorts reports protocols with ports.
func hasPorts(proto int) bool {
	switch proto {
	case 6, 17, 33, 132, 136:
		return true
	}
	return false
}

const (
	protoICMP  = 1
	protoICMP6 = 58
)
