package sockdiag

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Family is an address family (linux/socket.h).
type Family uint8

// Families. Their numbers are Linux's.
const (
	INET   Family = 2
	INET6  Family = 10
	PACKET Family = 17
)

func (f Family) String() string {
	switch f {
	case INET:
		return "ipv4"
	case INET6:
		return "ipv6"
	case PACKET:
		return "packet"
	}
	return "family " + strconv.Itoa(int(f))
}

// Protocol is an IP protocol number, or MPTCP's which is beyond a byte
// (linux/in.h).
type Protocol uint16

// Protocols that have a diag interface.
const (
	TCP     Protocol = 6
	UDP     Protocol = 17
	DCCP    Protocol = 33
	SCTP    Protocol = 132
	UDPLite Protocol = 136
	Raw     Protocol = 255
	MPTCP   Protocol = 262
)

func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case DCCP:
		return "dccp"
	case SCTP:
		return "sctp"
	case UDPLite:
		return "udplite"
	case Raw:
		return "raw"
	case MPTCP:
		return "mptcp"
	}
	return "protocol " + strconv.Itoa(int(p))
}

// State is a socket state (net/tcp_states.h). UDP and raw sockets are in
// StateClose without a peer and in StateEstablished with one.
type State uint8

// States.
const (
	StateEstablished   State = 1
	StateSynSent       State = 2
	StateSynRecv       State = 3
	StateFinWait1      State = 4
	StateFinWait2      State = 5
	StateTimeWait      State = 6
	StateClose         State = 7
	StateCloseWait     State = 8
	StateLastAck       State = 9
	StateListen        State = 10
	StateClosing       State = 11
	StateNewSynRecv    State = 12
	StateBoundInactive State = 13 // bound, not listening; dumped since Linux 6.8
)

// Mask is the state's bit in Request.States.
func (s State) Mask() uint32 { return 1 << s }

// AllStates asks for every state.
const AllStates uint32 = 0xffffffff

// Socket is one inet_diag_msg with the attributes that were asked for. Slices
// alias the receive buffer.
type Socket struct {
	Family           Family
	State            State
	Src, Dst         netip.Addr // without zone; see Interface
	SrcPort, DstPort uint16     // raw sockets: SrcPort is the IP protocol
	Interface        uint32     // bound device's index, 0 for none
	Cookie           uint64
	RQueue, WQueue   uint32
	UID              uint32
	Inode            uint64 // 0: no file (time-wait, request, orphan)

	HasV6Only bool // INET_DIAG_SKV6ONLY was sent (INET6 sockets, not time-wait)
	V6Only    bool
	Shutdown  uint8 // 1 receive, 2 send
	Protocol  uint8 // INET_DIAG_PROTOCOL, 0 when not sent
	HasMark   bool  // INET_DIAG_MARK was sent (to CAP_NET_ADMIN; not time-wait)
	Mark      uint32
	CgroupID  uint64
	ULP       []byte // upper layer protocol's name ("mptcp", "tls"), nil for none
	Token     uint32 // MPTCP: the connection's local token, of a subflow or of the socket itself
	Info      []byte // INET_DIAG_INFO: struct tcp_info of TCP, mptcp_info of MPTCP
	// Malformed: an attribute's length did not fit; what stood before it is
	// kept.
	Malformed bool
}

// inet_diag_msg and its attributes (linux/inet_diag.h).
const (
	inetMsgLen = 72

	attrInfo     = 2
	attrShutdown = 8
	attrProtocol = 10
	attrV6Only   = 11
	attrMark     = 15
	attrULP      = 19
	attrCgroup   = 21

	ulpName         = 1
	ulpMPTCP        = 3
	mptcpTokenLocal = 2 // MPTCP_SUBFLOW_ATTR_TOKEN_LOC (linux/mptcp.h)
)

// DecodeInet reads the payload of a SOCK_DIAG_BY_FAMILY answer into s, which
// it overwrites whole. It fails only when the fixed part is short or of
// another family.
func DecodeInet(b []byte, s *Socket) error {
	if len(b) < inetMsgLen {
		return ErrMalformed
	}
	*s = Socket{
		Family: Family(b[0]), State: State(b[1]),
		SrcPort: binary.BigEndian.Uint16(b[4:]), DstPort: binary.BigEndian.Uint16(b[6:]),
		Interface: native.Uint32(b[40:]),
		Cookie:    uint64(native.Uint32(b[44:])) | uint64(native.Uint32(b[48:]))<<32,
		RQueue:    native.Uint32(b[56:]), WQueue: native.Uint32(b[60:]),
		UID: native.Uint32(b[64:]), Inode: uint64(native.Uint32(b[68:])),
	}
	switch s.Family {
	case INET:
		s.Src, s.Dst = netip.AddrFrom4([4]byte(b[8:12])), netip.AddrFrom4([4]byte(b[24:28]))
	case INET6:
		s.Src, s.Dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	default:
		return ErrMalformed
	}
	s.attributes(b[inetMsgLen:])
	return nil
}

func (s *Socket) attributes(b []byte) {
	for {
		kind, value, rest, ok, whole := nextAttr(b)
		if !ok {
			s.Malformed = s.Malformed || !whole
			return
		}
		s.attribute(kind, value)
		b = rest
	}
}

func (s *Socket) attribute(kind uint16, v []byte) {
	switch {
	case kind == attrInfo:
		s.Info = v
	case kind == attrULP:
		s.ulp(v)
	case kind == attrShutdown && len(v) >= 1:
		s.Shutdown = v[0]
	case kind == attrProtocol && len(v) >= 1:
		s.Protocol = v[0]
	case kind == attrV6Only && len(v) >= 1:
		s.HasV6Only, s.V6Only = true, v[0] != 0
	case kind == attrMark && len(v) >= 4:
		s.HasMark, s.Mark = true, native.Uint32(v)
	case kind == attrCgroup && len(v) >= 8:
		s.CgroupID = native.Uint64(v)
	}
}

// ulp reads the nested INET_DIAG_ULP_INFO.
func (s *Socket) ulp(b []byte) {
	for {
		kind, value, rest, ok, whole := nextAttr(b)
		if !ok {
			s.Malformed = s.Malformed || !whole
			return
		}
		switch kind {
		case ulpName:
			s.ULP = trimNUL(value)
		case ulpMPTCP:
			s.subflow(value)
		}
		b = rest
	}
}

func (s *Socket) subflow(b []byte) {
	for {
		kind, value, rest, ok, whole := nextAttr(b)
		if !ok {
			s.Malformed = s.Malformed || !whole
			return
		}
		if kind == mptcpTokenLocal && len(value) >= 4 {
			s.Token = native.Uint32(value)
		}
		b = rest
	}
}

func trimNUL(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

// Traffic is the part of struct tcp_info (linux/tcp.h) that says how a
// connection was used.
type Traffic struct {
	SegsIn, SegsOut uint32
	LastDataRecv    uint32 // milliseconds since data last came in
}

// TCPTraffic reads a TCP socket's Info; false when the kernel sent none or an
// older, shorter one.
func (s *Socket) TCPTraffic() (Traffic, bool) {
	if len(s.Info) < 144 {
		return Traffic{}, false
	}
	return Traffic{
		LastDataRecv: native.Uint32(s.Info[52:]),
		SegsOut:      native.Uint32(s.Info[136:]), SegsIn: native.Uint32(s.Info[140:]),
	}, true
}

// MPTCPToken reads the connection's token from an MPTCP socket's Info
// (struct mptcp_info, linux/mptcp.h); 0 when there is none.
func (s *Socket) MPTCPToken() uint32 {
	if len(s.Info) < 16 {
		return 0
	}
	return native.Uint32(s.Info[12:])
}
