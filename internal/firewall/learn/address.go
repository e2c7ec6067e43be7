package learn

import (
	"net/netip"
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// Protocol numbers (IANA protocol-numbers).
const (
	icmp  = 1
	tcp   = 6
	udp   = 17
	icmp6 = 58
)

func hasPorts(proto uint8) bool {
	switch proto {
	case tcp, udp, 33, 132, 136:
		return true
	}
	return false
}

// answersFrom reports ports that servers answer from and that no client sends
// from (unlike 20, 67, 123, 137, 500, 514, which are on both sides).
func answersFrom(proto uint8, port uint16) bool {
	both := []uint16{25, 53, 80, 88, 110, 111, 135, 143, 161, 389, 443, 445, 464, 636, 853, 993}
	streams := []uint16{21, 22, 23, 139, 465, 515, 587, 593, 631, 873, 995}
	return slices.Contains(both, port) || proto == tcp && slices.Contains(streams, port)
}

var limited = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// local reports traffic that no router passes on: multicast (nearly all of it
// is of the link), broadcast, loopback, and addresses of the link.
func local(client, server netip.Addr) bool {
	return server.IsMulticast() || server == limited || client.IsUnspecified() || server.IsUnspecified() ||
		client.IsLoopback() || server.IsLoopback() || client.IsLinkLocalUnicast() || server.IsLinkLocalUnicast()
}

// private are networks that are always somebody's own: RFC 1918, RFC 6598,
// RFC 4193.
var private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")

// nowhere are IPv4 networks that nobody in the internet has (RFC 6890), and
// multicast.
var nowhere = prefixes("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")

// global is where IPv6's public addresses are (RFC 4291).
var global = netip.MustParsePrefix("2000::/3")

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func anyContains(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// area is a set of addresses of one family: sorted ranges with gaps between.
type area []rulefile.AddrRange

func areaOf(list ...netip.Prefix) area {
	out := make(area, len(list))
	for i, p := range list {
		out[i] = rulefile.RangeOf(p)
	}
	return out.normal()
}

func single(a netip.Addr) rulefile.AddrRange { return rulefile.AddrRange{Lo: a, Hi: a} }

// normal sorts and joins, in place.
func (a area) normal() area {
	slices.SortFunc(a, func(x, y rulefile.AddrRange) int { return x.Lo.Compare(y.Lo) })
	out := a[:0]
	for _, r := range a {
		if n := len(out); n > 0 && !out[n-1].Hi.Less(r.Lo) {
			if out[n-1].Hi.Less(r.Hi) {
				out[n-1].Hi = r.Hi
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

func (a area) union(b area) area { return append(slices.Clone(a), b...).normal() }

func (a area) contains(x netip.Addr) bool {
	i, found := slices.BinarySearchFunc(a, x, func(r rulefile.AddrRange, x netip.Addr) int { return r.Lo.Compare(x) })
	return found || i > 0 && a[i-1].Contains(x)
}

func (a area) equal(b area) bool { return slices.Equal(a, b) }

// minus is the addresses of a that are not in b.
func (a area) minus(b area) area {
	out := slices.Clone(a)
	for _, cut := range b {
		var rest area
		for _, r := range out {
			rest = append(rest, without(r, cut)...)
		}
		out = rest
	}
	return out
}

func without(r, cut rulefile.AddrRange) (out []rulefile.AddrRange) {
	if cut.Hi.Less(r.Lo) || r.Hi.Less(cut.Lo) {
		return []rulefile.AddrRange{r}
	}
	if r.Lo.Less(cut.Lo) {
		out = append(out, rulefile.AddrRange{Lo: r.Lo, Hi: cut.Lo.Prev()})
	}
	if cut.Hi.Less(r.Hi) {
		out = append(out, rulefile.AddrRange{Lo: cut.Hi.Next(), Hi: r.Hi})
	}
	return out
}

// texts writes the area as a rule file does: ranges as they are, so that a
// human reads few of them.
func (a area) texts() []string {
	out := make([]string, len(a))
	for i, r := range a {
		out[i] = r.String()
	}
	return out
}

// size is how many addresses there are.
func (a area) size() float64 {
	n := 0.0
	for _, r := range a {
		n += span(r)
	}
	return n
}

func span(r rulefile.AddrRange) float64 {
	lo, hi := r.Lo.As16(), r.Hi.As16()
	n := 0.0
	for i := range lo {
		n = n*256 + float64(hi[i]) - float64(lo[i])
	}
	return n + 1
}
