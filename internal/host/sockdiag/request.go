package sockdiag

// Request asks for sockets of one family and protocol.
type Request struct {
	Family   Family
	Protocol Protocol
	States   uint32 // bits of State; filtered in the kernel
	Info     bool   // ask for INET_DIAG_INFO
}

func (r Request) String() string { return r.Protocol.String() + " over " + r.Family.String() }

const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY (linux/sock_diag.h)

	reqProtocol = 3 // INET_DIAG_REQ_PROTOCOL
	// protocolByAttr fills the byte-wide protocol of a request whose real one
	// is in reqProtocol. A kernel that does not know the attribute (before
	// 5.12) finds no such protocol instead of answering for another one.
	protocolByAttr = 254
)

// append writes inet_diag_req_v2.
func (r Request) append(b []byte, seq uint32) []byte {
	b = appendHeader(b, sockDiagByFamily, flagRequest|flagDump, seq)
	proto := uint8(protocolByAttr)
	if r.Protocol < 256 {
		proto = uint8(r.Protocol)
	}
	// The extension byte has a bit for each attribute below 9. Shutdown is
	// always worth its eight bytes; the rest the kernel adds unasked.
	ext := uint8(1 << (attrShutdown - 1))
	if r.Info {
		ext |= 1 << (attrInfo - 1)
	}
	b = append(b, uint8(r.Family), proto, ext, 0)
	b = native.AppendUint32(b, r.States)
	b = append(b, make([]byte, 40)...) // inet_diag_sockid without interface
	b = native.AppendUint32(b, noCookie)
	b = native.AppendUint32(b, noCookie)
	if r.Protocol >= 256 {
		b = appendAttrU32(b, reqProtocol, uint32(r.Protocol))
	}
	return finish(b)
}

const noCookie = 0xffffffff // INET_DIAG_NOCOOKIE

// What a PacketRequest shows (PACKET_SHOW_*).
const (
	showInfo    = 0x01
	showMemInfo = 0x10
	showFilter  = 0x20
)

// appendPacketRequest writes packet_diag_req.
func appendPacketRequest(b []byte, seq uint32) []byte {
	b = appendHeader(b, sockDiagByFamily, flagRequest|flagDump, seq)
	b = append(b, uint8(PACKET), 0, 0, 0)
	b = native.AppendUint32(b, 0)
	b = native.AppendUint32(b, showInfo|showMemInfo|showFilter)
	b = native.AppendUint32(b, noCookie)
	b = native.AppendUint32(b, noCookie)
	return finish(b)
}
