package firewall

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
	"github.com/portreeve/portreeve/internal/nettest"
)

// Random rule sets in a real kernel: packets to the host and packets through
// it, and whenever a query knows what becomes of one, that is what does. What
// it does not know is counted: only rewrites and what is no part of a packet
// may leave it in doubt.
func TestKernelAgreesWithQueries(t *testing.T) {
	nettest.Need(t, "nft")
	nettest.Need(t, "iptables-legacy-restore")
	l := newLab(t)
	l.outside.Script(`
ip route add 10.9.2.0/24 via 10.9.0.1 dev outa
ip route add 10.9.2.0/24 via 10.9.1.1 dev outb metric 50
ip route add fd00:92::/64 via fd00:9::1 dev outa
ip route add fd00:92::/64 via fd00:91::1 dev outb metric 50
`)
	seed, batch := number("PORTREEVE_SEED", 3), number("PORTREEVE_BATCH", 5)
	asked, unknown := 0, 0
	for i := range batch {
		g := &generator{rand.New(rand.NewPCG(seed, i))}
		rules := l.loadable(g)
		for _, v6 := range []bool{false, true} {
			a, u := l.query(rules, append(allProbes(v6, int(3*i)), throughProbes(v6, int(3*i+1))...))
			asked, unknown = asked+a, unknown+u
		}
		a, u := l.queryIptables(g, int(3*i+2))
		asked, unknown = asked+a, unknown+u
		if t.Failed() {
			return
		}
	}
	t.Logf("%d packets, %d of them unknown", asked, unknown)
	if 2*unknown > asked {
		t.Errorf("%d of %d packets are unknown", unknown, asked)
	}
}

// queryIptables does the same with a saved rule set.
func (l *lab) queryIptables(g *generator, round int) (asked, unknown int) {
	l.t.Helper()
	if err := l.load(""); err != nil {
		l.t.Fatal(err)
	}
	variant, rules := g.pick("iptables-legacy-restore", "iptables-nft-restore"), g.iptables()
	if err := l.restore(variant, rules); err != nil {
		l.t.Fatal(err)
	}
	asked, unknown = l.query(variant+"\n"+rules, append(allProbes(false, round), throughProbes(false, round+1)...))
	empty := "*raw\nCOMMIT\n*mangle\nCOMMIT\n*nat\nCOMMIT\n*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\nCOMMIT\n"
	if err := l.restore(variant, empty); err != nil {
		l.t.Fatal(err)
	}
	return asked, unknown
}

// throughProbes are packets to the machine behind the host.
func throughProbes(v6 bool, round int) []*probe {
	out := allProbes(v6, round)
	to := netip.MustParseAddr("10.9.2.2")
	if v6 {
		to = netip.MustParseAddr("fd00:92::2")
	}
	for _, p := range out {
		p.to = netip.AddrPortFrom(to, p.to.Port())
	}
	return out
}

// packet is the probe as a query asks for it.
func (p *probe) packet() ruleset.Packet {
	n, _ := protocol(p.proto)
	sport, dport := p.sport, p.to.Port()
	if sport == 0 {
		sport = 40000
	}
	q := ruleset.Packet{Proto: n, Src: netip.MustParseAddr(p.from.addr), Dst: p.to.Addr(), SrcPort: &sport, DstPort: &dport, In: p.from.iface}
	if a := p.to.Addr().String(); a == "10.9.2.2" || a == "fd00:92::2" {
		q.Out = "eth2"
	}
	return q
}

// rewrites tells rule sets that may change a packet's destination.
func rewrites(rules string) bool {
	for _, word := range []string{"dnat", "redirect", "DNAT", "REDIRECT", "NETMAP"} {
		if strings.Contains(rules, word) {
			return true
		}
	}
	return false
}

func (l *lab) query(rules string, probes []*probe) (asked, unknown int) {
	l.t.Helper()
	w, gaps := l.read()
	for _, g := range gaps {
		l.t.Errorf("gap: %s\n%s", g.Why, rules)
	}
	ask := func(p *probe) ruleset.Decision {
		d, err := w.rules.Query(p.packet(), "")
		if err != nil {
			l.t.Fatal(err)
		}
		return d
	}
	l.forget()
	l.send(probes, 150*time.Millisecond)
	for range 3 {
		var late []*probe
		for _, p := range probes {
			if !p.got && ask(p).Verdict == ruleset.PermitPacket {
				if p.proto == exposure.TCP && p.sport != 0 {
					p.sport = l.fresh()
				}
				late = append(late, p)
			}
		}
		if len(late) > 0 {
			l.forget()
			l.send(late, 1200*time.Millisecond)
		}
	}
	for _, p := range probes {
		d := ask(p)
		if p.packet().Out != "" && rewrites(rules) {
			continue // a rewrite may keep it here, and the question says that it leaves
		}
		asked++
		if d.Verdict == ruleset.UnknownPacket {
			unknown++
			continue
		}
		if want := map[bool]string{true: ruleset.PermitPacket, false: ruleset.DenyPacket}[p.got]; d.Verdict != want {
			l.t.Errorf("%s: the kernel says %s, the query %s\n%s", p, want, fmt.Sprintf("%+v", d), rules)
		}
	}
	return asked, unknown
}
