package syn

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr (sendmmsg(2)); the compiler pads it as C does.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// outbox is a batch of probes to one address, sent with one system call.
type outbox struct {
	bytes  []byte
	iovs   []unix.Iovec
	msgs   []mmsghdr
	length int
}

// newOutbox prepares room for n segments to one destination. name and control
// are a raw socket address and ancillary data shared by all of them.
func newOutbox(n int, name, control []byte) *outbox {
	o := &outbox{bytes: make([]byte, n*segmentLen), iovs: make([]unix.Iovec, n), msgs: make([]mmsghdr, n)}
	for i := range o.msgs {
		o.iovs[i].Base = &o.bytes[i*segmentLen]
		o.iovs[i].SetLen(segmentLen)
		h := &o.msgs[i].hdr
		h.Name, h.Namelen = &name[0], uint32(len(name))
		h.Iov = &o.iovs[i]
		h.SetIovlen(1)
		if len(control) > 0 {
			h.Control = &control[0]
			h.SetControllen(len(control))
		}
	}
	return o
}

// next is the room for one more segment.
func (o *outbox) next() []byte {
	b := o.bytes[o.length*segmentLen:][:segmentLen]
	o.length++
	return b
}

// send sends segments from index `from` on; it returns how many went. An
// error concerns the segment after those.
func (o *outbox) send(fd, from int) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&o.msgs[from])),
		uintptr(o.length-from), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// inbox receives packets in batches.
type inbox struct {
	bytes []byte
	names []unix.RawSockaddrInet6
	iovs  []unix.Iovec
	msgs  []mmsghdr
}

const (
	inboxSize = 256
	inboxLen  = 160 // headers and an ICMP quote; the rest is cut
)

func newInbox() *inbox {
	in := &inbox{
		bytes: make([]byte, inboxSize*inboxLen),
		names: make([]unix.RawSockaddrInet6, inboxSize),
		iovs:  make([]unix.Iovec, inboxSize),
		msgs:  make([]mmsghdr, inboxSize),
	}
	for i := range in.msgs {
		in.iovs[i].Base = &in.bytes[i*inboxLen]
		in.iovs[i].SetLen(inboxLen)
		h := &in.msgs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&in.names[i]))
		h.Iov = &in.iovs[i]
		h.SetIovlen(1)
	}
	return in
}

// receive fills the box without waiting; 0 means that nothing is there.
func (in *inbox) receive(fd int) (int, error) {
	for i := range in.msgs {
		in.msgs[i].hdr.Namelen = unix.SizeofSockaddrInet6
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&in.msgs[0])),
		inboxSize, unix.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EAGAIN, unix.EINTR:
		return 0, nil
	}
	return 0, errno
}

// packet is the i-th packet received.
func (in *inbox) packet(i int) []byte {
	return in.bytes[i*inboxLen:][:min(int(in.msgs[i].n), inboxLen)]
}
