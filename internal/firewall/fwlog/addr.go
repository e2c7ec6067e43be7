package fwlog

import "net/netip"

// parseAddr reads an IPv4 or IPv6 address in text, all of b, as
// netip.ParseAddr does, but without allocating; a zone (fe80::1%eth0) is left
// out.
func parseAddr(b []byte) (netip.Addr, bool) {
	for i, c := range b {
		switch c {
		case '.':
			return parseV4(b)
		case ':':
			return parseV6(b)
		}
		if i > 4 {
			break
		}
	}
	return netip.Addr{}, false
}

func parseV4(b []byte) (netip.Addr, bool) {
	a, ok := v4(b)
	if !ok {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4(a), true
}

// v4 reads four decimal bytes without leading zeros.
func v4(b []byte) (a [4]byte, ok bool) {
	if len(b) < 7 || len(b) > 15 {
		return a, false
	}
	n, digits, at := 0, 0, 0
	for _, c := range b {
		if c == '.' {
			if digits == 0 || at == 3 {
				return a, false
			}
			a[at] = byte(n)
			n, digits = 0, 0
			at++
			continue
		}
		c -= '0'
		if c > 9 || digits > 0 && n == 0 {
			return a, false
		}
		n = n*10 + int(c)
		digits++
		if n > 255 {
			return a, false
		}
	}
	a[3] = byte(n)
	return a, at == 3 && digits > 0
}

// parseV6 reads groups of up to four hex digits, one :: and maybe an IPv4
// address at the end (RFC 4291, section 2.2).
func parseV6(b []byte) (netip.Addr, bool) {
	for i, c := range b {
		if c == '%' {
			if i == len(b)-1 {
				return netip.Addr{}, false
			}
			b = b[:i]
			break
		}
	}
	var a [16]byte
	gap, at := -1, 0
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, b = 0, b[2:]
	}
	for len(b) > 0 {
		if at == 16 {
			return netip.Addr{}, false
		}
		n, size := hexGroup(b)
		if size == 0 {
			return netip.Addr{}, false
		}
		if size < len(b) && b[size] == '.' {
			v, ok := v4(b)
			if !ok || at > 12 {
				return netip.Addr{}, false
			}
			copy(a[at:], v[:])
			at, b = at+4, nil
			break
		}
		a[at], a[at+1] = byte(n>>8), byte(n)
		at, b = at+2, b[size:]
		if len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return netip.Addr{}, false
		}
		b = b[1:]
		if b[0] == ':' {
			if gap >= 0 {
				return netip.Addr{}, false
			}
			gap, b = at, b[1:]
		}
	}
	if gap < 0 {
		return netip.AddrFrom16(a), at == 16
	}
	if at == 16 {
		return netip.Addr{}, false
	}
	return widen(a, gap, at), true
}

// widen moves what stands behind the gap to the end.
func widen(a [16]byte, gap, at int) netip.Addr {
	var w [16]byte
	copy(w[:gap], a[:gap])
	copy(w[16-(at-gap):], a[gap:at])
	return netip.AddrFrom16(w)
}

// hexGroup reads up to four hex digits; size 0: none or more.
func hexGroup(b []byte) (n, size int) {
	for size < len(b) {
		c := b[size]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return n, size
		}
		if size == 4 {
			return 0, 0
		}
		n = n<<4 | int(c)
		size++
	}
	return n, size
}
