package synack

import (
	"fmt"
	"net/netip"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/scan/rawsock"
	"github.com/portreeve/portreeve/internal/scan/sockaddr"
)

// family is what the hosts of one IP version share: a reserved source port, a
// raw TCP socket and an ICMP socket.
type family struct {
	is4            bool
	port           uint16
	hold, tcp, icm int
}

// openFamily opens the sockets; id is the identifier of echo requests.
func openFamily(is4 bool, iface string, id uint16) (*family, error) {
	f := &family{is4: is4, hold: -1, tcp: -1, icm: -1}
	if err := f.open(iface, id); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *family) open(iface string, id uint16) (err error) {
	if f.hold, f.port, err = rawsock.Keep(f.is4); err != nil {
		return err
	}
	if f.tcp, err = openRaw(f.is4, unix.IPPROTO_TCP, iface, toPort(f.is4, f.port)); err != nil {
		return fmt.Errorf("open a raw TCP socket: %w", err)
	}
	icmp := unix.IPPROTO_ICMPV6
	if f.is4 {
		icmp = unix.IPPROTO_ICMP
	}
	if f.icm, err = openRaw(f.is4, icmp, iface, echoReplies(f.is4, id)); err != nil {
		return fmt.Errorf("open a raw ICMP socket: %w", err)
	}
	return nil
}

func (f *family) close() {
	for _, fd := range []int{f.hold, f.tcp, f.icm} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

func familyOf(is4 bool) int {
	if is4 {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// openRaw opens a raw socket with a filter. The filter is set before anything
// is read, but not before the first packet may be queued: readers check again.
func openRaw(is4 bool, proto int, iface string, program []bpf.Instruction) (int, error) {
	fd, err := unix.Socket(familyOf(is4), unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return -1, err
	}
	err = rawsock.Attach(fd, program)
	if err == nil && iface != "" {
		err = unix.BindToDevice(fd, iface)
	}
	if err == nil {
		err = rawOptions(fd, is4)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// rawOptions asks for DF on what is sent, as TCP sets it (ip(7)), and for what
// an IPv6 raw socket does not deliver: hop limit and traffic class (ipv6(7)).
func rawOptions(fd int, is4 bool) error {
	if is4 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
	}
	for _, option := range []int{unix.IPV6_RECVHOPLIMIT, unix.IPV6_RECVTCLASS} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, option, 1); err != nil {
			return err
		}
	}
	return nil
}

// sourceTo is the address that the kernel would send from to dst.
func sourceTo(dst netip.Addr, iface string) (netip.Addr, error) {
	fd, err := unix.Socket(familyOf(dst.Is4()), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find the source address to %s: %w", dst, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if iface != "" {
		err = unix.BindToDevice(fd, iface)
	}
	var sa unix.Sockaddr
	if err == nil {
		sa, err = sockaddr.New(netip.AddrPortFrom(dst, 9))
	}
	if err == nil {
		err = unix.Connect(fd, sa) // sends nothing
	}
	if err == nil {
		sa, err = unix.Getsockname(fd)
	}
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find the source address to %s: %w", dst, err)
	}
	return sockaddr.AddrPort(sa).Addr(), nil
}

// send sends one message from src.
func send(fd int, b []byte, src, dst netip.Addr) error {
	sa, err := sockaddr.New(netip.AddrPortFrom(dst, 0))
	if err != nil {
		return err
	}
	control := unix.PktInfo6(&unix.Inet6Pktinfo{Addr: src.As16()})
	if dst.Is4() {
		control = unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: src.As4()})
	}
	_, err = unix.SendmsgN(fd, b, control, sa, unix.MSG_DONTWAIT)
	return err
}

// message is one packet that a raw socket delivered.
type message struct {
	data []byte // IPv4: from the IP header on; IPv6: from the TCP or ICMPv6 header on
	from netip.Addr
	hops uint8 // IPv6
	ect  uint8 // IPv6
}

// receive takes one packet without waiting.
func receive(fd int, buffer []byte) (message, error) {
	var control [128]byte
	n, oobn, _, sa, err := unix.Recvmsg(fd, buffer, control[:], unix.MSG_DONTWAIT)
	if err != nil {
		return message{}, err
	}
	m := message{data: buffer[:n], from: sockaddr.AddrPort(sa).Addr()}
	parts, err := unix.ParseSocketControlMessage(control[:oobn])
	if err != nil {
		return m, nil // the packet is there; only the hop limit is not
	}
	for _, part := range parts {
		if part.Header.Level != unix.IPPROTO_IPV6 || len(part.Data) == 0 {
			continue
		}
		switch part.Header.Type { // an int in the machine's byte order, below 256
		case unix.IPV6_HOPLIMIT:
			m.hops = small(part.Data)
		case unix.IPV6_TCLASS:
			m.ect = small(part.Data) & 3
		}
	}
	return m, nil
}

// small reads an int below 256 in the machine's byte order, whichever it is.
func small(b []byte) uint8 {
	var v uint8
	for _, c := range b[:min(4, len(b))] {
		v |= c
	}
	return v
}
