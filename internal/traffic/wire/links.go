package wire

// link decodes the link types that are not Ethernet.
func (d *Decoder) link(link LinkType, p *Packet, f []byte, off, wire int) {
	switch link {
	case LinkRaw, LinkRawBSD, LinkRawOpenBSD:
		d.byVersion(p, f, off, wire)
	case LinkIPv4:
		d.ip4(p, f, off, wire)
	case LinkIPv6:
		d.ip6(p, f, off, wire)
	case LinkNull, LinkLoop:
		d.family(p, f, off, 4, wire)
	case LinkENC:
		d.family(p, f, off, 12, wire) // family, SPI, flags
	case LinkLinuxSLL:
		d.sll(p, f, off, wire)
	case LinkLinuxSLL2:
		d.sll2(p, f, off, wire)
	case LinkPPP, LinkPPPHDLC:
		d.hdlc(p, f, off, wire)
	case LinkPPPPPPD, LinkPPPWithDir:
		d.directed(p, f, off, wire, LinkPPP)
	case LinkCHDLC:
		d.cisco(p, f, off, wire)
	case LinkCHDLCWithDir:
		d.directed(p, f, off, wire, LinkCHDLC)
	case LinkPPPEther:
		d.pppoe(p, f, off, wire)
	case Link80211, Link80211Radiotap, Link80211Prism, Link80211AVS:
		d.wireless(link, p, f, off, wire)
	default:
		d.rareLink(link, p, f, off, wire)
	}
}

func (d *Decoder) rareLink(link LinkType, p *Packet, f []byte, off, wire int) {
	switch link {
	case LinkPPI:
		d.ppi(p, f, off, wire)
	case LinkPKTAP:
		d.pktap(p, f, off, wire)
	case LinkMPLS:
		d.mpls(p, f, off, wire)
	case LinkNFLog:
		d.nflog(p, f, off, wire)
	case LinkPFLog:
		d.pflog(p, f, off, wire)
	case LinkIPNet:
		d.ipnet(p, f, off, wire)
	case LinkIPoIB:
		d.typedHeader(p, f, off, wire, 44, 40) // global routing header, EtherType, 2 bytes
	case LinkNetAnalyzer:
		d.skip(p, f, off+4, wire, LinkEthernet)
	case LinkNetAnalyzerT:
		d.skip(p, f, off+4+8, wire, LinkEthernet)
	case LinkATMRFC1483:
		d.rfc2684(p, f, off, wire)
	case LinkFrameRelay:
		d.frameRelay(p, f, off, wire)
	case LinkFRelayWithDir:
		d.directed(p, f, off, wire, LinkFrameRelay)
	default:
		p.fail(UnknownLink)
	}
}

// skip decodes a link type's frame behind a pseudo-header that ends at off.
func (d *Decoder) skip(p *Packet, f []byte, off, wire int, link LinkType) {
	if off > len(f) {
		p.fail(missing(f, wire))
		return
	}
	if link == LinkEthernet {
		d.ethernet(p, f, off, wire)
		return
	}
	d.link(link, p, f, off, wire)
}

// directed steps over one byte that tells sent from received. PPP_PPPD has it
// in the place of the address byte, before the control byte.
func (d *Decoder) directed(p *Packet, f []byte, off, wire int, link LinkType) {
	off++
	if link == LinkPPP && has(f, off, 1) && f[off] == 0x03 {
		off++
	}
	d.skip(p, f, off, wire, link)
}

// family decodes a pseudo-header of the given size that begins with an address
// family, in the byte order of the host that captured.
func (d *Decoder) family(p *Packet, f []byte, off, size, wire int) {
	if !has(f, off, size) {
		p.fail(missing(f, wire))
		return
	}
	family := le32(f[off:])
	if family > 0xffff {
		family = be32(f[off:])
	}
	d.byFamily(p, f, off+size, wire, family)
}

// byFamily decodes what an address family number says: 2 is IPv4 everywhere;
// IPv6 is 10 on Linux, 23 on Windows, 24 on NetBSD and OpenBSD, 26 on Solaris,
// 28 on FreeBSD, 30 on Darwin.
func (d *Decoder) byFamily(p *Packet, f []byte, off, wire int, family uint32) {
	switch family {
	case 2:
		d.ip4(p, f, off, wire)
	case 10, 23, 24, 26, 28, 30:
		d.ip6(p, f, off, wire)
	default:
		p.Kind = KindOther
	}
}

// typedHeader decodes a pseudo-header of the given size with an EtherType in
// it.
func (d *Decoder) typedHeader(p *Packet, f []byte, off, wire, size, at int) {
	if !has(f, off, size) {
		p.fail(missing(f, wire))
		return
	}
	d.etherType(p, f, off+size, wire, be16(f[off+at:]))
}

// Linux' ARPHRD_ types whose cooked frames do not have an EtherType
// (if_arp.h).
const (
	arphrdIEEE80211         = 801
	arphrdIEEE80211Prism    = 802
	arphrdIEEE80211Radiotap = 803
	arphrdNetlink           = 824
)

// sll decodes LINKTYPE_LINUX_SLL: packet type, ARPHRD_ type, address length,
// address, protocol.
func (d *Decoder) sll(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 16) {
		p.fail(missing(f, wire))
		return
	}
	d.cooked(p, f, off+16, wire, be16(f[off+2:]), be16(f[off+14:]))
}

// sll2 decodes LINKTYPE_LINUX_SLL2: protocol, zero, interface, ARPHRD_ type,
// packet type, address length, address.
func (d *Decoder) sll2(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 20) {
		p.fail(missing(f, wire))
		return
	}
	d.cooked(p, f, off+20, wire, be16(f[off+8:]), be16(f[off:]))
}

// cooked decodes what is behind a Linux cooked header. Protocols below
// minEtherType are ETH_P_ numbers of if_ether.h: 4 is an LLC header.
func (d *Decoder) cooked(p *Packet, f []byte, off, wire int, arphrd, proto uint16) {
	const ethP8022 = 4
	switch {
	case arphrd == arphrdIEEE80211:
		d.wifi(p, f, off, wire, false)
	case arphrd == arphrdIEEE80211Prism:
		d.wireless(Link80211Prism, p, f, off, wire)
	case arphrd == arphrdIEEE80211Radiotap:
		d.wireless(Link80211Radiotap, p, f, off, wire)
	case arphrd == arphrdNetlink, proto < minEtherType && proto != ethP8022:
		p.Kind = KindOther
	default:
		d.etherType(p, f, off, wire, proto)
	}
}

// pflog decodes OpenBSD's packet filter log: the header's length, which its
// padding to four bytes exceeds, and an address family of OpenBSD, FreeBSD or
// Darwin.
func (d *Decoder) pflog(p *Packet, f []byte, off, wire int) {
	const least = 28
	if !has(f, off, 2) {
		p.fail(missing(f, wire))
		return
	}
	size, family := (int(f[off])+3)&^3, uint32(f[off+1])
	if size < least {
		p.fail(BadLink)
		return
	}
	if !has(f, off, size) {
		p.fail(missing(f, wire))
		return
	}
	d.byFamily(p, f, off+size, wire, family)
}

// ipnet decodes Solaris' IP observability header, version 1.
func (d *Decoder) ipnet(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 24) {
		p.fail(missing(f, wire))
		return
	}
	d.byFamily(p, f, off+24, wire, uint32(f[off+1]))
}

// nflog decodes netfilter's log: family, version, resource, then attributes of
// the capturing host's byte order, of which the ninth type is the packet.
func (d *Decoder) nflog(p *Packet, f []byte, off, wire int) {
	const payload = 9
	if !has(f, off, 4) {
		p.fail(missing(f, wire))
		return
	}
	family := uint32(f[off])
	off += 4
	for has(f, off, 4) {
		size, kind := int(le16(f[off:])), le16(f[off+2:])
		if kind > 0xff { // types are small: the other byte order
			size, kind = int(be16(f[off:])), be16(f[off+2:])
		}
		if kind == payload {
			d.byFamily(p, f, off+4, wire, family)
			return
		}
		if size < 4 {
			p.fail(BadLink)
			return
		}
		off += (size + 3) &^ 3
	}
	if len(f) < wire {
		p.fail(Cut)
		return
	}
	p.Kind = KindOther
}

// ppi decodes a per-packet information header: version, flags, length, link
// type, little endian, which must not be PPI again.
func (d *Decoder) ppi(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 8) {
		p.fail(missing(f, wire))
		return
	}
	size, link := int(le16(f[off+2:])), LinkType(le32(f[off+4:]))
	if f[off] != 0 || size < 8 {
		p.fail(BadLink)
		return
	}
	d.nested(p, f, off+size, wire, link)
}

// pktap decodes Darwin's header, little endian: length, kind of record (1: a
// packet), link type.
func (d *Decoder) pktap(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 12) {
		p.fail(missing(f, wire))
		return
	}
	size, link := le32(f[off:]), LinkType(le32(f[off+8:]))
	if size < 12 || size > maxOffset {
		p.fail(BadLink)
		return
	}
	if le32(f[off+4:]) != 1 {
		p.Kind = KindOther
		return
	}
	d.nested(p, f, off+int(size), wire, link)
}

// nested decodes a frame whose link type a header tells.
func (d *Decoder) nested(p *Packet, f []byte, off, wire int, link LinkType) {
	if link == LinkPPI || link == LinkPKTAP {
		p.fail(BadLink)
		return
	}
	d.skip(p, f, off, wire, link)
}

// frameRelay decodes a two-byte Q.922 address, unnumbered information, and a
// network layer protocol identifier (RFC 2427).
func (d *Decoder) frameRelay(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 4) {
		p.fail(missing(f, wire))
		return
	}
	p.Kind = KindOther
	if f[off]&1 != 0 || f[off+1]&1 == 0 {
		return // another address length, or Cisco's: not told here
	}
	if f[off+2] != 0x03 {
		if t := be16(f[off+2:]); t >= minEtherType { // Cisco encapsulation
			d.etherType(p, f, off+4, wire, t)
		}
		return
	}
	off += 3
	if f[off] == 0 { // padding
		off++
	}
	d.nlpid(p, f, off, wire)
}

func (d *Decoder) nlpid(p *Packet, f []byte, off, wire int) {
	const snap, ipv4, ipv6 = 0x80, 0xcc, 0x8e
	if !has(f, off, 1) {
		p.fail(missing(f, wire))
		return
	}
	switch f[off] {
	case snap:
		d.snap(p, f, off+1, wire)
	case ipv4:
		d.ip4(p, f, off+1, wire)
	case ipv6:
		d.ip6(p, f, off+1, wire)
	}
}

// rfc2684 decodes LLC over ATM: routed packets as anywhere, and bridged frames
// behind two bytes of padding.
func (d *Decoder) rfc2684(p *Packet, f []byte, off, wire int) {
	const bridged, frame = "\xaa\xaa\x03\x00\x80\xc2\x00", 10
	if has(f, off, frame) && string(f[off:off+len(bridged)]) == bridged &&
		(f[off+7] == 1 || f[off+7] == 7) {
		d.ethernet(p, f, off+frame, wire)
		return
	}
	d.llc(p, f, off, wire)
}
