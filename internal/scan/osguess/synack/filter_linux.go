package synack

import (
	"golang.org/x/net/bpf"
)

// toPort accepts TCP segments to one port. A raw socket of IPv4 sees the IP
// header first, one of IPv6 the TCP header.
func toPort(is4 bool, port uint16) []bpf.Instruction {
	head := []bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegX, Val: 0}}
	if is4 {
		head = []bpf.Instruction{bpf.LoadMemShift{Off: 0}}
	}
	return append(head,
		bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipTrue: 1},
		bpf.RetConstant{},
		bpf.RetConstant{Val: 0xffff},
	)
}

// echoReplies accepts ICMP or ICMPv6 echo replies with one identifier.
func echoReplies(is4 bool, id uint16) []bpf.Instruction {
	head, kind := []bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegX, Val: 0}}, uint32(echoReply6)
	if is4 {
		head, kind = []bpf.Instruction{bpf.LoadMemShift{Off: 0}}, echoReply4
	}
	return append(head,
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: kind, SkipTrue: 1},
		bpf.RetConstant{},
		bpf.LoadIndirect{Off: 4, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(id), SkipTrue: 1},
		bpf.RetConstant{},
		bpf.RetConstant{Val: 0xffff},
	)
}
