package wide

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/nettest"
)

// openTun makes a tunnel device of the calling thread's namespace whose other
// end is the file.
func openTun(t *testing.T, name string) *os.File {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		nettest.Missing(t, "/dev/net/tun")
		return nil
	}
	var req struct {
		name  [unix.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(req.name[:], name)
	req.flags = unix.IFF_TUN | unix.IFF_NO_PI
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&req))); errno != 0 {
		t.Fatalf("make the tunnel %s: %v", name, errno)
	}
	return os.NewFile(uintptr(fd), name)
}

// answerTunnel is the far end: it accepts some ports and refuses the others.
func answerTunnel(tun *os.File, open []uint16) {
	b := make([]byte, 2048)
	for {
		n, err := tun.Read(b)
		if err != nil {
			return
		}
		p, ok := readIP(b[:n])
		if !ok || p.proto != protoTCP || p.payload[13] != flagSYN {
			continue
		}
		flags := byte(flagRST | flagACK)
		if slices.Contains(open, uint16(p.payload[2])<<8|uint16(p.payload[3])) {
			flags = flagSYN | flagACK
		}
		seq := uint32(p.payload[4])<<24 | uint32(p.payload[5])<<16 | uint32(p.payload[6])<<8 | uint32(p.payload[7])
		_, _ = tun.Write(answerTo(b[:n], flags, seq+1))
	}
}

// A device without link header is asked through a raw IP socket.
func TestThroughATunnel(t *testing.T) {
	l := lab{scanner: nettest.New(t)}
	var tun *os.File
	var index int
	l.scanner.Do(func() {
		tun = openTun(t, "tun0")
		i, err := net.InterfaceByName("tun0")
		if err != nil {
			t.Error(err)
			return
		}
		index = i.Index
	})
	if tun == nil || index == 0 {
		t.FailNow()
	}
	t.Cleanup(func() { _ = tun.Close() })
	l.scanner.Script("ip addr add 10.77.0.1/24 dev tun0; ip link set tun0 up; ip -6 addr add fd77::1/64 dev tun0 nodad")
	want := []uint16{22, 443, 900}
	go answerTunnel(tun, want)
	for src, dst := range map[string]string{"10.77.0.1": "10.77.0.2", "fd77::1": "fd77::2"} {
		hop := oneHop{NewHop(index, nil, netip.MustParseAddr(src), 1400)}
		got, _, gaps := l.sweep(t, t.Context(), &Transport{Router: hop}, grid{[]netip.Addr{netip.MustParseAddr(dst)}, allPorts()[:1000]})
		if !slices.Equal(open(got), want) || len(got) != 1000 || len(gaps) > 0 {
			t.Errorf("%s: open %v of %d, gaps %v", dst, open(got), len(got), gaps)
		}
	}
}
