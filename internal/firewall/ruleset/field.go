package ruleset

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Field is one property of a packet that rules compare.
type Field uint8

// Fields. Numbers are as the kernel has them: NFProto is an address family
// (2, 10), states and statuses are bit masks, Fib* are route types
// (linux/rtnetlink.h), DSCP is the upper six bits of the traffic class.
const (
	NFProto Field = iota
	L4Proto
	SAddr
	DAddr
	SPort
	DPort
	IIf
	OIf
	IIfGroup
	OIfGroup
	PktType
	Mark
	CtState
	CtStatus
	CtDir
	CtMark
	CtZone
	CtOrigDAddr
	CtOrigDPort
	FibDAddr
	FibSAddr
	TCPFlags
	ICMPType
	ICMPCode
	DSCP
	ECN
	TTL
	Length
	FragOff
	MSS
	MAC
	PhysIn
	PhysOut
	Priority
	// Chance is a value that the kernel draws for each packet (numgen, a
	// hash); it is drawn anew at every use.
	Chance
	numFields
)

// Conntrack states and statuses as nftables numbers them
// (linux/netfilter/nf_conntrack_common.h).
const (
	StateInvalid     = 1
	StateEstablished = 2
	StateRelated     = 4
	StateNew         = 8
	StateUntracked   = 64
	StatusExpected   = 1
	StatusSNAT       = 16
	StatusDNAT       = 32
)

// Route types (linux/rtnetlink.h).
const (
	RouteUnicast   = 1
	RouteLocal     = 2
	RouteBroadcast = 3
	RouteMulticast = 5
)

// Address families as NFProto has them.
const (
	FamilyIPv4 = 2
	FamilyIPv6 = 10
)

type fieldInfo struct {
	id   string // as the dialects' tables write it
	name string
	bits int
}

var fields = [numFields]fieldInfo{
	NFProto:     {"NFProto", "address family", 8},
	L4Proto:     {"L4Proto", "protocol", 8},
	SAddr:       {"SAddr", "source address", 128},
	DAddr:       {"DAddr", "destination address", 128},
	SPort:       {"SPort", "source port", 16},
	DPort:       {"DPort", "destination port", 16},
	IIf:         {"IIf", "interface it arrives on", 128},
	OIf:         {"OIf", "interface it leaves by", 128},
	IIfGroup:    {"IIfGroup", "group of the interface it arrives on", 32},
	OIfGroup:    {"OIfGroup", "group of the interface it leaves by", 32},
	PktType:     {"PktType", "packet type", 8},
	Mark:        {"Mark", "packet mark", 32},
	CtState:     {"CtState", "connection state", 32},
	CtStatus:    {"CtStatus", "connection status", 32},
	CtDir:       {"CtDir", "direction", 8},
	CtMark:      {"CtMark", "connection mark", 32},
	CtZone:      {"CtZone", "conntrack zone", 16},
	CtOrigDAddr: {"CtOrigDAddr", "original destination address", 128},
	CtOrigDPort: {"CtOrigDPort", "original destination port", 16},
	FibDAddr:    {"FibDAddr", "type of the destination address", 8},
	FibSAddr:    {"FibSAddr", "type of the source address", 8},
	TCPFlags:    {"TCPFlags", "TCP flags", 8},
	ICMPType:    {"ICMPType", "ICMP type", 8},
	ICMPCode:    {"ICMPCode", "ICMP code", 8},
	DSCP:        {"DSCP", "DSCP", 6},
	ECN:         {"ECN", "ECN", 2},
	TTL:         {"TTL", "TTL", 8},
	Length:      {"Length", "length", 32},
	FragOff:     {"FragOff", "fragment offset", 16},
	MSS:         {"MSS", "maximum segment size", 16},
	MAC:         {"MAC", "MAC address", 48},
	PhysIn:      {"PhysIn", "bridge port it arrives on", 128},
	PhysOut:     {"PhysOut", "bridge port it leaves by", 128},
	Priority:    {"Priority", "priority", 32},
	Chance:      {"Chance", "random choice", 32},
}

func (f Field) String() string { return fields[f].name }

// FieldNamed finds a field by the name of its constant here.
func FieldNamed(id string) (Field, bool) {
	for f := range fields {
		if fields[f].id == id {
			return Field(f), true
		}
	}
	return 0, false
}

// Max is the field's largest value.
func (f Field) Max() Value { return lowBits(fields[f].bits) }

// Full is the set of all values that the field can have.
func (f Field) Full() Set { return Range(Value{}, f.Max()) }

// Except is the complement of a set within the field.
func (f Field) Except(s Set) Set { return f.Full().Minus(s) }

// isName reports fields that hold names of interfaces.
func (f Field) isName() bool { return f == IIf || f == OIf || f == PhysIn || f == PhysOut }

// awkward reports a set of names that is best told by what it leaves out.
func (f Field) awkward(s Set) bool {
	return f.isName() && slices.ContainsFunc(s, func(iv Interval) bool { return f.interval(iv) == "" })
}

// text writes a set of values for people, the first few of many.
func (f Field) text(s Set) string {
	const most = 4
	if f.awkward(s) {
		rest := f.Except(s).Minus(Of(Value{}, Name("lo")))
		if len(rest) == 0 { // that is all that is left out
			rest = f.Except(s).Minus(Of(Value{}))
		}
		if f.awkward(rest) {
			return "some names"
		}
		return "any but " + f.text(rest)
	}
	var parts []string
	for i, iv := range s {
		if i == most {
			parts = append(parts, fmt.Sprintf("… (%d more)", len(s)-most))
			break
		}
		parts = append(parts, f.interval(iv))
	}
	return strings.Join(parts, ", ")
}

func (f Field) interval(iv Interval) string {
	switch f {
	case SAddr, DAddr, CtOrigDAddr:
		return addressText(iv)
	case IIf, OIf, PhysIn, PhysOut:
		return nameText(iv)
	case MAC:
		b := iv.Lo.bytes()
		return fmt.Sprintf("%x:%x:%x:%x:%x:%x", b[10], b[11], b[12], b[13], b[14], b[15])
	case Mark, CtMark:
		return rangeText(iv, 16)
	}
	return rangeText(iv, 10)
}

func rangeText(iv Interval, base int) string {
	prefix := ""
	if base == 16 {
		prefix = "0x"
	}
	lo := prefix + strconv.FormatUint(iv.Lo.Lo, base)
	if iv.Lo == iv.Hi {
		return lo
	}
	return lo + "-" + prefix + strconv.FormatUint(iv.Hi.Lo, base)
}

func addressText(iv Interval) string {
	lo, hi := iv.Lo.Addr(), iv.Hi.Addr()
	if lo == hi {
		return lo.String()
	}
	for n := range lo.BitLen() {
		p, err := lo.Prefix(n)
		if err == nil && Prefix(p).Equal(Set{iv}) {
			return p.String()
		}
	}
	return lo.String() + "-" + hi.String()
}

// nameText writes a name, or the pattern that an interval of names is; other
// intervals have no text.
func nameText(iv Interval) string {
	b := iv.Lo.bytes()
	stem := string(bytes.TrimRight(b[:], "\x00"))
	if iv.Lo == iv.Hi {
		return stem
	}
	if NamePattern(stem, true).Equal(Set{iv}) {
		return stem + "*"
	}
	return ""
}
