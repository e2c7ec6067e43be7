package meter

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// A frame under construction, from the inside out.

func be16(v ...uint16) (b []byte) {
	for _, each := range v {
		b = binary.BigEndian.AppendUint16(b, each)
	}
	return b
}

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func addr(s string) []byte { return netip.MustParseAddr(s).AsSlice() }

// ether puts a frame around a payload of some type.
func ether(etherType uint16, payload []byte) []byte {
	return cat([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}, be16(etherType), payload)
}

// tagged is what an 802.1Q tag and the type behind it look like.
func tagged(vlan, etherType uint16, payload []byte) []byte {
	return cat(be16(vlan, etherType), payload)
}

func ip4(proto uint8, src, dst string, payload []byte) []byte {
	return piece4(proto, src, dst, 0, 0, payload)
}

// piece4 is a fragment: place has the flags and the offset in units of eight.
func piece4(proto uint8, src, dst string, id, place uint16, payload []byte) []byte {
	h := cat([]byte{0x45, 0}, be16(uint16(20+len(payload)), id, place), []byte{64, proto, 0, 0}, addr(src), addr(dst))
	return cat(h, payload)
}

func ip6(next uint8, src, dst string, payload []byte) []byte {
	return cat([]byte{0x60, 0, 0, 0}, be16(uint16(len(payload))), []byte{next, 64}, addr(src), addr(dst), payload)
}

// extended is an extension header of eight times (1+more) bytes.
func extended(next, more uint8, payload []byte) []byte {
	return cat([]byte{next, more, 1, 4, 0, 0, 0, 0}, make([]byte, int(more)*8), payload)
}

func piece6(next uint8, place uint16, id uint16, payload []byte) []byte {
	return cat([]byte{next, 0}, be16(place, 0, id), payload)
}

func udp(src, dst uint16, payload string) []byte {
	return cat(be16(src, dst, uint16(8+len(payload)), 0), []byte(payload))
}

func tcp(src, dst uint16, flags uint8) []byte {
	return cat(be16(src, dst), make([]byte, 8), []byte{0x50, flags}, be16(1024, 0, 0))
}

func icmp(kind, code uint8) []byte { return []byte{kind, code, 0, 0, 0, 7, 0, 1} }

const (
	host1, host2 = "192.0.2.1", "192.0.2.2"
	node1, node2 = "2001:db8::1", "2001:db8::2"
	more4        = 0x2000
)

// samples are frames of every kind that the program tells apart.
var samples = map[string]func() []byte{
	"tcp":         func() []byte { return ether(0x0800, ip4(6, host1, host2, tcp(40000, 80, 0x02))) },
	"tcp6":        func() []byte { return ether(0x86dd, ip6(6, node1, node2, tcp(40000, 80, 0x12))) },
	"udp":         func() []byte { return ether(0x0800, ip4(17, host2, host1, udp(53, 40000, "answer"))) },
	"udplite":     func() []byte { return ether(0x0800, ip4(136, host2, host1, udp(53, 40000, "answer"))) },
	"sctp":        func() []byte { return ether(0x0800, ip4(132, host1, host2, udp(5000, 5001, "chunk"))) },
	"dccp":        func() []byte { return ether(0x86dd, ip6(33, node1, node2, udp(5000, 5001, "dccp packet"))) },
	"echo":        func() []byte { return ether(0x0800, ip4(1, host1, host2, icmp(8, 0))) },
	"unreachable": func() []byte { return ether(0x0800, ip4(1, host2, host1, icmp(3, 1))) },
	"echo6":       func() []byte { return ether(0x86dd, ip6(58, node2, node1, icmp(129, 0))) },
	"esp":         func() []byte { return ether(0x0800, ip4(50, host1, host2, make([]byte, 16))) },
	"vlan":        func() []byte { return ether(0x8100, tagged(7, 0x0800, ip4(6, host1, host2, tcp(1, 2, 0x10)))) },
	"qinq": func() []byte {
		return ether(0x88a8, tagged(100, 0x8100, tagged(0xe007, 0x86dd, ip6(17, node1, node2, udp(1, 2, "")))))
	},
	"isid": func() []byte {
		return ether(0x88e7, cat(make([]byte, 16), be16(0x0800), ip4(17, host1, host2, udp(1, 2, ""))))
	},
	"macsec": func() []byte {
		return ether(0x88e5, cat([]byte{0x20, 0, 0, 0, 0, 1}, make([]byte, 8), be16(0x0800), ip4(17, host1, host2, udp(1, 2, ""))))
	},
	"macsec-encrypted": func() []byte { return ether(0x88e5, []byte{0x0c, 0, 0, 0, 0, 1, 2, 3}) },
	"snap": func() []byte {
		return ether(36, cat([]byte{0xaa, 0xaa, 3, 0, 0, 0}, be16(0x0800), ip4(17, host1, host2, udp(1, 2, ""))))
	},
	"llc-ip":        func() []byte { return ether(31, cat([]byte{6, 6, 3}, ip4(17, host1, host2, udp(1, 2, "")))) },
	"spanning-tree": func() []byte { return ether(38, cat([]byte{0x42, 0x42, 3}, make([]byte, 35))) },
	"arp":           func() []byte { return ether(0x0806, make([]byte, 28)) },
	"mpls": func() []byte {
		return ether(0x8847, cat([]byte{0, 1, 1, 64}, ip4(6, host1, host2, tcp(1, 2, 2))))
	},
	"pppoe": func() []byte {
		return ether(0x8864, cat([]byte{0x11, 0, 0, 1, 0, 42, 0, 0x21}, ip4(6, host1, host2, tcp(1, 2, 2))))
	},
	"vxlan": func() []byte {
		return ether(0x0800, ip4(17, host1, host2, cat(udp(40000, 4789, ""), []byte{8, 0, 0, 0, 0, 0, 1, 0}, ether(0x0806, make([]byte, 28)))))
	},
	"gre": func() []byte {
		return ether(0x0800, ip4(47, host1, host2, cat(be16(0, 0x0800), ip4(6, host1, host2, tcp(1, 2, 2)))))
	},
	"first-piece": func() []byte { return ether(0x0800, piece4(17, host1, host2, 9, more4, udp(1, 2, "12345678"))) },
	"later-piece": func() []byte { return ether(0x0800, piece4(17, host1, host2, 9, 2, []byte("rest"))) },
	"first-piece6": func() []byte {
		return ether(0x86dd, ip6(44, node1, node2, piece6(60, 1, 9, extended(17, 0, udp(1, 2, "12345678")))))
	},
	"later-piece6": func() []byte { return ether(0x86dd, ip6(44, node1, node2, piece6(60, 16, 9, []byte("rest")))) },
	"atomic-piece6": func() []byte {
		return ether(0x86dd, ip6(44, node1, node2, piece6(17, 0, 9, udp(1, 2, "whole"))))
	},
	"extensions": func() []byte {
		return ether(0x86dd, ip6(0, node1, node2, extended(43, 1, extended(60, 0, extended(51, 0, cat([]byte{6, 2}, make([]byte, 14), tcp(1, 2, 2)))))))
	},
	"ah": func() []byte {
		return ether(0x0800, ip4(51, host1, host2, cat([]byte{6, 4, 0, 0}, make([]byte, 20), tcp(1, 2, 2))))
	},
	"mobility": func() []byte { return ether(0x86dd, ip6(135, node1, node2, extended(59, 0, nil))) },
	"options": func() []byte {
		f := ether(0x0800, cat([]byte{0x46}, ip4(17, host1, host2, cat(make([]byte, 4), udp(1, 2, "")))[1:]))
		return f
	},
	"padded": func() []byte { return cat(ether(0x0800, ip4(17, host1, host2, nil)), make([]byte, 26)) },
	"cut":    func() []byte { return ether(0x0800, ip4(6, host1, host2, tcp(1, 2, 2)))[:36] },
	"short":  func() []byte { return ether(0x0800, ip4(6, host1, host2, tcp(1, 2, 2)))[:30] },
}

func sampleNames() []string {
	var names []string
	for name := range samples {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
