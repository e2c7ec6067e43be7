package mirror

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/capture/live"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A real bridge with three hosts, whose kernel mirrors a port with tc: the
// verdict at the third host's port follows what is set up.
func TestBridge(t *testing.T) {
	nettest.Need(t, "tc")
	for _, c := range []struct {
		name, setUp string
		want        Verdict
	}{
		{"plain", "", NotMirrored},
		{"both directions", mirrorOf("ingress") + mirrorOf("egress"), BothWays},
		{"what enters", mirrorOf("ingress"), OneDirection},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBridge(t)
			b.configure(t, c.setUp)
			j := b.judge(t, 12)
			p := listened(1)
			if r := j.Verdict(p); r.Verdict != c.want {
				t.Errorf("%v, want %v: %q\n%+v", r.Verdict, c.want, r.Because, r)
			}
		})
	}
}

func mirrorOf(hook string) string {
	return "tc filter add dev p1 " + hook + " protocol all u32 match u32 0 0 action mirred egress mirror dev p3\n"
}

// bridge is a switch with hosts 10.0.0.1, .2 and .3 at p1, p2 and p3.
type bridge struct {
	sw    *nettest.NS
	hosts [3]*nettest.NS
}

func newBridge(t *testing.T) *bridge {
	t.Helper()
	b := &bridge{sw: nettest.New(t)}
	const noIPv6 = "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"
	b.sw.Script(noIPv6 + "; ip link add br0 type bridge; ip link set br0 up")
	for i := range b.hosts {
		n := string(rune('1' + i))
		b.hosts[i] = nettest.New(t)
		b.hosts[i].Script(noIPv6)
		b.sw.Script("ip link add p" + n + " type veth peer name eth0 netns " + b.hosts[i].Name + "; ip link set p" + n + " master br0 up")
		b.hosts[i].Script("ip addr add 10.0.0." + n + "/24 dev eth0; ip link set eth0 up")
	}
	return b
}

func (b *bridge) configure(t *testing.T, script string) {
	t.Helper()
	if script == "" {
		return
	}
	out, err := b.sw.Command("sh", "-euc", "tc qdisc add dev p1 clsact\n"+script).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && (strings.Contains(string(out), "not found") || strings.Contains(string(out), "No such file")):
		nettest.Missing(t, "tc's mirred action or u32 classifier in this kernel: "+string(out))
	case err != nil:
		t.Fatalf("%v: %s", err, out)
	}
}

// judge listens at the third host while the other two talk.
func (b *bridge) judge(t *testing.T, connections int) *Judge {
	t.Helper()
	var rings []*live.Ring
	var err error
	var own net.Interface
	b.hosts[2].Do(func() {
		rings, err = live.Open(live.Options{Interfaces: []string{"eth0"}, Promiscuous: true, BlockSize: 64 << 10, Blocks: 16})
		if i, bad := net.InterfaceByName("eth0"); bad == nil {
			own = *i
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rings[0].Close() }()
	b.hosts[0].Run("ip", "neigh", "flush", "all")
	b.talk(t, connections)
	b.ask(t)
	if err := rings[0].Stop(); err != nil {
		t.Fatal(err)
	}
	j := New([]netip.Addr{netip.MustParseAddr("10.0.0.3")}, [][6]byte{[6]byte(own.HardwareAddr)})
	var batch capture.Batch
	var d wire.Decoder
	var p wire.Packet
	for err = rings[0].Next(&batch); err == nil; err = rings[0].Next(&batch) {
		for i := range batch.Packets {
			c := &batch.Packets[i]
			d.Decode(c.Link, c.Data, c.Wire, &p)
			j.Add(&p, c)
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return j
}

// talk makes connections of the first host to the second.
func (b *bridge) talk(t *testing.T, n int) {
	t.Helper()
	ln := b.hosts[1].Listen("tcp", "10.0.0.2:80")
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, io.LimitReader(c, 5))
			_ = c.Close()
		}
	}()
	b.hosts[0].Do(func() {
		for range n {
			c, err := net.DialTimeout("tcp", "10.0.0.2:80", 5*time.Second)
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = c.Write([]byte("hello"))
			_, _ = io.ReadAll(c)
			_ = c.Close()
		}
	})
	_ = ln.Close()
}

// ask makes a broadcast: who has an address that nobody has.
func (b *bridge) ask(t *testing.T) {
	t.Helper()
	pc := b.hosts[0].ListenPacket("udp", ":0")
	if _, err := pc.WriteTo([]byte("?"), &net.UDPAddr{IP: net.IPv4(10, 0, 0, 99), Port: 9}); err != nil {
		t.Error(err)
	}
	time.Sleep(50 * time.Millisecond)
}
