package filter

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// anExpression draws an expression from the grammar. moved: a word such as
// vlan may be in it.
func anExpression(t *rapid.T, depth int) string {
	switch n := rapid.IntRange(0, 9).Draw(t, "form"); {
	case depth == 0 || n < 4:
		return aPrimitive(t)
	case n < 8:
		op := rapid.SampledFrom([]string{" and ", " or ", " && ", " || "}).Draw(t, "op")
		return anExpression(t, depth-1) + op + anExpression(t, depth-1)
	case n == 8:
		return "not " + anExpression(t, depth-1)
	}
	return "(" + anExpression(t, depth-1) + ")"
}

func aPrimitive(t *rapid.T) string {
	draw := func(of ...string) string { return rapid.SampledFrom(of).Draw(t, "word") }
	switch rapid.IntRange(0, 11).Draw(t, "primitive") {
	case 0, 1:
		return draw("", "ip ", "arp ", "rarp ") + draw("host ", "src ", "dst ", "src host ", "dst host ", "src and dst host ", "src or dst ") + anAddress(t)
	case 2:
		return draw("", "src ", "dst ", "ip ") + draw("net ") + draw("10", "10.1", "192.168.1.0/24", "192.0.2.0/24", "172.16.0.0/12", "2001:db8::/32", "0.0.0.0/0", "192.0.2.0 mask 255.255.255.252")
	case 3, 4:
		return draw("", "tcp ", "udp ", "sctp ") + draw("", "src ", "dst ", "src or dst ", "src and dst ") + aPort(t)
	case 5:
		return draw("ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "ah", "esp", "pim", "vrrp", "stp", "iso", "ipx", "atalk", "aarp", "decnet", "llc", "isis", "clnp", "l1", "lat", "netbeui")
	case 6:
		return draw("proto ", "ip proto ", "ip6 proto ", "ether proto ") + draw("6", "17", "1", "58", "44", "0x800", "2054", "(6 or 17)", "not 6")
	case 7:
		return draw("ether host ", "ether src ", "ether dst ") + draw("00:00:5e:00:53:01", "00:00:5e:00:53:02", "ff:ff:ff:ff:ff:ff")
	case 8:
		return draw("broadcast", "multicast", "ip multicast", "ip6 multicast", "less 70", "greater 60", "inbound", "outbound", "ifindex 1", "ip broadcast", "llc u", "decnet host 1.2", "llc s")
	case 9:
		return draw("vlan", "vlan 5", "vlan 100", "mpls", "mpls 1024", "pppoes", "pppoes 5", "pppoed", "tcp", "udp", "ip", "ip6")
	}
	return arithmetic(t, 2) + draw(" = ", " != ", " < ", " > ", " <= ", " >= ") + arithmetic(t, 1)
}

func anAddress(t *rapid.T) string {
	return rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.2", "10.1.2.3", "172.16.5.4", "224.0.0.5", "2001:db8::1", "fe80::1",
		"(192.0.2.1 or 10.1.2.3)", "192.0.2.1 or 192.0.2.2", "not 192.0.2.1"}).Draw(t, "address")
}

func aPort(t *rapid.T) string {
	return rapid.SampledFrom([]string{"port 80", "port 443", "port 53 or 123", "portrange 6000-6008", "portrange 1-1023", "port (80 or 443)",
		"port http", "port domain", "port not 80"}).Draw(t, "port")
}

func arithmetic(t *rapid.T, depth int) string {
	draw := func(of ...string) string { return rapid.SampledFrom(of).Draw(t, "part") }
	if depth == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
		if rapid.Bool().Draw(t, "number") {
			return fmt.Sprint(rapid.SampledFrom([]int{0, 1, 2, 3, 5, 6, 8, 15, 17, 20, 31, 64, 255, 256, 0x0800, 65535, 0x7fffffff, 0xffffffff}).Draw(t, "n"))
		}
		return draw("len", "ip[0]", "ip[8]", "ip[9]", "ip[2:2]", "ip[12:4]", "ip6[6]", "ip6[40]", "tcp[13]", "tcp[0:2]", "tcp[12]", "udp[2:2]", "udp[4:2]",
			"icmp[0]", "icmp6[0]", "ether[0]", "ether[12:2]", "arp[7]", "tcp[(tcp[12]>>2):4]", "ip[ip[1]]", "link[ip[8]]", "ip[60:4]", "igmp[0]", "sctp[0:2]")
	}
	l, r := arithmetic(t, depth-1), arithmetic(t, depth-1)
	switch op := draw(" + ", " - ", " * ", " & ", " | ", " ^ ", " % ", " / ", "<<", ">>", "( ", "-"); op {
	case "<<", ">>":
		return l + " " + op + " " + draw("1", "2", "8", "31", "(ip[8] & 7)")
	case " / ", " % ":
		return l + op + draw("1", "3", "16", "tcp[12]", "(ip[8] + 1)")
	case "( ":
		if !strings.Contains(l, "[") && l != "len" {
			return l
		}
		return "(" + l + ")"
	case "-":
		return "- " + l
	default:
		return l + op + r
	}
}

// tolerated are the places where tcpdump's answer is not followed: see
// docs/filters.md.
func tolerated(expr string) bool {
	// It takes the first number inside an index for a divisor or a distance.
	if strings.Contains(expr, "/ ip[0]") || strings.Contains(expr, "% ip[0]") {
		return true
	}
	// Behind a PPPoE session it asks the kernel for the queue, not the
	// packet's type: it adds the session header to the extension's number.
	_, behind, session := strings.Cut(expr, "pppoes")
	return session && (strings.Contains(behind, "bound") || strings.Contains(behind, "ifindex"))
}

// computedZero: tcpdump finds a division by zero and a shift by too much only
// where the number is written, not where it is computed from others.
func computedZero(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.What == divisionByZero || e.What == shiftTooFar)
}

// TestRandomAsTcpdump: expressions from the grammar, on packets of several
// link types, are what tcpdump makes of them.
func TestRandomAsTcpdump(t *testing.T) {
	links := []wire.LinkType{linkEthernet, linkEthernet, linkEthernet, linkRaw, linkSLL, linkSLL2, linkPPP, link80211, linkRadiotap}
	sets := packetSets(3, 400)
	rapid.Check(t, func(rt *rapid.T) {
		link := rapid.SampledFrom(links).Draw(rt, "link")
		expr := anExpression(rt, 3)
		if tolerated(expr) || link != linkEthernet && oddOnRadio(link, expr) {
			return
		}
		failed := &recorder{TB: t}
		if _, err := Compile(expr, testOptions(link)); computedZero(err) {
			return
		}
		agree(failed, link, expr, sets[link])
		if failed.text != "" {
			rt.Fatalf("%s", failed.text)
		}
	})
}

// oddOnRadio: behind headers of variable length tcpdump loses its place in a
// session of PPPoE, looks for the kernel's extensions behind the radio header,
// and lets arithmetic overwrite the header's length.
func oddOnRadio(link wire.LinkType, expr string) bool {
	if link != linkRadiotap && link != link80211 {
		return false
	}
	if strings.ContainsAny(expr, "=<>") {
		return true
	}
	for _, word := range []string{"pppoes", "inbound", "outbound", "ifindex"} {
		if strings.Contains(expr, word) {
			return true
		}
	}
	return false
}

// recorder keeps the first failure, for rapid to find a smaller one.
type recorder struct {
	testing.TB
	text string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	if r.text == "" {
		r.text = fmt.Sprintf(format, args...)
	}
}
