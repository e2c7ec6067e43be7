package connect

import (
	"encoding/binary"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// faraway is a network behind a tun device in which every address answers
// every SYN after a delay: with SYN-ACK from the open ports, else with RST.
type faraway struct {
	dev   *os.File
	delay time.Duration
	open  func(port uint16) bool
	late  chan reply
	most  atomic.Int64 // answers that were on their way at once
}

type reply struct {
	due    time.Time
	packet []byte
}

// distant puts 10.60.0.0/16 behind such a device of ns.
func distant(t *testing.T, ns *nettest.NS, delay time.Duration, open func(uint16) bool) *faraway {
	t.Helper()
	f := &faraway{delay: delay, open: open, late: make(chan reply, 1<<16)}
	var err error
	ns.Do(func() { f.dev, err = tun("tun0") })
	if err != nil {
		nettest.Missing(t, "a tun device: "+err.Error())
	}
	ns.Script("ip addr add 10.60.0.1/16 dev tun0; ip link set tun0 txqueuelen 20000 up")
	done := make(chan struct{})
	go f.read()
	go func() { defer close(done); f.write() }()
	t.Cleanup(func() { _ = f.dev.Close(); <-done })
	return f
}

func tun(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (f *faraway) read() {
	defer close(f.late)
	buf := make([]byte, 2048)
	for {
		n, err := f.dev.Read(buf)
		if err != nil {
			return
		}
		p := buf[:n]
		if n >= 40 && p[0] == 0x45 && p[9] == 6 && p[33] == 0x02 { // IPv4, TCP, SYN alone
			f.late <- reply{time.Now().Add(f.delay), f.answer(p)}
			f.most.Store(max(f.most.Load(), int64(len(f.late))))
		}
	}
}

func (f *faraway) write() {
	for r := range f.late {
		time.Sleep(time.Until(r.due))
		_, _ = f.dev.Write(r.packet)
	}
}

// answer makes the SYN-ACK or RST to a SYN (RFC 9293 section 3.10.7).
func (f *faraway) answer(syn []byte) []byte {
	p := make([]byte, 40)
	copy(p, []byte{0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6})
	copy(p[12:], syn[16:20])
	copy(p[16:], syn[12:16])
	copy(p[20:], syn[22:24])
	copy(p[22:], syn[20:22])
	binary.BigEndian.PutUint32(p[28:], binary.BigEndian.Uint32(syn[24:])+1)
	p[32], p[33] = 5<<4, 0x14 // RST, ACK
	if f.open(binary.BigEndian.Uint16(syn[22:])) {
		p[33] = 0x12 // SYN, ACK
		binary.BigEndian.PutUint16(p[34:], 1000)
	}
	binary.BigEndian.PutUint16(p[10:], checksum(p[:20], 0))
	binary.BigEndian.PutUint16(p[36:], checksum(p[12:], 6+20))
	return p
}

// checksum is RFC 1071's; start is the rest of the pseudo-header.
func checksum(b []byte, start uint32) uint16 {
	sum := start
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

var remote = netip.MustParseAddr("10.60.7.7")

// A distant host has thousands of probes on their way to it, so that its
// distance costs little; every state is right and none too early.
func TestManyInFlight(t *testing.T) {
	ns := nettest.New(t)
	const delay = 150 * time.Millisecond
	f := distant(t, ns, delay, func(p uint16) bool { return p%1000 == 7 })
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	a := ask(t.Context(), t, ns, new(Network), list{[]netip.Addr{remote}, ports(1, 12000)})
	if a.count[exposure.Open] != 12 || a.count[exposure.Closed] != 11988 || len(a.gaps) > 0 {
		t.Errorf("%v %v", a.count, a.gaps)
	}
	for at, p := range a.ports {
		if (p.State == exposure.Open) != (at.Port()%1000 == 7) || p.RTT < delay {
			t.Errorf("%s: %+v", at, p)
		}
	}
	if f.most.Load() < 2000 {
		t.Errorf("no more than %d probes were on their way at once", f.most.Load())
	}
	t.Logf("%.2f s, %d at once, %+v", a.stats.Seconds, f.most.Load(), a.stats)
}

// Something that answers for every port of every address delays nothing and
// keeps no connection.
func TestEverythingAnswers(t *testing.T) {
	ns := nettest.New(t)
	distant(t, ns, 20*time.Millisecond, func(uint16) bool { return true })
	hosts := []netip.Addr{remote, remote.Next(), remote.Next().Next()}
	a := ask(t.Context(), t, ns, new(Network), list{hosts, ports(1, 2000)})
	if a.count[exposure.Open] != 6000 || len(a.gaps) > 0 {
		t.Errorf("%v %v", a.count, a.gaps)
	}
	if left := ns.Run("ss", "-Htan", "state", "connected"); left != "" {
		t.Errorf("left behind:\n%.300s", left)
	}
}

// The answer that takes longer than the measured round trip led to expect is
// no loss: the wait widens with each try up to Timeout.
func TestSlowHostAmongFastOnes(t *testing.T) {
	scanner, _ := pair(t)
	distant(t, scanner, 700*time.Millisecond, func(p uint16) bool { return p == 22 })
	w := mixed{list{[]netip.Addr{far}, ports(1, 5000)}, list{[]netip.Addr{remote}, ports(20, 25)}}
	a := ask(t.Context(), t, scanner, new(Network), w)
	if a.count[exposure.Closed] != 5005 || !slices.Equal(a.open(), []uint16{22}) {
		t.Errorf("%v %v", a.count, a.open())
	}
}

// mixed is one work list after another.
type mixed []list

func (m mixed) Len() (n uint64) {
	for _, l := range m {
		n += l.Len()
	}
	return n
}

func (m mixed) At(i uint64) (netip.Addr, uint16) {
	for _, l := range m {
		if i < l.Len() {
			return l.At(i)
		}
		i -= l.Len()
	}
	return netip.Addr{}, 0
}
