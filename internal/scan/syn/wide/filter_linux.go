package wide

import (
	"golang.org/x/net/bpf"
)

// snap is how much of a packet is kept: headers and an ICMP quote.
const snap = 192

// answers4 accepts IPv4 answers to ports first to first+maxTries-1, and
// destination-unreachable messages. Offset 0 is the IP header.
func answers4(first uint16) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 14}, // a later fragment
		bpf.LoadMemShift{Off: 0},
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 1, SkipTrue: 8}, // ICMP
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protoTCP, SkipTrue: 10},
		bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xffff &^ (maxTries - 1)},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(first), SkipTrue: 7},
		bpf.LoadIndirect{Off: 13, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: flagACK, SkipTrue: 5},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: flagSYN | flagRST, SkipTrue: 4},
		bpf.RetConstant{Val: snap},
		bpf.LoadIndirect{Off: 0, Size: 1}, // ICMP type
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 3, SkipTrue: 1},
		bpf.RetConstant{Val: snap},
		bpf.RetConstant{},
	}
}

// answers6 does the same for IPv6; packets with extension headers pass and
// are sorted out later, for they are rare.
func answers6(first uint16) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 58, SkipTrue: 12}, // ICMPv6
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoTCP, SkipTrue: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 12},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 43, SkipTrue: 11},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 44, SkipTrue: 10},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 60, SkipTrue: 9, SkipFalse: 10},
		bpf.LoadAbsolute{Off: 42, Size: 2},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xffff &^ (maxTries - 1)},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(first), SkipTrue: 7},
		bpf.LoadAbsolute{Off: 53, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: flagACK, SkipTrue: 5},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: flagSYN | flagRST, SkipTrue: 4},
		bpf.RetConstant{Val: snap},
		bpf.LoadAbsolute{Off: 40, Size: 1}, // ICMPv6 type
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 1, SkipTrue: 1},
		bpf.RetConstant{Val: snap},
		bpf.RetConstant{},
	}
}
