package firewall

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// scaleCases are large rule sets of several shapes.
var scaleCases = map[string]func() string{
	"10,000 port rules": func() string {
		var b strings.Builder
		b.WriteString("*filter\n:INPUT DROP [0:0]\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n")
		for i := range 10000 {
			fmt.Fprintf(&b, "-A INPUT -s 10.%d.%d.0/24 -p tcp -m tcp --dport %d -j ACCEPT\n", i/256, i%256, 1000+i)
		}
		return b.String() + "COMMIT\n"
	},
	"10,000 banned sources before 1,000 ports": func() string {
		var b strings.Builder
		b.WriteString("*filter\n:INPUT DROP [0:0]\n:bans - [0:0]\n-A INPUT -j bans\n")
		for i := range 10000 {
			fmt.Fprintf(&b, "-A bans -s 10.%d.%d.%d/32 -j DROP\n", i/2500, i/10%250, i%10*7)
		}
		for i := range 1000 {
			fmt.Fprintf(&b, "-A INPUT -p tcp -m tcp --dport %d -j ACCEPT\n", 1000+i)
		}
		return b.String() + "COMMIT\n"
	},
	"10,000 services of kube-proxy": func() string {
		var b strings.Builder
		b.WriteString("*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-NODEPORTS - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n-A PREROUTING -j KUBE-SERVICES\n-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n")
		for i := range 10000 {
			fmt.Fprintf(&b, ":SVC-%d - [0:0]\n:SEP-%d - [0:0]\n", i, i)
			fmt.Fprintf(&b, "-A KUBE-SERVICES -d 10.%d.%d.1/32 -p tcp -m tcp --dport 80 -j SVC-%d\n", 96+i/256, i%256, i)
			fmt.Fprintf(&b, "-A SVC-%d -m statistic --mode random --probability 0.5 -j SEP-%d\n-A SVC-%d -j SEP-%d\n", i, i, i, i)
			fmt.Fprintf(&b, "-A SEP-%d -s 10.244.0.9/32 -j KUBE-MARK-MASQ\n-A SEP-%d -p tcp -m tcp -j DNAT --to-destination 10.244.%d.%d:8080\n", i, i, i/256, i%256)
			if i < 2000 {
				fmt.Fprintf(&b, "-A KUBE-NODEPORTS -p tcp -m tcp --dport %d -j SVC-%d\n", 30000+i, i)
			}
		}
		return b.String() + "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\nCOMMIT\n"
	},
	"jumps that multiply": func() string {
		var b strings.Builder
		b.WriteString("*filter\n:INPUT DROP [0:0]\n:c0 - [0:0]\n")
		for i := range 14 {
			fmt.Fprintf(&b, ":c%d - [0:0]\n", i+1)
			for j := range 8 {
				fmt.Fprintf(&b, "-A c%d -p tcp -m tcp --dport %d:65535 -j c%d\n", i, j, i+1)
			}
		}
		return b.String() + "-A c14 -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -j c0\nCOMMIT\n"
	},
}

// A thousand endpoints of a large rule set are answered in seconds on the
// slowest machine; the figures are logged.
func TestLargeRuleSetsAnswerSoon(t *testing.T) {
	for name, rules := range scaleCases {
		t.Run(name, func(t *testing.T) {
			text := rules()
			start := time.Now()
			w, _, err := Evidence([]netip.Addr{netip.MustParseAddr("10.7.0.2")}, strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			w.rules.Missing = nil
			w.host = caseHost()
			read := time.Since(start)
			start = time.Now()
			for i := range 1000 {
				w.Ask(exposure.TCP, netip.MustParseAddr("10.7.0.2"), uint16(1000+31*i))
			}
			asked := time.Since(start)
			start = time.Now()
			published := len(w.Published())
			listed := time.Since(start)
			start = time.Now()
			permits := len(w.PermitRules())
			t.Logf("read %v, 1,000 endpoints %v, %d published %v, %d permit rules %v", read, asked, published, listed, permits, time.Since(start))
			if asked > 30*time.Second {
				t.Errorf("1,000 endpoints took %v", asked)
			}
		})
	}
}
