package policy

import (
	"fmt"
	"net/netip"

	"github.com/goccy/go-yaml/ast"
)

// Least lengths of a prefix under `owned:`. The largest blocks ever given to
// one holder are an IPv4 /8 and, among IPv6 allocations, a /16; what is wider
// is a slip that would switch the scope guard of `portreeve scan` off.
const (
	minOwned4 = 8
	minOwned6 = 16
)

// Network is an address or a CIDR prefix of `owned:` and `never-scan:`, with
// the line where it stands. Names are refused: what a name stands for may
// change after the file was read.
type Network struct {
	netip.Prefix
	Line int
}

// UnmarshalYAML reads 10.0.0.1 as 10.0.0.1/32. Bits set beyond the prefix are
// an error: nobody can tell whether the address or the length was meant.
// IPv4-mapped IPv6 is read as the IPv4 that it stands for.
func (w *Network) UnmarshalYAML(n ast.Node) error {
	v := scalar(n)
	p, err := readNetwork(v)
	if err != nil {
		return at(n, err)
	}
	w.Prefix, w.Line = p, line(n)
	return nil
}

func readNetwork(v string) (netip.Prefix, error) {
	var zero netip.Prefix
	p, err := netip.ParsePrefix(v)
	if a, aerr := netip.ParseAddr(v); aerr == nil && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil {
		return zero, fmt.Errorf("%q is no address or prefix; names are not read here (write 203.0.113.0/24, 2001:db8::/32 or 203.0.113.7)", v)
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if m := p.Masked(); m != p {
		return zero, fmt.Errorf("%q has bits set beyond its length (write %s, or %s for the one address)", v, m, p.Addr())
	}
	return p, nil
}

// checkNetworks refuses entries that say nothing and owned prefixes that
// nobody can own.
func (p *Policy) checkNetworks() error {
	if err := noneEmpty("owned", p.Owned); err != nil {
		return err
	}
	if err := noneEmpty("never-scan", p.NeverScan); err != nil {
		return err
	}
	for _, w := range p.Owned {
		least := minOwned4
		if w.Addr().Is6() {
			least = minOwned6
		}
		if w.Bits() < least {
			return &Error{Line: w.Line, What: fmt.Sprintf("owned: %s is wider than anybody owns (a /%d is the widest); list your own networks", w.Prefix, least)}
		}
	}
	return nil
}

func noneEmpty(key string, list []Network) error {
	for i, w := range list {
		if !w.IsValid() {
			return &Error{What: fmt.Sprintf("%s, entry %d: an address or prefix is missing", key, i+1)}
		}
	}
	return nil
}

// OwnedPrefixes lists `owned:`, masked, in the order of the file. It may be
// called on a nil policy.
func (p *Policy) OwnedPrefixes() []netip.Prefix {
	if p == nil {
		return nil
	}
	return prefixes(p.Owned)
}

// NeverScanPrefixes lists `never-scan:`, masked, in the order of the file. It
// may be called on a nil policy.
func (p *Policy) NeverScanPrefixes() []netip.Prefix {
	if p == nil {
		return nil
	}
	return prefixes(p.NeverScan)
}

func prefixes(list []Network) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, w := range list {
		out[i] = w.Prefix
	}
	return out
}
