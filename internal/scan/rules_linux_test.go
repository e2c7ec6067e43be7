package scan

import (
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// What local rules drop or refuse is filtered with its reason, what they
// reset is closed, and what address translation answers is open.
func TestSelfThroughRules(t *testing.T) {
	nettest.Need(t, "nft")
	ns, _ := host(t)
	ns.Listen("tcp4", "10.1.2.3:9999")
	ns.Listen("tcp4", "127.0.0.1:9999") // where redirect sends what this host sends
	ns.Script(`cat > /tmp/$$.nft <<'R'
table inet t {
 chain i { type filter hook input priority 0;
  ct state established,related accept
  tcp dport 7001 drop
  tcp dport 7002 reject
  tcp dport 7003 reject with icmpx admin-prohibited
  tcp dport 7004 reject with tcp reset
 }
 chain o { type filter hook output priority 0; tcp dport 7005 drop; }
}
table ip n { chain o { type nat hook output priority -100; tcp dport 7006 dnat to 10.1.2.3:9999; tcp dport 7007 redirect to :9999
 }
}
R
nft -f /tmp/$$.nft; rm /tmp/$$.nft`)
	ns.Listen("tcp4", "0.0.0.0:7001")
	want := map[uint16][2]string{7001: {"filtered", "no-response"}, 7002: {"filtered", "port-unreach"},
		7003: {"filtered", "admin-prohibited"}, 7004: {"", ""}, 7005: {"filtered", "not-permitted"},
		7006: {"open", "syn-ack"}, 7007: {"open", "syn-ack"}}
	for _, method := range []string{SYN, Connect} {
		s := self(t, ns, SelfOptions{Addrs: addrs("10.1.2.3"), Method: method})
		for port, w := range want {
			got := listed(s, "10.1.2.3", port)
			if method == Connect && port == 7005 {
				w[1] = "no-response" // connect(2) goes on trying without a word
			}
			if string(got.State) != w[0] || got.Reason != w[1] {
				t.Errorf("%s: port %d is %q (%s), want %v", method, port, got.State, got.Reason, w)
			}
		}
		if len(openSet(s)) != 3 {
			t.Errorf("%s: open %v", method, openSet(s))
		}
	}
}

// A rule that drops everything keeps both transports within seconds, and the
// commonest state is counted, not listed.
func TestSelfBehindDropAll(t *testing.T) {
	nettest.Need(t, "nft")
	ns, _ := host(t)
	ns.Listen("tcp4", "10.1.2.3:22")
	ns.Script(`nft 'add table inet t; add chain inet t i { type filter hook input priority 0; }; add rule inet t i ip daddr 10.1.2.3 tcp dport != { 22, 23 } tcp flags & (syn|ack) == syn drop'`)
	for _, method := range []string{SYN, Connect} {
		start := time.Now()
		s := self(t, ns, SelfOptions{Addrs: addrs("10.1.2.3"), Method: method})
		took := time.Since(start)
		h := s.Hosts[0]
		if h.States[exposure.Filtered] != 65533 || len(h.Ports) != 2 || listed(s, "10.1.2.3", 23).State != exposure.Closed {
			t.Errorf("%s: %v, %v", method, h.States, h.Ports)
		}
		if state, ok := StateOf(h, 4000); !ok || state != exposure.Filtered {
			t.Errorf("%s: StateOf an unlisted port: %q", method, state)
		}
		if took > 20*time.Second {
			t.Errorf("%s took %v", method, took)
		}
		t.Logf("%s: %v", method, took)
	}
}

// Where everything answers, that is said and the list stays short.
func TestSelfEverythingAnswers(t *testing.T) {
	nettest.Need(t, "nft")
	ns, _ := host(t)
	ns.Listen("tcp4", "0.0.0.0:9999")
	ns.Script(`nft 'add table ip n; add chain ip n o { type nat hook output priority -100; }; add rule ip n o ip daddr 10.1.2.3 tcp dport 1-65535 redirect to :9999'`)
	for _, method := range []string{SYN, Connect} {
		s := self(t, ns, SelfOptions{Addrs: addrs("10.1.2.3", "127.0.0.1"), Method: method, TCP: []PortRange{{1, 3000}}})
		h := s.Hosts[0]
		if !h.EverythingAnswers || len(h.Ports) != maxEchoes || h.States[exposure.Open]+len(h.Ports) != 3000 {
			t.Errorf("%s: everything %v, listed %d, %v", method, h.EverythingAnswers, len(h.Ports), h.States)
		}
		if s.Hosts[1].EverythingAnswers {
			t.Errorf("%s: loopback does not answer everywhere", method)
		}
	}
}
