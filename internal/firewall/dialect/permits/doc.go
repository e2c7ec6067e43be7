// Package permits turns a rule file, in which the first rule that fits
// decides, into regions that do not depend on an order: for dialects that can
// only permit, or in which a denial always wins.
//
// A Region is a box over protocol, addresses, ports and ICMP types. From what
// a rule permits, whatever an earlier rule denies is taken away, exactly, and
// the other way round; so the union of the permitted regions is what the file
// permits. What a dialect has no word for is left out and said in a note,
// never widened.
package permits
