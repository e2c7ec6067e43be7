package udp

import (
	"net/netip"
	"strconv"
)

// list is a Work in order.
type list []netip.AddrPort

func (l list) Len() uint64                      { return uint64(len(l)) }
func (l list) At(i uint64) (netip.Addr, uint16) { return l[i].Addr(), l[i].Port() }

func ports(addr string, ports ...uint16) list {
	var l list
	for _, p := range ports {
		l = append(l, netip.AddrPortFrom(netip.MustParseAddr(addr), p))
	}
	return l
}

// through lists first to last.
func through(first, last uint16) []uint16 {
	var all []uint16
	for p := int(first); p <= int(last); p++ {
		all = append(all, uint16(p))
	}
	return all
}

func itoa(p uint16) string { return strconv.Itoa(int(p)) }

// serviceList is 13 services, then 41 closed ports.
func serviceList() []uint16 {
	return append([]uint16{53, 69, 111, 123, 137, 161, 500, 1194, 1900, 2049, 3478, 5060, 11211}, through(7100, 7140)...)
}
