// Package values is what the rules of clouds and hosts have in common: words
// for protocols, addresses and ports, and the sets that they stand for.
//
// Addresses are sets over the 128-bit form that package ruleset compares, in
// which IPv4 is mapped into ::ffff:0:0/96. A prefix of IPv6 never includes
// that block: ::/0 is all of IPv6 and no IPv4.
package values
