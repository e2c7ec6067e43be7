package order

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
)

// MaxProbes is the largest plan.
const MaxProbes = 1 << 48

// Errors of a plan.
var (
	ErrEmpty = errors.New("there is nothing to ask: no address or no port")
	ErrLarge = errors.New("addresses times ports are more than can be asked in one scan; cut the targets")
	ErrShard = errors.New("a shard is K/N with K from 1 to N, N at most 65,536")
)

// Addresses is an ordered set of addresses.
type Addresses interface {
	Len() uint64
	At(i uint64) netip.Addr
}

// Shard is part K of N of a plan, K from 1 to N; the zero Shard is all of it.
type Shard struct{ K, N uint64 }

// Plan is the probes of one scan, or of its shard, in their order.
type Plan struct {
	addrs Addresses
	ports []uint16
	perm  permutation
	skip  uint64 // first probe of the shard
	step  uint64
	len   uint64
}

// New plans every port of every address. Nothing may be empty; ports must be
// distinct.
func New(addrs Addresses, ports []uint16, shard Shard) (*Plan, error) {
	a, p := addrs.Len(), uint64(len(ports))
	if a == 0 || p == 0 {
		return nil, ErrEmpty
	}
	if hi, n := bits.Mul64(a, p); hi != 0 || n > MaxProbes {
		return nil, fmt.Errorf("%w: %d addresses, %d ports", ErrLarge, a, p)
	}
	if shard == (Shard{}) {
		shard = Shard{1, 1}
	}
	if shard.K < 1 || shard.K > shard.N || shard.N > 1<<16 {
		return nil, fmt.Errorf("%w, not %d/%d", ErrShard, shard.K, shard.N)
	}
	plan := &Plan{addrs: addrs, ports: ports, perm: newPermutation(a*p, seed(addrs, ports)), skip: shard.K - 1, step: shard.N}
	if n := a * p; n > plan.skip {
		plan.len = (n - plan.skip + plan.step - 1) / plan.step
	}
	return plan, nil
}

// seed names a plan: the same targets and ports have the same seed. Ranges
// are known by their ends and length, which is enough to tell plans apart.
func seed(addrs Addresses, ports []uint16) [32]byte {
	h := sha256.New()
	n := addrs.Len()
	for _, i := range []uint64{0, n / 4, n / 2, n - 1} {
		b := addrs.At(i).As16()
		h.Write(b[:])
	}
	b := binary.LittleEndian.AppendUint64(nil, n)
	for _, p := range ports {
		b = binary.LittleEndian.AppendUint16(b, p)
	}
	h.Write(b)
	return [32]byte(h.Sum(nil))
}

// Len is the number of probes.
func (p *Plan) Len() uint64 { return p.len }

// At is probe i, below Len.
func (p *Plan) At(i uint64) (netip.Addr, uint16) {
	v := p.perm.at(p.skip + i*p.step)
	a := p.addrs.Len()
	return p.addrs.At(v % a), p.ports[v/a]
}
