package syn

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/nettest"
)

// packetQueues is a QueueWatch over packet_diag (linux/packet_diag.h), as the
// host view provides it outside tests.
type packetQueues struct {
	fd     int
	buf    []byte
	queues []Queue
	asked  int
}

func watchPackets(t testing.TB, ns *nettest.NS) *packetQueues {
	t.Helper()
	w := &packetQueues{buf: make([]byte, 1<<16)}
	var err error
	ns.Do(func() {
		w.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(w.fd) })
	return w
}

func (w *packetQueues) Queues() ([]Queue, error) {
	w.asked++
	req := make([]byte, 16+20)
	binary.NativeEndian.PutUint32(req[0:], uint32(len(req)))
	binary.NativeEndian.PutUint16(req[4:], 20) // SOCK_DIAG_BY_FAMILY
	binary.NativeEndian.PutUint16(req[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	req[16] = unix.AF_PACKET
	binary.NativeEndian.PutUint32(req[24:], 0x10) // PACKET_SHOW_MEMINFO
	if err := unix.Sendto(w.fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	w.queues = w.queues[:0]
	for {
		n, _, err := unix.Recvfrom(w.fd, w.buf, 0)
		if err != nil {
			return nil, err
		}
		for b := w.buf[:n]; len(b) >= 16; {
			size := binary.NativeEndian.Uint32(b)
			if binary.NativeEndian.Uint16(b[4:]) == unix.NLMSG_DONE {
				return w.queues, nil
			}
			w.take(b[16:size])
			b = b[(size+3)&^3:]
		}
	}
}

func (w *packetQueues) take(b []byte) {
	q := Queue{ID: uint64(binary.NativeEndian.Uint32(b[4:]))}
	for a := b[16:]; len(a) >= 4; {
		size := binary.NativeEndian.Uint16(a)
		if binary.NativeEndian.Uint16(a[2:]) == 6 { // PACKET_DIAG_MEMINFO
			u := func(i int) uint64 { return uint64(binary.NativeEndian.Uint32(a[4+4*i:])) }
			q.Used, q.Limit, q.Drops = u(0), u(1), u(8)
		}
		a = a[min(int(size+3)&^3, len(a)):]
	}
	w.queues = append(w.queues, q)
}
