package file

import "github.com/portreeve/portreeve/internal/traffic/capture"

// Kuznetzov's patches to libpcap (1999) have an interface index, an Ethernet
// type and a packet type behind the usual record header; one of them also two
// bytes of debugging and padding, under the same magic number.
const (
	patchedHeader      = 24 // ss991029
	patchedDebugHeader = 28 // ss990915
	// judged is how many records tell the two apart.
	judged = 3
)

// judge chooses the record header that makes the first records plausible, as
// Wireshark does; where both do, the usual one. It looks at the first buffer
// full, or all there is, so that the answer does not depend on how the bytes
// arrive.
func (s *Source) judge(f *pcap) error {
	data, err := s.peek(bufferSize)
	if err != nil {
		return err
	}
	plain, debug := *f, *f
	plain.header, debug.header = patchedHeader, patchedDebugHeader
	f.header = patchedHeader
	if debug.faults(data[s.start:]) < plain.faults(data[s.start:]) {
		f.header = patchedDebugHeader
	}
	return nil
}

// faults counts what is implausible in the first records.
func (f *pcap) faults(data []byte) (n int) {
	for range judged {
		if len(data) == 0 {
			return n
		}
		if len(data) < f.header {
			return n + 1
		}
		n += f.recordFaults(data)
		stored, _ := f.order(order{f.big}.u32(data[8:]), order{f.big}.u32(data[12:]))
		if stored > f.limit || len(data) < f.header+int(stored) {
			return n + 1
		}
		data = data[f.header+int(stored):]
	}
	return n
}

// recordFaults counts what no such record of 1999 had.
func (f *pcap) recordFaults(h []byte) (n int) {
	o := order{f.big}
	stored, length := f.order(o.u32(h[8:]), o.u32(h[12:]))
	for _, odd := range []bool{
		o.u32(h[4:]) >= 1e6, // microseconds
		stored > length,
		length > 128<<20,
		o.u32(h[16:]) > 10000,                   // interface index
		!oldEtherType(o.u16(h[20:])), h[22] > 4, // PACKET_OUTGOING is the last
	} {
		if odd {
			n++
		}
	}
	return n
}

// oldEtherType reports Ethernet types and the kernel's own of those days
// (linux/if_ether.h).
func oldEtherType(t uint16) bool {
	return t >= 0x600 || t <= 0x17 || t == 0x60 || t == 0x200 || t == 0x400
}

// patchedDirection reads a packet type of linux/if_packet.h.
func patchedDirection(kind byte) capture.Direction {
	switch {
	case kind == 4: // PACKET_OUTGOING
		return capture.Outbound
	case kind < 4:
		return capture.Inbound
	}
	return capture.DirUnknown
}
