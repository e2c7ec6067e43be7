package filter

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// maker makes packets of one link type that come near what filters ask for:
// few addresses, few ports, all protocols, and some of it broken.
type maker struct {
	r    *rand.Rand
	link wire.LinkType
}

func (m *maker) n(n int) int { return m.r.IntN(n) }

func (m *maker) oneIn(n int) bool { return m.r.IntN(n) == 0 }

func pickFrom[T any](m *maker, of ...T) T { return of[m.n(len(of))] }

func (m *maker) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(m.r.Uint32())
	}
	return b
}

func u16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }

func join(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// packet is a frame, what is known besides, and its length on the wire.
func (m *maker) packet() ([]byte, uint32, Meta) {
	b := m.frame()
	if m.oneIn(6) {
		b = b[:m.n(len(b)+1)]
	}
	meta := Meta{PacketType: uint8(m.n(5)), Interface: uint32(m.n(4))}
	if m.link == linkEthernet && m.oneIn(4) {
		meta.HasVLAN, meta.VLANTCI, meta.VLANProto = true, uint16(m.n(8)<<13|pickFrom(m, 5, 100, 200)), 0x8100
	}
	wireLen := len(b)
	if m.oneIn(5) {
		wireLen += m.n(1500)
	}
	return b, uint32(wireLen), meta
}

func (m *maker) frame() []byte {
	switch m.link {
	case linkEthernet:
		return m.ethernet()
	case linkSLL:
		return join(u16(m.n(5)), u16(1), u16(6), m.mac(), u16(0), m.typed())
	case linkSLL2:
		t := m.typed()
		return join(t[:2], u16(0), []byte{0, 0, 0, byte(m.n(4))}, u16(1), []byte{byte(m.n(5)), 6}, m.mac(), u16(0), t[2:])
	case linkPPP, linkPPPHDLC:
		return join([]byte{0xff, 3}, m.ppp())
	case linkPPPEther:
		return join([]byte{0x11, 0}, u16(m.n(9)), u16(40), m.ppp())
	case linkCHDLC:
		return join([]byte{0x0f, 0}, m.typed())
	case linkNull:
		family, pl := m.family()
		return join([]byte{byte(family), 0, 0, 0}, pl)
	case linkLoop:
		family, pl := m.family()
		return join([]byte{0, 0, 0, byte(family)}, pl)
	case linkFrelay:
		return join(m.bytes(2), []byte{3, pickFrom[byte](m, 0xcc, 0x8e, 0x81, 0x82, 0x83)}, m.ip())
	case link80211:
		return m.wlan()
	case linkRadiotap:
		return m.radiotap()
	case linkPrism:
		if m.oneIn(2) {
			return join([]byte{0, 0, 0, 0x44}, make([]byte, 140), m.wlan())
		}
		return m.avs()
	case linkAVS:
		return m.avs()
	case linkPPI:
		return join([]byte{0, 0, 8, 0, pickFrom[byte](m, 105, 105, 105, 1), 0, 0, 0}, m.wlan())
	case linkPFLOG:
		return m.pflog()
	case linkFDDI:
		return join([]byte{0x50}, m.mac(), m.mac(), m.llc())
	case linkTokenRing:
		return join([]byte{0x10, 0x40}, m.mac(), m.mac(), m.llc())
	case linkIPFC:
		return join(u16(0x1000), m.mac(), u16(0x1000), m.mac(), m.llc())
	case linkATM:
		return m.llc()
	case linkSLIP:
		return join(m.bytes(16), m.ip())
	}
	return m.ip()
}

func (m *maker) mac() []byte {
	return pickFrom(m, []byte{0, 0, 0x5e, 0, 0x53, 1}, []byte{0, 0, 0x5e, 0, 0x53, 2}, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		[]byte{1, 0, 0x5e, 0, 0, 5}, []byte{0x33, 0x33, 0, 0, 0, 1}, m.bytes(6))
}

func (m *maker) ethernet() []byte { return join(m.mac(), m.mac(), m.typed()) }

// typed is an Ethernet type and what it says.
func (m *maker) typed() []byte {
	switch m.n(14) {
	case 0:
		return join(u16(pickFrom(m, 0x8100, 0x88a8, 0x9100)), u16(m.n(16)<<12|pickFrom(m, 5, 100, 200)), m.typed())
	case 1:
		return join(u16(0x8847), m.mpls())
	case 2:
		return join(u16(0x8864), []byte{0x11, 0}, u16(pickFrom(m, 5, 39, 300)), u16(50), m.ppp())
	case 3:
		return join(u16(pickFrom(m, 0x8863, 0x88cc, 0x8137, 0x9000, 0x80f3, 0x809b, 0x6004, 0x6002, 0x6007)), m.bytes(30))
	case 4:
		return join(u16(m.n(1501)), m.llc())
	case 5:
		return join(u16(0x6003), m.decnet())
	case 6, 7:
		return join(u16(pickFrom(m, 0x806, 0x8035)), m.arp())
	case 8, 9, 10:
		return join(u16(0x86dd), m.ip6(0))
	}
	return join(u16(0x800), m.ip4(0))
}

func (m *maker) ppp() []byte {
	switch m.n(6) {
	case 0:
		return join(u16(pickFrom(m, 0x27, 0x23, 0x2b, 0x31, 0xc021, 0x806)), m.bytes(30))
	case 1:
		return join(u16(0x281), m.mpls())
	case 2, 3:
		return join(u16(0x57), m.ip6(0))
	}
	return join(u16(0x21), m.ip4(0))
}

func (m *maker) mpls() []byte {
	var out []byte
	for {
		last := m.n(3)
		label := uint32(pickFrom(m, 16, 1024, 100000))<<12 | uint32(m.n(8))<<9 | 64
		if last > 0 {
			return join(binary.BigEndian.AppendUint32(out, label|1<<8), m.ip())
		}
		out = binary.BigEndian.AppendUint32(out, label)
	}
}

func (m *maker) llc() []byte {
	switch m.n(6) {
	case 0:
		return join([]byte{0xaa, 0xaa, 3, 0, 0, 0}, m.typed())
	case 1:
		return join([]byte{0xaa, 0xaa, 3, 8, 0, 7}, u16(0x809b), m.bytes(20))
	case 2:
		return join([]byte{0xfe, 0xfe, 3, pickFrom[byte](m, 0x81, 0x82, 0x83), 27, 1, 0, byte(14 + m.n(14))}, m.bytes(20))
	case 3:
		sap := pickFrom[byte](m, 0x42, 0xe0, 0xf0, 6, 0xff)
		return join([]byte{sap, sap, pickFrom[byte](m, 3, 0x7f, 1, 5, 9, 0xaf, 0x63, 2)}, m.bytes(20))
	}
	return join([]byte{0xaa, 0xaa, 3, 0, 0, 0}, u16(0x800), m.ip4(0))
}

func (m *maker) arp() []byte {
	return join(u16(1), u16(0x800), []byte{6, 4}, u16(1+m.n(2)), m.mac(), m.addr4(), m.mac(), m.addr4())
}

func (m *maker) decnet() []byte {
	pad := []byte{}
	if m.oneIn(2) {
		pad = []byte{0x81}
	}
	node := func() []byte { return pickFrom(m, []byte{2, 4}, []byte{4, 0xc}, []byte{1, 8}) }
	if m.oneIn(2) {
		return join(u16(30), pad, []byte{0x02}, node(), node(), m.bytes(20))
	}
	return join(u16(30), pad, []byte{0x06, 0, 0, 0xaa, 0, 4, 0}, node(), []byte{0, 0, 0xaa, 0, 4, 0}, node(), m.bytes(20))
}

func (m *maker) ip() []byte {
	if m.oneIn(2) {
		return m.ip6(0)
	}
	return m.ip4(0)
}

func (m *maker) family() (int, []byte) {
	if m.oneIn(2) {
		return 10, m.ip6(0)
	}
	return pickFrom(m, 2, 2, 2, 7), m.ip4(0)
}

func (m *maker) addr4() []byte {
	return pickFrom(m, []byte{192, 0, 2, 1}, []byte{192, 0, 2, 2}, []byte{10, 1, 2, 3}, []byte{224, 0, 0, 5},
		[]byte{255, 255, 255, 255}, []byte{0, 0, 0, 0}, []byte{172, 16, 5, 4}, []byte{192, 168, 1, byte(m.n(256))}, m.bytes(4))
}

func (m *maker) addr6() []byte {
	a := make([]byte, 16)
	copy(a, pickFrom(m, []byte{0x20, 1, 0xd, 0xb8}, []byte{0xfe, 0x80}, []byte{0xff, 2}, []byte{0x20, 1, 0xd, 0xb8, 0, 1}))
	a[15] = byte(m.n(3))
	return a
}

func (m *maker) proto() int {
	return pickFrom(m, 6, 6, 6, 17, 17, 17, 132, 1, 58, 2, 9, 50, 51, 89, 103, 112, 47, 0, 43, 44, 60, 59, m.n(256))
}

func (m *maker) ip4(depth int) []byte {
	proto := m.proto()
	options := m.bytes(4 * pickFrom(m, 0, 0, 0, 1, 3, 10))
	fragment := pickFrom(m, 0, 0, 0, 0, 0x4000, 0x2000, 0x2001, 0x00b9, 0x1fff)
	body := m.transport(proto, depth)
	first := byte(0x45 + len(options)/4)
	if m.oneIn(30) {
		first = byte(m.n(256))
	}
	return join([]byte{first, byte(m.n(4))}, u16(20+len(options)+len(body)), u16(m.n(5)), u16(fragment),
		[]byte{byte(pickFrom(m, 1, 64, 255)), byte(proto)}, u16(0), m.addr4(), m.addr4(), options, body)
}

func (m *maker) ip6(depth int) []byte {
	proto := m.proto()
	body := m.transport(proto, depth)
	first := byte(0x60)
	if m.oneIn(30) {
		first = byte(m.n(256))
	}
	return join([]byte{first, 0, 0, byte(m.n(3))}, u16(len(body)), []byte{byte(proto), 64}, m.addr6(), m.addr6(), body)
}

func (m *maker) port() []byte {
	return u16(pickFrom(m, 80, 443, 53, 22, 21, 123, 6000, 6005, 6081, 1024, 65535, m.n(65536)))
}

func (m *maker) transport(proto, depth int) []byte {
	switch proto {
	case 6:
		data := pickFrom(m, nil, []byte("GET / HTTP/1.1\r\n"), []byte("POST"), m.bytes(5))
		off := pickFrom(m, 5, 5, 8, 15)
		return join(m.port(), m.port(), m.bytes(8), []byte{byte(off << 4), pickFrom[byte](m, 2, 0x12, 0x10, 0x18, 4, 0x14, 1, 0x11, 0xc2)},
			m.bytes(6), m.bytes(4*(off-5)), data)
	case 17:
		if depth < 2 && m.oneIn(2) {
			return m.genevePacket(depth + 1)
		}
		return join(m.port(), m.port(), u16(20), u16(0), m.bytes(12))
	case 132:
		return join(m.port(), m.port(), m.bytes(16))
	case 0, 43, 60, 44:
		next := m.proto()
		n := m.n(2)
		if proto == 44 {
			n = 0
		}
		return join([]byte{byte(next), byte(n)}, m.bytes(6+8*n), m.transport(next&0xff, 3))
	case 1, 58:
		return join([]byte{byte(pickFrom(m, 0, 3, 8, 11, 128, 129, 135)), byte(m.n(5))}, m.bytes(20))
	}
	return m.bytes(24)
}

func (m *maker) genevePacket(depth int) []byte {
	options := m.n(3)
	head := join([]byte{byte(options)}, []byte{0})
	if m.oneIn(15) {
		head[0] |= 0x40
	}
	vni := []byte{0, 0, byte(pickFrom(m, 5, 11)), 0}
	inner := join(u16(0x800), vni, m.bytes(4*options), m.ip4(depth))
	switch m.n(3) {
	case 0:
		inner = join(u16(0x6558), vni, m.bytes(4*options), m.mac(), m.mac(), u16(0x800), m.ip4(depth))
	case 1:
		inner = join(u16(0x6558), vni, m.bytes(4*options), m.mac(), m.mac(), u16(0x86dd), m.ip6(depth))
	}
	return join(m.port(), u16(6081), u16(60), u16(0), head, inner)
}

func (m *maker) wlan() []byte {
	kind := pickFrom[byte](m, 0x08, 0x08, 0x88, 0x88, 0x00, 0x80, 0x40, 0xb4, 0xc4, 0xd4, 0xa4, 0x48, 0xc8, 0x0c)
	head := join([]byte{kind, byte(m.n(4))}, u16(0), m.mac(), m.mac(), m.mac(), u16(m.n(99)))
	if kind&0x8c == 0x88 {
		head = join(head, u16(0))
	}
	return join(head, m.llc())
}

func (m *maker) radiotap() []byte {
	if m.oneIn(3) {
		return join([]byte{0, 0, 8, 0, 0, 0, 0, 0}, m.wlan())
	}
	if m.oneIn(2) {
		return join([]byte{0, 0, 18, 0, 3, 0, 0, byte(m.n(2) * 0x80)}, m.bytes(8), []byte{byte(m.n(2) * 0x20), 0}, m.wlan())
	}
	return join([]byte{0, 0, 12, 0, 2, 0, 0, 0, byte(m.n(2) * 0x20), 0, 0, 0}, m.wlan())
}

func (m *maker) avs() []byte {
	return join([]byte{0x80, 0x21, 0x10, 1, 0, 0, 0, 64}, make([]byte, 56), m.wlan())
}

func (m *maker) pflog() []byte {
	family, pl := m.family()
	head := make([]byte, 64)
	head[0], head[1], head[2], head[3] = 61, byte(family), byte(m.n(3)), byte(m.n(4))
	copy(head[4:], pickFrom(m, "em0", "en0", "vtnet12"))
	copy(head[20:], pickFrom(m, "", "authpf"))
	head[39], head[43], head[60] = byte(m.n(4)), byte(m.n(4)), byte(m.n(3))
	return join(head, pl)
}

// packets are n packets, the same for the same seed.
func packets(link wire.LinkType, seed uint64, n int) []packet {
	m := &maker{r: rand.New(rand.NewPCG(seed, uint64(link))), link: link}
	out := make([]packet, n)
	for i := range out {
		out[i].data, out[i].wire, out[i].meta = m.packet()
	}
	return out
}

type packet struct {
	data []byte
	wire uint32
	meta Meta
}
