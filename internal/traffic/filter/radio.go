package filter

// prologue computes, once and first, where headers of variable length end.
// It is true always; a packet too short for it does not match.
func (l *lower) prologue(c *cond) *cond {
	first := l.radioLength()
	if l.outer.link == linkPFLOG {
		length := masked(calc(vAdd, packetByte(0), num(3)), 0xfffffffc)
		return store(regPayload, length)
	}
	if !reaches(c) {
		return first
	}
	return and(first, l.wlanLength())
}

func packetByte(k uint32) *value { return &value{op: vLoad, size: 1, k: k} }
func packetWord(k uint32) *value { return &value{op: vLoad, size: 4, k: k} }

// radioLength stores the length of what precedes the 802.11 header.
func (l *lower) radioLength() *cond {
	switch l.outer.link {
	case linkRadiotap, linkPPI:
		length := calc(vOr, calc(vShl, packetByte(3), num(8)), packetByte(2))
		return store(regLink, length)
	case linkAVS:
		return store(regLink, packetWord(4))
	case linkPrism:
		// Drivers may give an AVS header on links that should have Prism's,
		// which is 144 bytes long.
		isAVS := cmp(masked(packetWord(0), 0xfffff000), jEQ, 0x80211000)
		return or(and(isAVS, store(regLink, packetWord(4))), store(regLink, num(144)))
	}
	return always()
}

// wlanLength stores where the 802.11 header ends: 24 bytes, 26 in data frames
// with QoS; radiotap may tell that it is padded to a multiple of 4.
func (l *lower) wlanLength() *cond {
	hdr := l.outer.hdr
	start := num(0)
	if hdr.reg != 0 {
		start = &value{op: vReg, reg: hdr.reg}
	}
	length := &value{op: vReg, reg: regPayload}
	control := func(bits uint32) *cond { return cmp(l.outer.load(atLink, 0, 1), jSET, bits) }
	data := and(control(0x08), not(control(0x04)))
	qos := or(and(control(0x80), store(regPayload, calc(vAdd, length, num(2)))), always())
	more := qos
	if l.outer.link == linkRadiotap {
		more = and(qos, or(and(padded(), store(regPayload, masked(calc(vAdd, length, num(3)), 0xfffffffc))), always()))
	}
	return and(store(regPayload, calc(vAdd, start, num(24))), or(and(data, more), always()))
}

// padded: radiotap's flags (bit 1 of its presence word, behind TSFT if bit 0
// is set) have DATAPAD, 0x20. With a second presence word it is not looked
// for. All is little-endian there.
func padded() *cond {
	present := func(bits uint32) *cond { return cmp(packetWord(4), jSET, bits) }
	flags := func(at uint32) *cond { return cmp(packetByte(at), jSET, 0x20) }
	return and(present(0x02000000), not(present(0x00000080)),
		or(and(present(0x01000000), flags(16)), and(not(present(0x01000000)), flags(8))))
}
