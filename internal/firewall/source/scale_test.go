package source

import (
	"fmt"
	"strings"
	"testing"
)

// Tens of thousands of rules are read, whatever the language; the time grows
// with their number.
func TestLongRuleSets(t *testing.T) {
	const n = 20_000
	for _, c := range []struct{ format, head, line, tail string }{
		{"nftables", "table inet t {\nchain c {\n", "ip saddr 10.%d.%d.%d tcp dport %d counter packets 1 bytes 40 accept\n", "}\n}\n"},
		{"iptables", "*filter\n:INPUT DROP [0:0]\n", "-A INPUT -s 10.%d.%d.%d -p tcp --dport %d -j ACCEPT\n", "COMMIT\n"},
		{"cisco", "", "access-list X extended permit tcp host 10.%d.%d.%d any eq %d\n", ""},
		{"pf", "", "pass in quick proto tcp from 10.%d.%d.%d to any port %d\n", ""},
	} {
		var b strings.Builder
		b.WriteString(c.head)
		for i := range n {
			fmt.Fprintf(&b, c.line, i>>16, i>>8&255, i&255, i%65535+1)
		}
		b.WriteString(c.tail)
		s, err := Read(strings.NewReader(b.String()), "-", Auto)
		if err != nil || s.Format != c.format || len(s.Problems) > 0 {
			t.Fatalf("%s: %v", c.format, err)
		}
		most := 0
		for _, ch := range s.Rules.Chains {
			most = max(most, len(ch.Rules))
		}
		if most < n {
			t.Errorf("%s: %d rules", c.format, most)
		}
	}
}
