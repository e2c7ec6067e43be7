//go:build linux

package firewall

import (
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
)

// Hand-written rule sets of many kinds: what the kernel does is what we say.
func TestKernelAgreesOnWrittenRules(t *testing.T) {
	nettest.Need(t, "nft")
	l := newLab(t)
	for round, rules := range writtenRules {
		if err := l.load(rules); err != nil {
			t.Fatal(err)
		}
		l.compare(rules, allProbes(false, round))
		l.compare(rules, allProbes(true, round))
	}
}

var writtenRules = []string{
	"",
	`table inet filter { chain input { type filter hook input priority 0; policy drop;
 iif lo accept
 ct state established,related accept
 ct state invalid drop
 tcp dport { 22, 80 } accept
 udp dport 53 accept
 ip6 nexthdr icmpv6 accept
}
}`,
	`table inet f { set blk { type ipv4_addr; flags interval; elements = { 10.9.0.3, 192.0.2.0/24 }
 }
 chain ssh { ip saddr 10.9.0.2 accept
 drop

 }
 chain input { type filter hook input priority 0; policy accept;
 ip saddr @blk drop
 tcp dport vmap { 22 : jump ssh, 80 : drop, 443 : accept }
 iifname "eth1" udp dport 1000-1001 drop
 iifname "eth*" udp dport 8080 drop
 meta nfproto ipv6 udp dport 53 reject
 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
}
}`,
	`table ip nat { chain pre { type nat hook prerouting priority dstnat;
 tcp dport 80 redirect to :8080
 udp dport 53 dnat to 10.9.2.2
 tcp dport 443 dnat to 10.9.2.2:22
 tcp dport 1000 dnat to 127.0.0.1:22
 dnat ip addr . port to udp dport map { 1000 : 10.9.2.2 . 1001, 1001 : 10.9.2.2 . 1000 }
}
}
table inet f {
 chain input { type filter hook input priority 0; policy drop;
 tcp dport 8080 accept
 ip6 nexthdr icmpv6 accept

 }
 chain forward { type filter hook forward priority 0; policy drop;
 ct state established,related accept
 ct status dnat ip saddr != 10.9.0.3 accept
}
}`,
	`table inet raw { chain pre { type filter hook prerouting priority raw;
 ct state new drop
 tcp dport 22 ct state invalid meta mark set 7
 udp dport 53 notrack
 udp dport 1000 meta mark set 0x10
}
}
table inet f { chain input { type filter hook input priority 0; policy accept;
 meta mark 7 drop
 meta mark & 0xf0 == 0x10 drop
 udp dport 53 ct state untracked drop
 tcp dport 80 ct state != new accept
 tcp dport 80 drop
}
}`,
	`table inet f { chain out { return

 }
 chain other { tcp dport 443 goto out
 drop

 }
 chain input { type filter hook input priority 0; policy drop;
 ip6 nexthdr icmpv6 accept
 tcp dport 22-443 goto other
 udp dport != 53 counter accept
 tcp flags & (fin|syn|rst|ack) == syn tcp dport 1000 accept
 tcp flags syn tcp dport 1001 accept
}
}
table inet g { chain input { type filter hook input priority 10; policy accept;
 meta l4proto { tcp, udp } th dport 1001 drop
 ip saddr . udp dport { 10.9.0.2 . 1000, 10.9.1.0/24 . 8080 } drop
 fib daddr type local udp dport 22 drop
 fib saddr . iif oif missing drop
}
}`,
	`table inet d { flags dormant;
 chain input { type filter hook input priority 0; policy drop;
}
}
table netdev n { chain i { type filter hook ingress device "eth1" priority 0; policy accept;
 udp dport 53 drop
 tcp dport 22 drop
}
}
table bridge b { chain input { type filter hook input priority 0; policy drop;
}
}`,
}

// Reading leaves no table behind, in a namespace without any and in one with
// a legacy table.
func TestReadCreatesNothing(t *testing.T) {
	nettest.Need(t, "iptables-legacy-restore")
	ns := nettest.New(t)
	names := func() string {
		return ns.Script("cat /proc/net/ip_tables_names /proc/net/ip6_tables_names; nft list tables")
	}
	for _, setup := range []string{"", "echo '*filter\nCOMMIT' | iptables-legacy-restore"} {
		ns.Script(setup)
		before := names()
		ns.Do(func() {
			w, gaps := Read(t.Context(), Options{})
			if len(gaps) > 0 || w.Present() {
				t.Errorf("gaps %v, present %v", gaps, w.Present())
			}
		})
		if after := names(); after != before {
			t.Errorf("tables before %q, after %q", before, after)
		}
	}
}

// IP sets of the kernel, as ipset saves them.
func TestKernelAgreesOnIPSets(t *testing.T) {
	nettest.Need(t, "ipset")
	nettest.Need(t, "iptables-legacy-restore")
	l := newLab(t)
	l.host.Script(`
ipset create nets hash:net
ipset add nets 10.9.0.0/24
ipset add nets 10.9.0.3 nomatch
ipset create doors hash:ip,port
ipset add doors 10.9.0.1,tcp:80
ipset add doors 10.9.0.1,udp:1000-1001
ipset create ports bitmap:port range 0-60000
ipset add ports 443
ipset create both list:set
ipset add both nets
`)
	rules := `*filter
:INPUT DROP [0:0]
-A INPUT -p tcp -m set --match-set nets src -m tcp --dport 22 -j ACCEPT
-A INPUT -m set --match-set doors dst,dst -j ACCEPT
-A INPUT -m set --match-set ports dst -j ACCEPT
-A INPUT -p udp -m udp --dport 53 -m set ! --match-set both src -j ACCEPT
COMMIT
`
	if err := l.restore("iptables-legacy-restore", rules); err != nil {
		t.Fatal(err)
	}
	l.compare(rules, allProbes(false, 0))
}
