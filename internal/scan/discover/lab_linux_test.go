package discover

import (
	"encoding/xml"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/portreeve/portreeve/internal/nettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// list is Targets that are written out.
type list []netip.Addr

func (l list) Len() uint64            { return uint64(len(l)) }
func (l list) At(i uint64) netip.Addr { return l[i] }

func addrs(texts ...string) (l list) {
	for _, s := range texts {
		l = append(l, netip.MustParseAddr(s))
	}
	return l
}

// block is Targets that are a prefix.
type block netip.Prefix

func (b block) Len() uint64 { return 1 << (32 - netip.Prefix(b).Bits()) }

func (b block) At(i uint64) netip.Addr {
	a := netip.Prefix(b).Addr().As4()
	return netip.AddrFrom4([4]byte{a[0], a[1], a[2] + byte(i>>8), a[3] + byte(i)})
}

// search finds hosts from inside a namespace.
func search(t *testing.T, ns *nettest.NS, targets Targets, o Options) (map[netip.Addr]Host, Summary) {
	t.Helper()
	hosts := map[netip.Addr]Host{}
	var sum Summary
	var err error
	ns.Do(func() {
		sum, err = Find(t.Context(), targets, o, func(i uint64, h Host) {
			if _, twice := hosts[h.Addr]; twice || targets.At(i) != h.Addr {
				t.Errorf("number %d (%s) was told as %+v, twice: %v", i, targets.At(i), h, twice)
			}
			hosts[h.Addr] = h
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return hosts, sum
}

func reasons(hosts map[netip.Addr]Host) map[string]string {
	out := map[string]string{}
	for addr, h := range hosts {
		out[addr.WithZone("").String()] = h.Reason
	}
	return out
}

// nmap asks the same of nmap: address to reason, of those that are up.
func nmap(t *testing.T, ns *nettest.NS, targets list, args ...string) map[string]string {
	t.Helper()
	args = append([]string{"-sn", "-n", "-oX", "-"}, args...)
	if targets[0].Is6() {
		args = append(args, "-6")
	}
	for _, a := range targets {
		args = append(args, a.String())
	}
	out := ns.Run(nettest.Need(t, "nmap"), args...)
	var doc struct {
		Hosts []struct {
			Status struct {
				State  string `xml:"state,attr"`
				Reason string `xml:"reason,attr"`
			} `xml:"status"`
			Address []struct {
				Addr string `xml:"addr,attr"`
			} `xml:"address"`
		} `xml:"host"`
	}
	if err := xml.Unmarshal([]byte(out[strings.Index(out, "<?xml"):]), &doc); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	up := map[string]string{}
	for _, h := range doc.Hosts {
		if h.Status.State == "up" {
			up[netip.MustParseAddr(h.Address[0].Addr).WithZone("").String()] = h.Status.Reason
		}
	}
	return up
}

// street is scanner - router - targets: every host 1x of 10.1.0.0/24 and of
// fd00:1::/64 behind the router, and of 10.0.0.0/24 and fd00::/64 on the
// scanner's link, has its own manners:
//
//	11 answers everything         15 answers only what comes to port 80
//	12 drops ICMP                 16 answers only ICMP timestamp requests
//	13 answers only port 443      17 drops ICMP, listens at 443
//	14 drops everything           18 refuses all by ICMP
//
// and 30 is nobody.
func street(t *testing.T) (scanner, target *nettest.NS) {
	nettest.Need(t, "nft")
	scanner, router, target := nettest.New(t), nettest.New(t), nettest.New(t)
	for _, ns := range []*nettest.NS{scanner, router, target} {
		// Addresses serve at once, and no refusal is held back (nmap asks right after us).
		ns.Script(`echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
			echo 0 >/proc/sys/net/ipv4/icmp_ratelimit; echo 0 >/proc/sys/net/ipv6/icmp/ratelimit`)
	}
	nettest.Veth(t, scanner, router, "eth0=10.0.0.1/24", "eth0=10.0.0.254/24")
	nettest.Veth(t, router, target, "eth1=10.1.0.254/24", "eth0=10.1.0.1/24")
	router.Script(`echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
		ip addr add fd00::254/64 dev eth0 nodad; ip addr add fd00:1::254/64 dev eth1 nodad; ip route add 10.9.0.0/16 via 10.1.0.1`)
	scanner.Script(`ip route add 10.1.0.0/16 via 10.0.0.254; ip addr add fd00::1/64 dev eth0 nodad
		ip route add fd00:1::/32 via fd00::254`)
	target.Script("ip route add default via 10.1.0.254; ip addr add fd00:1::1/64 dev eth0 nodad; ip -6 route add default via fd00:1::254")
	for i := 11; i <= 18; i++ {
		target.Script(fmt.Sprintf("ip addr add 10.1.0.%d/24 dev eth0; ip addr add fd00:1::%d/64 dev eth0 nodad", i, i))
		router.Script(fmt.Sprintf("ip addr add 10.0.0.%d/24 dev eth0; ip addr add fd00::%d/64 dev eth0 nodad", i, i))
	}
	manners(target, "10.1.0.", "fd00:1::")
	manners(router, "10.0.0.", "fd00::")
	target.Listen("tcp", "10.1.0.17:443")
	target.Listen("tcp", "[fd00:1::17]:443")
	return scanner, target
}

// manners installs the rules.
func manners(ns *nettest.NS, four, six string) {
	var b strings.Builder
	b.WriteString("table inet manners {\n chain in {\n  type filter hook input priority 0;\n  icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n")
	for _, f := range [][3]string{{"ip daddr " + four, "meta l4proto icmp", "icmp type timestamp-request"}, {"ip6 daddr " + six, "meta l4proto ipv6-icmp", "icmpv6 type 200"}} {
		for _, rule := range []string{"12 " + f[1] + " drop", "13 tcp dport 443 accept", "13 drop", "14 drop", "15 tcp dport 80 accept", "15 drop",
			"16 " + f[2] + " accept", "16 drop", "17 " + f[1] + " drop", "18 reject"} {
			fmt.Fprintf(&b, "  %s%s\n", f[0], rule)
		}
	}
	b.WriteString(" }\n}\n")
	cmd := ns.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(b.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v: %s", err, out))
	}
}

func hosts1x(prefix string) (l list) {
	for _, n := range []int{11, 12, 13, 14, 15, 16, 17, 18, 30} {
		l = append(l, netip.MustParseAddr(fmt.Sprint(prefix, n)))
	}
	return l
}

// settle waits until a link-local address of eth0 serves: it comes with the
// carrier.
func settle(ns *nettest.NS, addr string) {
	for range 200 {
		if out := ns.Run("ip", "-6", "addr", "show", "dev", "eth0", "scope", "link"); strings.Contains(out, addr) && !strings.Contains(out, "tentative") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
