package target

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Hints of more than one error.
const (
	hintForms = "write a name, an address, 10.0.0.0/24, 10.0.0.1-10.0.0.50, 10.0.0-3.1,7 or 2001:db8::1"
	hintPort  = "write the host alone and its port with -p"
	hintZone  = "add the interface, as in fe80::1%eth0"
)

// spec is one target, read but not resolved: ranges, or a name with the
// length of the prefix around its address (-1: the address alone).
type spec struct {
	ranges []Range
	name   string
	bits   int
}

// octets looks like an IPv4 address or octet list, right or wrong.
var octets = regexp.MustCompile(`^[0-9.,*-]+$`)

// readSpec reads one target. It looks nothing up and refuses only what cannot
// be read; admit refuses what must not be asked.
func readSpec(s string) (spec, *Error) {
	switch {
	case s == "":
		return spec{}, wrong(hintForms, "it is empty")
	case len(s) > MaxSpec:
		return spec{}, wrong(hintForms, "it has %d bytes, no target needs more than %d", len(s), MaxSpec)
	case strings.Contains(s, "://"):
		return spec{}, wrong(hintPort, "this is a URL")
	}
	if r, is, err := readRange(s); is {
		return spec{ranges: []Range{r}}, err
	}
	body, length, slash := strings.Cut(s, "/")
	bits := -1
	if slash {
		var err *Error
		if bits, err = readLength(length); err != nil {
			return spec{}, err
		}
	}
	if a, ok := readAddr(body); ok {
		return prefixSpec(a, bits)
	}
	switch {
	case octets.MatchString(body):
		rs, err := readOctets(body, bits)
		return spec{ranges: rs}, err
	case strings.ContainsAny(body, ":[]%"):
		return spec{}, colons(body)
	}
	if err := checkName(body); err != nil {
		return spec{}, err
	}
	return spec{name: body, bits: bits}, nil
}

// readAddr reads an address, IPv6 with or without brackets. IPv4-mapped
// addresses stay as they are: their prefix lengths count from 96.
func readAddr(s string) (netip.Addr, bool) {
	inner, open := strings.CutPrefix(s, "[")
	if inner2, closed := strings.CutSuffix(inner, "]"); open && closed {
		a, err := netip.ParseAddr(inner2)
		return a, err == nil && a.Is6()
	}
	a, err := netip.ParseAddr(s)
	return a, err == nil
}

// readRange reads FIRST-LAST where both are addresses; is tells whether the
// spec has that form.
func readRange(s string) (r Range, is bool, _ *Error) {
	for i := range s {
		if s[i] != '-' {
			continue
		}
		first, ok1 := readAddr(s[:i])
		last, ok2 := readAddr(s[i+1:])
		if ok1 && ok2 {
			r, err := orderedRange(first, last)
			return r, true, err
		}
	}
	return Range{}, false, nil
}

func orderedRange(first, last netip.Addr) (Range, *Error) {
	first, last = first.Unmap(), last.Unmap()
	if first.Zone() != "" && last.Zone() == "" { // fe80::1%eth0-fe80::9
		last = last.WithZone(first.Zone())
	}
	switch {
	case !sameLine(first, last):
		return Range{}, wrong("write both ends in one family, on one interface", "its ends belong to different address families or interfaces")
	case last.Less(first):
		return Range{}, wrong("write "+last.String()+"-"+first.String(), "it ends before it begins")
	}
	return Range{first, last}, nil
}

// readLength reads the length of a prefix; its upper bound depends on the
// family and is judged later.
func readLength(s string) (int, *Error) {
	if strings.Contains(s, ".") {
		return 0, wrong("write the length, as in 10.0.0.0/24 for 255.255.255.0", "a netmask follows the slash")
	}
	n, ok := decimal(s)
	if !ok || n > 128 {
		return 0, wrong("write 10.0.0.0/24 or 2001:db8::/112", "%q is no prefix length", short(s))
	}
	return n, nil
}

// decimal reads a number of up to five digits without sign or leading zeros.
func decimal(s string) (int, bool) {
	if s == "" || len(s) > 5 || len(s) > 1 && s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// prefixSpec is an address with or without a prefix length.
func prefixSpec(a netip.Addr, bits int) (spec, *Error) {
	if bits < 0 {
		return spec{ranges: []Range{Single(a.Unmap())}}, nil
	}
	if bits > a.BitLen() {
		return spec{}, wrong("write /32 or less", "an IPv4 prefix has at most 32 bits, not %d", bits)
	}
	return spec{ranges: []Range{around(a, bits)}}, nil
}

// around is the prefix of that length that holds an address, with its zone.
func around(a netip.Addr, bits int) Range {
	r := PrefixRange(netip.PrefixFrom(a.WithZone(""), bits))
	if r.First.Is4() {
		return r
	}
	return Range{r.First.WithZone(a.Zone()), r.Last.WithZone(a.Zone())}
}

// colons says what is wrong with a spec that has colons, brackets or a zone
// and is no IPv6 address.
func colons(s string) *Error {
	host, port, _ := cutLast(s, ":")
	_, isPort := decimal(port)
	_, isAddr := readAddr(host)
	switch {
	case isPort && (isAddr || !strings.Contains(host, ":")):
		return wrong(hintPort, "a target has no port")
	case strings.Contains(s, "%") && !strings.Contains(s, ":"):
		return wrong(hintForms, "only link-local IPv6 addresses have a zone (what follows the %%)")
	}
	return wrong("write 2001:db8::1, [2001:db8::1] or fe80::1%eth0", "this is no IPv6 address")
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// numeric is a last label that makes a name a number to some resolvers
// (inet_aton(3) reads 0x7f000001 and 10.1 as addresses).
var numeric = regexp.MustCompile(`^([0-9]+|0[xX][0-9a-fA-F]*)$`)

// label is a part of a host name (RFC 952, RFC 1123), with the underscore
// that people use in spite of them.
var label = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)

func checkName(s string) *Error {
	plain := strings.TrimSuffix(s, ".")
	if len(plain) > 253 {
		return wrong(hintForms, "a host name has at most 253 characters (RFC 1035)")
	}
	labels := strings.Split(plain, ".")
	for _, l := range labels {
		switch {
		case strings.ContainsFunc(l, func(r rune) bool { return r > 0x7f }):
			return wrong("write its xn-- form (RFC 5891)", "host names are looked up in ASCII")
		case !label.MatchString(l):
			return wrong(hintForms, "%q is no part of a host name", short(l))
		}
	}
	if numeric.MatchString(labels[len(labels)-1]) {
		return wrong("write four decimal numbers, as in 10.0.0.1", "it is a number, which some programs read as an address and others as a name")
	}
	return nil
}
