package wide

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is how many frames one system call sends: more gains nothing,
// fewer costs (measured: docs/benchmarks.md).
const batchSize = 256

// mmsghdr is struct mmsghdr (sendmmsg(2)); the compiler pads it as C does.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// batch is frames for one socket, sent with one system call.
type batch struct {
	fd    int
	bytes []byte
	names []unix.RawSockaddrAny
	iovs  []unix.Iovec
	msgs  []mmsghdr
	n     int
}

func newBatch() *batch {
	o := &batch{bytes: make([]byte, batchSize*maxFrame), names: make([]unix.RawSockaddrAny, batchSize),
		iovs: make([]unix.Iovec, batchSize), msgs: make([]mmsghdr, batchSize)}
	for i := range o.msgs {
		o.iovs[i].Base = &o.bytes[i*maxFrame]
		h := &o.msgs[i].hdr
		h.Name, h.Iov = (*byte)(unsafe.Pointer(&o.names[i])), &o.iovs[i]
		h.SetIovlen(1)
	}
	return o
}

func (b *batch) full() bool { return b.n == batchSize }

// put adds the frame of one try.
func (b *batch) put(h *Hop, dst netip.Addr, sport, dport uint16, seq uint32) {
	i := b.n
	b.iovs[i].SetLen(h.put(b.bytes[i*maxFrame:][:maxFrame], dst, sport, dport, seq))
	b.msgs[i].hdr.Namelen = putName(&b.names[i], h, dst)
	b.n++
}

// flush sends what was put, from index from on; it returns how many went
// before an error.
func (b *batch) flush(from int) (sent int, err error) {
	for from+sent < b.n {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.msgs[from+sent])),
			uintptr(b.n-from-sent), unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			return sent, errno
		}
		sent += int(n)
	}
	return sent, nil
}

// openLink opens the packet socket for sending. It receives nothing.
func openLink() (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open a packet socket: %w", err)
	}
	// Not every device can; the queueing discipline is slower and as right.
	_ = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<20)
	return fd, nil
}

// openRaw opens a raw IP socket that takes whole packets.
func openRaw(family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return -1, fmt.Errorf("open a raw socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<20)
	return fd, nil
}

// putName writes where a frame goes and returns the length of the name.
func putName(name *unix.RawSockaddrAny, h *Hop, dst netip.Addr) uint32 {
	switch {
	case !h.Raw:
		ll := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(name))
		*ll = unix.RawSockaddrLinklayer{Family: unix.AF_PACKET, Protocol: etherTypeOf(h.Src), Ifindex: int32(h.Index)}
		return unix.SizeofSockaddrLinklayer
	case dst.Is6():
		in6 := (*unix.RawSockaddrInet6)(unsafe.Pointer(name))
		*in6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: dst.As16()}
		if dst.IsLinkLocalUnicast() {
			in6.Scope_id = uint32(h.Index)
		}
		return unix.SizeofSockaddrInet6
	}
	in4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
	*in4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: dst.As4()}
	return unix.SizeofSockaddrInet4
}

// etherTypeOf is the protocol of a packet socket's name: big-endian in
// memory.
func etherTypeOf(a netip.Addr) uint16 {
	t := uint16(unix.ETH_P_IP)
	if a.Is6() {
		t = unix.ETH_P_IPV6
	}
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], t)
	return binary.NativeEndian.Uint16(b[:])
}

// busy tells an error that goes away by waiting.
func busy(err error) bool {
	return errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.EINTR)
}

// gone tells an error that ends a sweep: interface down, removed, no route.
func gone(err error) bool {
	return errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) ||
		errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH)
}

// forbidden tells that the kernel refused to send (an output rule).
func forbidden(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
}
