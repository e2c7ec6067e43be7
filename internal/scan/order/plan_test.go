package order

import (
	"errors"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// list is a small set of addresses.
type list []netip.Addr

func (l list) Len() uint64            { return uint64(len(l)) }
func (l list) At(i uint64) netip.Addr { return l[i] }

// span is many addresses from one on.
type span struct {
	first uint32
	n     uint64
}

func (s span) Len() uint64 { return s.n }
func (s span) At(i uint64) netip.Addr {
	v := s.first + uint32(i)
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

func ports(n int) []uint16 {
	out := make([]uint16, n)
	for i := range out {
		out[i] = uint16(i + 1)
	}
	return out
}

type probe struct {
	addr netip.Addr
	port uint16
}

// All shards together ask every pair exactly once.
func TestShardsCoverTheProductOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addrs := span{0x0a000000, rapid.Uint64Range(1, 300).Draw(t, "addresses")}
		ps := ports(rapid.IntRange(1, 40).Draw(t, "ports"))
		n := rapid.Uint64Range(1, 20).Draw(t, "shards")
		seen := map[probe]int{}
		for k := range n {
			plan, err := New(addrs, ps, Shard{k + 1, n})
			if err != nil {
				t.Fatal(err)
			}
			for i := range plan.Len() {
				a, p := plan.At(i)
				seen[probe{a, p}]++
			}
		}
		for q, times := range seen {
			if times != 1 {
				t.Fatalf("%v is asked %d times", q, times)
			}
		}
		if want := int(addrs.n) * len(ps); len(seen) != want {
			t.Fatalf("%d of %d pairs are asked", len(seen), want)
		}
	})
}

// No host is hammered: in any run of probes as long as there are hosts, none
// is asked more than a handful of times.
func TestOrderSpreadsHosts(t *testing.T) {
	addrs := span{0x0a000000, 4096}
	plan, err := New(addrs, ports(64), Shard{})
	if err != nil {
		t.Fatal(err)
	}
	for start := uint64(0); start+addrs.n <= plan.Len(); start += addrs.n {
		asked := map[netip.Addr]int{}
		for i := start; i < start+addrs.n; i++ {
			a, _ := plan.At(i)
			asked[a]++
		}
		for a, n := range asked {
			if n > 12 { // Poisson with mean 1: below 1e-9 a host
				t.Fatalf("%v is asked %d times within %d probes", a, n, addrs.n)
			}
		}
	}
}

// The same targets and ports have the same order everywhere; others do not.
func TestOrderIsReproducible(t *testing.T) {
	first := func(addrs Addresses, ps []uint16) probe {
		plan, err := New(addrs, ps, Shard{})
		if err != nil {
			t.Fatal(err)
		}
		a, p := plan.At(0)
		return probe{a, p}
	}
	one := first(span{0x0a000000, 60000}, ports(1000))
	if again := first(span{0x0a000000, 60000}, ports(1000)); again != one {
		t.Errorf("%v, then %v", one, again)
	}
	if other := first(span{0x0a000000, 60000}, ports(1001)); other == one {
		t.Errorf("another plan begins the same: %v", one)
	}
}

func TestRefusals(t *testing.T) {
	one := list{netip.MustParseAddr("::1")}
	for name, c := range map[string]struct {
		addrs Addresses
		ports []uint16
		shard Shard
		want  error
	}{
		"no address":    {list{}, ports(1), Shard{}, ErrEmpty},
		"no port":       {one, nil, Shard{}, ErrEmpty},
		"shard zero":    {one, ports(1), Shard{0, 3}, ErrShard},
		"shard beyond":  {one, ports(1), Shard{4, 3}, ErrShard},
		"too many":      {span{0, 1 << 47}, ports(3), Shard{}, ErrLarge},
		"empty shard":   {one, ports(1), Shard{3, 3}, nil},
		"a single pair": {one, ports(1), Shard{}, nil},
	} {
		if _, err := New(c.addrs, c.ports, c.shard); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// The order costs no memory.
func TestAtDoesNotAllocate(t *testing.T) {
	plan, err := New(span{0x0a000000, 1 << 16}, ports(16), Shard{})
	if err != nil {
		t.Fatal(err)
	}
	i := uint64(0)
	if n := testing.AllocsPerRun(1000, func() { plan.At(i); i++ }); n != 0 {
		t.Errorf("At allocates %v times", n)
	}
}

func BenchmarkAt(b *testing.B) {
	plan, err := New(span{0x0a000000, 1 << 16}, ports(16), Shard{})
	if err != nil {
		b.Fatal(err)
	}
	for i := uint64(0); b.Loop(); i++ {
		plan.At(i % plan.Len())
	}
}
