package host

import (
	"net/netip"
	"strconv"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner"
	"github.com/portreeve/portreeve/internal/host/sockdiag"
)

// space is one network namespace while it is read.
type space struct {
	exposure.NetNS
	inode uint64
	// dir is the directory above its net/; outside: it could not be entered,
	// and only dir tells of it.
	dir     string
	outside bool
	// subflows: a TCP socket was listed that is part of an MPTCP one; mptcp:
	// or that may be, since only readers with CAP_NET_ADMIN are told (and are
	// told the mark too).
	subflows, mptcp bool
	// links names the interfaces by index; read when a socket first needs it.
	links map[uint32]string
}

// device names an interface index of this namespace.
func (ns *space) device(index uint32) string {
	if index == 0 {
		return ""
	}
	if name, ok := ns.links[index]; ok {
		return name
	}
	return "if" + strconv.FormatUint(uint64(index), 10)
}

// candidate is one kernel socket on its way to a row.
type candidate struct {
	exposure.Socket // without processes
	ns              *space
	inode           uint64
	ifindex         uint32
	holders         []owner.Holder
	subflow         bool // a TCP socket that belongs to an MPTCP one
	hasFilter       bool // the filter's text is final
	early           bool // listed before the look for holders began
	drop            bool
}

// fromDiag translates a sock_diag answer into c, which it overwrites except
// for its slices. Info is read only for TCP.
func (c *candidate) fromDiag(ns *space, proto sockdiag.Protocol, s *sockdiag.Socket) {
	*c = candidate{ns: ns, inode: s.Inode, ifindex: s.Interface}
	c.NetNS, c.UID, c.Sockets = ns.NetNS, s.UID, 1
	c.Proto, c.State = protoOf(proto, s), stateOf(proto, s)
	c.Device = ns.device(s.Interface)
	c.Addr = exposure.IPAddress(zoned(s.Src, c.Device))
	c.Port = s.SrcPort
	c.PeerAddr, c.PeerPort = exposure.IPAddress(zoned(s.Dst, c.Device)), s.DstPort
	if c.State == exposure.Raw {
		c.Port, c.PeerPort = 0, 0
	}
	c.Scope = exposure.ScopeOf(s.Src)
	c.DualStack = s.Src == netip.IPv6Unspecified() && s.HasV6Only && !s.V6Only
	c.MPTCP = proto == sockdiag.MPTCP
	c.subflow = proto == sockdiag.TCP && string(s.ULP) == "mptcp"
	if proto == sockdiag.TCP {
		c.traffic(s)
	}
}

func (c *candidate) traffic(s *sockdiag.Socket) {
	t, ok := s.TCPTraffic()
	if !ok || c.State == exposure.Listen {
		return
	}
	c.SegsIn, c.SegsOut = uint64(t.SegsIn), uint64(t.SegsOut)
	c.LastRcv = milliseconds(t.LastDataRecv)
}

// zoned puts the bound device's name into a link-local address: the kernel
// binds a link-local socket to its interface.
func zoned(ip netip.Addr, device string) netip.Addr {
	if device == "" || !ip.Is6() || ip.Is4In6() || !(ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsInterfaceLocalMulticast()) {
		return ip
	}
	return ip.WithZone(device)
}

func protoOf(proto sockdiag.Protocol, s *sockdiag.Socket) exposure.Proto {
	switch proto {
	case sockdiag.MPTCP:
		return exposure.TCP
	case sockdiag.Raw:
		return exposure.ProtoByNumber(uint8(s.SrcPort))
	}
	return exposure.ProtoByNumber(uint8(proto))
}

// stateOf reads a state as its protocol means it.
func stateOf(proto sockdiag.Protocol, s *sockdiag.Socket) exposure.State {
	switch proto {
	case sockdiag.Raw:
		return exposure.Raw
	case sockdiag.UDP, sockdiag.UDPLite:
		if s.State == sockdiag.StateEstablished {
			return exposure.Connected
		}
		return exposure.Unconnected
	case sockdiag.TCP, sockdiag.MPTCP, sockdiag.DCCP:
		// Closed sockets are in no table; one that is, is bound: the kernel
		// dumps StateBoundInactive under its true state.
		if s.State == sockdiag.StateClose {
			return exposure.Bound
		}
	case sockdiag.SCTP:
		if s.DstPort != 0 {
			return associationState(s.State)
		}
	}
	return streamState(s.State)
}

func streamState(s sockdiag.State) exposure.State {
	switch s {
	case sockdiag.StateEstablished:
		return exposure.Established
	case sockdiag.StateSynSent:
		return exposure.SynSent
	case sockdiag.StateSynRecv, sockdiag.StateNewSynRecv:
		return exposure.SynRecv
	case sockdiag.StateFinWait1:
		return exposure.FinWait1
	case sockdiag.StateFinWait2:
		return exposure.FinWait2
	case sockdiag.StateTimeWait:
		return exposure.TimeWait
	case sockdiag.StateCloseWait:
		return exposure.CloseWait
	case sockdiag.StateLastAck:
		return exposure.LastAck
	case sockdiag.StateListen:
		return exposure.Listen
	case sockdiag.StateClosing:
		return exposure.Closing
	case sockdiag.StateBoundInactive:
		return exposure.Bound
	}
	return exposure.Close
}

// associationState maps an SCTP association's state (enum sctp_state,
// net/sctp/constants.h) to the nearest of the contract's.
func associationState(s sockdiag.State) exposure.State {
	switch s {
	case 1, 2: // COOKIE_WAIT, COOKIE_ECHOED
		return exposure.SynSent
	case 3:
		return exposure.Established
	case 4, 5: // SHUTDOWN_PENDING, SHUTDOWN_SENT
		return exposure.FinWait1
	case 6: // SHUTDOWN_RECEIVED
		return exposure.CloseWait
	case 7: // SHUTDOWN_ACK_SENT
		return exposure.LastAck
	}
	return exposure.Close
}

// fromPacket translates a packet socket.
func (c *candidate) fromPacket(ns *space, s *sockdiag.PacketSocket) {
	*c = candidate{ns: ns, inode: s.Inode, ifindex: s.Interface}
	c.NetNS, c.UID, c.Sockets = ns.NetNS, s.UID, 1
	c.Proto, c.State = etherType(s.EtherType), exposure.Packet
	c.Device = ns.device(s.Interface)
	if s.HasFilter {
		c.Filter, c.hasFilter = filterText(s.Filter), true
	}
}

func etherType(n uint16) exposure.Proto {
	return exposure.Proto(strconv.FormatUint(uint64(n), 10))
}
