package file

import (
	"encoding/binary"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// Link types into whose frames a VLAN tag can be put back (pcap-linktype(7)).
const (
	linkEthernet = 1
	linkSLL      = 113
	linkSLL2     = 276
)

const (
	maxTag     = 4
	plainTPID  = 0x8100
	sll2Header = 20
)

// tag gives data and wire length of the packet with its VLAN tag in the frame.
func (w *Writer) tag(p *capture.Packet) (data []byte, length uint32) {
	at := -1
	switch p.Link {
	case linkEthernet:
		at = 12 // behind the addresses
	case linkSLL:
		at = 14 // before the protocol
	case linkSLL2:
		return w.tagSLL2(p)
	}
	if !p.HasVLAN || at < 0 || len(p.Data) < at {
		return p.Data, p.Wire
	}
	w.tagged = append(w.tagged[:0], p.Data[:at]...)
	w.tagged = binary.BigEndian.AppendUint16(w.tagged, tpid(p))
	w.tagged = binary.BigEndian.AppendUint16(w.tagged, p.VLANTCI)
	w.tagged = append(w.tagged, p.Data[at:]...)
	return w.tagged, p.Wire + maxTag
}

// tagSLL2 is for the header that begins with the protocol: the tag's takes its
// place, and what follows is the tag's content with the old one.
func (w *Writer) tagSLL2(p *capture.Packet) (data []byte, length uint32) {
	if !p.HasVLAN || len(p.Data) < sll2Header {
		return p.Data, p.Wire
	}
	w.tagged = binary.BigEndian.AppendUint16(w.tagged[:0], tpid(p))
	w.tagged = append(w.tagged, p.Data[2:sll2Header]...)
	w.tagged = binary.BigEndian.AppendUint16(w.tagged, p.VLANTCI)
	w.tagged = append(w.tagged, p.Data[:2]...)
	w.tagged = append(w.tagged, p.Data[sll2Header:]...)
	return w.tagged, p.Wire + maxTag
}

func tpid(p *capture.Packet) uint16 {
	if p.VLANProto == 0 {
		return plainTPID
	}
	return p.VLANProto
}
