package event

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// record is one record of the ring: struct record of bpf/listeners.c.
type record struct {
	time    uint64 // since boot, ns
	cookie  uint64
	address uint64 // of the kernel's structure
	inode   uint64
	started uint64 // the process, since boot, ns
	cgroup  uint64
	exeIno  uint64 // the program's file
	exeDev  uint32 // its device, as the kernel numbers it
	netns   uint32
	mntns   uint32
	pid     uint32 // 0: outside of the reader's PID namespace
	uid     uint32
	sockUID uint32
	ifindex uint32
	proto   uint16
	port    uint16
	family  uint16
	kind    uint8
	flags   uint8
	locks   uint8
	addr    netip.Addr
	comm    string
	args    string
	exe     string // "" when it was not read
}

// Layout and values of bpf/listeners.c.
const (
	recordHead = 136

	kindOpened     = 1
	kindClosed     = 2
	kindConnecting = 3

	flagV6Only    = 1
	flagKernel    = 2
	flagDeleted   = 4
	flagConnected = 8
	flagCut       = 16
	flagNamed     = 32

	familyIPv6 = 10 // AF_INET6, linux/socket.h

	lockAddr = 4 // SOCK_BINDADDR_LOCK, net/sock.h
	lockPort = 8 // SOCK_BINDPORT_LOCK
)

var errRecord = errors.New("malformed record in the ring of listener events")

var native = binary.NativeEndian

// decode reads one record. The kernel pads nothing: its length is that of the
// head, the arguments and the path.
func decode(b []byte) (record, error) {
	if len(b) < recordHead {
		return record{}, errRecord
	}
	r := record{
		time: native.Uint64(b), cookie: native.Uint64(b[8:]), address: native.Uint64(b[16:]), inode: native.Uint64(b[24:]),
		started: native.Uint64(b[32:]), cgroup: native.Uint64(b[40:]), exeIno: native.Uint64(b[48:]), exeDev: native.Uint32(b[56:]),
		netns: native.Uint32(b[64:]), mntns: native.Uint32(b[68:]), pid: native.Uint32(b[72:]), uid: native.Uint32(b[76:]),
		sockUID: native.Uint32(b[80:]), ifindex: native.Uint32(b[84:]),
		proto: native.Uint16(b[88:]), family: native.Uint16(b[90:]), port: native.Uint16(b[92:]),
		kind: b[98], flags: b[99], locks: b[100],
		addr: address(native.Uint16(b[90:]), [16]byte(b[104:120])), comm: clean(cString(b[120:136])),
	}
	argsLen, exeLen := int(native.Uint16(b[94:])), int(native.Uint16(b[96:]))
	data := b[recordHead:]
	if argsLen+exeLen > len(data) || r.kind < kindOpened || r.kind > kindConnecting {
		return record{}, errRecord
	}
	r.args = arguments(data[:argsLen])
	r.exe = joinPath(data[argsLen : argsLen+exeLen])
	return r, nil
}

func address(family uint16, b [16]byte) netip.Addr {
	if family == familyIPv6 {
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[:4]))
}

func cString(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// clean makes valid UTF-8; control characters stay, since only the place that
// prints knows how to show them.
func clean(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }

// arguments joins a command line by spaces, as internal/host does.
func arguments(b []byte) string {
	return clean(bytes.ReplaceAll(bytes.TrimRight(b, "\x00"), []byte{0}, []byte{' '}))
}

// joinPath puts a path together from its names, the last one first.
func joinPath(b []byte) string {
	var names []string
	for len(b) > 0 {
		name, rest, ended := bytes.Cut(b, []byte{0})
		if !ended {
			break
		}
		names, b = append(names, clean(name)), rest
	}
	if len(names) == 0 {
		return ""
	}
	slices.Reverse(names)
	return "/" + strings.Join(names, "/")
}

// key names a socket while it lives.
func (r *record) key() uint64 {
	if r.cookie != 0 {
		return r.cookie
	}
	return r.address
}

// datagram reports UDP and UDP-Lite.
func (r *record) datagram() bool { return r.proto == 17 || r.proto == 136 }

// socket is what the record tells of the socket itself.
func (r *record) socket() exposure.Socket {
	s := exposure.Socket{
		Proto: protocol(r.proto), State: exposure.Listen, Addr: exposure.IPAddress(r.addr), Port: r.port,
		Scope: exposure.ScopeOf(r.addr), UID: r.sockUID, Sockets: 1, MPTCP: r.proto == protoMPTCP,
		DualStack: r.family == familyIPv6 && r.addr == netip.IPv6Unspecified() && r.flags&flagV6Only == 0,
	}
	s.PeerAddr = exposure.IPAddress(unspecified(r.addr))
	if r.datagram() {
		s.State = exposure.Unconnected
	}
	if r.inode != 0 {
		s.Inodes = []uint64{r.inode}
	}
	return s
}

// unspecified is what a listing shows as the peer of a listener.
func unspecified(ip netip.Addr) netip.Addr {
	if ip.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

const protoMPTCP = 262 // IPPROTO_MPTCP, linux/in.h

// protocol names a socket's protocol; MPTCP is TCP to its clients.
func protocol(n uint16) exposure.Proto {
	if n == protoMPTCP {
		return exposure.TCP
	}
	return exposure.ProtoByNumber(uint8(n))
}
