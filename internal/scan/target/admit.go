package target

import (
	"net/netip"
	"strings"
	"sync"
)

// admit completes a range and refuses what no port can be asked of. zone is
// the interface for link-local addresses without one.
func admit(r Range, zone string) (Range, *Error) {
	r = withZone(r, zone)
	if err := checkZone(r); err != nil {
		return r, err
	}
	if err := checkBans(r); err != nil {
		return r, err
	}
	switch {
	case r.First.Is6() && r.Len() > MaxV6Range:
		return r, wrong("name its hosts, or give a file with evidence of them (host, scan or audit JSON)",
			"an IPv6 range may hold 65,536 addresses (a /112): nobody waits for a sweep of more")
	case linkLocal6(r.First) && r.First.Zone() == "":
		return r, wrong(hintZone, "a link-local address says nothing without its interface")
	}
	return r, nil
}

func linkLocal6(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() }

// withZone gives a link-local range the default zone.
func withZone(r Range, zone string) Range {
	if zone == "" || r.First.Zone() != "" || !linkLocal6(r.First) || !linkLocal6(r.Last) {
		return r
	}
	return Range{r.First.WithZone(zone), r.Last.WithZone(zone)}
}

func checkZone(r Range) *Error {
	zone := r.First.Zone()
	switch {
	case linkLocal6(r.First) != linkLocal6(r.Last) && r.Len() <= MaxV6Range:
		return wrong("write two ranges", "it is partly link-local (fe80::/10) and partly not")
	case zone == "":
		return nil
	case !linkLocal6(r.First):
		return wrong("write the address without what follows the %", "only link-local IPv6 addresses (fe80::/10) have a zone")
	case len(zone) > maxZone || strings.ContainsFunc(zone, notInZone):
		return wrong(hintZone, "%q is no name of an interface", short(zone))
	}
	return nil
}

func notInZone(r rune) bool { return r <= ' ' || r == 0x7f || r == '/' || r == '%' || r == 0xfffd }

// ban is addresses that no port can be asked of.
type ban struct {
	Range
	what string
}

// bans lists them (RFC 1122 section 3.2.1.3, RFC 5771, RFC 4291 section 2).
var bans = sync.OnceValue(func() []ban {
	prefix := func(s string) Range { return PrefixRange(netip.MustParsePrefix(s)) }
	return []ban{
		{prefix("0.0.0.0/32"), "the unspecified address, which is no host"},
		{prefix("224.0.0.0/4"), "multicast, which addresses groups and no host"},
		{prefix("255.255.255.255/32"), "the broadcast address, which is every host of a link and none"},
		{prefix("::/128"), "the unspecified address, which is no host"},
		{prefix("ff00::/8"), "multicast, which addresses groups and no host"},
	}
})

// checkBans refuses a range within or across a ban. One that is too large to
// be asked is left to the caller, who says that instead.
func checkBans(r Range) *Error {
	for _, b := range bans() {
		switch {
		case !overlap(r, b.Range):
		case within(r, b.Range):
			return wrong("write the address of a host (127.0.0.1 or ::1 for this one)", "this is %s", b.what)
		case r.First.Is4() || r.Len() <= MaxV6Range:
			return wrong("leave it out", "it holds %s (%s)", b.Range, b.what)
		}
	}
	return nil
}

// overlap and within compare by value: bans have no zone, and one zone's
// multicast is as little a host as another's.
func overlap(a, b Range) bool {
	return a.First.BitLen() == b.First.BitLen() &&
		!a.Last.WithZone("").Less(b.First) && !b.Last.Less(a.First.WithZone(""))
}

func within(a, b Range) bool {
	return overlap(a, b) && !a.First.WithZone("").Less(b.First) && !b.Last.Less(a.Last.WithZone(""))
}
