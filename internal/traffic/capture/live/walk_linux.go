package live

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Layout of a block (linux/if_packet.h, struct tpacket_block_desc).
const (
	blockStatus  = 8
	blockPackets = 12
	blockFirst   = 16
)

// header is what stands before a packet in a block: struct tpacket3_hdr and,
// at the next multiple of 16, struct sockaddr_ll.
type header struct {
	unix.Tpacket3Hdr
	from unix.RawSockaddrLinklayer
}

const headerSize = uint64(unsafe.Sizeof(header{}))

// sllSize is the length of a LINKTYPE_LINUX_SLL header.
const sllSize = 16

// vlanSize is what a tag adds to a frame.
const vlanSize = 4

// most is how many packets a batch has at most. So few that what is touched of
// them on the walk is still in the second-level cache when they are decoded.
const most = 256

// walk puts the next packets of the block at hand in b. Bounds are checked,
// though the kernel wrote them: the memory is shared.
func (r *Ring) walk(b *capture.Batch, mem []byte) {
	room := int(min(r.left, most))
	ps := slices.Grow(b.Packets[:0], most)[:room]
	kept := 0
	for range room {
		if r.at+headerSize > uint64(len(mem)) {
			r.left = uint32(room) // nothing of the block can be found any more
			break
		}
		h := (*header)(unsafe.Pointer(&mem[r.at]))
		if r.fill(&ps[kept], h, mem, int(r.at)) {
			kept++
		}
		r.at += uint64(h.Next_offset)
	}
	r.left -= uint32(room)
	b.Packets = ps[:kept]
}

// fill makes a packet of what stands at one place of a block.
func (r *Ring) fill(p *capture.Packet, h *header, mem []byte, at int) bool {
	start, end := at+int(h.Mac), at+int(h.Mac)+int(h.Snaplen)
	if start < at+int(headerSize) || end < start || end > len(mem) {
		return false
	}
	// One by one: as a whole it is made elsewhere first, and copied.
	p.Wire, p.Time, p.Link, p.Direction = h.Len, int64(h.Sec)*1e9+int64(h.Nsec), r.link, direction(h.from.Pkttype)
	p.Interface, p.HasVLAN, p.VLANTCI, p.VLANProto = 0, false, 0, 0
	form := r.form
	if r.index == 0 {
		form, p.Link = formOf(h.from.Hatype)
		p.Interface = r.faces.index(r.fd, &h.from, p.Link)
	}
	if form != framed {
		start = unframe(p, form, h, mem, at, start, end)
	}
	p.Data = mem[start:end:end]
	if h.Status&unix.TP_STATUS_VLAN_VALID != 0 || h.Hv1.Vlan_tci != 0 {
		setTag(p, h)
	}
	return true
}

// unframe moves the start to the network header. What is no IP cannot be told
// without a link header: it gets one, as what is cooked.
func unframe(p *capture.Packet, f form, h *header, mem []byte, at, start, end int) int {
	if h.Net > h.Mac {
		skip := min(int(h.Net-h.Mac), end-start)
		start += skip
		p.Wire -= min(uint32(skip), p.Wire)
	}
	isIP := h.from.Protocol == bigEndian(unix.ETH_P_IP) || h.from.Protocol == bigEndian(unix.ETH_P_IPV6)
	if f == bareIP && isIP || start-sllSize < at+int(headerSize) {
		return start
	}
	putSLL(mem[start-sllSize:start], &h.from)
	p.Wire += sllSize
	p.Link = wire.LinkLinuxSLL
	return start - sllSize
}

// putSLL writes the header of LINKTYPE_LINUX_SLL (pcap-linktype(7)) in the
// room that the kernel leaves before a packet.
func putSLL(b []byte, from *unix.RawSockaddrLinklayer) {
	binary.BigEndian.PutUint16(b, uint16(from.Pkttype))
	binary.BigEndian.PutUint16(b[2:], from.Hatype)
	binary.BigEndian.PutUint16(b[4:], uint16(from.Halen))
	clear(b[6:14])
	copy(b[6:14], from.Addr[:min(int(from.Halen), len(from.Addr))])
	binary.NativeEndian.PutUint16(b[14:], from.Protocol)
}

// setTag hands on a VLAN tag that is not in the frame but was on the wire.
func setTag(p *capture.Packet, h *header) {
	p.HasVLAN, p.VLANTCI, p.VLANProto = true, uint16(h.Hv1.Vlan_tci), unix.ETH_P_8021Q
	if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		p.VLANProto = h.Hv1.Vlan_tpid
	}
	p.Wire += vlanSize
}

// direction tells it by sll_pkttype (packet(7)).
func direction(kind uint8) capture.Direction {
	switch kind {
	case unix.PACKET_OUTGOING:
		return capture.Outbound
	case unix.PACKET_HOST, unix.PACKET_BROADCAST, unix.PACKET_MULTICAST, unix.PACKET_OTHERHOST:
		return capture.Inbound
	}
	return capture.DirUnknown
}

// bigEndian gives a number as the kernel has it in network byte order.
func bigEndian(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}
