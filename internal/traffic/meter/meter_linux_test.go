package meter

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if child := os.Getenv("METER_CHILD"); child != "" {
		os.Exit(runChild(child))
	}
	goleak.VerifyTestMain(m)
}

// Frames of every kind, sent from both ends: conversations and totals are
// those that tcpdump's file of the same interface holds.
func TestCountsWhatTcpdumpSees(t *testing.T) {
	l := newLab(t)
	stop := sniff(t, l.near, "eth0")
	m := openIn(t, l.near, Options{Interfaces: []string{"eth0"}, Promiscuous: true})
	near, far := openPort(t, l.near, "eth0"), openPort(t, l.far, "eth0")
	sent := 0
	for range 3 {
		for _, name := range sampleNames() {
			near.send(samples[name]())
			far.send(samples[name]())
			sent += 2
		}
	}
	settled(t, m, uint64(sent))
	seen := stop()
	if len(seen) != sent {
		t.Errorf("tcpdump saw %d of %d frames", len(seen), sent)
	}
	agree(t, m, seen)
}

// Frames of nonsense are counted as they are and arrive unchanged.
func TestNonsense(t *testing.T) {
	l := newLab(t)
	m := openIn(t, l.near, Options{Interfaces: []string{"eth0"}})
	n := openIn(t, l.far, Options{Interfaces: []string{"eth0"}})
	stop := sniff(t, l.far, "eth0")
	p := openPort(t, l.near, "eth0")
	random := rand.New(rand.NewPCG(1, 2))
	var sent [][]byte
	for i := range 500 {
		frame := mutant(random, i)
		p.send(frame)
		sent = append(sent, frame)
	}
	settled(t, m, 500)
	settled(t, n, 500)
	seen := stop()
	if len(seen) != len(sent) {
		t.Fatalf("%d of %d arrived", len(seen), len(sent))
	}
	for i := range seen {
		if string(seen[i]) != string(sent[i]) {
			t.Fatalf("frame %d changed:\n%x\n%x", i, sent[i], seen[i])
		}
	}
	agree(t, m, sent)
	agree(t, n, sent)
}

// Headers that the kernel keeps in pages are read as well.
func TestPagedFrames(t *testing.T) {
	l := newLab(t)
	m := openIn(t, l.near, Options{Interfaces: []string{"eth0"}})
	p := openPort(t, l.near, "eth0")
	var sent [][]byte
	for _, name := range sampleNames() {
		for _, linear := range []uint16{14, 15, 34, 40} {
			// What is behind a packet in its frame is not the packet's.
			frame := cat(samples[name](), make([]byte, 6000))
			p.paged(frame, linear)
			sent = append(sent, frame)
		}
	}
	settled(t, m, uint64(len(sent)))
	agree(t, m, sent)
}

// The kernel's own traffic: a TCP connection with giants, both ways.
func TestConnection(t *testing.T) {
	l := newLab(t)
	stop := sniff(t, l.near, "eth0")
	m := openIn(t, l.near, Options{Interfaces: []string{"eth0"}})
	converse(t, l, 1<<19)
	wait := len(records(t, m))
	if wait != 1 {
		t.Errorf("%d conversations", wait)
	}
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	agree(t, m, stop())
	last := records(t, m)[0].Last
	r := byFirst(records(t, m)[0])
	if !r.SYNFromA || r.SYNFromB || !r.SYNACKFromB || r.SYNACKFromA || r.FirstFlags != 2 || r.PortB != 8080 {
		t.Errorf("%+v", r)
	}
	if age := time.Since(time.Unix(0, last)); age < 0 || age > time.Minute {
		t.Errorf("last frame %v ago", age)
	}
	if s, _ := m.Stats(); s.Giants == 0 || s.Segments < 2*s.Giants {
		t.Errorf("no giants: %+v", s)
	}
}

// converse sends bytes from near to far and waits until all is closed.
func converse(t *testing.T, l *lab, size int) {
	t.Helper()
	ln := l.far.Listen("tcp", "10.9.0.2:8080")
	done := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			_, err = readAll(c)
		}
		done <- err
	}()
	var c net.Conn
	var err error
	l.near.Do(func() { c, err = net.Dial("tcp", "10.9.0.2:8080") })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // the last acknowledgements
}

func readAll(c net.Conn) (n int, err error) {
	defer c.Close()
	b := make([]byte, 1<<16)
	for {
		k, err := c.Read(b)
		n += k
		if err != nil {
			return n, nil
		}
	}
}

// Where the device leaves cutting to the kernel, the pieces are counted.
func TestGiantsThatTheKernelCuts(t *testing.T) {
	l := newLab(t)
	l.near.Do(func() { setTSO(t, "eth0", 0) })
	stop := sniff(t, l.near, "eth0")
	m := openIn(t, l.near, Options{Interfaces: []string{"eth0"}})
	converse(t, l, 1<<19)
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	seen := stop()
	agree(t, m, seen)
	for _, f := range seen {
		if len(f) > 9014 {
			t.Fatalf("a frame of %d bytes: nothing was cut", len(f))
		}
	}
}

// Loopback shows every packet twice; it counts once.
func TestLoopbackOnce(t *testing.T) {
	l := newLab(t)
	stop := sniff(t, l.near, "lo")
	m := openIn(t, l.near, Options{Interfaces: []string{"lo"}})
	pc := l.near.ListenPacket("udp", "127.0.0.1:5353")
	var c net.Conn
	var err error
	l.near.Do(func() { c, err = net.Dial("udp", "127.0.0.1:5353") })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 100 {
		if _, err := c.Write([]byte("once")); err != nil {
			t.Fatal(err)
		}
	}
	_ = pc
	settled(t, m, 100)
	agree(t, m, stop())
	if s, _ := m.Stats(); s.Packets != 100 {
		t.Errorf("%d packets", s.Packets)
	}
}

// Frames of one conversation on several processors at once, both ways, while
// it is read: none is lost, none counted twice.
func TestAtOnce(t *testing.T) {
	const each, size = 2000, 14 + 20 + 8 + 6
	l := newLab(t)
	m := openIn(t, l.near, Options{Interfaces: []string{"eth0"}})
	var sending sync.WaitGroup
	for i := range 4 {
		ns, frame := l.near, ether(0x0800, ip4(17, host1, host2, udp(53, 40000, "answer")))
		if i%2 == 1 {
			ns, frame = l.far, ether(0x0800, ip4(17, host2, host1, udp(40000, 53, "answer")))
		}
		p := openPort(t, ns, "eth0")
		sending.Go(func() {
			for range each {
				p.send(frame)
			}
		})
	}
	for range 20 {
		records(t, m)
	}
	sending.Wait()
	settled(t, m, 4*each)
	r := records(t, m)
	if len(r) != 1 || r[0].PacketsAB != 2*each || r[0].PacketsBA != 2*each ||
		r[0].BytesAB != 2*each*size || r[0].BytesBA != 2*each*size {
		t.Errorf("%+v", r)
	}
	if s, err := m.Stats(); err != nil || s.Packets != 4*each || s.Bytes != 4*each*size {
		t.Errorf("%+v %v", s, err)
	}
}

// Two interfaces make one table.
func TestTwoInterfaces(t *testing.T) {
	l := newLab(t)
	nettest.Veth(t, l.near, l.far, "eth1=10.9.1.1/24", "eth1=10.9.1.2/24")
	m := openIn(t, l.near, Options{Interfaces: []string{"eth0", "eth1"}})
	first, second := openPort(t, l.far, "eth0"), openPort(t, l.far, "eth1")
	var sent [][]byte
	for _, name := range sampleNames() {
		frame := samples[name]()
		first.send(frame)
		second.send(frame)
		sent = append(sent, frame, frame)
	}
	settled(t, m, uint64(len(sent)))
	agree(t, m, sent)
}

// A tag that was taken out of the frame counts, in length and identifier.
func TestTagTakenOut(t *testing.T) {
	l := newLab(t)
	m := openIn(t, l.near, Options{Interfaces: []string{"eth0"}})
	frame := samples["vlan"]()
	openPort(t, l.far, "eth0").send(frame)
	settled(t, m, 1)
	if r := byFirst(records(t, m)[0]); !r.HasVLAN || r.VLAN != 7 || r.BytesAB != uint64(len(frame)) {
		t.Errorf("%+v", r)
	}
}

// Interfaces without a link header.
func TestBareInterface(t *testing.T) {
	ns := nettest.New(t)
	dev := openTun(t, ns, "tun7", unix.ARPHRD_NONE)
	ns.Script("ip addr add 10.9.8.1/24 dev tun7; ip link set tun7 up")
	stop := sniff(t, ns, "tun7")
	m := openIn(t, ns, Options{Interfaces: []string{"tun7"}})
	var sent [][]byte
	for _, name := range sampleNames() {
		frame := samples[name]()
		if kind := binary.BigEndian.Uint16(frame[12:]); kind != 0x0800 && kind != 0x86dd {
			continue
		}
		if _, err := dev.Write(frame[14:]); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, frame[14:])
	}
	settled(t, m, uint64(len(sent)))
	w := &twin{bare: true, flows: map[Record]*Record{}, pieces: map[twinPiece]twinPorts{}}
	for i, f := range stop() {
		if string(f) != string(sent[i]) {
			t.Fatalf("frame %d: tcpdump has %x, sent %x", i, f, sent[i])
		}
		w.frame(f)
	}
	compareRecords(t, w, records(t, m))
}

// openTun makes a tun interface of a device type.
func openTun(t *testing.T, ns *nettest.NS, name string, kind int) *os.File {
	t.Helper()
	var dev *os.File
	ns.Do(func() {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			nettest.Missing(t, "/dev/net/tun: "+err.Error())
		}
		dev = os.NewFile(uintptr(fd), name)
		req, err := unix.NewIfreq(name)
		if err != nil {
			t.Error(err)
			return
		}
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
			t.Error(err)
		}
		if err := unix.IoctlSetInt(fd, unix.TUNSETLINK, kind); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { _ = dev.Close() })
	return dev
}

// An interface is promiscuous while a meter wants it so.
func TestPromiscuous(t *testing.T) {
	l := newLab(t)
	is := func() bool { return strings.Contains(l.near.Run("ip", "-d", "link", "show", "eth0"), "promiscuity 1 ") }
	m := openIn(t, l.near, Options{Interfaces: []string{"eth0"}, Promiscuous: true})
	if !is() {
		t.Error("not promiscuous")
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if is() {
		t.Error("still promiscuous")
	}
	openIn(t, l.near, Options{Interfaces: []string{"eth0"}})
	if is() {
		t.Error("promiscuous without having been asked")
	}
}

// An interface that goes is named; what it counted stays.
func TestInterfaceGoes(t *testing.T) {
	l := newLab(t)
	m := openIn(t, l.near, Options{Interfaces: []string{"lo", "eth0"}, Promiscuous: true})
	openPort(t, l.far, "eth0").send(samples["udp"]())
	l.near.Run("ip", "link", "del", "eth0")
	s, err := m.Stats()
	if err != nil || len(s.Gone) != 1 || s.Gone[0] != "eth0" {
		t.Errorf("%+v %v", s, err)
	}
	if r := records(t, m); len(r) != 1 {
		t.Errorf("%+v", r)
	}
	if err := m.Stop(); err != nil {
		t.Error(err)
	}
	if s, err := m.Stats(); err != nil || len(s.Gone) != 1 {
		t.Errorf("%+v %v", s, err)
	}
}
