package live

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

var _ capture.Source = (*Ring)(nil)

// Every frame comes as it was sent, with its length, time, direction, link
// type and interface.
func TestFramesAreAsSent(t *testing.T) {
	l := newLab(t)
	r := open(t, l.to, small("eth0"))[0]
	s := newSender(t, l.from, "eth0")
	before := time.Now()
	frames := mixed()
	s.send(t, frames...)
	packets := rest(t, r)
	if len(packets) != len(frames) {
		t.Fatalf("%d packets of %d; %+v", len(packets), len(frames), r.Stats())
	}
	for i, p := range packets {
		if !bytes.Equal(p.Data, frames[i]) || int(p.Wire) != len(frames[i]) || p.Truncated() {
			t.Fatalf("packet %d: %x of %d, want %x", i, p.Data, p.Wire, frames[i])
		}
		if at := time.Unix(0, p.Time); at.Before(before) || at.After(time.Now()) {
			t.Fatalf("packet %d of %v, sent after %v", i, at, before)
		}
		if p.Link != wire.LinkEthernet || p.Direction != capture.Inbound || p.name != "eth0" || p.HasVLAN {
			t.Fatalf("packet %d: %+v", i, p)
		}
	}
	if s := r.Stats(); s != (capture.Stats{Received: uint64(len(frames)), Known: true}) {
		t.Errorf("%+v", s)
	}
}

// Tags are taken out of the frame by the kernel and come as metadata; the
// second of two stays. The length on the wire counts it.
func TestTagsComeAsMetadata(t *testing.T) {
	l := newLab(t)
	r := open(t, l.to, small("eth0"))[0]
	s := newSender(t, l.from, "eth0")
	plain := udp("10.1.0.1", "10.2.0.2", 1, 2, 100)
	tag := func(f []byte, proto, tci uint16) []byte {
		out := append([]byte(nil), f[:12]...)
		out = append(out, byte(proto>>8), byte(proto), byte(tci>>8), byte(tci))
		return append(out, f[12:]...)
	}
	inner := tag(plain, 0x8100, 0x2005)
	s.send(t, tag(plain, 0x8100, 0x6007), tag(inner, 0x88a8, 100), tag(plain, 0x8100, 0), plain)
	want := []struct {
		data       []byte
		has        bool
		proto, tci uint16
	}{{plain, true, 0x8100, 0x6007}, {inner, true, 0x88a8, 100}, {plain, true, 0x8100, 0}, {plain, false, 0, 0}}
	packets := rest(t, r)
	if len(packets) != len(want) {
		t.Fatalf("%d packets", len(packets))
	}
	for i, w := range want {
		p := packets[i]
		length := len(w.data)
		if w.has {
			length += 4
		}
		if !bytes.Equal(p.Data, w.data) || p.HasVLAN != w.has || p.VLANProto != w.proto || p.VLANTCI != w.tci || int(p.Wire) != length || p.Truncated() {
			t.Errorf("packet %d: %+v, want %+v", i, p.Packet, w)
		}
	}
}

// portIs is a filter for UDP packets to one port.
func portIs(port uint32, offset uint32) []bpf.RawInstruction {
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: offset + 22, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: port, SkipFalse: 1},
		bpf.RetConstant{Val: 262144},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		panic(err)
	}
	return raw
}

// byLink is portIs for the link types that it knows.
func byLink(port uint32) func(wire.LinkType) ([]bpf.RawInstruction, error) {
	return func(l wire.LinkType) ([]bpf.RawInstruction, error) {
		switch l {
		case wire.LinkEthernet:
			return portIs(port, 14), nil
		case wire.LinkRaw:
			return portIs(port, 0), nil
		}
		return nil, errNoFilter
	}
}

var errNoFilter = errors.New("no filter for this link type")

// A filter takes what it selects, the snap length cuts it, and both leave the
// true length. Nothing unfiltered gets in before the filter: frames are sent
// all the while rings are opened.
func TestFilterAndSnapLength(t *testing.T) {
	l := newLab(t)
	s := newSender(t, l.from, "eth0")
	frames := [][]byte{udp("10.1.0.1", "10.2.0.2", 7, 53, 200), udp("10.1.0.1", "10.2.0.2", 7, 54, 200)}
	halt, halted := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(halted)
		for {
			select {
			case <-halt:
				return
			default:
				s.flood(t, frames, 64, 0)
				time.Sleep(time.Millisecond)
			}
		}
	}()
	for _, n := range []int{1, 2, 1, 2, 1} {
		o := small("eth0")
		o.Filter, o.SnapLen, o.Rings = byLink(53), 50, n
		for _, r := range open(t, l.to, o) {
			for _, p := range rest(t, r) {
				if !bytes.Equal(p.Data, frames[0][:50]) || p.Wire != 200 || !p.Truncated() {
					t.Fatalf("%x of %d", p.Data, p.Wire)
				}
			}
		}
	}
	close(halt)
	<-halted
	o := small("eth0")
	o.Filter, o.SnapLen = byLink(53), 50
	r := open(t, l.to, o)[0]
	s.flood(t, frames, 200, 0)
	if n := len(rest(t, r)); n != 100 {
		t.Errorf("%d of 100", n)
	}
}

// A snap length without a filter, and a filter that says itself how much.
func TestSnapLengthAlone(t *testing.T) {
	l := newLab(t)
	s := newSender(t, l.from, "eth0")
	cut := small("eth0")
	cut.SnapLen = 60
	own := small("eth0")
	own.Filter = func(wire.LinkType) ([]bpf.RawInstruction, error) {
		return []bpf.RawInstruction{{Op: opReturn, K: 70}}, nil
	}
	for want, o := range map[int]Options{60: cut, 70: own} {
		r := open(t, l.to, o)[0]
		s.send(t, udp("10.1.0.1", "10.2.0.2", 7, 53, 200), udp("10.1.0.1", "10.2.0.2", 7, 53, 50))
		got := rest(t, r)
		if len(got) != 2 || len(got[0].Data) != want || got[0].Wire != 200 || len(got[1].Data) != 50 {
			t.Errorf("snap length %d: %+v", want, got)
		}
	}
}

// Both directions of a conversation come out of one ring, no packet comes
// twice, and more than one ring is used.
func TestRingsShareByConversation(t *testing.T) {
	for _, name := range []string{"eth0", Any} {
		sharing(t, name)
	}
}

func sharing(t *testing.T, name string) {
	l := newLab(t)
	o := small(name)
	o.Rings = 4
	rings := open(t, l.to, o)
	s := newSender(t, l.from, "eth0")
	var frames [][]byte
	for i := range 500 {
		frames = append(frames, udp("10.1.0.1", "10.2.0.2", uint16(2000+i), 53, 80), udp("10.2.0.2", "10.1.0.1", 53, uint16(2000+i), 80))
	}
	s.send(t, frames...)
	where, total, used := map[int]int{}, 0, 0
	for i, r := range rings {
		packets := rest(t, r)
		total += len(packets)
		if len(packets) > 0 {
			used++
		}
		for _, p := range packets {
			port := int(p.Data[34])<<8 | int(p.Data[35])
			if port == 53 {
				port = int(p.Data[36])<<8 | int(p.Data[37])
			}
			if before, seen := where[port]; seen && before != i {
				t.Errorf("conversation of port %d in rings %d and %d", port, before, i)
			}
			where[port] = i
		}
	}
	if total != len(frames) || len(where) != 500 || used < 3 {
		t.Errorf("%d packets of %d, %d conversations, %d rings used", total, len(frames), len(where), used)
	}
}

// What passes the loopback interface is taken once, coming in.
func TestLoopbackOnce(t *testing.T) {
	ns := nettest.New(t)
	quietIPv6(ns)
	for _, name := range []string{"lo", Any} {
		for _, f := range []func(wire.LinkType) ([]bpf.RawInstruction, error){nil, byLink(9)} {
			o := small(name)
			o.Filter = f
			r := open(t, ns, o)[0]
			talk(t, ns, "127.0.0.1:9", 20)
			n := 0
			for _, p := range rest(t, r) {
				if p.Data[23] == 17 && p.Data[37] == 9 { // not the answering ICMP
					n++
					if p.Direction != capture.Inbound || p.Link != wire.LinkEthernet || p.name != "lo" {
						t.Errorf("%+v", p.Packet)
					}
				}
			}
			if n != 20 {
				t.Errorf("%s: %d packets of 20", name, n)
			}
		}
	}
}

// talk sends UDP packets through the namespace's own stack.
func talk(t testing.TB, ns *nettest.NS, to string, n int) {
	t.Helper()
	pc := ns.ListenPacket("udp", ":0")
	for range n {
		host, port, _ := strings.Cut(to, ":")
		p, _ := strconv.Atoi(port)
		if _, err := pc.WriteTo([]byte("hello"), udpAddr(host, p)); err != nil {
			t.Fatal(err)
		}
	}
}

// All interfaces at once: Ethernet, loopback and bare IP, each with its own
// link type and name, the filter too; also one that comes later.
func TestAny(t *testing.T) {
	l := newLab(t)
	l.to.Script("ip tuntap add dev tun0 mode tun; ip addr add 10.8.0.1/24 dev tun0; ip link set tun0 up")
	hold := openTun(t, l.to, "tun0")
	defer func() { _ = unix.Close(hold) }()
	o := small(Any)
	o.Filter = byLink(9)
	r := open(t, l.to, o)[0]
	s := newSender(t, l.from, "eth0")
	s.send(t, udp("10.1.0.1", "10.2.0.2", 7, 9, 80), udp("10.1.0.1", "10.2.0.2", 7, 10, 80))
	talk(t, l.to, "127.0.0.1:9", 1)
	talk(t, l.to, "10.8.0.9:9", 1)
	l.to.Script("ip link add late type veth peer name etal; ip addr add 10.7.0.1/24 dev late; ip link set etal up; ip link set late up; ip neigh add 10.7.0.9 lladdr 02:00:00:00:00:09 dev late")
	talk(t, l.to, "10.7.0.9:9", 1)
	seen := map[string]int{}
	for _, p := range rest(t, r) {
		seen[fmt.Sprintf("%s %d %d", p.name, p.Link, p.Direction)]++
		if p.Link == wire.LinkRaw && (p.Data[0] != 0x45 || int(p.Wire) != len(p.Data)) {
			t.Errorf("bare IP: %x of %d", p.Data, p.Wire)
		}
	}
	want := map[string]int{"eth0 1 1": 1, "lo 1 1": 1, "tun0 101 2": 1, "late 1 2": 1, "etal 1 1": 1}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", seen, want)
	}
}

// A tun interface gives bare IP, and what is no IP there behind a header.
func TestBareIP(t *testing.T) {
	ns := nettest.New(t)
	quietIPv6(ns)
	ns.Script("ip tuntap add dev tun0 mode tun; ip addr add 10.8.0.1/24 dev tun0; ip link set tun0 up")
	fd := openTun(t, ns, "tun0")
	defer func() { _ = unix.Close(fd) }()
	o := small("tun0")
	o.Filter = func(l wire.LinkType) ([]bpf.RawInstruction, error) {
		if l != wire.LinkRaw {
			return nil, errNoFilter
		}
		return []bpf.RawInstruction{{Op: opReturn, K: 1000}}, nil
	}
	r := open(t, ns, o)[0]
	ip := udp("10.8.0.7", "10.8.0.1", 5, 6, 100)[14:]
	if _, err := unix.Write(fd, append([]byte{0, 0, 8, 0}, ip...)); err != nil {
		t.Fatal(err)
	}
	other := []byte("\x45 this is no IP")
	if _, err := unix.Write(fd, append([]byte{0, 0, 0x88, 0xcc}, other...)); err != nil {
		t.Fatal(err)
	}
	packets := rest(t, r)
	for len(packets) > 2 { // the stack's answer
		packets = append(packets[:1], packets[2:]...)
	}
	if len(packets) != 2 {
		t.Fatalf("%d packets", len(packets))
	}
	if p := packets[0]; p.Link != wire.LinkRaw || !bytes.Equal(p.Data, ip) || int(p.Wire) != len(ip) || p.Direction != capture.Inbound {
		t.Errorf("%+v", p)
	}
	sll := append([]byte{0, 0, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0xcc}, other...)
	if p := packets[1]; p.Link != wire.LinkLinuxSLL || !bytes.Equal(p.Data, sll) || int(p.Wire) != len(sll) {
		t.Errorf("%x of %d, want %x", p.Data, p.Wire, sll)
	}
}

// openTun attaches to a tun interface (with the 4-byte packet information).
func openTun(t testing.TB, ns *nettest.NS, name string) int {
	t.Helper()
	fd := -1
	var err error
	ns.Do(func() {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return
		}
		var ifr *unix.Ifreq
		if ifr, err = unix.NewIfreq(name); err != nil {
			return
		}
		ifr.SetUint16(unix.IFF_TUN)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	})
	if errors.Is(err, os.ErrNotExist) {
		nettest.Missing(t, "/dev/net/tun")
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// Several interfaces have rings of their own; one named twice has one.
func TestSeveralInterfaces(t *testing.T) {
	l := newLab(t)
	nettest.Veth(t, l.from, l.to, "eth1=10.10.0.1/24", "eth1=10.10.0.2/24")
	rings := open(t, l.to, small("eth0", "eth1", "eth0"))
	if len(rings) != 2 {
		t.Fatalf("%d rings", len(rings))
	}
	newSender(t, l.from, "eth0").send(t, mixed()[:10]...)
	newSender(t, l.from, "eth1").send(t, mixed()[:20]...)
	for i, r := range rings {
		packets := rest(t, r)
		if len(packets) != 10*(i+1) || packets[0].name != fmt.Sprintf("eth%d", i) {
			t.Errorf("ring %d: %d packets of %s", i, len(packets), packets[0].name)
		}
	}
}

// Promiscuous mode is set while the ring is open, and only then.
func TestPromiscuous(t *testing.T) {
	l := newLab(t)
	flag := func() bool {
		return strings.Contains(l.to.Run("ip", "-d", "link", "show", "eth0"), "promiscuity 1")
	}
	o := small("eth0")
	o.Promiscuous = true
	r := open(t, l.to, o)[0]
	if !flag() {
		t.Error("not set")
	}
	s := newSender(t, l.from, "eth0")
	s.send(t, mixed()[0])
	var b capture.Batch
	for len(b.Packets) == 0 {
		if err := r.Next(&b); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil || flag() {
		t.Errorf("still set with a batch out: %v", err)
	}
	b.Release()
	if err := r.Next(&b); err != io.EOF {
		t.Errorf("after Close: %v", err)
	}
}
