package meter

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/portreeve/portreeve/internal/nettest"
	"golang.org/x/sys/unix"
)

// lab is two namespaces joined by a veth on which the kernel by itself says
// nothing: no IPv6, and neighbours that are known.
type lab struct {
	near, far *nettest.NS
}

func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{near: nettest.New(t), far: nettest.New(t)}
	for _, ns := range []*nettest.NS{l.near, l.far} {
		ns.Script("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
	}
	nettest.Veth(t, l.near, l.far, "10.9.0.1/24", "10.9.0.2/24")
	l.near.Script("ip link set eth0 address 02:00:00:00:00:01 mtu 9000; ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:02 dev eth0")
	l.far.Script("ip link set eth0 address 02:00:00:00:00:02 mtu 9000; ip neigh replace 10.9.0.1 lladdr 02:00:00:00:00:01 dev eth0")
	return l
}

func openIn(t testing.TB, ns *nettest.NS, o Options) *Meter {
	t.Helper()
	var m *Meter
	var err error
	ns.Do(func() { m, err = Open(o) })
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// sniff runs tcpdump in a namespace; stop gives the frames it wrote.
func sniff(t testing.TB, ns *nettest.NS, iface string) (stop func() [][]byte) {
	t.Helper()
	nettest.Need(t, "tcpdump")
	file := filepath.Join(t.TempDir(), "dump")
	cmd := ns.Command("tcpdump", "-i", iface, "-n", "-U", "--immediate-mode", "-B", "65536", "-s", "66000", "-Z", "root", "-w", file)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("tcpdump does not listen: %v", err)
		}
		if strings.Contains(line, "listening on") {
			break
		}
	}
	return func() [][]byte {
		t.Helper()
		end(t, cmd, lines)
		return frames(t, file)
	}
}

func end(t testing.TB, cmd *exec.Cmd, stderr io.Reader) {
	t.Helper()
	_ = cmd.Process.Signal(os.Interrupt)
	said, _ := io.ReadAll(stderr)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("tcpdump: %v\n%s", err, said)
	}
	if !strings.Contains(string(said), "\n0 packets dropped by kernel") {
		t.Fatalf("tcpdump missed some: %s", said)
	}
}

func frames(t testing.TB, file string) [][]byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for {
		data, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil || ci.Length != len(data) {
			t.Fatalf("%d of %d bytes: %v", len(data), ci.Length, err)
		}
		out = append(out, data)
	}
}

// port sends raw frames through an interface.
type port struct {
	t  testing.TB
	fd int
}

func openPort(t testing.TB, ns *nettest.NS, iface string) *port {
	t.Helper()
	p := &port{t: t, fd: -1}
	var err error
	ns.Do(func() {
		var i *net.Interface
		if i, err = net.InterfaceByName(iface); err != nil {
			return
		}
		if p.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		err = unix.Bind(p.fd, &unix.SockaddrLinklayer{Ifindex: i.Index})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(p.fd) })
	return p
}

func (p *port) send(frame []byte) {
	p.t.Helper()
	if _, err := unix.Write(p.fd, frame); err != nil {
		p.t.Fatalf("send %d bytes: %v", len(frame), err)
	}
}

// paged sends frames whose headers the kernel keeps in pages, but for the
// first n bytes (virtio_net_hdr.hdr_len, packet(7) PACKET_VNET_HDR).
func (p *port) paged(frame []byte, n uint16) {
	p.t.Helper()
	if err := unix.SetsockoptInt(p.fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		p.t.Fatal(err)
	}
	header := make([]byte, 10)
	binary.NativeEndian.PutUint16(header[2:], n)
	p.send(append(header, frame...))
	if err := unix.SetsockoptInt(p.fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 0); err != nil {
		p.t.Fatal(err)
	}
}

// settled waits until the meter saw a number of frames, and then ends it.
func settled(t testing.TB, m *Meter, packets uint64) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s, err := m.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if s.Packets >= packets {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d frames after 5 s", s.Packets, packets)
		}
	}
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
}

// agree compares what a meter counted with frames that another saw.
func agree(t testing.TB, m *Meter, seen [][]byte) {
	t.Helper()
	w := newTwin()
	for _, f := range seen {
		w.frame(f)
	}
	s, err := m.Stats()
	if err != nil {
		t.Fatal(err)
	}
	w.stats.Giants, w.stats.Segments = s.Giants, s.Segments // not to be seen in a frame
	if diff := cmp.Diff(w.stats, s); diff != "" {
		t.Errorf("stats, -tcpdump +meter:\n%s", diff)
	}
	compareRecords(t, w, records(t, m))
}
