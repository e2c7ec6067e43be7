package filter

// inside is vlan, mpls, pppoed, pppoes and geneve: whether the packet has
// such a header, and then all that follows in the expression looks behind it,
// whatever joins it.
func (l *lower) inside(n *wordNode) *cond {
	var id *uint32
	if len(n.args) > 0 {
		id = &n.args[0].num
	}
	limit := map[string]uint32{"vlan": 0xfff, "mpls": 0xfffff, "pppoes": 0xffff, "geneve": 0xffffff}[n.word]
	if id != nil && *id > limit {
		refuse(n.args[0].span, "", "%s has numbers up to %d", n.word, limit)
	}
	switch n.word {
	case "vlan":
		return l.vlan(n, id)
	case "mpls":
		return l.mpls(n, id)
	case "pppoed":
		return l.linktype(etherPPPoED, n.at)
	case "pppoes":
		return l.pppoe(n, id)
	case "geneve":
		return l.intoGeneve(n, id)
	}
	refuse(n.at, "", "%s cannot stand here", n.word)
	return nil
}

func (l *lower) vlan(n *wordNode, id *uint32) *cond {
	switch {
	case l.labels > 0:
		refuse(n.at, "", "a VLAN tag cannot be found behind MPLS")
	case l.link != linkEthernet && (!l.is80211() || l.link == linkPPI):
		refuse(n.at, "", "this link type has no VLAN tags")
	}
	outermost := l.vlans == 0 && !l.inner && l.link == linkEthernet
	l.vlans++
	if outermost && l.o.VLANMeta {
		l.metaVLAN = true
		if l.tag == tagInMetadata {
			return metaTag(id)
		}
	}
	c := or(l.linktype(etherVLAN, n.at), l.linktype(etherQinQ, n.at), l.linktype(etherOldQinQ, n.at))
	if id != nil {
		c = and(c, l.testMasked(atNet, 0, 2, *id, 0x0fff))
	}
	l.pl.k += 4
	l.typ.k += 4
	return c
}

// metaTag tests a tag that was taken out of the frame; that there is one has
// been asked already.
func metaTag(id *uint32) *cond {
	if id == nil {
		return always()
	}
	return cmp(masked(&value{op: vExt, k: extVLANTag, size: 2}, 0x0fff), jEQ, *id)
}

func (l *lower) mpls(n *wordNode, id *uint32) *cond {
	var c *cond
	switch {
	case l.labels > 0:
		// The label before is not the last.
		c = cmp(masked(l.load(atNet, ^uint32(1), 1), 1), jEQ, 0)
	case l.link == linkEthernet, l.link == linkCHDLC:
		c = l.linktype(etherMPLS, n.at)
	case l.link == linkPPP:
		c = l.linktype(pppMPLS, n.at)
	default:
		refuse(n.at, "", "this link type carries no MPLS")
	}
	if id != nil {
		c = and(c, l.testMasked(atNet, 0, 4, *id<<12, 0xfffff000))
	}
	l.nl += 4
	l.nlPlain += 4
	l.labels++
	return c
}

// pppoe is a session's packet (RFC 2516): six bytes, then PPP without address
// and control.
func (l *lower) pppoe(n *wordNode, id *uint32) *cond {
	c := l.linktype(etherPPPoES, n.at)
	if id != nil {
		c = and(c, l.testMasked(atNet, 0, 4, *id, 0xffff))
	}
	start := place{l.pl.reg, l.pl.k + l.nl + 6}
	l.link, l.hdr, l.typ, l.hasType = linkPPP, start, start, true
	l.pl = place{start.reg, start.k + 2}
	l.nl, l.nlPlain = 0, 0
	l.inner, l.geneve = true, false
	return c
}

const genevePort = 6081 // RFC 8926

// intoGeneve tests for UDP to Geneve's port and version 0, and computes where
// the type of what is carried, its link header and its payload are.
func (l *lower) intoGeneve(n *wordNode, vni *uint32) *cond {
	typ, hdr, pl := l.newReg(n.at), l.newReg(n.at), l.newReg(n.at)
	udp := &idNode{q: qual{dir: "dst", known: true}, at: n.at}
	r := portRange{low: genevePort, high: genevePort, proto: "udp", exact: true}
	c := or(
		and(l.ports(udp, r, etherIP), l.geneveHeader(atTran4, vni), store(hdr, l.behindUDP(atTran4))),
		and(l.ports(udp, r, etherIP6), l.geneveHeader(atTran6, vni), store(hdr, l.behindUDP(atTran6))))

	// hdr is where the Geneve header begins, then where what it carries does.
	start := &value{op: vReg, reg: hdr, turn: 1}
	at := func(off uint32, size uint8) *value { return &value{op: vLoad, size: size, reg: hdr, k: off, turn: 1} }
	length := calc(vAdd, calc(vMul, masked(at(0, 1), 0x3f), num(4)), num(8))
	end := &value{op: vReg, reg: hdr}
	ethernet := and(cmp(at(2, 2), jEQ, etherBridge), store(hdr, calc(vAdd, start, length)),
		store(typ, calc(vAdd, end, num(12))), store(pl, calc(vAdd, end, num(14))))
	other := and(store(typ, calc(vAdd, start, num(2))), store(hdr, calc(vAdd, start, length)), store(pl, end))

	l.link, l.inner, l.geneve, l.hasType = linkEthernet, true, true, true
	l.hdr, l.typ, l.pl = place{reg: hdr}, place{reg: typ}, place{reg: pl}
	l.nl = 0
	l.geneveHdr, l.genevePl = hdr, pl
	return and(c, or(ethernet, other))
}

// geneveHeader: version 0, and the network identifier.
func (l *lower) geneveHeader(at base, vni *uint32) *cond {
	c := l.testMasked(at, 8, 1, 0, 0xc0)
	if vni != nil {
		c = and(c, l.testMasked(at, 12, 4, *vni<<8, 0xffffff00))
	}
	return c
}

// behindUDP is where a UDP packet's data begins.
func (l *lower) behindUDP(at base) *value {
	k := l.pl.k + l.nl + 8
	if at == atTran4 {
		return calc(vAdd, &value{op: vHead, reg: l.pl.reg, head: l.pl.k + l.nl}, num(k))
	}
	if l.pl.reg == 0 {
		return num(k + 40)
	}
	return calc(vAdd, &value{op: vReg, reg: l.pl.reg}, num(k+40))
}
