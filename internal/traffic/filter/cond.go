package filter

import (
	"math/bits"
	"strconv"
)

// vop is what a value is made of.
type vop uint8

const (
	vConst vop = iota // k
	vLen              // the packet's length on the wire
	vLoad             // size bytes of the packet, see value
	vExt              // what the kernel knows besides the bytes
	vReg              // scratch memory
	vAdd
	vSub
	vMul
	vDiv
	vMod
	vAnd
	vOr
	vXor
	vShl
	vShr
	vNeg
	vHead // length of the IPv4 header, at reg and head, plus reg's content
)

// value is something a test looks at. Values are not changed once made.
//
// A load is of the bytes at k + content of reg (when not 0) + length of the
// IPv4 header that begins at head + content of reg (when hasHead) + idx (when
// not nil).
type value struct {
	op      vop
	size    uint8
	hasHead bool
	reg     reg
	k, head uint32
	turn    int // of a register that is stored to again and again, which time
	idx     *value
	l, r    *value
	name    string // see key
}

// reg numbers a word of scratch memory; 0 is none.
type reg int

// jump is how a test compares.
type jump uint8

const (
	jEQ jump = iota
	jGT
	jGE
	jSET // any bit in common
)

// cond is a condition: a test, others joined, or an action, which is always
// true and stores to scratch memory.
type cond struct {
	op   condOp
	a, b *cond
	// a test: l compared with r, or with k where r is nil
	jump jump
	l, r *value
	k    uint32
	// an action
	to  reg
	set *value
}

type condOp uint8

const (
	cTest condOp = iota
	cAnd
	cOr
	cNot
	cTrue
	cFalse
	cStore
)

func always() *cond { return &cond{op: cTrue} }
func never() *cond  { return &cond{op: cFalse} }

func and(cs ...*cond) *cond { return fold(cAnd, cs) }
func or(cs ...*cond) *cond  { return fold(cOr, cs) }

func fold(op condOp, cs []*cond) *cond {
	c := cs[0]
	for _, b := range cs[1:] {
		c = &cond{op: op, a: c, b: b}
	}
	return c
}

func not(c *cond) *cond { return &cond{op: cNot, a: c} }

func store(to reg, v *value) *cond { return &cond{op: cStore, to: to, set: v} }

func cmp(l *value, j jump, k uint32) *cond {
	if l.op == vConst {
		return truth(decide(j, l.k, k))
	}
	return &cond{op: cTest, jump: j, l: l, k: k}
}

func truth(b bool) *cond {
	if b {
		return always()
	}
	return never()
}

// decide is a comparison of two numbers.
func decide(j jump, a, b uint32) bool {
	switch j {
	case jEQ:
		return a == b
	case jGT:
		return a > b
	case jGE:
		return a >= b
	}
	return a&b != 0
}

func num(k uint32) *value { return &value{op: vConst, k: k} }

// masked is l & mask.
func masked(l *value, mask uint32) *value {
	if mask == 0xffffffff {
		return l
	}
	return calc(vAnd, l, num(mask))
}

// calc is l op r, folded where both are known.
func calc(op vop, l, r *value) *value {
	if l.op == vConst && r.op == vConst {
		if k, ok := compute(op, l.k, r.k); ok {
			return num(k)
		}
	}
	if l.op == vConst && commutes(op) {
		l, r = r, l
	}
	if r.op == vConst {
		if simple := neutral(op, l, r.k); simple != nil {
			return simple
		}
	}
	return &value{op: op, l: l, r: r}
}

// neutral simplifies operations that change nothing.
func neutral(op vop, l *value, k uint32) *value {
	switch {
	case k == 0 && (op == vAdd || op == vSub || op == vOr || op == vXor || op == vShl || op == vShr),
		k == 1 && (op == vMul || op == vDiv), k == 0xffffffff && op == vAnd:
		return l
	case op == vAnd && l.op == vAnd && l.r.op == vConst:
		return calc(vAnd, l.l, num(k&l.r.k))
	}
	return nil
}

func commutes(op vop) bool {
	switch op {
	case vAdd, vMul, vAnd, vOr, vXor:
		return true
	}
	return false
}

// compute is the arithmetic of BPF; false where it has no result.
func compute(op vop, a, b uint32) (uint32, bool) {
	switch op {
	case vAdd:
		return a + b, true
	case vSub:
		return a - b, true
	case vMul:
		return a * b, true
	case vDiv:
		if b != 0 {
			return a / b, true
		}
	case vMod:
		if b != 0 {
			return a % b, true
		}
	case vAnd:
		return a & b, true
	case vOr:
		return a | b, true
	case vXor:
		return a ^ b, true
	case vShl:
		return a << b, true
	case vShr:
		return a >> b, true
	case vNeg:
		return -a, true
	}
	return 0, false
}

// most is the largest number that v can be.
func (v *value) most() uint32 {
	switch v.op {
	case vConst:
		return v.k
	case vLoad:
		return uint32(1<<(8*uint(v.size)) - 1)
	case vAnd:
		return min(v.l.most(), v.r.most())
	case vShr:
		if v.r.op == vConst {
			return v.l.most() >> v.r.k
		}
	case vMod:
		if v.r.op == vConst && v.r.k > 0 {
			return v.r.k - 1
		}
	case vOr, vXor:
		return 1<<bits.Len32(v.l.most()|v.r.most()) - 1
	}
	return 0xffffffff
}

// key names a value: equal keys are equal values, as long as no scratch
// memory that the key names is stored to.
func (v *value) key() string {
	if v.name == "" {
		v.name = string(v.appendKey(nil))
	}
	return v.name
}

func (v *value) appendKey(b []byte) []byte {
	b = append(b, byte('a'+v.op))
	switch v.op {
	case vConst, vExt:
		return strconv.AppendUint(b, uint64(v.k), 10)
	case vLoad, vReg, vHead:
		return v.appendPlace(b)
	case vLen:
		return b
	}
	b = append(append(b, '('), v.l.key()...)
	if v.r != nil {
		b = append(append(b, ' '), v.r.key()...)
	}
	return append(b, ')')
}

func (v *value) appendPlace(b []byte) []byte {
	b = append(b, '0'+v.size)
	b = strconv.AppendUint(append(b, '['), uint64(v.k), 10)
	if v.reg != 0 {
		b = strconv.AppendInt(append(b, v.reg.key()...), int64(v.turn), 10)
	}
	if v.hasHead || v.op == vHead {
		b = strconv.AppendUint(append(b, '^'), uint64(v.head), 10)
	}
	if v.idx != nil {
		b = append(append(b, '+'), v.idx.key()...)
	}
	return append(b, ']')
}

func (r reg) key() string { return "M" + strconv.Itoa(int(r)) + ";" }
