package sockdiag

import "golang.org/x/net/bpf"

// PacketSocket is one packet_diag_msg with its attributes. Slices alias the
// receive buffer.
type PacketSocket struct {
	Type      uint8  // SOCK_RAW 3, SOCK_DGRAM 2, SOCK_PACKET 10
	EtherType uint16 // ETH_P_*, host order; 3 is ETH_P_ALL, 0 receives nothing
	Inode     uint64
	Cookie    uint64
	UID       uint32
	Interface uint32 // index of the bound device, 0 for all
	Flags     uint32 // PDI_*: 1 running (its protocol hook is registered)

	HasMem bool
	Mem    MemInfo

	// HasFilter: the kernel sent the attribute. Filter is then the classic BPF
	// program, 8 bytes an instruction; empty to readers without CAP_NET_ADMIN.
	// Without the attribute there is no filter, or an eBPF one, which the
	// kernel does not show.
	HasFilter bool
	Filter    []byte
	Malformed bool
}

// MemInfo is the socket's memory (SK_MEMINFO_*, linux/sock_diag.h), bytes
// except Drops.
type MemInfo struct {
	RmemAlloc, RcvBuf, WmemAlloc, SndBuf, FwdAlloc, WmemQueued, OptMem, Backlog uint32
	Drops                                                                       uint32 // packets lost at this socket
}

const (
	packetMsgLen = 16

	packetInfo    = 0
	packetUID     = 5
	packetMemInfo = 6
	packetFilter  = 7
)

// DecodePacket reads the payload of an AF_PACKET answer into s, which it
// overwrites whole.
func DecodePacket(b []byte, s *PacketSocket) error {
	if len(b) < packetMsgLen || Family(b[0]) != PACKET {
		return ErrMalformed
	}
	*s = PacketSocket{
		Type: b[1], EtherType: native.Uint16(b[2:]), Inode: uint64(native.Uint32(b[4:])),
		Cookie: uint64(native.Uint32(b[8:])) | uint64(native.Uint32(b[12:]))<<32,
	}
	for b = b[packetMsgLen:]; ; {
		kind, value, rest, ok, whole := nextAttr(b)
		if !ok {
			s.Malformed = !whole
			return nil
		}
		s.attribute(kind, value)
		b = rest
	}
}

func (s *PacketSocket) attribute(kind uint16, v []byte) {
	switch {
	case kind == packetInfo && len(v) >= 24:
		s.Interface, s.Flags = native.Uint32(v), native.Uint32(v[20:])
	case kind == packetUID && len(v) >= 4:
		s.UID = native.Uint32(v)
	case kind == packetMemInfo:
		s.Mem, s.HasMem = decodeMem(v)
	case kind == packetFilter:
		s.HasFilter, s.Filter = true, v
	}
}

// decodeMem reads as many words as the kernel sent; Drops came in Linux 4.7.
func decodeMem(v []byte) (MemInfo, bool) {
	var w [9]uint32
	for i := range w {
		if len(v) >= 4*(i+1) {
			w[i] = native.Uint32(v[4*i:])
		}
	}
	return MemInfo{RmemAlloc: w[0], RcvBuf: w[1], WmemAlloc: w[2], SndBuf: w[3], FwdAlloc: w[4],
		WmemQueued: w[5], OptMem: w[6], Backlog: w[7], Drops: w[8]}, len(v) >= 36
}

// maxFilter is the kernel's own bound (BPF_MAXINSNS, linux/bpf_common.h).
const maxFilter = 4096

// DecodeFilter turns struct sock_filter instructions (linux/filter.h, host
// order) into x/net/bpf's. What is cut short or too long is malformed.
func DecodeFilter(b []byte) ([]bpf.RawInstruction, error) {
	if len(b)%8 != 0 || len(b)/8 > maxFilter {
		return nil, ErrMalformed
	}
	out := make([]bpf.RawInstruction, 0, len(b)/8)
	for ; len(b) > 0; b = b[8:] {
		out = append(out, bpf.RawInstruction{Op: native.Uint16(b), Jt: b[2], Jf: b[3], K: native.Uint32(b[4:])})
	}
	return out, nil
}
