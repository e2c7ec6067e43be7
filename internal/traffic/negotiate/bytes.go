package negotiate

import "encoding/binary"

// cursor reads big-endian fields. Once a field was not there, all that follow
// are 0 and bad is set.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n < 0 || n > len(c.b) {
		c.bad = true
		return nil
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// opaque reads XDR variable-length data: RFC 4506 section 4.10.
func (c *cursor) opaque() []byte {
	n := c.u32()
	if n > maxMessage {
		c.bad = true
		return nil
	}
	b := c.take(int(n))
	c.take(int(-n & 3))
	return b
}
