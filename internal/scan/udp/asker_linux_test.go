package udp

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

func askIn(t *testing.T, ns *nettest.NS, ports ...uint16) map[uint16]exposure.PortState {
	t.Helper()
	got := map[uint16]exposure.PortState{}
	var eps []exposure.Endpoint
	for _, p := range ports {
		eps = append(eps, exposure.Endpoint{Proto: exposure.UDP, Addr: exposure.IPAddress(netip.MustParseAddr("127.0.0.1")), Port: p})
	}
	ns.Do(func() {
		_, gaps, err := new(Asker).Ask(context.Background(), eps, func(p exposure.PortState) { got[p.Port] = p })
		if err != nil || len(gaps) > 0 {
			t.Errorf("%v, gaps %v", err, gaps)
		}
	})
	return got
}

// serve answers each datagram through reply.
func serve(pc net.PacketConn, reply func(n int, request []byte, from net.Addr)) {
	go func() {
		buf := make([]byte, 2048)
		for n := 0; ; n++ {
			size, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			reply(n, buf[:size], from)
		}
	}()
}

// Answers, refusals and silence; a server that loses the first requests, one
// that answers from another port and one whose answer is empty are open.
func TestAsk(t *testing.T) {
	nettest.Need(t, "nft")
	ns := nettest.New(t)
	echo := ns.ListenPacket("udp4", "127.0.0.1:53")
	serve(echo, func(_ int, b []byte, from net.Addr) { _, _ = echo.WriteTo(b, from) })
	lossy := ns.ListenPacket("udp4", "127.0.0.1:2000")
	serve(lossy, func(n int, _ []byte, from net.Addr) {
		if n == 2 {
			_, _ = lossy.WriteTo([]byte("at last"), from)
		}
	})
	tftp, other := ns.ListenPacket("udp4", "127.0.0.1:69"), ns.ListenPacket("udp4", "127.0.0.1:0")
	serve(tftp, func(_ int, _ []byte, from net.Addr) { _, _ = other.WriteTo([]byte("\x00\x05\x00\x01"), from) })
	empty := ns.ListenPacket("udp4", "127.0.0.1:7")
	serve(empty, func(_ int, _ []byte, from net.Addr) { _, _ = empty.WriteTo(nil, from) })
	ns.ListenPacket("udp4", "127.0.0.1:514")
	ns.Script(`nft 'add table ip t; add chain ip t i { type filter hook input priority 0; }; add rule ip t i udp dport 3000 reject with icmp admin-prohibited; add rule ip t i udp dport 3001 drop
add chain ip t o { type filter hook output priority 0; }; add rule ip t o udp dport 3002 drop'`)
	got := askIn(t, ns, 53, 2000, 69, 7, 514, 9, 3000, 3001, 3002)
	for port, want := range map[uint16][2]string{53: {"open", "udp-response"}, 2000: {"open", "udp-response"},
		69: {"open", "udp-response"}, 7: {"open", "udp-response"}, 514: {"open|filtered", "no-response"},
		9: {"closed", "port-unreach"}, 3000: {"filtered", "admin-prohibited"}, 3001: {"open|filtered", "no-response"},
		3002: {"filtered", "not-permitted"}} {
		if g := got[port]; string(g.State) != want[0] || g.Reason != want[1] {
			t.Errorf("port %d is %q (%s), want %v", port, g.State, g.Reason, want)
		}
	}
}

// Two hundred closed ports are all told closed: loopback is not rate-limited.
func TestManyClosed(t *testing.T) {
	ns := nettest.New(t)
	var ports []uint16
	for p := range uint16(700) {
		ports = append(ports, 20000+p)
	}
	for port, g := range askIn(t, ns, ports...) {
		if g.State != exposure.Closed {
			t.Errorf("port %d is %s (%s)", port, g.State, g.Reason)
		}
	}
}
