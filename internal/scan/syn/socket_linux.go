package syn

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/scan/rawsock"
	"github.com/portreeve/portreeve/internal/scan/sockaddr"
)

// recvBuffer is asked for on every receiving socket; the kernel may give less.
const recvBuffer = 8 << 20

// addressError is what hinders asking one address.
type addressError struct {
	op   string
	addr netip.Addr
	err  error
}

func (e *addressError) Error() string { return e.op + " " + e.addr.String() + ": " + e.err.Error() }

func (e *addressError) Unwrap() error { return e.err }

// rawName is the destination of a probe as the kernel reads it.
func rawName(addr netip.Addr) ([]byte, error) {
	if addr.Is4() {
		sa := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: addr.As4()}
		return bytesOf(&sa), nil
	}
	zone, err := sockaddr.Zone(addr.Zone())
	sa := unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: addr.As16(), Scope_id: zone}
	return bytesOf(&sa), err
}

func bytesOf[T any](v *T) []byte {
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))...)
}

// rawControl is the ancillary data of a probe. For IPv6 it names the source
// (IPV6_PKTINFO): the kernel then refuses a source that is no longer ours,
// where a bound socket would go on. For IPv4 the kernel checks anyway.
func rawControl(addr netip.Addr) []byte {
	if addr.Is4() {
		return nil
	}
	zone, _ := sockaddr.Zone(addr.Zone()) // rawName has reported it
	info := unix.Inet6Pktinfo{Addr: addr.As16(), Ifindex: zone}
	b := make([]byte, unix.CmsgSpace(unix.SizeofInet6Pktinfo))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	copy(b[unix.CmsgLen(0):], bytesOf(&info))
	return b
}

// openRaw opens a raw socket bound to an address that hears answers to ports.
func openRaw(addr netip.Addr, ports [2]uint16) (int, error) {
	family, program := unix.AF_INET6, answersTCP(ports, true)
	if addr.Is4() {
		family, program = unix.AF_INET, answers4(ports, true)
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
	if err == nil {
		err = rawsock.Attach(fd, program)
	}
	if err != nil {
		closeIfOpen(fd)
		return -1, fmt.Errorf("open a raw socket: %w", err)
	}
	if err := bindRaw(fd, addr); err != nil {
		_ = unix.Close(fd)
		return -1, &addressError{"ask from", addr, err}
	}
	growBuffer(fd)
	return fd, nil
}

func closeIfOpen(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

func bindRaw(fd int, addr netip.Addr) error {
	sa, err := sockaddr.New(netip.AddrPortFrom(addr, 0))
	if err != nil {
		return err
	}
	return unix.Bind(fd, sa)
}

// growBuffer asks for a large receive queue; what the kernel refuses beyond
// its limit costs only another round.
func growBuffer(fd int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, recvBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, recvBuffer)
	}
}

// openTap opens a packet socket on loopback that hears SYN-ACKs to ports
// before any rule may drop them.
func openTap(is4 bool, ports [2]uint16) (int, error) {
	lo, err := loopbackIndex()
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open a packet socket on loopback: %w", err)
	}
	program, proto := answers6(ports, false), uint16(unix.ETH_P_IPV6)
	if is4 {
		program, proto = answers4(ports, false), unix.ETH_P_IP
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1) // Linux 4.20; saves time only
	err = rawsock.Attach(fd, program)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(proto), Ifindex: lo})
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("open a packet socket on loopback: %w", err)
	}
	growBuffer(fd)
	return fd, nil
}

func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

func loopbackIndex() (int, error) {
	ifaces, err := net.Interfaces()
	if err != nil {
		return 0, fmt.Errorf("find the loopback interface: %w", err)
	}
	for _, i := range ifaces {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Index, nil
		}
	}
	return 0, fmt.Errorf("find the loopback interface: %w", os.ErrNotExist)
}

// openICMP opens a raw socket that hears destination-unreachable messages.
func openICMP(is4 bool) (int, error) {
	family, proto, program := unix.AF_INET6, unix.IPPROTO_ICMPV6, unreachables6()
	if is4 {
		family, proto, program = unix.AF_INET, unix.IPPROTO_ICMP, unreachables4()
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return -1, fmt.Errorf("open an ICMP socket: %w", err)
	}
	if err := rawsock.Attach(fd, program); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("open an ICMP socket: %w", err)
	}
	growBuffer(fd)
	return fd, nil
}

// inodeOf is the inode of a socket, 0 if the kernel does not say.
func inodeOf(fd int) uint64 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	return st.Ino
}

// drops is how many packets a socket's queue lost (SK_MEMINFO_DROPS).
func drops(fd int) uint32 {
	var info [9]uint32 // SK_MEMINFO_VARS, linux/sock_diag.h
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0
	}
	return info[8] // SK_MEMINFO_DROPS
}
