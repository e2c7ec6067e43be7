package firewall

import (
	"net/netip"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// What a neighbour on the link reaches of loopback addresses: nothing, unless
// route_localnet is on or DNAT takes the packet before routing looks at it
// (how a port that Docker published on 127.0.0.1 is reachable from the LAN).
func TestKernelAgreesOnLoopbackFromTheLink(t *testing.T) {
	nettest.Need(t, "nft")
	l := newLab(t)
	l.outside.Script(`
ip addr del 127.0.0.1/8 dev lo
for f in /proc/sys/net/ipv4/conf/*/route_localnet; do echo 1 >$f; done
ip route add 127.0.0.1/32 via 10.9.0.1 dev outa
`)
	const dnat = "table ip n { chain pre { type nat hook prerouting priority dstnat;\n ip daddr 127.0.0.1 udp dport 80 dnat to 10.9.2.2:443\n}\n}"
	const closed = "table ip f { chain i { type filter hook input priority 0; policy drop;\n}\n}"
	for _, c := range []struct {
		rules, localnet string
		port            uint16
		want            exposure.PermitVerdict
	}{
		{"", "0", 22, exposure.Denied},
		{"", "1", 22, exposure.Partial},
		{closed, "1", 22, exposure.Denied},
		{dnat + "\n" + closed, "0", 80, exposure.Partial},
		{dnat, "0", 22, exposure.Denied},
	} {
		if err := l.load(c.rules); err != nil {
			t.Fatal(err)
		}
		l.host.Script("for f in /proc/sys/net/ipv4/conf/*/route_localnet; do echo " + c.localnet + " >$f; done")
		w, _ := l.read()
		p := &probe{proto: exposure.UDP, from: senders4[0], to: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), c.port)}
		l.send([]*probe{p}, 1500*time.Millisecond)
		if got := w.Ask(p.proto, p.to.Addr(), p.to.Port()); got.Verdict != c.want || p.got != (c.want == exposure.Partial) {
			t.Errorf("%+v: arrived %v, we say %+v", c, p.got, got)
		}
	}
}
