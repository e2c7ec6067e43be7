package filter

import (
	"strings"

	"golang.org/x/net/bpf"
)

// Instruction codes of classic BPF (linux/bpf_common.h), as sums of class,
// size, mode or operation, and source.
const (
	codeLdImm  = 0x00
	codeLdAbsW = 0x20
	codeLdIndW = 0x40
	codeLdMem  = 0x60
	codeLdLen  = 0x80
	codeLdxImm = 0x01
	codeLdxMem = 0x61
	codeLdxMSH = 0xb1
	codeSt     = 0x02
	codeALU    = 0x04
	codeNeg    = 0x84
	codeJA     = 0x05
	codeJump   = 0x05
	codeRet    = 0x06
	codeTAX    = 0x07
	codeTXA    = 0x87
	fromX      = 0x08
	sizeH      = 0x08
	sizeB      = 0x10
)

// memWords is the kernel's scratch memory (BPF_MEMWORDS). What lives long is
// kept below lastFixed, intermediate results above.
const (
	memWords  = 16
	lastFixed = 10
)

type instruction struct {
	code uint16
	k    uint32
}

// held is what the registers are known to hold, by keys of values.
type held struct{ a, x string }

// emit turns the graph to instructions.
func (g *graph) emit() []bpf.RawInstruction {
	g.define()
	g.fill()
	var out []bpf.RawInstruction // backwards
	for i := len(g.order) - 1; i >= 0; i-- {
		b := g.order[i]
		out = b.finish(out)
		for j := len(b.code) - 1; j >= 0; j-- {
			out = append(out, bpf.RawInstruction{Op: b.code[j].code, K: b.code[j].k})
		}
		b.fromEnd, b.near = len(out), len(out)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// finish appends a block's last instructions, backwards: all it jumps to is
// there already. A jump longer than a byte can tell goes by an unconditional
// one, which later blocks use too: near is where to jump for a block.
func (b *block) finish(out []bpf.RawInstruction) []bpf.RawInstruction {
	if b.leaf {
		return append(out, bpf.RawInstruction{Op: codeRet, K: b.ret})
	}
	if b.isStore() {
		if far := len(out) - b.yes.fromEnd; far > 0 {
			out = append(out, bpf.RawInstruction{Op: codeJA, K: uint32(far)})
		}
		return out
	}
	for _, to := range [...]*block{b.no, b.yes} {
		if len(out)-to.near > 254 {
			out = append(out, bpf.RawInstruction{Op: codeJA, K: uint32(len(out) - to.fromEnd)})
			to.near = len(out)
		}
	}
	yes, no := len(out)-b.yes.near, len(out)-b.no.near
	op := uint16(codeJump + 0x10)
	switch b.jump {
	case jGT:
		op = codeJump + 0x20
	case jGE:
		op = codeJump + 0x30
	case jSET:
		op = codeJump + 0x40
	}
	if b.r != nil {
		op |= fromX
	}
	return append(out, bpf.RawInstruction{Op: op, Jt: uint8(yes), Jf: uint8(no), K: b.k})
}

// fill makes every block's code, knowing what the registers hold.
func (g *graph) fill() {
	for _, b := range g.order {
		if b.leaf {
			continue
		}
		c := &coder{held: b.in, whole: g.whole}
		switch {
		case b.isStore():
			c.eval(b.set, 0)
			c.put(codeSt, uint32(b.to-1))
			c.forget(b.to)
		case b.r != nil:
			c.pair(b.l, b.r, 0)
		default:
			c.eval(b.l, 0)
		}
		b.code, b.out = c.code, c.held
		b.yes.meet(b.out)
		b.no.meet(b.out)
	}
}

// meet keeps what the registers hold on every way to b.
func (b *block) meet(h held) {
	if !b.hasIn {
		b.in, b.hasIn = h, true
		return
	}
	if b.in.a != h.a {
		b.in.a = ""
	}
	if b.in.x != h.x {
		b.in.x = ""
	}
}

// define refuses a program that reads scratch memory before it is written, as
// the kernel does: it looks inside Geneve where there may be none.
func (g *graph) define() {
	for _, b := range g.order {
		if b.leaf {
			continue
		}
		have := b.defined
		if need := b.l.reads() | b.r.reads() | b.set.reads(); need&^have != 0 {
			refuse(g.whole, "what follows geneve looks inside it: geneve and (…); put everything else before it",
				"the expression looks inside Geneve where there may be none")
		}
		if b.isStore() {
			have |= 1 << b.to
		}
		b.yes.reach(have)
		b.no.reach(have)
	}
}

func (b *block) reach(have uint32) {
	if !b.hasReach {
		b.defined, b.hasReach = have, true
	}
	b.defined &= have
}

// reads are the registers that computing v needs, as bits.
func (v *value) reads() uint32 {
	if v == nil {
		return 0
	}
	own := uint32(0)
	if v.reg != 0 {
		own = 1 << v.reg
	}
	return own | v.idx.reads() | v.l.reads() | v.r.reads()
}

// coder writes the code of one block.
type coder struct {
	held
	code  []instruction
	whole span
}

func (c *coder) put(code uint16, k uint32) { c.code = append(c.code, instruction{code, k}) }

// forget drops what depended on a register that was stored to.
func (c *coder) forget(r reg) {
	if strings.Contains(c.a, r.key()) {
		c.a = ""
	}
	if strings.Contains(c.x, r.key()) {
		c.x = ""
	}
}

// eval computes v in A. Intermediate results go to scratch memory from the
// end, temp of them are in use.
func (c *coder) eval(v *value, temp int) {
	if c.a == v.key() {
		return
	}
	switch {
	case v.op == vConst:
		c.put(codeLdImm, v.k)
	case v.op == vLen:
		c.put(codeLdLen, 0)
	case v.op == vExt:
		c.put(codeLdAbsW|sizeCode(v.size), v.k)
	case v.op == vReg:
		c.put(codeLdMem, uint32(v.reg-1))
	case v.op == vLoad:
		c.load(v, temp)
	case v.op == vHead:
		c.head(v)
		c.put(codeTXA, 0)
	case v.op == vNeg:
		c.eval(v.l, temp)
		c.put(codeNeg, 0)
	case v.r.op == vConst:
		c.eval(v.l, temp)
		c.put(codeALU|operation(v.op), v.r.k)
	default:
		c.pair(v.l, v.r, temp)
		c.put(codeALU|operation(v.op)|fromX, 0)
	}
	c.a = v.key()
}

func operation(op vop) uint16 {
	switch op {
	case vAdd:
		return 0x00
	case vSub:
		return 0x10
	case vMul:
		return 0x20
	case vDiv:
		return 0x30
	case vOr:
		return 0x40
	case vAnd:
		return 0x50
	case vShl:
		return 0x60
	case vShr:
		return 0x70
	case vMod:
		return 0x90
	}
	return 0xa0 // exclusive or
}

func sizeCode(size uint8) uint16 {
	switch size {
	case 1:
		return sizeB
	case 2:
		return sizeH
	}
	return 0
}

// pair computes l in A and r in X. What needs more room comes first.
func (c *coder) pair(l, r *value, temp int) {
	switch {
	case l.plain():
		c.eval(r, temp)
		c.tax()
		c.eval(l, temp)
	case l.needs() > r.needs():
		t := c.temporary(temp)
		c.eval(l, temp)
		c.put(codeSt, t)
		c.eval(r, temp+1)
		c.tax()
		c.put(codeLdMem, t)
		c.a = l.key()
	default:
		t := c.temporary(temp)
		c.eval(r, temp)
		c.put(codeSt, t)
		c.eval(l, temp+1)
		c.put(codeLdxMem, t)
		c.x = r.key()
	}
}

func (c *coder) tax() {
	c.put(codeTAX, 0)
	c.x = c.a
}

func (c *coder) temporary(n int) uint32 {
	if memWords-1-n < lastFixed {
		refuse(c.whole, "", "too many intermediate results are needed")
	}
	return uint32(memWords - 1 - n)
}

// plain: computing v leaves X alone.
func (v *value) plain() bool {
	switch v.op {
	case vConst, vLen, vExt, vReg:
		return true
	case vLoad:
		return v.reg == 0 && !v.hasHead && v.idx == nil
	case vHead:
		return false
	case vNeg:
		return v.l.plain()
	}
	return v.r.op == vConst && v.l.plain()
}

// needs is how many intermediate results v takes, at most (Sethi and Ullman).
func (v *value) needs() int {
	switch {
	case v.op == vLoad && v.idx != nil:
		return v.idx.needs() + 1
	case v.l == nil:
		return 0
	case v.r == nil || v.r.op == vConst:
		return v.l.needs()
	}
	a, b := v.l.needs(), v.r.needs()
	if a == b {
		return a + 1
	}
	return max(a, b)
}

// load reads packet data to A.
func (c *coder) load(v *value, temp int) {
	size := sizeCode(v.size)
	base := &value{op: vReg, reg: v.reg, turn: v.turn}
	if v.hasHead {
		base = &value{op: vHead, reg: v.reg, turn: v.turn, head: v.head}
	}
	simple := v.reg == 0 && !v.hasHead
	switch {
	case v.idx == nil && simple:
		c.put(codeLdAbsW|size, v.k)
		return
	case v.idx == nil:
		c.index(base)
	case simple:
		c.eval(v.idx, temp)
		c.tax()
	case v.hasHead && v.reg != 0:
		t := c.temporary(temp)
		c.eval(v.idx, temp)
		c.put(codeSt, t)
		c.index(base)
		c.put(codeLdMem, t)
		c.add()
	default:
		c.eval(v.idx, temp)
		c.index(base)
		c.add()
	}
	c.put(codeLdIndW|size, v.k)
}

// add moves A + X to X.
func (c *coder) add() {
	c.put(codeALU|fromX, 0)
	c.put(codeTAX, 0)
	c.a, c.x = "", ""
}

// index puts a register's content, or it and the length of an IPv4 header,
// in X.
func (c *coder) index(base *value) {
	switch {
	case c.x == base.key():
	case base.op == vHead:
		c.head(base)
	default:
		c.put(codeLdxMem, uint32(base.reg-1))
		c.x = base.key()
	}
}

// head puts the length of an IPv4 header, and its register's content, in X.
// A is lost where there is a register.
func (c *coder) head(v *value) {
	if c.x == v.key() {
		return
	}
	if v.reg == 0 {
		c.put(codeLdxMSH, v.head)
	} else {
		c.put(codeLdxMem, uint32(v.reg-1))
		c.put(codeLdIndW|sizeB, v.head)
		c.put(codeALU|operation(vAnd), 0x0f)
		c.put(codeALU|operation(vShl), 2)
		c.put(codeALU|fromX, 0)
		c.put(codeTAX, 0)
		c.a = ""
	}
	c.x = v.key()
}
