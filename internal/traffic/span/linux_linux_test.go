package span

import (
	"strconv"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
)

// The commands for Linux do in a kernel what they say: pings in both
// directions come out of the destination, and none after the undoing. Setting
// up twice on the same source with another session works as well.
func TestLinuxMirrors(t *testing.T) {
	nettest.Need(t, "tc")
	sw, host, sensor := nettest.New(t), nettest.New(t), nettest.New(t)
	nettest.Veth(t, sw, host, "src0=10.9.0.1/24", "10.9.0.2/24")
	nettest.Veth(t, sw, sensor, "dst0=10.9.1.1/24", "sensor0=10.9.1.2/24")
	copies := func() int {
		n, err := strconv.Atoi(strings.TrimSpace(sensor.Run("cat", "/sys/class/net/sensor0/statistics/rx_packets")))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	ping := func() int {
		before := copies()
		sw.Run("ping", "-c", "5", "-i", "0.01", "10.9.0.2")
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
		if n := ping(); n < c.atLeast || n > c.atLeast+6 { // ARP and neighbour discovery besides
			t.Errorf("%s: %d copies of 5 pings and their answers", c.direction, n)
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
