package filter

// tagPlace is where the outermost VLAN tag is.
type tagPlace uint8

const (
	tagInFrame tagPlace = iota
	tagInMetadata
)

// lower turns the tree to a condition on the packet's bytes. It walks the
// expression from left to right, for some words move what follows them.
type lower struct {
	layout
	o        Options
	w        *words
	outer    layout
	tag      tagPlace
	metaVLAN bool // a vlan looked at the outermost tag
	regs     reg  // next free register
	walk     walk
	work     int // values made, bounded by maxWork
}

// maxWork bounds what an expression may become, long before memory is an
// issue: a program of MaxInstructions needs less.
const maxWork = 200_000

func newLower(o Options, tag tagPlace, w *words) *lower {
	l := &lower{o: o, w: w, layout: outermost(o.Link), regs: firstFree, tag: tag}
	l.outer = l.layout
	return l
}

// program is the whole condition: what must be computed first, then the
// expression.
func (l *lower) program(n node) *cond {
	c := l.lower(n)
	if l.uses(c) {
		c = and(l.prologue(c), c)
	}
	if l.link == linkPPI {
		c = and(cmp(l.load(atPacket, 4, 4), jEQ, 0x69000000), c)
	}
	return c
}

func (l *lower) lower(n node) *cond {
	switch n := n.(type) {
	case *bothNode:
		a := l.lower(n.l)
		b := l.lower(n.r)
		if n.word == "and" {
			return and(a, b)
		}
		return or(a, b)
	case *notNode:
		return not(l.lower(n.x))
	case *idNode:
		return l.id(n)
	case *protoNode:
		return l.protocol(n.proto, n.at)
	case *compareNode:
		return l.compare(n)
	}
	return l.word(n.(*wordNode))
}

func (l *lower) spend(at span) {
	if l.work++; l.work > maxWork {
		refuse(at, "", "the expression is too large")
	}
}

// newReg takes a register for good.
func (l *lower) newReg(at span) reg {
	r := l.regs
	if l.regs++; r > lastFixed {
		refuse(at, "", "too many headers within headers")
	}
	return r
}

// test compares the bytes at off from b.
func (l *lower) test(b base, off uint32, size uint8, k uint32) *cond {
	return cmp(l.load(b, off, size), jEQ, k)
}

// testMasked compares them under a mask. An empty mask needs no load, but
// behind headers of variable length libpcap's optimiser does not work, and it
// does load.
func (l *lower) testMasked(b base, off uint32, size uint8, k, mask uint32) *cond {
	if mask == 0 && !l.is80211() && !l.geneve {
		return truth(k == 0)
	}
	return cmp(masked(l.load(b, off, size), mask), jEQ, k)
}

// testBits is true when one of the bits is set.
func (l *lower) testBits(b base, off uint32, size uint8, bits uint32) *cond {
	return cmp(l.load(b, off, size), jSET, bits)
}

// testBytes compares a string of bytes: words from the end, then the rest.
func (l *lower) testBytes(b base, off uint32, s []byte) *cond {
	var cs []*cond
	for len(s) > 0 {
		n := 1
		if len(s) >= 4 {
			n = 4
		} else if len(s) >= 2 {
			n = 2
		}
		at := len(s) - n
		cs = append(cs, l.test(b, off+uint32(at), uint8(n), bigEndian(s[at:])))
		s = s[:at]
	}
	if cs == nil {
		return always()
	}
	return and(cs...)
}

func bigEndian(s []byte) uint32 {
	var k uint32
	for _, c := range s {
		k = k<<8 | uint32(c)
	}
	return k
}

// uses reports that c looks at what the prologue computes.
func (l *lower) uses(c *cond) bool {
	if c == nil {
		return false
	}
	return c.l.uses() || c.r.uses() || c.set.uses() || l.uses(c.a) || l.uses(c.b)
}

func (v *value) uses() bool {
	return v != nil && (v.reg == regLink || v.reg == regPayload || v.idx.uses() || v.l.uses() || v.r.uses())
}

// reaches reports that c looks at the link's payload.
func reaches(c *cond) bool {
	return c != nil && (c.l.reaches() || c.r.reaches() || c.set.reaches() || reaches(c.a) || reaches(c.b))
}

func (v *value) reaches() bool {
	return v != nil && (v.reg == regPayload || v.idx.reaches() || v.l.reaches() || v.r.reaches())
}
