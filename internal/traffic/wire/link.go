package wire

import "strconv"

// The link types that Decode knows, numbered and named as in
// pcap-linktype(7). The numbers 12 and 14 are DLT_RAW as BSD and OpenBSD
// have it, which older files carry.
const (
	LinkNull          LinkType = 0
	LinkEthernet      LinkType = 1
	LinkPPP           LinkType = 9
	LinkRawBSD        LinkType = 12
	LinkRawOpenBSD    LinkType = 14
	LinkPPPHDLC       LinkType = 50
	LinkPPPEther      LinkType = 51
	LinkATMRFC1483    LinkType = 100
	LinkRaw           LinkType = 101
	LinkCHDLC         LinkType = 104
	Link80211         LinkType = 105
	LinkFrameRelay    LinkType = 107
	LinkLoop          LinkType = 108
	LinkENC           LinkType = 109
	LinkLinuxSLL      LinkType = 113
	LinkPFLog         LinkType = 117
	Link80211Prism    LinkType = 119
	Link80211Radiotap LinkType = 127
	Link80211AVS      LinkType = 163
	LinkPPPPPPD       LinkType = 166
	LinkPPI           LinkType = 192
	LinkPPPWithDir    LinkType = 204
	LinkCHDLCWithDir  LinkType = 205
	LinkFRelayWithDir LinkType = 206
	LinkMPLS          LinkType = 219
	LinkIPNet         LinkType = 226
	LinkIPv4          LinkType = 228
	LinkIPv6          LinkType = 229
	LinkNFLog         LinkType = 239
	LinkNetAnalyzer   LinkType = 240
	LinkNetAnalyzerT  LinkType = 241 // with preamble and start delimiter
	LinkIPoIB         LinkType = 242
	LinkPKTAP         LinkType = 258
	LinkLinuxSLL2     LinkType = 276
)

// String gives the name of pcap-linktype(7) without LINKTYPE_, or the number.
func (l LinkType) String() string {
	switch l {
	case LinkNull:
		return "NULL"
	case LinkEthernet:
		return "ETHERNET"
	case LinkPPP:
		return "PPP"
	case LinkRaw, LinkRawBSD, LinkRawOpenBSD:
		return "RAW"
	case LinkPPPHDLC:
		return "PPP_HDLC"
	case LinkPPPEther:
		return "PPP_ETHER"
	case LinkATMRFC1483:
		return "ATM_RFC1483"
	case LinkCHDLC:
		return "C_HDLC"
	case Link80211:
		return "IEEE802_11"
	case LinkFrameRelay:
		return "FRELAY"
	case LinkLoop:
		return "LOOP"
	case LinkENC:
		return "ENC"
	case LinkLinuxSLL:
		return "LINUX_SLL"
	case LinkLinuxSLL2:
		return "LINUX_SLL2"
	}
	return l.rareName()
}

func (l LinkType) rareName() string {
	switch l {
	case LinkPFLog:
		return "PFLOG"
	case Link80211Prism:
		return "IEEE802_11_PRISM"
	case Link80211Radiotap:
		return "IEEE802_11_RADIOTAP"
	case Link80211AVS:
		return "IEEE802_11_AVS"
	case LinkPPPPPPD:
		return "PPP_PPPD"
	case LinkPPI:
		return "PPI"
	case LinkPPPWithDir:
		return "PPP_WITH_DIR"
	case LinkCHDLCWithDir:
		return "C_HDLC_WITH_DIR"
	case LinkFRelayWithDir:
		return "FRELAY_WITH_DIR"
	case LinkMPLS:
		return "MPLS"
	case LinkIPNet:
		return "IPNET"
	case LinkIPv4:
		return "IPV4"
	case LinkIPv6:
		return "IPV6"
	case LinkNFLog:
		return "NFLOG"
	case LinkNetAnalyzer:
		return "NETANALYZER"
	case LinkNetAnalyzerT:
		return "NETANALYZER_TRANSPARENT"
	case LinkIPoIB:
		return "IPOIB"
	case LinkPKTAP:
		return "PKTAP"
	}
	return strconv.FormatUint(uint64(l), 10)
}
