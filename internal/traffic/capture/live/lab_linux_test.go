package live

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"
	"unsafe"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/traffic/capture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a sending and a hearing namespace joined by a veth, "eth0" in both,
// without the talk of IPv6.
type lab struct{ from, to *nettest.NS }

func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{nettest.New(t), nettest.New(t)}
	for _, ns := range []*nettest.NS{l.from, l.to} {
		quietIPv6(ns)
	}
	nettest.Veth(t, l.from, l.to, "10.9.0.1/24", "10.9.0.2/24")
	return l
}

func quietIPv6(ns *nettest.NS) {
	ns.Script("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")
}

// open captures in a namespace until the test ends.
func open(t testing.TB, ns *nettest.NS, o Options) []*Ring {
	t.Helper()
	var rings []*Ring
	var err error
	ns.Do(func() { rings, err = Open(o) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, r := range rings {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return rings
}

// small is a ring of 1 MiB.
func small(names ...string) Options {
	return Options{Interfaces: names, BlockSize: 64 << 10, Blocks: 16}
}

// got is a copy of a packet.
type got struct {
	capture.Packet
	name string
}

// rest stops a ring and gives copies of what it still has. Its end is io.EOF.
func rest(t testing.TB, r *Ring) []got {
	t.Helper()
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	out, err := toEnd(r)
	if !errors.Is(err, io.EOF) {
		t.Fatalf("the end of a stopped ring: %v", err)
	}
	return out
}

func toEnd(r *Ring) (out []got, err error) {
	var b capture.Batch
	defer b.Release()
	for {
		if err := r.Next(&b); err != nil {
			return out, err
		}
		for _, p := range b.Packets {
			p.Data = append([]byte(nil), p.Data...)
			out = append(out, got{p, r.Interfaces()[p.Interface].Name})
		}
	}
}

// stranger is nobody's MAC: what is sent to it is for the capture alone.
var stranger = net.HardwareAddr{2, 0, 0, 0, 0, 9}

// udp is an Ethernet frame of so many bytes with a UDP packet.
func udp(src, dst string, sport, dport uint16, size int) []byte {
	f := make([]byte, max(size, 42))
	copy(f, stranger)
	copy(f[6:], []byte{2, 0, 0, 0, 0, 1})
	binary.BigEndian.PutUint16(f[12:], 0x0800)
	ip := f[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	copy(ip[12:], net.ParseIP(src).To4())
	copy(ip[16:], net.ParseIP(dst).To4())
	binary.BigEndian.PutUint16(ip[20:], sport)
	binary.BigEndian.PutUint16(ip[22:], dport)
	binary.BigEndian.PutUint16(ip[24:], uint16(len(ip)-20))
	return f
}

// sender puts frames on an interface as they are.
type sender struct {
	fd   int
	msgs []mmsghdr
	iovs []unix.Iovec
}

type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

const burst = 64

func newSender(t testing.TB, ns *nettest.NS, iface string) *sender {
	t.Helper()
	s := &sender{msgs: make([]mmsghdr, burst), iovs: make([]unix.Iovec, burst)}
	var err error
	ns.Do(func() {
		var ifi *net.Interface
		if ifi, err = net.InterfaceByName(iface); err != nil {
			return
		}
		if s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		err = errors.Join(unix.Bind(s.fd, &unix.SockaddrLinklayer{Ifindex: ifi.Index}),
			unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1),
			unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(s.fd) })
	return s
}

// send sends all frames, in bursts.
func (s *sender) send(t testing.TB, frames ...[]byte) {
	t.Helper()
	for len(frames) > 0 {
		n := min(len(frames), burst)
		for i, f := range frames[:n] {
			s.iovs[i] = unix.Iovec{Base: &f[0]}
			s.iovs[i].SetLen(len(f))
			s.msgs[i] = mmsghdr{hdr: unix.Msghdr{Iov: &s.iovs[i], Iovlen: 1}}
		}
		sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.msgs[0])), uintptr(n), 0, 0, 0)
		if errno == unix.ENOBUFS || errno == unix.EINTR {
			continue // nothing of it was sent
		}
		if errno != 0 {
			t.Fatalf("send: %v", errno)
		}
		frames = frames[sent:]
	}
}

// flood sends n frames out of a set, so many a second; 0: as fast as it goes.
func (s *sender) flood(t testing.TB, frames [][]byte, n, rate int) {
	t.Helper()
	begun := time.Now()
	for sent := 0; sent < n; {
		some := min(burst, n-sent, len(frames)-sent%len(frames))
		s.send(t, frames[sent%len(frames):][:some]...)
		sent += some
		if rate > 0 {
			if ahead := time.Duration(sent)*time.Second/time.Duration(rate) - time.Since(begun); ahead > 200*time.Microsecond {
				time.Sleep(ahead)
			}
		}
	}
}

// mixed are frames of many conversations and the sizes of ordinary traffic.
func mixed() [][]byte {
	sizes := [...]int{60, 60, 90, 130, 60, 590, 60, 1514}
	out := make([][]byte, 1024)
	for i := range out {
		out[i] = udp("10.1.0.1", "10.2.0.2", uint16(1024+i), 53, sizes[i%len(sizes)])
	}
	return out
}

func udpAddr(host string, port int) *net.UDPAddr {
	return &net.UDPAddr{IP: net.ParseIP(host), Port: port}
}
