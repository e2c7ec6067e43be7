package scan

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

func TestFirst(t *testing.T) {
	ns := nettest.New(t)
	ns.Script("ip link add d0 type bridge; ip addr add 10.1.2.3/24 dev d0; ip addr add fd00::7/64 dev d0 nodad; ip link set d0 up")
	ns.Listen("tcp4", "0.0.0.0:8080")
	ns.Listen("tcp6", "[::]:8081")
	ns.ListenPacket("udp4", "0.0.0.0:53")
	for _, method := range []string{Auto, Connect} {
		start := time.Now()
		ns.Do(func() {
			s, err := Self(context.Background(), SelfOptions{Method: method, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fd00::7")},
				UDP: []exposure.Endpoint{{Proto: exposure.UDP, Addr: exposure.ParseAddress("0.0.0.0"), Port: 53}, {Proto: exposure.UDP, Addr: exposure.ParseAddress("0.0.0.0"), Port: 54}}})
			t.Log(time.Since(start), err, s)
		})
	}
}
