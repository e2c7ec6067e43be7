package ruleset

import "math/bits"

// plain gives the values of the field that meet the comparison, mask and all,
// where they are few enough ranges; ok is false for masks that leave out too
// many bits in too many places.
func (e In) plain() (s Set, ok bool) {
	full := e.Field.Max()
	mask := e.Mask.And(full)
	switch {
	case e.Mask == (Value{}) || mask == full:
		return e.Set.And(e.Field.domain()), true
	case e.Field == CtState || fields[e.Field].bits <= 16 || e.Field == CtStatus:
		return e.tried(e.Field.domain()), true
	}
	if s, ok := scattered(e.Set.And(Range(Value{}, full)), mask, full); ok {
		return s, true
	}
	// What is left out may be simpler to say.
	s, ok = scattered(Range(Value{}, full).Minus(e.Set), mask, full)
	return Range(Value{}, full).Minus(s), ok
}

// tried looks at every value of a small domain.
func (e In) tried(domain Set) (out Set) {
	domain.each(1<<16, func(v Value) {
		if !e.Set.Has(v.And(e.Mask)) {
			return
		}
		if n := len(out); n > 0 && out[n-1].Hi.next() == v {
			out[n-1].Hi = v
			return
		}
		out = append(out, Interval{v, v})
	})
	return out
}

// mostScattered bounds the ranges that one masked comparison becomes.
const mostScattered = 1 << 12

// scattered gives the values within full that, masked, are in the set, as
// ranges, while they are not too many.
func scattered(s Set, mask, full Value) (out Set, ok bool) {
	low := trailingZeros(mask)
	wild := full.And(mask.Not()).And(lowBits(low).Not()) // holes above the lowest bit of the mask
	for _, iv := range s {
		if wild == (Value{}) {
			out = appendAligned(out, iv, low)
			continue
		}
		if ones(wild) > 12 {
			return nil, false
		}
		for v, some := nextWithin(iv.Lo, mask); some && v.Compare(iv.Hi) <= 0; v, some = nextWithin(v.next(), mask) {
			if out = spread(out, v, wild, low); len(out) > mostScattered {
				return nil, false
			}
			if v == maxValue {
				break
			}
		}
	}
	return normal(out), true
}

// appendAligned adds the values whose bits above the low ones lie in iv.
func appendAligned(out Set, iv Interval, low int) Set {
	rest := lowBits(low)
	lo := iv.Lo
	if lo.And(rest) != (Value{}) {
		if lo = lo.Or(rest); lo == maxValue {
			return out
		}
		lo = lo.next()
	}
	hi := iv.Hi.And(rest.Not())
	if hi.Compare(lo) < 0 {
		return out
	}
	return append(out, Interval{lo, hi.Or(rest)})
}

// spread adds v with every value of the wild bits, the low bits open.
func spread(out Set, v, wild Value, low int) Set {
	for sub := wild; ; sub = sub.prev().And(wild) {
		lo := v.Or(sub)
		out = append(out, Interval{lo, lo.Or(lowBits(low))})
		if sub == (Value{}) {
			return out
		}
	}
}

// nextWithin is the smallest value from lo on whose bits are all in the mask.
func nextWithin(lo, mask Value) (Value, bool) {
	if lo.And(mask) == lo {
		return lo, true
	}
	for b := range 128 {
		bit := lowBits(b + 1).Xor(lowBits(b))
		above := lo.And(lowBits(b + 1).Not())
		if mask.And(bit) == bit && lo.And(bit) == (Value{}) && above.And(mask) == above {
			return above.Or(bit), true
		}
	}
	return Value{}, false
}

func ones(v Value) int { return bits.OnesCount64(v.Hi) + bits.OnesCount64(v.Lo) }

func trailingZeros(v Value) int {
	if v.Lo != 0 {
		return bits.TrailingZeros64(v.Lo)
	}
	return 64 + bits.TrailingZeros64(v.Hi)
}
