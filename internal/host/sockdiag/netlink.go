package sockdiag

import "encoding/binary"

// Netlink's framing (linux/netlink.h). Headers are in the host's byte order.
const (
	headerLen = 16

	typeNoop  = 1
	typeError = 2
	typeDone  = 3

	flagRequest  = 0x1
	flagDump     = 0x300
	flagDumpIntr = 0x10

	attrHeaderLen = 4
	attrTypeMask  = 0x3fff
)

var native = binary.NativeEndian

// message is one netlink message; its payload aliases the buffer.
type message struct {
	kind, flags uint16
	seq, portID uint32
	payload     []byte
}

// nextMessage cuts the first message off a datagram. ok is false at the end;
// an error is a length that does not fit.
func nextMessage(b []byte) (m message, rest []byte, ok bool, err error) {
	if len(b) == 0 {
		return m, nil, false, nil
	}
	if len(b) < headerLen {
		return m, nil, false, ErrMalformed
	}
	n := int(native.Uint32(b))
	if n < headerLen || n > len(b) {
		return m, nil, false, ErrMalformed
	}
	m = message{
		kind: native.Uint16(b[4:]), flags: native.Uint16(b[6:]),
		seq: native.Uint32(b[8:]), portID: native.Uint32(b[12:]),
		payload: b[headerLen:n],
	}
	return m, b[min(align(n), len(b)):], true, nil
}

// errno reads the leading int of NLMSG_ERROR and NLMSG_DONE as a positive
// error number; 0 is success. An empty DONE is success too.
func errno(payload []byte) int {
	if len(payload) < 4 {
		return 0
	}
	return -int(int32(native.Uint32(payload)))
}

// nextAttr cuts the first attribute off a list. ok is false at the end or at
// a length that does not fit; whole tells the two apart.
func nextAttr(b []byte) (kind uint16, value, rest []byte, ok, whole bool) {
	if len(b) < attrHeaderLen {
		return 0, nil, nil, false, len(b) == 0
	}
	n := int(native.Uint16(b))
	if n < attrHeaderLen || n > len(b) {
		return 0, nil, nil, false, false
	}
	kind = native.Uint16(b[2:]) & attrTypeMask
	return kind, b[attrHeaderLen:n], b[min(align(n), len(b)):], true, true
}

func align(n int) int { return (n + 3) &^ 3 }

// appendHeader starts a request; finish sets its length.
func appendHeader(b []byte, kind, flags uint16, seq uint32) []byte {
	b = native.AppendUint32(b, 0)
	b = native.AppendUint16(b, kind)
	b = native.AppendUint16(b, flags)
	b = native.AppendUint32(b, seq)
	return native.AppendUint32(b, 0)
}

func finish(b []byte) []byte {
	native.PutUint32(b, uint32(len(b)))
	return b
}

func appendAttrU32(b []byte, kind uint16, v uint32) []byte {
	b = native.AppendUint16(b, attrHeaderLen+4)
	b = native.AppendUint16(b, kind)
	return native.AppendUint32(b, v)
}
