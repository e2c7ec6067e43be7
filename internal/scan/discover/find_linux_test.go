package discover

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/nettest"
)

// As root and without, over a router and on the link, IPv4 and IPv6: the same
// hosts are up as nmap finds, for the same reasons.
func TestAgreesWithNmap(t *testing.T) {
	scanner, _ := street(t)
	// A refusal by ICMP that arrives while connect(2) still runs, as it does on
	// a link of no length, is heard only after the kernel's second SYN: nmap
	// has gone by then. So host 18 is not compared with connect.
	const toConnect = 7
	for _, c := range []struct {
		name    string
		targets list
		o       Options
		args    []string
	}{
		{"routed", hosts1x("10.1.0."), Options{}, nil},
		{"routed IPv6", hosts1x("fd00:1::"), Options{}, nil},
		{"on the link", hosts1x("10.0.0."), Options{}, nil},
		{"on the link IPv6", hosts1x("fd00::"), Options{}, nil},
		{"routed, connect", hosts1x("10.1.0.")[:toConnect], Options{Method: Connect}, []string{"--unprivileged"}},
		{"routed IPv6, connect", hosts1x("fd00:1::")[:toConnect], Options{Method: Connect}, []string{"--unprivileged"}},
		{"on the link, connect", hosts1x("10.0.0.")[:toConnect], Options{Method: Connect}, []string{"--unprivileged"}},
		{"own", addrs("10.0.0.1", "127.0.0.1"), Options{}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			hosts, sum := search(t, scanner, c.targets, c.o)
			ours := time.Since(begun)
			want := nmap(t, scanner, c.targets, c.args...)
			if diff := cmp.Diff(want, reasons(hosts)); diff != "" {
				t.Errorf("nmap -, Find +:\n%s", diff)
			}
			if len(sum.Gaps) > 0 || sum.Asked != c.targets.Len() || sum.Up != uint64(len(hosts)) {
				t.Errorf("%+v", sum)
			}
			t.Logf("%v (with nmap %v), %v, %+v", ours, time.Since(begun)-ours, reasons(hosts), sum.Stats)
		})
	}
}

// A link-local target is asked on the interface of its zone.
func TestLinkLocal(t *testing.T) {
	scanner, target := nettest.New(t), nettest.New(t)
	for _, ns := range []*nettest.NS{scanner, target} {
		ns.Script("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad")
	}
	nettest.Veth(t, scanner, target, "eth0=10.0.0.1/24", "eth0=fe80::77/64")
	settle(scanner, "fe80::")
	settle(target, "fe80::77/64")
	targets := addrs("fe80::77%eth0", "fe80::78%eth0")
	hosts, sum := search(t, scanner, targets, Options{})
	h := hosts[targets[0]]
	if len(hosts) != 1 || h.Reason != "nd-response" || !strings.Contains(target.Run("ip", "link", "show", "eth0"), h.MAC) || h.RTT == 0 {
		t.Errorf("%+v, %+v", hosts, sum)
	}
}

// What has no route, no host behind it or no gateway that answers is said.
func TestSaysWhatWasNotAsked(t *testing.T) {
	scanner, _ := street(t)
	scanner.Script("ip route add 192.0.2.0/24 via 10.0.0.99; ip route add blackhole 198.51.100.0/24")
	hosts, sum := search(t, scanner, addrs("192.0.2.1", "192.0.2.2", "198.51.100.1", "203.0.113.1", "10.0.0.255", "10.1.0.11"), Options{})
	if len(hosts) != 1 || sum.Asked != 2 || sum.NoHost != 1 || len(sum.Gaps) != 3 {
		t.Errorf("%v, %+v", reasons(hosts), sum)
	}
	all := fmt.Sprint(sum.Gaps)
	for _, want := range []string{"2 of 6 addresses (first 192.0.2.", "gateway 10.0.0.99 on eth0 does not answer", "blackhole", "no route"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
}

// Without CAP_NET_RAW hosts are asked by connect, and by echo where a ping
// socket is permitted.
func TestWithoutPrivilege(t *testing.T) {
	scanner, _ := street(t)
	for _, ping := range []bool{false, true} {
		want := map[string]string{"10.1.0.11": "conn-refused", "10.1.0.15": "conn-refused", "10.1.0.13": "conn-refused"}
		if ping {
			scanner.Script("echo 0 0 >/proc/sys/net/ipv4/ping_group_range")
			want["10.1.0.11"] = "echo-reply"
		}
		hosts := map[netip.Addr]Host{}
		scanner.Do(func() { // on a thread that ends with this
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var none [2]unix.CapUserData
			if err := unix.Capset(&header, &none[0]); err != nil {
				t.Error(err)
			}
			sum, err := Find(t.Context(), addrs("10.1.0.11", "10.1.0.13", "10.1.0.14", "10.1.0.15"), Options{}, func(_ uint64, h Host) { hosts[h.Addr] = h })
			if err != nil || !sum.Connected || len(sum.Gaps) > 0 {
				t.Errorf("%+v, %v", sum, err)
			}
		})
		if diff := cmp.Diff(want, reasons(hosts)); diff != "" {
			t.Errorf("ping sockets %v: %s", ping, diff)
		}
	}
}

// An interrupt and an interface that goes down end the search with a gap and
// with what was found.
func TestEndsEarly(t *testing.T) {
	scanner, _ := street(t)
	for name, end := range map[string]func(cancel func()){
		"interrupted": func(cancel func()) { cancel() },
		"is down":     func(func()) { scanner.Run("ip", "link", "set", "eth0", "down") },
	} {
		t.Run(name, func(t *testing.T) {
			scanner.Script("ip link set eth0 up; ip route replace 10.1.0.0/16 via 10.0.0.254")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			begun, ended := time.Now(), false
			o := Options{Rate: 2000, Progress: func(done, _ uint64) {
				if done > 0 && !ended {
					end(cancel)
					ended = true
				}
			}}
			scanner.Do(func() {
				sum, err := Find(ctx, block(netip.MustParsePrefix("10.1.0.0/16")), o, func(uint64, Host) {})
				if err != nil || sum.Asked > 60_000 || len(sum.Gaps) == 0 || !strings.Contains(fmt.Sprint(sum.Gaps), name) {
					t.Errorf("%+v, %v", sum, err)
				}
			})
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// busy makes 200 addresses of a /16 answer, the others do not.
func busy(ns *nettest.NS, prefix string, rule bool) map[string]bool {
	up := map[string]bool{}
	r := rand.New(rand.NewPCG(7, 7))
	var b strings.Builder
	for len(up) < 200 {
		a := fmt.Sprintf("%s.%d.%d", prefix, r.IntN(256), 2+r.IntN(250))
		if !up[a] {
			up[a] = true
			fmt.Fprintf(&b, "route add local %s dev lo\n", a)
		}
	}
	cmd := ns.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(b.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v: %s", err, out))
	}
	if rule { // what is not up is dropped, not refused
		ns.Script("ip route add blackhole " + prefix + ".0.0/16")
	}
	return up
}

// 65,536 addresses of which 200 are up: all are found, nobody else is, memory
// stays small and the scanner's neighbour table does not grow.
func TestLargeRanges(t *testing.T) {
	scanner, target := street(t)
	lan := nettest.New(t)
	nettest.Veth(t, scanner, lan, "eth1=10.8.0.1/16", "eth0=10.8.0.255/16")
	for _, c := range []struct {
		name, prefix string
		ns           *nettest.NS
		reason       string
	}{
		{"routed", "10.9", target, "echo-reply"},
		{"on the link", "10.8", lan, "arp-response"},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := busy(c.ns, c.prefix, c.name == "routed")
			if c.name == "on the link" {
				up["10.8.0.255"], up["10.8.0.1"] = true, true
			} else {
				scanner.Script("ip route replace 10.9.0.0/16 via 10.0.0.254")
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			begun := time.Now()
			hosts, sum := search(t, scanner, block(netip.MustParsePrefix(c.prefix+".0.0/16")), Options{Rate: 100_000})
			took := time.Since(begun)
			runtime.ReadMemStats(&after)
			missed := 0
			for a := range up {
				if h := hosts[netip.MustParseAddr(a)]; h.Reason != c.reason && a != "10.8.0.1" {
					missed++
				}
			}
			if len(hosts) != len(up) || missed > 0 {
				t.Errorf("%d up, want %d; %d missed", len(hosts), len(up), missed)
			}
			if n := strings.Count(scanner.Run("ip", "neigh"), "\n"); n > 30 {
				t.Errorf("%d entries in the scanner's neighbour table", n)
			}
			allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%v, %d MiB allocated, %+v", took, allocated, sum.Stats)
			if allocated > 100 || took > 20*time.Second {
				t.Errorf("took %v and %d MiB", took, allocated)
			}
		})
	}
}
