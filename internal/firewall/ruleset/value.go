package ruleset

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
)

// Value is a field's value as an unsigned number of up to 128 bits: numbers
// as they are, addresses as 16 bytes (IPv4 mapped into ::ffff:0:0/96), names
// of interfaces as 16 bytes padded with zeros (IFNAMSIZ, linux/if.h).
type Value struct{ Hi, Lo uint64 }

// Number makes a value of a number.
func Number(n uint64) Value { return Value{Lo: n} }

// Address makes a value of an IP address; zones are dropped.
func Address(ip netip.Addr) Value {
	b := ip.As16()
	return fromBytes(b)
}

// Name makes a value of an interface name, at most 16 bytes of it.
func Name(s string) Value {
	var b [16]byte
	copy(b[:], s)
	return fromBytes(b)
}

func fromBytes(b [16]byte) Value {
	return Value{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (v Value) bytes() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], v.Hi)
	binary.BigEndian.PutUint64(b[8:], v.Lo)
	return b
}

// Addr reads an address value back.
func (v Value) Addr() netip.Addr { return netip.AddrFrom16(v.bytes()).Unmap() }

// Compare orders values as numbers.
func (v Value) Compare(o Value) int {
	if c := cmp.Compare(v.Hi, o.Hi); c != 0 {
		return c
	}
	return cmp.Compare(v.Lo, o.Lo)
}

// And, Or and Xor work bit by bit.
func (v Value) And(o Value) Value { return Value{v.Hi & o.Hi, v.Lo & o.Lo} }

// Or is the bitwise or.
func (v Value) Or(o Value) Value { return Value{v.Hi | o.Hi, v.Lo | o.Lo} }

// Xor is the bitwise exclusive or.
func (v Value) Xor(o Value) Value { return Value{v.Hi ^ o.Hi, v.Lo ^ o.Lo} }

// Not flips every bit of 128.
func (v Value) Not() Value { return Value{^v.Hi, ^v.Lo} }

func (v Value) next() Value {
	lo, carry := bits.Add64(v.Lo, 1, 0)
	return Value{v.Hi + carry, lo}
}

func (v Value) prev() Value {
	lo, borrow := bits.Sub64(v.Lo, 1, 0)
	return Value{v.Hi - borrow, lo}
}

var maxValue = Value{^uint64(0), ^uint64(0)}

// Interval is a closed range of values.
type Interval struct{ Lo, Hi Value }

// Set is a set of values: sorted, disjoint intervals with gaps between them.
// The nil Set is empty. Sets are never changed in place.
type Set []Interval

// Of makes a set of single values.
func Of(vs ...Value) Set {
	s := make(Set, 0, len(vs))
	for _, v := range vs {
		s = append(s, Interval{v, v})
	}
	return normal(s)
}

// Numbers makes a set of numbers.
func Numbers(ns ...uint64) Set {
	s := make(Set, 0, len(ns))
	for _, n := range ns {
		s = append(s, Interval{Number(n), Number(n)})
	}
	return normal(s)
}

// Range makes the set of the values from lo to hi, both included; it is empty
// when hi is below lo.
func Range(lo, hi Value) Set {
	if hi.Compare(lo) < 0 {
		return nil
	}
	return Set{{lo, hi}}
}

// Prefix makes the set of a prefix's addresses.
func Prefix(p netip.Prefix) Set {
	p = p.Masked()
	n := p.Bits()
	if p.Addr().Is4() {
		n += 96
	}
	lo := Address(p.Addr())
	return Range(lo, lo.Or(lowBits(128-n)))
}

// lowBits has the n lowest bits set.
func lowBits(n int) Value {
	switch {
	case n <= 0:
		return Value{}
	case n >= 128:
		return maxValue
	case n > 64:
		return Value{Hi: 1<<(n-64) - 1, Lo: ^uint64(0)}
	case n == 64:
		return Value{Lo: ^uint64(0)}
	}
	return Value{Lo: 1<<n - 1}
}

// NamePattern makes the set of interface names that a pattern matches; a
// trailing star (wild) stands for any ending.
func NamePattern(name string, wild bool) Set {
	lo := Name(name)
	if !wild {
		return Of(lo)
	}
	return Range(lo, lo.Or(lowBits(128-8*min(len(name), 16))))
}

// Union is the set of the values in any of the sets.
func Union(sets ...Set) Set {
	n := 0
	for _, s := range sets {
		n += len(s)
	}
	all := make(Set, 0, n)
	for _, s := range sets {
		all = append(all, s...)
	}
	return normal(all)
}

// normal sorts and joins intervals, in place.
func normal(s Set) Set {
	slices.SortFunc(s, func(a, b Interval) int { return a.Lo.Compare(b.Lo) })
	out := s[:0]
	for _, iv := range s {
		if n := len(out); n > 0 && touches(out[n-1], iv) {
			if iv.Hi.Compare(out[n-1].Hi) > 0 {
				out[n-1].Hi = iv.Hi
			}
			continue
		}
		out = append(out, iv)
	}
	return out
}

func touches(a, b Interval) bool {
	return a.Hi == maxValue || b.Lo.Compare(a.Hi.next()) <= 0
}

// from is the index of the first interval that ends at v or later.
func (s Set) from(v Value) int {
	i, _ := slices.BinarySearchFunc(s, v, func(iv Interval, v Value) int { return iv.Hi.Compare(v) })
	return i
}

// Has reports whether v is in the set.
func (s Set) Has(v Value) bool {
	i := s.from(v)
	return i < len(s) && s[i].Lo.Compare(v) <= 0
}

// And is the set of the values in both sets.
func (s Set) And(o Set) Set {
	if len(s) > len(o) {
		s, o = o, s
	}
	var out Set
	for _, iv := range s {
		for i := o.from(iv.Lo); i < len(o) && o[i].Lo.Compare(iv.Hi) <= 0; i++ {
			out = append(out, Interval{later(iv.Lo, o[i].Lo), sooner(iv.Hi, o[i].Hi)})
		}
	}
	return out
}

// Meets reports whether the sets have a value in common.
func (s Set) Meets(o Set) bool {
	if len(s) > len(o) {
		s, o = o, s
	}
	for _, iv := range s {
		if i := o.from(iv.Lo); i < len(o) && o[i].Lo.Compare(iv.Hi) <= 0 {
			return true
		}
	}
	return false
}

// Minus is the set of the values that are not in o.
func (s Set) Minus(o Set) Set {
	out := make(Set, 0, len(s)+1)
	for _, iv := range s {
		out = minusInterval(out, iv, o)
	}
	return out
}

func minusInterval(out Set, iv Interval, o Set) Set {
	for i := o.from(iv.Lo); i < len(o) && o[i].Lo.Compare(iv.Hi) <= 0; i++ {
		if iv.Lo.Compare(o[i].Lo) < 0 {
			out = append(out, Interval{iv.Lo, o[i].Lo.prev()})
		}
		if o[i].Hi.Compare(iv.Hi) >= 0 {
			return out
		}
		iv.Lo = o[i].Hi.next()
	}
	return append(out, iv)
}

// Within reports whether every value of s is in o.
func (s Set) Within(o Set) bool {
	for _, iv := range s {
		i := o.from(iv.Lo)
		if i == len(o) || o[i].Lo.Compare(iv.Lo) > 0 || o[i].Hi.Compare(iv.Hi) < 0 {
			return false
		}
	}
	return true
}

// Equal reports whether both sets hold the same values.
func (s Set) Equal(o Set) bool { return slices.Equal(s, o) }

// Only gives the single value of a set that has just one.
func (s Set) Only() (Value, bool) {
	if len(s) == 1 && s[0].Lo == s[0].Hi {
		return s[0].Lo, true
	}
	return Value{}, false
}

// each calls fn for every value while there are at most limit of them;
// otherwise it reports false without a call.
func (s Set) each(limit uint64, fn func(Value)) bool {
	n := uint64(0)
	for _, iv := range s {
		if iv.Lo.Hi != iv.Hi.Hi || iv.Hi.Lo-iv.Lo.Lo >= limit-n {
			return false
		}
		n += iv.Hi.Lo - iv.Lo.Lo + 1
	}
	for _, iv := range s {
		for v := iv.Lo; ; v = v.next() {
			fn(v)
			if v == iv.Hi {
				break
			}
		}
	}
	return true
}

func later(a, b Value) Value {
	if a.Compare(b) > 0 {
		return a
	}
	return b
}

func sooner(a, b Value) Value {
	if a.Compare(b) < 0 {
		return a
	}
	return b
}

// Addrs lists the addresses of a set while there are at most so many.
func (s Set) Addrs(most int) (out []netip.Addr, ok bool) {
	ok = s.each(uint64(most), func(v Value) { out = append(out, v.Addr()) })
	return out, ok
}
