package filter

import (
	"encoding/binary"

	"golang.org/x/net/bpf"
)

// Meta is what is known of a packet besides its bytes.
type Meta struct {
	// A VLAN tag that was taken out of the frame.
	HasVLAN            bool
	VLANTCI, VLANProto uint16
	// PacketType is the kernel's: 0 to this host, 1 broadcast, 2 multicast, 3
	// to another host, 4 sent by this host (PACKET_…, linux/if_packet.h).
	PacketType uint8
	// Interface is its number.
	Interface uint32
}

// op is an instruction made ready to run: jumps are positions.
type op struct {
	code   opcode
	k      uint32
	jt, jf uint16
}

type opcode uint8

const (
	oRet opcode = iota
	oLdB
	oLdH
	oLdW
	oIndB
	oIndH
	oIndW
	oLdLen
	oLdImm
	oLdMem
	oLdExt
	oLdxMSH
	oLdxImm
	oLdxMem
	oLdxLen
	oSt
	oStx
	oTAX
	oTXA
	oJA
	oJEQ
	oJGT
	oJGE
	oJSET
	oJEQX
	oJGTX
	oJGEX
	oJSETX
	oAdd
	oSub
	oMul
	oDiv
	oMod
	oAnd
	oOr
	oXor
	oShl
	oShr
	oAddX
	oSubX
	oMulX
	oDivX
	oModX
	oAndX
	oOrX
	oXorX
	oShlX
	oShrX
	oNeg
	oRetA
	oBad
	// A load and the equality test behind it, which are most of all programs.
	oLdBJEQ
	oLdHJEQ
	oLdWJEQ
)

// Match runs the program on a frame: data is what was captured of it, wireLen
// its length on the wire. It does not allocate.
func (p *Program) Match(data []byte, wireLen uint32, m Meta) bool {
	return run(p.ops, data, wireLen, &m) != 0
}

// run gives what the program returns. A load outside the packet, a division
// by zero and an instruction that is none end it with 0.
func run(ops []op, data []byte, wireLen uint32, m *Meta) uint32 {
	var a, x uint32
	var mem [memWords]uint32
	size := uint64(len(data))
	for pc := 0; pc < len(ops); pc++ {
		in := &ops[pc]
		switch in.code {
		case oLdBJEQ:
			if uint64(in.k) >= size {
				return 0
			}
			a = uint32(data[in.k])
			pc++
			if in = &ops[pc]; a == in.k {
				pc = int(in.jt)
			} else {
				pc = int(in.jf)
			}
		case oLdHJEQ:
			if uint64(in.k)+2 > size {
				return 0
			}
			a = uint32(binary.BigEndian.Uint16(data[in.k:]))
			pc++
			if in = &ops[pc]; a == in.k {
				pc = int(in.jt)
			} else {
				pc = int(in.jf)
			}
		case oLdWJEQ:
			if uint64(in.k)+4 > size {
				return 0
			}
			a = binary.BigEndian.Uint32(data[in.k:])
			pc++
			if in = &ops[pc]; a == in.k {
				pc = int(in.jt)
			} else {
				pc = int(in.jf)
			}
		case oRet:
			return in.k
		case oRetA:
			return a
		case oLdB:
			if uint64(in.k) >= size {
				return 0
			}
			a = uint32(data[in.k])
		case oLdH:
			if uint64(in.k)+2 > size {
				return 0
			}
			a = uint32(binary.BigEndian.Uint16(data[in.k:]))
		case oLdW:
			if uint64(in.k)+4 > size {
				return 0
			}
			a = binary.BigEndian.Uint32(data[in.k:])
		case oIndB:
			at := uint64(in.k) + uint64(x)
			if at >= size {
				return 0
			}
			a = uint32(data[at])
		case oIndH:
			at := uint64(in.k) + uint64(x)
			if at+2 > size {
				return 0
			}
			a = uint32(binary.BigEndian.Uint16(data[at:]))
		case oIndW:
			at := uint64(in.k) + uint64(x)
			if at+4 > size {
				return 0
			}
			a = binary.BigEndian.Uint32(data[at:])
		case oLdxMSH:
			if uint64(in.k) >= size {
				return 0
			}
			x = uint32(data[in.k]&0x0f) << 2
		case oLdLen:
			a = wireLen
		case oLdxLen:
			x = wireLen
		case oLdImm:
			a = in.k
		case oLdxImm:
			x = in.k
		case oLdMem:
			a = mem[in.k]
		case oLdxMem:
			x = mem[in.k]
		case oSt:
			mem[in.k] = a
		case oStx:
			mem[in.k] = x
		case oTAX:
			x = a
		case oTXA:
			a = x
		case oJA:
			pc = int(in.jt)
		case oJEQ:
			pc = in.jump(a == in.k)
		case oJGT:
			pc = in.jump(a > in.k)
		case oJGE:
			pc = in.jump(a >= in.k)
		case oJSET:
			pc = in.jump(a&in.k != 0)
		case oJEQX:
			pc = in.jump(a == x)
		case oJGTX:
			pc = in.jump(a > x)
		case oJGEX:
			pc = in.jump(a >= x)
		case oJSETX:
			pc = in.jump(a&x != 0)
		case oLdExt:
			a = m.extension(in.k)
		case oBad:
			return 0
		default:
			var ok bool
			if a, ok = in.alu(a, x); !ok {
				return 0
			}
		}
	}
	return 0
}

// jump is the position before the target, for the loop goes on by one.
func (o *op) jump(yes bool) int {
	if yes {
		return int(o.jt)
	}
	return int(o.jf)
}

// alu is arithmetic; false is a division by zero.
func (o *op) alu(a, x uint32) (uint32, bool) {
	b, code := o.k, o.code
	if code >= oAddX && code <= oShrX {
		b, code = x, code-oAddX+oAdd
	}
	switch code {
	case oAdd:
		return a + b, true
	case oSub:
		return a - b, true
	case oMul:
		return a * b, true
	case oDiv:
		if b == 0 {
			return 0, false
		}
		return a / b, true
	case oMod:
		if b == 0 {
			return 0, false
		}
		return a % b, true
	case oAnd:
		return a & b, true
	case oOr:
		return a | b, true
	case oXor:
		return a ^ b, true
	case oShl:
		return a << b, true
	case oShr:
		return a >> b, true
	}
	return -a, true
}

// extension is a load at one of the kernel's special places.
func (m *Meta) extension(k uint32) uint32 {
	switch k {
	case extPacketType:
		return uint32(m.PacketType)
	case extInterface:
		return m.Interface
	case extVLANTag:
		return uint32(m.VLANTCI)
	case extVLANPresent:
		if m.HasVLAN {
			return 1
		}
	}
	return 0
}

// decode makes a program ready to run. Whatever the instructions are, running
// the result ends: jumps go forward, and one out of the program ends it.
func decode(raw []bpf.RawInstruction) []op {
	ops := make([]op, len(raw))
	target := make([]bool, len(raw))
	for i, r := range raw {
		o := &ops[i]
		*o = op{code: plainCode(r), k: r.K}
		if o.code == oJA {
			o.jt = position(i, uint64(r.K), len(raw), target)
		}
		if o.code >= oJEQ && o.code <= oJSETX {
			o.jt = position(i, uint64(r.Jt), len(raw), target)
			o.jf = position(i, uint64(r.Jf), len(raw), target)
		}
		if mem := o.code == oLdMem || o.code == oLdxMem || o.code == oSt || o.code == oStx; mem && r.K >= memWords {
			o.code = oBad
		}
	}
	fuse(ops, target)
	return ops
}

// position is one before a jump's target, at most the program's end.
func position(i int, far uint64, n int, target []bool) uint16 {
	to := uint64(i) + 1 + far
	if to >= uint64(n) {
		return uint16(min(n, 0xffff) - 1)
	}
	target[to] = true
	return uint16(to - 1)
}

// fuse joins loads with the test behind them where nothing jumps between. The
// test stays, for its operands.
func fuse(ops []op, target []bool) {
	for i := 0; i+1 < len(ops); i++ {
		if ops[i+1].code != oJEQ || target[i+1] {
			continue
		}
		switch ops[i].code {
		case oLdB:
			ops[i].code = oLdBJEQ
		case oLdH:
			ops[i].code = oLdHJEQ
		case oLdW:
			ops[i].code = oLdWJEQ
		}
	}
}

// plainCode names an instruction.
func plainCode(r bpf.RawInstruction) opcode {
	switch r.Op {
	case codeRet:
		return oRet
	case codeRet | 0x10:
		return oRetA
	case codeLdImm:
		return oLdImm
	case codeLdLen:
		return oLdLen
	case codeLdMem:
		return oLdMem
	case codeLdxImm:
		return oLdxImm
	case codeLdxMem:
		return oLdxMem
	case 0x81:
		return oLdxLen
	case codeLdxMSH:
		return oLdxMSH
	case codeSt:
		return oSt
	case 0x03:
		return oStx
	case codeTAX:
		return oTAX
	case codeTXA:
		return oTXA
	case codeJA:
		return oJA
	case codeNeg:
		return oNeg
	}
	return sizedCode(r)
}

func sizedCode(r bpf.RawInstruction) opcode {
	if abs := r.Op &^ (sizeB | sizeH); (abs == codeLdAbsW || abs == codeLdIndW) && r.Op&0x18 != 0x18 {
		by := opcode(map[uint16]opcode{sizeB: 0, sizeH: 1, 0: 2}[r.Op&0x18])
		switch {
		case abs == codeLdIndW:
			return oIndB + by
		case r.K >= extBase:
			return oLdExt
		}
		return oLdB + by
	}
	jump := map[uint16]opcode{0x10: oJEQ, 0x20: oJGT, 0x30: oJGE, 0x40: oJSET}
	alu := map[uint16]opcode{0x00: oAdd, 0x10: oSub, 0x20: oMul, 0x30: oDiv, 0x40: oOr, 0x50: oAnd,
		0x60: oShl, 0x70: oShr, 0x90: oMod, 0xa0: oXor}
	x := r.Op&fromX != 0
	if code, ok := jump[r.Op&0xf0]; ok && r.Op&0x07 == codeJump {
		if x {
			return code - oJEQ + oJEQX
		}
		return code
	}
	if code, ok := alu[r.Op&0xf0]; ok && r.Op&0x07 == codeALU && r.Op <= 0xff {
		if x {
			return code - oAdd + oAddX
		}
		return code
	}
	return oBad
}
