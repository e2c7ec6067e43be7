package filter

import "strconv"

// word is a primitive of its own.
func (l *lower) word(n *wordNode) *cond {
	l.spend(n.at)
	switch n.word {
	case "broadcast":
		return l.broadcast(n)
	case "multicast":
		return l.multicast(n)
	case "less":
		return not(cmp(&value{op: vLen}, jGT, n.args[0].num))
	case "greater":
		return cmp(&value{op: vLen}, jGE, n.args[0].num)
	case "byte":
		return l.byteTest(n)
	case "inbound":
		return not(l.outbound(n))
	case "outbound":
		return l.outbound(n)
	case "ifindex":
		return l.ifindex(n)
	case "llc":
		return l.llc(n)
	case "type", "subtype", "dir":
		return l.wlan(n)
	case "ifname", "ruleset", "rnr", "srnr", "reason", "action":
		return l.pf(n)
	}
	return l.inside(n)
}

// byteTest is "byte 0 = 1".
func (l *lower) byteTest(n *wordNode) *cond {
	v := l.load(atLink, 0, 1).shifted(num(n.args[0].num))
	k := n.args[2].num
	switch n.args[1].text {
	case "<":
		return not(cmp(v, jGE, k))
	case ">":
		return cmp(v, jGT, k)
	}
	return cmp(v, jEQ, k)
}

// outbound is what this host sent.
func (l *lower) outbound(n *wordNode) *cond {
	switch l.link {
	case linkSLL:
		return l.test(atLink, 0, 2, packetOutgoing)
	case linkSLL2:
		return l.test(atLink, 10, 1, packetOutgoing)
	case linkSLIP:
		return not(l.test(atLink, 0, 1, 0))
	case linkPPPD:
		return l.direction(n, 0, 0, 1)
	case linkPFLOG:
		return l.direction(n, 60, 1, 2)
	}
	if !l.o.PacketInfo {
		refuse(n.at, "it is known of live captures and of cooked ones", "what was sent and what received is not told here")
	}
	return cmp(&value{op: vExt, k: extPacketType, size: 1}, jEQ, packetOutgoing)
}

// direction is for headers that have one value for each way: what is neither
// is not inbound either.
func (l *lower) direction(n *wordNode, off, in, out uint32) *cond {
	if n.word == "outbound" {
		return l.test(atLink, off, 1, out)
	}
	return not(l.test(atLink, off, 1, in))
}

func (l *lower) ifindex(n *wordNode) *cond {
	if l.link == linkSLL2 {
		return l.test(atLink, 4, 4, n.args[0].num)
	}
	if !l.o.PacketInfo {
		refuse(n.at, "it is known of live captures and of cooked ones (SLL2)", "interface numbers are not told here")
	}
	return cmp(&value{op: vExt, k: extInterface, size: 4}, jEQ, n.args[0].num)
}

// llc is true for frames with an 802.2 header, and for its formats.
func (l *lower) llc(n *wordNode) *cond {
	var frame *cond
	switch {
	case l.link == linkEthernet:
		// 0xffff would be NetWare's raw 802.3.
		frame = and(not(cmp(l.load(atType, 0, 2), jGT, etherMTU)), not(l.test(atLLC, 0, 2, 0xffff)))
	case l.is80211():
		frame = l.dataFrame()
	case l.link == linkTokenRing, l.link == linkFDDI, l.link == linkATM:
		frame = always()
	default:
		refuse(n.at, "", "this link type has no 802.2 header")
	}
	if len(n.args) == 0 {
		return frame
	}
	name := n.args[0].text
	switch name {
	case "i", "I":
		return and(frame, not(l.testBits(atLLC, 2, 1, 1)))
	case "s", "S":
		return and(frame, l.testMasked(atLLC, 2, 1, 1, 3))
	case "u", "U":
		return and(frame, l.testMasked(atLLC, 2, 1, 3, 3))
	}
	if v, ok := l.w.find("llcs", name); ok {
		return and(frame, l.testMasked(atLLC, 2, 1, v, 0x0f))
	}
	v, ok := l.w.find("llcu", name)
	if !ok {
		refuse(n.args[0].span, "i, s, u, rr, rnr, rej, ui, ua, disc, dm, sabme, test, xid or frmr",
			"no LLC frame is called %s", strconv.Quote(short(name)))
	}
	return and(frame, l.testMasked(atLLC, 2, 1, v, 0xef))
}

// wlan is 802.11's frame type, subtype and direction.
func (l *lower) wlan(n *wordNode) *cond {
	if !l.is80211() || l.link == linkPPI {
		refuse(n.at, "", "this link type is not 802.11")
	}
	if n.word == "dir" {
		return l.testMasked(atLink, 1, 1, l.numberOr(n.args[0], "wlandir", 0xffffffff), 3)
	}
	if n.word == "subtype" {
		return l.testMasked(atLink, 0, 1, l.numberOr(n.args[0], "wlansubtype", 0), wlanTypeMask|wlanSubtypeMask)
	}
	typ := l.numberOr(n.args[0], "wlantype", wlanTypeMask)
	if len(n.args) == 1 {
		return l.testMasked(atLink, 0, 1, typ, wlanTypeMask)
	}
	sub := n.args[1]
	if sub.kind == kNum {
		return l.testMasked(atLink, 0, 1, typ|l.numberOr(sub, "", wlanSubtypeMask), wlanTypeMask|wlanSubtypeMask)
	}
	both := l.numberOr(sub, "wlansubtype", 0)
	if both&wlanTypeMask != typ {
		refuse(sub.span, "", "%s is no subtype of this type", strconv.Quote(short(sub.text)))
	}
	return l.testMasked(atLink, 0, 1, both, wlanTypeMask|wlanSubtypeMask)
}

// numberOr is a number within mask, or a name of the table.
func (l *lower) numberOr(t token, table string, mask uint32) uint32 {
	if t.kind == kNum {
		if t.num&^mask != 0 {
			refuse(t.span, "", "%s has bits outside 0x%02x", t.raw, mask)
		}
		return t.num
	}
	v, ok := l.w.find(table, t.text)
	if !ok {
		refuse(t.span, "", "%s is not known here", strconv.Quote(short(t.text)))
	}
	return v
}

// pf is what the header of pf's log tells (struct pfloghdr).
func (l *lower) pf(n *wordNode) *cond {
	if l.link != linkPFLOG {
		refuse(n.at, "", "%s is known of pf's log only", n.word)
	}
	arg := n.args[0]
	switch n.word {
	case "rnr":
		return l.test(atLink, 36, 4, arg.num)
	case "srnr":
		return l.test(atLink, 40, 4, arg.num)
	case "reason":
		return l.test(atLink, 3, 1, l.numberOr(arg, "pfreason", 0xffffffff))
	case "action":
		return l.test(atLink, 2, 1, l.numberOr(arg, "pfaction", 0xffffffff))
	}
	off := uint32(4)
	if n.word == "ruleset" {
		off = 20
	}
	if len(arg.text) > 15 {
		refuse(arg.span, "", "names in pf's log have at most 15 characters")
	}
	return l.testBytes(atLink, off, []byte(arg.text))
}
