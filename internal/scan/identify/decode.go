package identify

import (
	"encoding/binary"
	"fmt"

	"github.com/portreeve/portreeve/internal/exposure"
)

// decoder reads from an answer what a pattern on bytes cannot, and adds it to
// the service. The answer is hostile: a decoder reads within bounds and keeps
// what it had when something does not fit.
type decoder func(answer []byte, s *exposure.Service)

// decoders are those that tables may name.
func decoders() map[string]decoder {
	return map[string]decoder{
		"drda":   decodeDRDA,
		"enip":   decodeENIP,
		"http":   decodeHTTP,
		"ldap":   decodeLDAP,
		"modbus": decodeModbus,
		"rpc":    decodeRPC,
		"s7":     decodeS7,
		"smb":    decodeSMB,
		"tds":    decodeTDS,
		"tns":    decodeTNS,
		"x11":    decodeX11,
	}
}

// cursor reads bytes in order; after a read beyond the end it gives zeros and
// bad says so.
type cursor struct {
	rest []byte
	bad  bool
}

// take gives the next n bytes, or nil.
func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.rest) {
		c.rest, c.bad = nil, true
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) u8() int {
	if b := c.take(1); b != nil {
		return int(b[0])
	}
	return 0
}

func (c *cursor) u16() int {
	if b := c.take(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) le16() int {
	if b := c.take(2); b != nil {
		return int(binary.LittleEndian.Uint16(b))
	}
	return 0
}

// printable reports text of which every byte is ASCII and visible or a blank.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return len(b) > 0
}

// dotted writes a version of numbers.
func dotted(numbers ...uint32) string {
	text := ""
	for _, n := range numbers {
		text += fmt.Sprintf(".%d", n)
	}
	return text[1:]
}
