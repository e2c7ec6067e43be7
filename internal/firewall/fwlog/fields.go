package fwlog

import (
	"bytes"
	"net/netip"
)

// pairs goes through key=value fields that are parted by sep: a space (and
// then tabs too) or another byte, around which spaces do not count. A value
// may stand in double quotes, where \" is no end; it is given without the
// quotes, escapes left in. A field without = has a nil value.
type pairs struct {
	rest []byte
	sep  byte
}

func (s *pairs) next() (key, value []byte, ok bool) {
	b := s.rest
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == s.sep) {
		b = b[1:]
	}
	if len(b) == 0 {
		s.rest = nil
		return nil, nil, false
	}
	end := 0
	for end < len(b) && b[end] != '=' && !s.parts(b[end]) {
		end++
	}
	if end == len(b) || b[end] != '=' {
		s.rest = b[end:]
		return trimRight(b[:end]), nil, true
	}
	key, b = trimRight(b[:end]), b[end+1:]
	if len(b) > 0 && b[0] == '"' {
		if n := quoted(b); n > 0 {
			s.rest = b[n:]
			return key, b[1 : n-1], true
		}
	}
	end = 0
	for end < len(b) && !s.parts(b[end]) {
		end++
	}
	s.rest = b[end:]
	return key, trimRight(b[:end:end]), true
}

func (s *pairs) parts(c byte) bool { return c == s.sep || s.sep == ' ' && c == '\t' }

// quoted is how long the quoted text at the start of b is, quotes included; 0
// if it does not end.
func quoted(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case b[0]:
			return i + 1
		}
	}
	return 0
}

// words goes through words parted by blanks.
type words struct{ rest []byte }

// next is nil at the end.
func (w *words) next() []byte {
	b := w.rest
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	end := 0
	for end < len(b) && b[end] != ' ' && b[end] != '\t' {
		end++
	}
	w.rest = b[end:]
	if end == 0 {
		return nil
	}
	return b[:end]
}

// csv goes through fields parted by sep. A field in double quotes may hold
// sep; doubled quotes in it are left as they are.
type csv struct {
	rest []byte
	sep  byte
	done bool
}

func (c *csv) next() (field []byte, ok bool) {
	if c.done {
		return nil, false
	}
	if len(c.rest) > 0 && c.rest[0] == '"' {
		if field, ok = c.quoted(); ok {
			return field, true
		}
	}
	i := bytes.IndexByte(c.rest, c.sep)
	if i < 0 {
		c.done = true
		return c.rest, true
	}
	field, c.rest = c.rest[:i], c.rest[i+1:]
	return field, true
}

func (c *csv) quoted() (field []byte, ok bool) {
	b := c.rest
	for i := 1; i < len(b); i++ {
		if b[i] != '"' {
			continue
		}
		if i+1 < len(b) && b[i+1] == '"' {
			i++
			continue
		}
		switch {
		case i+1 == len(b):
			c.done = true
		case b[i+1] == c.sep:
			c.rest = b[i+2:]
		default:
			return nil, false
		}
		return b[1:i], true
	}
	return nil, false
}

// skip leaves n fields out.
func (c *csv) skip(n int) bool {
	for ; n > 0; n-- {
		if _, ok := c.next(); !ok {
			return false
		}
	}
	return true
}

// parseUint reads decimal digits, all of b.
func parseUint(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	n := uint64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// parsePort reads a port number, all of b.
func parsePort(b []byte) (uint16, bool) {
	n, ok := parseUint(b)
	return uint16(n), ok && n < 1<<16 && len(b) <= 5
}

// parseByte reads a number below 256, all of b.
func parseByte(b []byte) (uint8, bool) {
	n, ok := parseUint(b)
	return uint8(n), ok && n < 1<<8
}

// parseEndpoint reads addr, addr SEP port, [v6] SEP port: all of b. has tells
// whether there was a port. With ':' as sep an IPv6 address without brackets
// has no port.
func parseEndpoint(b []byte, sep byte) (addr netip.Addr, port uint16, has, ok bool) {
	host, tail := b, []byte(nil)
	if len(b) > 0 && b[0] == '[' {
		i := bytes.IndexByte(b, ']')
		if i < 0 {
			return addr, 0, false, false
		}
		host, tail = b[1:i], b[i+1:]
		if len(tail) > 0 && tail[0] != sep {
			return addr, 0, false, false
		}
	} else if i := bytes.LastIndexByte(b, sep); i >= 0 && (sep != ':' || bytes.IndexByte(b, sep) == i) {
		host, tail = b[:i], b[i:]
	}
	addr, ok = parseAddr(host)
	if !ok || len(tail) == 0 {
		return addr, 0, false, ok
	}
	port, ok = parsePort(tail[1:])
	return addr, port, ok, ok
}

// cut parts b at the first sep.
func cut(b []byte, sep byte) (before, after []byte, ok bool) {
	i := bytes.IndexByte(b, sep)
	if i < 0 {
		return b, nil, false
	}
	return b[:i], b[i+1:], true
}

// cutPrefix takes prefix off.
func cutPrefix(b []byte, prefix string) ([]byte, bool) {
	if !hasPrefix(b, prefix) {
		return b, false
	}
	return b[len(prefix):], true
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

func trimLeft(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

func trim(b []byte) []byte { return trimLeft(trimRight(b)) }

// same compares without regard to the case of ASCII letters; want is in lower
// case.
func same(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i := range b {
		if lower(b[i]) != want[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
