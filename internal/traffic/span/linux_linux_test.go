package span

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
)

// The commands for Linux do in a kernel what they say: datagrams of the
// directions asked for come out of the destination, and none after the undoing.
// Another session on the same source works as well.
func TestLinuxMirrors(t *testing.T) {
	nettest.Need(t, "tc")
	sw, host, sensor := nettest.New(t), nettest.New(t), nettest.New(t)
	for _, ns := range []*nettest.NS{sw, sensor} { // whose own packets would be counted
		ns.Script("for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done")
	}
	nettest.Veth(t, sw, host, "src0=10.9.0.1/24", "10.9.0.2/24")
	nettest.Veth(t, sw, sensor, "dst0=10.9.1.1/24", "sensor0=10.9.1.2/24")
	copies := func() int {
		n, err := strconv.Atoi(strings.TrimSpace(sensor.Run("cat", "/sys/class/net/sensor0/statistics/rx_packets")))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	near, far := sw.ListenPacket("udp", "10.9.0.1:7000"), host.ListenPacket("udp", "10.9.0.2:7000")
	ping := func() int {
		before := copies()
		for range 5 {
			exchange(t, near, far)
			exchange(t, far, near)
		}
		return copies() - before
	}
	run := func(lines []string) string { return sw.Script(strings.Join(lines, "\n")) }
	request := Request{Vendor: "linux", Sources: []string{"src0"}, Destination: "dst0"}
	for _, c := range []struct {
		direction Direction
		atLeast   int
	}{{Rx, 5}, {Tx, 5}, {Both, 10}} {
		request.Direction, request.Session = c.direction, request.Session+1
		p, err := Render(request)
		if err != nil {
			t.Fatal(err)
		}
		run(p.Setup)
		if n := ping(); n < c.atLeast || n > c.atLeast+6 { // ARP besides
			t.Errorf("%s: %d copies of 5 datagrams each way", c.direction, n)
		}
		if out := run(p.Check); !strings.Contains(out, "mirred") || !strings.Contains(out, "dst0") {
			t.Errorf("%s: the check says\n%s", c.direction, out)
		}
		run(p.Undo)
		if out := run(p.Check); strings.Contains(out, "mirred") {
			t.Errorf("%s: left after undoing:\n%s", c.direction, out)
		}
		if n := ping(); n > 4 {
			t.Errorf("%s: %d copies after undoing", c.direction, n)
		}
	}
}

// exchange sends a datagram and waits until it has arrived.
func exchange(t *testing.T, from, to net.PacketConn) {
	t.Helper()
	if _, err := from.WriteTo([]byte("ping"), to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if err := to.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := to.ReadFrom(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
}
