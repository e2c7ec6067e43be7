package file

import (
	"math"
	"math/bits"
)

// clock turns a pcapng timestamp into Unix nanoseconds. What an int64 cannot
// hold becomes its first or last value.
type clock struct {
	kind   clockKind
	units  uint64 // a second
	power  uint8  // of if_tsresol, without its top bit
	offset int64  // seconds, if_tsoffset
}

type clockKind uint8

const (
	micro clockKind = iota // the two that nearly all files have
	nano
	general
	tooFineDecimal // units of which a second has more than an uint64 holds
	tooFineBinary
)

// newClock is for if_tsresol, a negative power of ten or, with the top bit, of
// two.
func newClock(resolution byte, offset int64) clock {
	c := clock{kind: general, power: resolution & 0x7f, offset: offset}
	switch binary := resolution&0x80 != 0; {
	case binary && c.power > 63:
		c.kind = tooFineBinary
	case binary:
		c.units = 1 << c.power
	case c.power > 19:
		c.kind = tooFineDecimal
	default:
		c.units = powerOfTen(c.power)
	}
	if offset == 0 && c.units == 1e6 {
		c.kind = micro
	}
	if offset == 0 && c.units == 1e9 {
		c.kind = nano
	}
	return c
}

func powerOfTen(n uint8) uint64 {
	v := uint64(1)
	for range n {
		v *= 10
	}
	return v
}

func (c *clock) nanoseconds(t uint64) int64 {
	switch {
	case c.kind == micro && t <= math.MaxInt64/1000:
		return int64(t * 1000)
	case c.kind == nano && t <= math.MaxInt64:
		return int64(t)
	}
	return c.slow(t)
}

func (c *clock) slow(t uint64) int64 {
	switch c.kind {
	case tooFineDecimal:
		if c.power-9 > 19 {
			return instant(0, 0, c.offset)
		}
		return instant(0, t/powerOfTen(c.power-9), c.offset)
	case tooFineBinary:
		high, _ := bits.Mul64(t, 1e9) // shifted by 64 or more, the low word is gone
		return instant(0, high>>(c.power-64), c.offset)
	}
	high, low := bits.Mul64(t%c.units, 1e9)
	fraction, _ := bits.Div64(high, low, c.units)
	return instant(t/c.units, fraction, c.offset)
}

// instant is seconds since 1970 with an offset, and nanoseconds below 10^10.
func instant(seconds, fraction uint64, offset int64) int64 {
	const last = math.MaxInt64 / 1_000_000_000
	sum, carry := bits.Add64(seconds, uint64(offset), 0)
	switch negative := offset < 0 && carry == 0; {
	case negative && int64(sum) >= 0, negative && int64(sum) <= -last: // below what 64 bits hold, or an int64 of nanoseconds
		return math.MinInt64
	case negative:
		return int64(sum)*1e9 + int64(fraction)
	case offset >= 0 && carry == 1, sum >= last:
		return math.MaxInt64
	}
	return int64(sum)*1e9 + int64(fraction)
}
