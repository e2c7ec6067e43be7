package live

import (
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// form is how packets of an interface are handed on.
type form uint8

const (
	framed form = iota // as the kernel has the frame
	bareIP             // from the network header on
	cooked             // from the network header on, behind a header made here
)

// formOf tells by the hardware type (linux/if_arp.h) what an interface gives.
// Bare IP interfaces have no link header in either direction; of PPP the
// kernel shows what is inside. What is in neither list is cooked, as libpcap
// does it.
func formOf(hardware uint16) (form, wire.LinkType) {
	switch hardware {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return framed, wire.LinkEthernet
	case unix.ARPHRD_IEEE80211:
		return framed, wire.Link80211
	case unix.ARPHRD_IEEE80211_PRISM:
		return framed, wire.Link80211Prism
	case unix.ARPHRD_IEEE80211_RADIOTAP:
		return framed, wire.Link80211Radiotap
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_PPP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6,
		unix.ARPHRD_SIT, unix.ARPHRD_IPGRE, unix.ARPHRD_IP6GRE, unix.ARPHRD_SLIP, unix.ARPHRD_CSLIP:
		return bareIP, wire.LinkRaw
	}
	return cooked, wire.LinkLinuxSLL
}

// filterLink is the link type whose filters fit what the kernel shows a
// filter: frames, or packets from the network header on.
func filterLink(f form, link wire.LinkType) wire.LinkType {
	if f == framed {
		return link
	}
	return wire.LinkRaw
}
