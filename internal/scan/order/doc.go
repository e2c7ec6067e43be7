// Package order says which probe of a scan comes when.
//
// Terms. A Plan is every pair of an address and a port, in a random-looking
// order that is computed, not stored: probe i of N is found from i alone, so
// that a plan of 2^40 probes takes no memory, a scan can go on from a
// position, and several machines can share one plan. A shard k of n is every
// n-th probe from the k-th on.
//
// How it is made. The numbers below N are permuted by a small unbalanced
// Feistel network over the bits of N with cycle walking (Black and Rogaway,
// "Ciphers with Arbitrary Finite Domains", 2002, section 5). It spreads work;
// it hides nothing. The same targets and ports give the same order on every
// machine.
//
// Locking: none; a Plan does not change and may be shared.
package order
