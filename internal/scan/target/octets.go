package target

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

const hintOctets = "write 10.0.0.1, 10.0.0.1-254, 10.0.0-3.1,7,10-20, 10.0.*.1 or 10.0.0.1-10.0.0.50"

// octet is the values that one of the four parts takes.
type octet [256]bool

// run is First to Last within the numbers that the last parts of an address
// stand for.
type run struct{ first, last uint32 }

// readOctets reads nmap's form of IPv4 targets: four parts, each a number, a
// range (open ends mean 0 and 255), a list of both, or *. A prefix length
// applies to each address that they make; bits is -1 for none.
func readOctets(s string, bits int) ([]Range, *Error) {
	parts := strings.Split(s, ".")
	if len(parts) != 4 {
		return nil, wrong(hintOctets, "an IPv4 address has four parts, this has %d", len(parts))
	}
	if bits > 32 {
		return nil, wrong("write /32 or less", "an IPv4 prefix has at most 32 bits, not %d", bits)
	}
	var four [4]octet
	for i, part := range parts {
		o, err := readOctet(part)
		if err != nil {
			return nil, err
		}
		if bits >= 0 {
			o = o.widen(maskOf(bits, i))
		}
		four[i] = o
	}
	runs, err := multiply(four)
	if err != nil {
		return nil, err
	}
	out := make([]Range, len(runs))
	for i, r := range runs {
		out[i] = Range{addr4(r.first), addr4(r.last)}
	}
	return out, nil
}

func addr4(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

// maskOf is part i of the netmask of that many bits.
func maskOf(bits, i int) byte {
	n := min(max(bits-8*i, 0), 8)
	return byte(0xff << (8 - n))
}

// widen adds every value that shares its masked bits with one that is there.
func (o octet) widen(mask byte) octet {
	var out octet
	for v, in := range o {
		for w := 0; in && w < 256; w++ {
			if byte(v)&mask == byte(w)&mask {
				out[w] = true
			}
		}
	}
	return out
}

// readOctet reads one part.
func readOctet(s string) (octet, *Error) {
	var o octet
	if s == "*" {
		s = "-"
	}
	for item := range strings.SplitSeq(s, ",") {
		first, last, err := readItem(item)
		if err != nil {
			return o, err
		}
		for v := first; v <= last; v++ {
			o[v] = true
		}
	}
	return o, nil
}

// readItem reads 7, 7-9, 7-, -9 or -.
func readItem(s string) (first, last int, _ *Error) {
	low, high, isRange := strings.Cut(s, "-")
	first, last = 0, 255
	var err *Error
	if low != "" || !isRange {
		first, err = readValue(low)
	}
	if high != "" && err == nil {
		last, err = readValue(high)
	}
	switch {
	case err != nil:
		return 0, 0, err
	case !isRange:
		last = first
	case last < first:
		return 0, 0, wrong(hintOctets, "%q ends before it begins", short(s))
	}
	return first, last, nil
}

func readValue(s string) (int, *Error) {
	switch n, ok := decimal(s); {
	case s == "":
		return 0, wrong(hintOctets, "a number is missing")
	case ok && n <= 255:
		return n, nil
	case len(s) > 1 && s[0] == '0':
		return 0, wrong("write the number without leading zeros", "%q may be meant as octal or as decimal", short(s))
	}
	return 0, wrong(hintOctets, "%q is no number from 0 to 255", short(s))
}

// multiply makes the runs of all addresses that four parts stand for.
func multiply(four [4]octet) ([]run, *Error) {
	tail := []run{{0, 0}}
	size := uint64(1) // of the numbers that tail counts in
	for i := 3; i >= 0; i-- {
		head := four[i].runs()
		whole := len(tail) == 1 && uint64(tail[0].last)-uint64(tail[0].first)+1 == size
		if !whole {
			head = four[i].values()
		}
		if len(head)*len(tail) > MaxRanges {
			return nil, wrong("name fewer values before the last part, or whole prefixes", "it stands for more than %d separate ranges", MaxRanges)
		}
		tail = product(head, tail, size)
		size *= 256
	}
	return tail, nil
}

// product puts each tail behind each head. A head of several values is only
// put before a tail that is whole.
func product(head, tail []run, size uint64) []run {
	out := make([]run, 0, len(head)*len(tail))
	for _, h := range head {
		for _, t := range tail {
			out = append(out, run{uint32(uint64(h.first)*size) + t.first, uint32(uint64(h.last)*size) + t.last})
		}
	}
	return out
}

// runs lists the values as runs, values one by one.
func (o octet) runs() []run {
	var out []run
	for v, in := range o {
		switch n := len(out); {
		case !in:
		case n > 0 && out[n-1].last == uint32(v)-1:
			out[n-1].last++
		default:
			out = append(out, run{uint32(v), uint32(v)})
		}
	}
	return out
}

func (o octet) values() []run {
	var out []run
	for v, in := range o {
		if in {
			out = append(out, run{uint32(v), uint32(v)})
		}
	}
	return out
}
