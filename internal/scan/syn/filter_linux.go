package syn

import (
	"golang.org/x/net/bpf"
)

// answers4 accepts IPv4 packets that carry an answer to one of two ports:
// SYN-ACK, and RST where resets is true. Offset 0 is the IP header.
func answers4(ports [2]uint16, resets bool) []bpf.Instruction {
	head := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoTCP, SkipTrue: 1},
		bpf.RetConstant{},
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: 0x1fff, SkipTrue: 1},
		bpf.RetConstant{},
		bpf.LoadMemShift{Off: 0},
	}
	return append(head, answersTail(bpf.LoadIndirect{Off: 2, Size: 2}, bpf.LoadIndirect{Off: 13, Size: 1}, ports, resets)...)
}

// answers6 does the same for IPv6 without extension headers; offset 0 is the
// IPv6 header.
func answers6(ports [2]uint16, resets bool) []bpf.Instruction {
	head := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoTCP, SkipTrue: 1},
		bpf.RetConstant{},
	}
	return append(head, answersTail(bpf.LoadAbsolute{Off: 42, Size: 2}, bpf.LoadAbsolute{Off: 53, Size: 1}, ports, resets)...)
}

// answersTCP does the same where offset 0 is the TCP header, as an IPv6 raw
// socket sees it.
func answersTCP(ports [2]uint16, resets bool) []bpf.Instruction {
	return answersTail(bpf.LoadAbsolute{Off: 2, Size: 2}, bpf.LoadAbsolute{Off: 13, Size: 1}, ports, resets)
}

func answersTail(loadPort, loadFlags bpf.Instruction, ports [2]uint16, resets bool) []bpf.Instruction {
	mask := uint32(flagSYN | flagACK | flagRST)
	reset := bpf.Instruction(bpf.RetConstant{})
	if resets {
		reset = bpf.RetConstant{Val: 0xffff}
	}
	return []bpf.Instruction{
		loadPort,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(ports[0]), SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(ports[1]), SkipTrue: 1},
		bpf.RetConstant{},
		loadFlags,
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: flagSYN | flagACK, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: flagRST, SkipTrue: 2},
		bpf.RetConstant{},
		bpf.RetConstant{Val: 0xffff},
		reset,
	}
}

// unreachables4 accepts ICMP destination-unreachable at an IPv4 raw socket.
func unreachables4() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadMemShift{Off: 0},
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 3, SkipTrue: 1},
		bpf.RetConstant{},
		bpf.RetConstant{Val: 0xffff},
	}
}

// unreachables6 accepts ICMPv6 destination-unreachable at an IPv6 raw socket.
func unreachables6() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 1, SkipTrue: 1},
		bpf.RetConstant{},
		bpf.RetConstant{Val: 0xffff},
	}
}
