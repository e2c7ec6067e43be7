package firewall

import (
	"fmt"
	"strings"
)

// iptables writes a saved rule set.
func (g *generator) iptables() string {
	var b strings.Builder
	if g.IntN(3) == 0 {
		b.WriteString("*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i eth2 -j ACCEPT\n")
		b.WriteString(g.pick("-A PREROUTING -p udp --dport 1000 -j CT --notrack\n", "-A PREROUTING -p tcp --dport 22 -j CT --notrack\n", ""))
		b.WriteString("-A PREROUTING " + g.xmatches() + g.pick("-j DROP", "-j ACCEPT", "-j MARK --set-mark 0x10") + "\nCOMMIT\n")
	}
	if g.IntN(3) == 0 {
		b.WriteString("*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING " + g.xmatches() + g.pick("-j MARK --set-xmark 0x1/0xff", "-j MARK --or-mark 0x10", "-j CONNMARK --set-mark 5", "-j DROP") + "\nCOMMIT\n")
	}
	if g.IntN(2) == 0 {
		b.WriteString(g.xnat())
	}
	fmt.Fprintf(&b, "*filter\n:INPUT %s [0:0]\n:FORWARD %s [0:0]\n:OUTPUT ACCEPT [0:0]\n:c1 - [0:0]\n:c2 - [0:0]\n:c3 - [0:0]\n", g.pick("ACCEPT", "DROP"), g.pick("ACCEPT", "DROP"))
	b.WriteString("-A FORWARD -i eth2 -j ACCEPT\n")
	for i := 3; i > 0; i-- {
		for range 1 + g.IntN(3) {
			fmt.Fprintf(&b, "-A c%d %s%s\n", i, g.xmatches(), g.xtarget(i))
		}
	}
	for range 2 + g.IntN(6) {
		fmt.Fprintf(&b, "-A %s %s%s\n", g.pick("INPUT", "INPUT", "FORWARD"), g.xmatches(), g.xtarget(0))
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

func (g *generator) xnat() string {
	var b strings.Builder
	b.WriteString("*nat\n:PREROUTING ACCEPT [0:0]\n:x - [0:0]\n")
	for range 1 + g.IntN(4) {
		b.WriteString(g.pick("-A PREROUTING ", "-A x ") + g.pick("", "-s 10.9.0.2 ", "-i eth0 ", "! -i eth1 ", "-m addrtype --dst-type LOCAL "))
		b.WriteString(g.pick("-p tcp --dport ", "-p udp --dport ") + g.port() + " ")
		b.WriteString(g.pick("-j REDIRECT --to-ports "+g.port(), "-j REDIRECT", "-j DNAT --to-destination 10.9.2.2", "-j DNAT --to-destination 10.9.2.2:"+g.port(),
			"-j DNAT --to-destination 10.9.1.1:"+g.port(), "-j DNAT --to-destination 127.0.0.1:22", "-j RETURN", "-j ACCEPT") + "\n")
	}
	b.WriteString("-A PREROUTING " + g.pick("-m addrtype --dst-type LOCAL", "-p tcp", "! -s 10.9.0.3") + " -j x\nCOMMIT\n")
	return b.String()
}

func (g *generator) xtarget(n int) string {
	if n == 3 {
		return g.pick("-j ACCEPT", "-j DROP", "-j RETURN", "-j REJECT")
	}
	to := fmt.Sprintf("c%d", n+1+g.IntN(3-n))
	return g.pick("-j ACCEPT", "-j ACCEPT", "-j DROP", "-j RETURN", "-j REJECT", "-j "+to, "-j "+to, "-g "+to, "-j LOG --log-prefix \"a b \"", "")
}

// xmatches writes up to two conditions, one of them with a protocol at most.
func (g *generator) xmatches() string {
	s := g.pick("", "-p tcp --dport "+g.xports(), "-p udp --dport "+g.xports(), "-p tcp -m multiport --dports 22,80,1000:8080", "-p udp -m multiport ! --dports 53,443",
		"-p tcp --syn", "-p tcp -m tcp ! --tcp-flags SYN,ACK SYN", "-p udp --sport 53", "-p tcp ! --sport 1024:65535", "! -p tcp", "-p tcp ! --dport "+g.port(),
		"-p tcp -m multiport --ports 22,53", "-p udp -m multiport ! --ports 53,80")
	if s != "" {
		s += " "
	}
	if g.IntN(2) == 0 {
		s += g.xmatch() + " "
	}
	return s
}

func (g *generator) xports() string {
	return g.pick(g.port(), "20:80", ":443", "1000:")
}

func (g *generator) xmatch() string {
	return g.pick("-s 10.9.0.2", "! -s 10.9.0.0/24", "-s 10.9.1.0/24,10.9.0.3", "-i eth0", "! -i eth1", "-i eth+", "-i lo", "-d 10.9.0.1", "! -d 10.9.2.0/24",
		"-m conntrack --ctstate NEW", "-m conntrack --ctstate RELATED,ESTABLISHED", "-m conntrack ! --ctstate NEW", "-m conntrack --ctstate INVALID", "-m state --state NEW,UNTRACKED",
		"-m conntrack --ctstate DNAT", "-m conntrack --ctstate NEW --ctdir ORIGINAL", "-m conntrack --ctorigdstport 80", "-m conntrack --ctstatus NONE",
		"-m mark --mark 0x10/0xf0", "-m mark ! --mark 0", "-m connmark --mark 5", "-m addrtype --dst-type LOCAL", "-m addrtype ! --dst-type LOCAL", "-m addrtype --src-type LOCAL",
		"-m limit --limit 1000/sec --limit-burst 5000", "-m iprange --src-range 10.9.0.2-10.9.0.9", "-m iprange ! --src-range 10.9.0.3-10.9.1.2", "-m pkttype --pkt-type unicast",
		"-m comment --comment \"a \\\"quoted\\\" one\"", "-m length --length 0:19", "-m ttl --ttl-gt 5", "-m hashlimit --hashlimit-above 100000/sec --hashlimit-burst 10000 --hashlimit-name h --hashlimit-mode srcip",
		"-m connlimit --connlimit-above 100000", "-m recent --name r --set", "-m recent --name r --update --seconds 1 --hitcount 9", "-m u32 --u32 0=0", "-f")
}
