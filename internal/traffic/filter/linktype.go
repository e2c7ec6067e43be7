package filter

// Ethernet types and 802.2 service access points (IEEE registration
// authority); numbers up to etherMTU are access points.
const (
	etherMTU     = 1500
	etherIP      = 0x0800
	etherARP     = 0x0806
	etherRARP    = 0x8035
	etherIP6     = 0x86dd
	etherDecnet  = 0x6003
	etherAtalk   = 0x809b
	etherAARP    = 0x80f3
	etherNS      = 0x0600
	etherIPX     = 0x8137
	etherVLAN    = 0x8100
	etherQinQ    = 0x88a8
	etherOldQinQ = 0x9100
	etherMPLS    = 0x8847
	etherPPPoED  = 0x8863
	etherPPPoES  = 0x8864
	etherBridge  = 0x6558 // transparent Ethernet bridging
	sapIP        = 0x06
	sapSTP       = 0x42
	sapIPX       = 0xe0
	sapNetBEUI   = 0xf0
	sapISO       = 0xfe
	pppMPLS      = 0x0281
	sll8023      = 1 // LINUX_SLL_P_802_3
	sll8022      = 4 // LINUX_SLL_P_802_2
)

// linktype is true when the link header says that its payload is of an
// Ethernet type, or of an access point.
func (l *lower) linktype(proto uint32, at span) *cond {
	l.spend(at)
	if l.labels > 0 {
		return l.overMPLS(proto, at)
	}
	switch {
	case l.link == linkEthernet:
		return l.etherType(proto)
	case l.link == linkCHDLC:
		if proto == sapISO {
			proto = sapISO<<8 | sapISO
		}
		return l.test(atType, 0, 2, proto)
	case l.is80211():
		return and(l.dataFrame(), l.llcType(proto))
	case l.link == linkFDDI, l.link == linkTokenRing, l.link == linkIPFC, l.link == linkATM:
		return l.llcType(proto)
	case l.link == linkSLL:
		return l.sllType(proto)
	case l.link == linkPPP, l.link == linkPPPHDLC, l.link == linkPPPEther, l.link == linkPPPD:
		return l.test(atType, 0, 2, pppType(proto))
	case l.hasType && l.link != linkPFLOG && !l.isLoopback():
		return l.test(atType, 0, 2, proto)
	}
	return l.typeless(proto, at)
}

// typeless is for links that carry IP only.
func (l *lower) typeless(proto uint32, at span) *cond {
	switch {
	case l.isRaw() && proto == etherIP:
		return l.testMasked(atLink, 0, 1, 0x40, 0xf0)
	case l.isRaw() && proto == etherIP6:
		return l.testMasked(atLink, 0, 1, 0x60, 0xf0)
	case l.isLoopback():
		return l.family(proto)
	case l.link == linkPFLOG && proto == etherIP:
		return l.test(atLink, 1, 1, 2)
	case l.link == linkPFLOG && proto == etherIP6:
		return or(l.test(atLink, 1, 1, 24), l.test(atLink, 1, 1, 28), l.test(atLink, 1, 1, 30), l.test(atLink, 1, 1, 10))
	case l.link == linkFrelay:
		return l.frelayType(proto)
	case l.isRaw(), l.link == linkPFLOG:
		return never()
	case l.link == linkIPv4, l.link == linkIPv6:
		return truth(l.link == linkIPv4 && proto == etherIP || l.link == linkIPv6 && proto == etherIP6)
	}
	refuse(at, "link[0] and len work on every link type", "protocols cannot be told apart on link type %d", l.link)
	return nil
}

func (l *lower) isLoopback() bool {
	return l.link == linkNull || l.link == linkLoop || l.link == linkEnc
}

// family tests the address family before the packet. LOOP has it in network
// order. The others have it in the order of the host that captured; both are
// looked for, for a program may be used on files of both kinds. IPv6 is 10 on
// Linux, 24, 28 or 30 on the BSDs.
func (l *lower) family(proto uint32) *cond {
	families := []uint32{2}
	switch proto {
	case etherIP:
	case etherIP6:
		families = []uint32{24, 28, 30, 10}
	default:
		return never()
	}
	var cs []*cond
	for _, f := range families {
		if l.link != linkLoop {
			cs = append(cs, l.test(atLink, 0, 4, f<<24))
		}
		cs = append(cs, l.test(atLink, 0, 4, f))
	}
	return or(cs...)
}

// frelayType looks at the control field and the NLPID behind a Frame Relay
// address of two bytes (RFC 2427).
func (l *lower) frelayType(proto uint32) *cond {
	nlpid := func(n uint32) *cond { return l.test(atLink, 2, 2, 0x0300|n) }
	switch proto {
	case etherIP:
		return nlpid(0xcc)
	case etherIP6:
		return nlpid(0x8e)
	case sapISO:
		return or(nlpid(0x81), nlpid(0x82), nlpid(0x83))
	}
	return never()
}

// etherType tests an Ethernet frame, which has a type, or a length up to
// etherMTU and an 802.2 header behind it.
func (l *lower) etherType(proto uint32) *cond {
	hasLength := not(cmp(l.load(atType, 0, 2), jGT, etherMTU))
	switch proto {
	case sapISO, sapIP, sapNetBEUI:
		return and(hasLength, l.test(atLLC, 0, 2, proto<<8|proto))
	case sapIPX:
		// Type, or 802.3 with nothing between, with 802.2, or with SNAP.
		inside := or(l.snap(0, etherIPX), or(l.test(atLLC, 0, 1, sapIPX), l.test(atLLC, 0, 2, 0xffff)))
		return or(l.test(atType, 0, 2, etherIPX), and(hasLength, inside))
	case etherAtalk:
		return or(l.test(atType, 0, 2, proto), and(hasLength, l.snap(0x080007, etherAtalk)))
	case etherAARP:
		return or(l.test(atType, 0, 2, proto), and(hasLength, l.snap(0, etherAARP)))
	}
	if proto <= etherMTU {
		return and(hasLength, l.test(atType, 2, 1, proto))
	}
	return l.test(atType, 0, 2, proto)
}

// sllType is for Linux' cooked header, which tells 802.2 by a type.
func (l *lower) sllType(proto uint32) *cond {
	is8022 := l.test(atType, 0, 2, sll8022)
	switch proto {
	case sapISO, sapIP, sapNetBEUI:
		return and(is8022, l.test(atLLC, 0, 2, proto<<8|proto))
	case sapIPX:
		inside := and(is8022, or(l.test(atLLC, 0, 1, sapIPX), l.snap(0, etherIPX)))
		return or(l.test(atType, 0, 2, etherIPX), or(l.test(atType, 0, 2, sll8023), inside))
	case etherAtalk:
		return or(l.test(atType, 0, 2, proto), and(is8022, l.snap(0x080007, etherAtalk)))
	case etherAARP:
		return or(l.test(atType, 0, 2, proto), and(is8022, l.snap(0, etherAARP)))
	}
	if proto <= etherMTU {
		return and(is8022, l.test(atLLC, 0, 1, proto))
	}
	return l.test(atType, 0, 2, proto)
}

// llcType is for links whose frames always have an 802.2 header. Of SNAP only
// the type is looked at.
func (l *lower) llcType(proto uint32) *cond {
	switch proto {
	case sapISO, sapIP, sapNetBEUI:
		return l.test(atLLC, 0, 2, proto<<8|proto)
	case etherAtalk:
		return l.snap(0x080007, etherAtalk)
	}
	if proto <= etherMTU {
		return l.test(atLLC, 0, 1, proto)
	}
	return l.test(atLLC, 6, 2, proto)
}

// snap tests an 802.2 header with SNAP behind it (RFC 1042).
func (l *lower) snap(oui, proto uint32) *cond {
	return l.testBytes(atLLC, 0, []byte{
		0xaa, 0xaa, 0x03, byte(oui >> 16), byte(oui >> 8), byte(oui), byte(proto >> 8), byte(proto),
	})
}

// dataFrame is true for a data frame of 802.11.
func (l *lower) dataFrame() *cond {
	return and(not(l.testBits(atLink, 0, 1, 0x04)), l.testBits(atLink, 0, 1, 0x08))
}

// pppType is the PPP protocol number (IANA ppp-numbers) of an Ethernet type
// or access point; what has none stays itself.
func pppType(proto uint32) uint32 {
	switch proto {
	case etherIP:
		return 0x0021
	case etherIP6:
		return 0x0057
	case etherDecnet:
		return 0x0027
	case etherAtalk:
		return 0x0029
	case etherNS:
		return 0x0025
	case sapISO:
		return 0x0023
	case sapSTP:
		return 0x0031
	case sapIPX:
		return 0x002b
	}
	return proto
}

// overMPLS tests the bottom of the label stack and the IP version behind it.
func (l *lower) overMPLS(proto uint32, at span) *cond {
	version := uint32(0x40)
	switch proto {
	case etherIP:
	case etherIP6:
		version = 0x60
	default:
		refuse(at, "behind mpls only ip and ip6 can be told apart", "this protocol cannot be found behind MPLS")
	}
	bottom := cmp(masked(l.load(atNet, ^uint32(1), 1), 1), jEQ, 1)
	return and(bottom, l.testMasked(atNet, 0, 1, version, 0xf0))
}
