package filter

// compare is "expr relop expr". What the packet data belongs to is tested
// first, in the order of the expression.
func (l *lower) compare(n *compareNode) *cond {
	var needs []*cond
	a := l.arith(n.l, &needs)
	b := l.arith(n.r, &needs)
	c := relation(n.op, a, b)
	if len(needs) == 0 {
		return c
	}
	return and(and(needs...), c)
}

// relation compares two values, without signs.
func relation(op string, a, b *value) *cond {
	if a.op == vConst && b.op != vConst {
		a, b, op = b, a, mirrored(op)
	}
	var c *cond
	switch op {
	case "=", "!=":
		c = equal(a, b)
	case ">", "<=":
		c = against(a, jGT, b)
	default:
		c = against(a, jGE, b)
	}
	if op == "!=" || op == "<=" || op == "<" {
		return not(c)
	}
	return c
}

func mirrored(op string) string {
	switch op {
	case ">":
		return "<"
	case "<":
		return ">"
	case ">=":
		return "<="
	case "<=":
		return ">="
	}
	return op
}

func against(a *value, j jump, b *value) *cond {
	if b.op == vConst {
		return cmp(a, j, b.k)
	}
	return &cond{op: cTest, jump: j, l: a, r: b}
}

// equal knows that "x & bits = 0" is one jump.
func equal(a, b *value) *cond {
	if b.op == vConst && b.k == 0 && a.op == vAnd && a.r.op == vConst {
		return not(cmp(a.l, jSET, a.r.k))
	}
	return against(a, jEQ, b)
}

// arith makes a value, and adds to needs what must hold for it to mean
// anything.
func (l *lower) arith(a arith, needs *[]*cond) *value {
	l.spend(a.where())
	switch a := a.(type) {
	case *numArith:
		return num(a.n)
	case *lenArith:
		return &value{op: vLen}
	case *negArith:
		x := l.arith(a.x, needs)
		if x.op == vConst {
			return num(-x.k)
		}
		return &value{op: vNeg, l: x}
	case *loadArith:
		return l.access(a, needs)
	}
	return l.operation(a.(*opArith), needs)
}

const (
	divisionByZero = "division by zero"
	shiftTooFar    = "a number has 32 bits to shift"
)

func (l *lower) operation(a *opArith, needs *[]*cond) *value {
	x := l.arith(a.l, needs)
	// libpcap tests what the left side belongs to only: "1 + ip[0] = 70" is
	// looked for in every packet. Its results are kept.
	var dropped []*cond
	y := l.arith(a.r, &dropped)
	op := map[string]vop{"+": vAdd, "-": vSub, "*": vMul, "/": vDiv, "%": vMod, "&": vAnd, "|": vOr,
		"^": vXor, "<<": vShl, ">>": vShr}[a.op]
	switch {
	case y.op == vConst && y.k == 0 && (op == vDiv || op == vMod):
		refuse(a.where(), "", divisionByZero)
	case op != vShl && op != vShr:
	case y.op == vConst && y.k > 31:
		refuse(a.where(), "", shiftTooFar)
	case y.op != vConst && y.most() > 31:
		return l.wideShift(op, x, y, a.where())
	}
	return calc(op, x, y)
}

// wideShift is a shift by what may be more than 31 bits, which gives 0. The
// kernel's result would be another: it takes the shift modulo 32. (y>>5)-1 has
// its top bit set only when y is below 32.
func (l *lower) wideShift(op vop, x, y *value, at span) *value {
	for range y.weight() {
		l.spend(at)
	}
	small := calc(vShr, calc(vSub, calc(vShr, y, num(5)), num(1)), num(31))
	return calc(vMul, calc(op, x, masked(y, 31)), small)
}

// weight is how many parts a value has, at most maxWork.
func (v *value) weight() int {
	if v == nil {
		return 0
	}
	return min(maxWork, 1+v.l.weight()+v.r.weight()+v.idx.weight())
}

// access is "proto[index:size]".
func (l *lower) access(a *loadArith, needs *[]*cond) *value {
	var within []*cond
	idx := l.arith(a.index, &within)
	need := func(cs ...*cond) { *needs = append(*needs, cs...) }
	size := uint8(a.size)
	switch a.proto {
	case "radio":
		need(within...)
		if l.link != linkAVS && l.link != linkRadiotap && l.link != linkPrism {
			refuse(a.at, "", "this link type has no radio header")
		}
		return l.load(atPacket, 0, size).shifted(idx)
	case "link":
		need(within...)
		return l.load(atLink, 0, size).shifted(idx)
	case "ip", "arp", "rarp", "atalk", "decnet", "sca", "lat", "moprc", "mopdl", "ip6":
		need(append(within, l.protocol(a.proto, a.at))...)
		return l.load(atNet, 0, size).shifted(idx)
	case "sctp", "tcp", "udp", "icmp", "igmp", "igrp", "pim", "vrrp", "carp":
		need(l.protocol("ip", a.at))
		need(append(within, l.protocol(a.proto, a.at), not(l.testBits(atNet, 6, 2, 0x1fff)))...)
		return l.load(atTran4, 0, size).shifted(idx)
	case "icmp6":
		need(append(within, l.protocol("ip6", a.at), l.test(atNet, 6, 1, protoICMP6))...)
		return l.load(atTran6, 0, size).shifted(idx)
	}
	refuse(a.at, "", "%s has no bytes to look at here", a.proto)
	return nil
}
