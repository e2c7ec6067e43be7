package firewall

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
)

// Random rule sets, loaded into a real kernel: every packet's fate is what we
// say, by nft and by both variants of iptables. PORTREEVE_SEED,
// PORTREEVE_BATCH and PORTREEVE_FIRST explore further than the fixed seeds.
func TestKernelAgreesOnRandomRules(t *testing.T) {
	nettest.Need(t, "nft")
	nettest.Need(t, "iptables-legacy-restore")
	l := newLab(t)
	seed, batch := number("PORTREEVE_SEED", 1), number("PORTREEVE_BATCH", 12)
	end := time.Now().Add(20 * time.Second)
	for i := number("PORTREEVE_FIRST", 0); i < batch; i++ {
		if number("PORTREEVE_BATCH", 0) == 0 && time.Now().After(end) {
			t.Logf("stopped after %d rule sets: a slow machine", i)
			break
		}
		g := &generator{rand.New(rand.NewPCG(seed, i))}
		rules := l.loadable(g)
		name := fmt.Sprintf("seed %d, rule set %d\n%s", seed, i, rules)
		l.compare(name, allProbes(false, int(2*i)))
		l.compare(name, allProbes(true, int(2*i)))
		l.randomIptables(g, fmt.Sprintf("seed %d, rule set %d", seed, i), int(2*i+1))
		if t.Failed() {
			return
		}
	}
}

// loadable generates until nft takes the rule set: it refuses conditions that
// contradict each other.
func (l *lab) loadable(g *generator) string {
	l.t.Helper()
	var err error
	for range 50 {
		rules := g.nft()
		if err = l.load(rules); err == nil {
			return rules
		}
	}
	l.t.Fatal(err)
	return ""
}

func number(env string, otherwise uint64) uint64 {
	n, err := strconv.ParseUint(os.Getenv(env), 10, 64)
	if err != nil {
		return otherwise
	}
	return n
}

// randomIptables loads one rule set by one variant, and flushes it again.
func (l *lab) randomIptables(g *generator, name string, round int) {
	l.t.Helper()
	if err := l.load(""); err != nil {
		l.t.Fatal(err)
	}
	variant := g.pick("iptables-legacy-restore", "iptables-nft-restore")
	rules := g.iptables()
	if err := l.restore(variant, rules); err != nil {
		l.t.Fatal(err)
	}
	l.compare(name+" "+variant+"\n"+rules, allProbes(false, round))
	empty := "*raw\nCOMMIT\n*mangle\nCOMMIT\n*nat\nCOMMIT\n*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\nCOMMIT\n"
	if err := l.restore(variant, empty); err != nil {
		l.t.Fatal(err)
	}
}

type generator struct{ *rand.Rand }

func (g *generator) pick(of ...string) string { return of[g.IntN(len(of))] }

// some joins up to most picks.
func (g *generator) some(most int, sep string, pick func() string) string {
	parts := make([]string, 1+g.IntN(most))
	for i := range parts {
		parts[i] = pick()
	}
	return strings.Join(parts, sep)
}

func (g *generator) port() string { return strconv.Itoa(int(labPorts[g.IntN(len(labPorts))])) }

func (g *generator) ports() string {
	switch g.IntN(4) {
	case 0:
		return g.port()
	case 1:
		return g.pick("20-80", "80-443", "1000-8080", "0-1000")
	case 2:
		return "!= " + g.port()
	}
	return "{ " + g.distinct(g.port) + " }"
}

// distinct lists a few different picks.
func (g *generator) distinct(pick func() string) string {
	seen := map[string]bool{}
	var out []string
	for range 1 + g.IntN(3) {
		if p := pick(); !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return strings.Join(out, ", ")
}

func (g *generator) addr() string {
	return g.pick("10.9.0.2", "10.9.0.3", "10.9.1.0/24", "10.9.0.0/16", "10.9.0.0-10.9.0.2", "192.0.2.1")
}

func (g *generator) neg() string { return g.pick("", "", "", "!= ") }

// match writes one condition of nft.
func (g *generator) match() string {
	switch g.IntN(16) {
	case 0, 1:
		return g.pick("tcp", "udp", "th") + " dport " + g.ports()
	case 2:
		return "ip saddr " + g.neg() + g.addr()
	case 3:
		return "ip saddr " + g.neg() + g.pick("@nets", "{ 10.9.0.2, 10.9.1.0/24 }")
	case 4:
		return "iifname " + g.neg() + g.pick(`"eth0"`, `"eth1"`, `"eth*"`, `{ "eth1", "wg0" }`, `"lo"`)
	case 5:
		return g.pick("tcp", "udp") + " sport " + g.pick("53", "!= 53", "1024-65535", "< 1024", ">= 1024")
	case 6:
		return "meta l4proto " + g.pick("tcp", "udp", "!= tcp", "{ tcp, udp }")
	case 7:
		return "ct state " + g.pick("new", "!= new", "established,related", "invalid", "{ new, untracked }", "! new")
	case 8:
		return "meta mark " + g.pick("0", "!= 0", "1", "0x10-0x20", "and 0xf0 == 0x10")
	case 9:
		return "meta nfproto " + g.pick("ipv4", "ipv6")
	case 10:
		return g.pick("ip daddr 10.9.0.0/24", "ip daddr != 10.9.2.0/24", "ip6 daddr fd00:9::/64", "ip6 saddr fd00:91::/64", "ip6 saddr != { fd00:9::2 }")
	case 11:
		return g.pick("fib daddr type local", "fib daddr type != local", "fib saddr . iif oif missing", "pkttype host", "meta pkttype { broadcast, multicast }")
	case 12:
		return g.pick("ip saddr . tcp dport { 10.9.0.2 . 22, 10.9.1.0/24 . 80-443 }", "ip saddr . th dport @pairs", "meta l4proto . th dport { tcp . 22, udp . 53 }", "iifname . udp dport { \"eth0\" . 1000, \"eth1\" . 53 }")
	case 13:
		return g.pick("limit rate 100000/second burst 10000 packets", "limit rate over 100000/second burst 10000 packets", "ct count over 100000", "ct direction original", "ct original proto-dst 80", "ct mark 5", "ct status dnat")
	case 14:
		return g.pick("tcp flags syn", "tcp flags & (fin|syn|rst|ack) == syn", "tcp flags != syn", "tcp flags & ack != 0", "ip ttl > 5", "ip protocol tcp", "ip6 nexthdr udp", "meta length < 20")
	}
	return g.pick("ip saddr @empty", "ip saddr != @empty", "tcp dport @ports", "udp dport != @ports", "ip frag-off & 0x1fff != 0", "ct state . meta l4proto { new . tcp }")
}

// verdict writes a verdict that the chain number n may give: jumps lead to
// later chains only.
func (g *generator) verdict(n int) string {
	to := strconv.Itoa(n + 1 + g.IntN(2))
	switch g.IntN(9) {
	case 0, 1, 2:
		return "accept"
	case 3, 4:
		return "drop"
	case 5:
		return g.pick("return", "continue", "reject")
	case 6:
		return "goto c" + to
	}
	return "jump c" + to
}

func (g *generator) rule(n int) string {
	switch g.IntN(8) {
	case 0:
		return g.pick("tcp", "udp", "th") + " dport vmap { 22 : " + g.plain(n) + ", 80 : " + g.plain(n) + ", 443-1000 : " + g.plain(n) + " }"
	case 1:
		return g.pick("iifname vmap { \"eth0\" : ", "ip saddr vmap { 10.9.0.0/24 : ", "ct state vmap { new : ", "meta l4proto vmap { tcp : ") + g.plain(n) + " }"
	case 2:
		return g.match() + " " + g.pick("meta mark set 1", "meta mark set 0x10", "meta mark set meta mark or 0x10", "meta mark set mark and 0xf", "ct mark set 5", "counter", "log prefix \"x\"", "meta mark set ct mark")
	}
	return g.some(2, " ", g.match) + " " + g.verdict(n)
}

// plain is a verdict that a map may hold.
func (g *generator) plain(n int) string {
	for {
		if v := g.verdict(n); v != "reject" {
			return v
		}
	}
}

const userChains = 3

// chains writes the table's own chains: c1 to c5, the last ones without jumps.
func (g *generator) chains() string {
	var b strings.Builder
	for i := userChains + 2; i > 0; i-- {
		fmt.Fprintf(&b, " chain c%d {\n", i)
		for range 1 + g.IntN(3) {
			rule := g.rule(i)
			if i > userChains && strings.Contains(rule, " c") && (strings.Contains(rule, "jump") || strings.Contains(rule, "goto")) {
				rule = g.match() + " accept"
			}
			b.WriteString("  " + rule + "\n")
		}
		b.WriteString(" }\n")
	}
	return b.String()
}

func (g *generator) base(name, hook, priority string, rules int, first ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, " chain %s { type filter hook %s priority %s; policy %s;\n", name, hook, priority, g.pick("accept", "drop"))
	for _, r := range first {
		b.WriteString("  " + r + "\n")
	}
	for range rules {
		b.WriteString("  " + g.rule(0) + "\n")
	}
	b.WriteString(" }\n")
	return b.String()
}

const icmp6 = "meta l4proto ipv6-icmp accept"

// nft writes a rule set: an inet table, and sometimes NAT, an early chain and
// a second filter.
func (g *generator) nft() string {
	var b strings.Builder
	b.WriteString(`table inet t {
 set nets { type ipv4_addr; flags interval; elements = { 10.9.0.3, 192.0.2.0/24 } }
 set empty { type ipv4_addr; }
 set ports { type inet_service; flags interval; elements = { 53, 1000-8080 } }
 set pairs { type ipv4_addr . inet_service; elements = { 10.9.0.2 . 80, 10.9.1.2 . 53 } }
`)
	b.WriteString(g.chains())
	b.WriteString(g.base("input", "input", "filter", 2+g.IntN(6), icmp6))
	if g.IntN(2) == 0 {
		b.WriteString(g.base("forward", "forward", "filter", 1+g.IntN(4), icmp6, `iifname "eth2" accept`))
	}
	if g.IntN(3) == 0 {
		b.WriteString(g.base("early", "prerouting", g.pick("raw", "mangle", "-199"), 1+g.IntN(3), icmp6, `iifname "eth2" accept`,
			g.pick("udp dport 1000 notrack", "tcp dport 22 notrack", "")))
	}
	if g.IntN(3) == 0 {
		b.WriteString(g.base("late", "input", g.pick("security", "mangle"), 1+g.IntN(3), icmp6))
	}
	b.WriteString("}\n")
	if g.IntN(2) == 0 {
		b.WriteString(g.nat())
	}
	return b.String()
}

func (g *generator) nat() string {
	var b strings.Builder
	b.WriteString("table ip n {\n chain pre { type nat hook prerouting priority dstnat;\n")
	for range 1 + g.IntN(4) {
		b.WriteString("  " + g.pick("", "", "ip saddr 10.9.0.2 ", "iifname \"eth0\" ", "fib daddr type local ", "ip daddr 10.9.0.1 "))
		b.WriteString(g.pick("tcp dport ", "udp dport ") + g.port() + " ")
		b.WriteString(g.pick("redirect to :"+g.port(), "redirect", "dnat to 10.9.2.2", "dnat to 10.9.2.2:"+g.port(), "dnat to 10.9.1.1:"+g.port(), "dnat to 127.0.0.1:22", "accept", "drop") + "\n")
	}
	if g.IntN(2) == 0 {
		b.WriteString("  dnat ip addr . port to " + g.pick("tcp", "udp") + " dport map { 1000 : 10.9.2.2 . 22, 443 : 10.9.1.1 . 80 }\n")
	}
	b.WriteString(" }\n}\n")
	return b.String()
}
