// Package nftables reads what `nft -j list ruleset` prints
// (libnftables-json(5)) into the rule model of package ruleset.
//
// Every JSON value is untrusted. What is not understood is kept as an atom
// that names it, so that it can only make a verdict unknown, never wrong: an
// unknown match may hold or not, an unknown statement may accept, drop or go
// on. Some things nft does not print at all (dormant tables and the devices
// of ingress chains in older versions, the arguments of x_tables extensions);
// the caller passes what the kernel says of the first two as Facts, and
// learns of the third from Table.Extensions.
//
// Tables of symbolic names and of fields are data: names.tsv, fields.tsv.
package nftables
