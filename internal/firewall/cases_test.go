package firewall

import (
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// caseHost is the machine of the cases: one address of each family on eth0,
// a second network on eth1, containers behind docker0.
func caseHost() *ruleset.Host {
	addrs := func(list ...string) (out []netip.Addr) {
		for _, s := range list {
			out = append(out, netip.MustParseAddr(s))
		}
		return out
	}
	h := &ruleset.Host{
		Own:           addrs("127.0.0.1", "::1", "10.7.0.2", "2001:db8::2", "192.168.5.1", "172.17.0.1"),
		Interfaces:    map[string][]netip.Addr{"eth0": addrs("10.7.0.2", "2001:db8::2"), "eth1": addrs("192.168.5.1"), "docker0": addrs("172.17.0.1")},
		Inner:         []string{"docker0"},
		Forwarding4:   map[string]bool{"eth0": true, "eth1": true, "docker0": true},
		Forwarding6:   ruleset.Off,
		RouteLocalnet: map[string]bool{"eth0": false, "eth1": false, "docker0": false},
		Routes:        map[netip.Addr]ruleset.Route{},
	}
	for _, ip := range addrs("172.17.0.2", "172.17.0.3") {
		h.Routes[ip] = ruleset.Route{Device: "docker0"}
	}
	for _, ip := range addrs("10.244.1.5", "10.244.2.7", "10.244.2.8", "192.168.122.10") {
		h.Routes[ip] = ruleset.Route{Device: "eth1"}
	}
	return h
}

// caseWall reads a saved rule set as that of the case host.
func caseWall(t *testing.T, name string) *Wall {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "cases", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, gaps, err := Evidence(nil, f)
	if err != nil || len(gaps) > 0 {
		t.Fatalf("%s: %v %v", name, err, gaps)
	}
	w.rules.Missing = nil
	w.host = caseHost()
	return w
}

// question is "proto addr port"; without an address that of eth0.
func ask(t *testing.T, w *Wall, q string) exposure.Permit {
	t.Helper()
	f := strings.Fields(q)
	addr := "10.7.0.2"
	if len(f) == 3 {
		addr = f[1]
	}
	port, err := strconv.ParseUint(f[len(f)-1], 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return w.Ask(exposure.Proto(f[0]), netip.MustParseAddr(addr), uint16(port))
}

// Rule sets as everyday tools load them, and what they mean for a stranger.
func TestEverydayRuleSets(t *testing.T) {
	for _, c := range everydayCases {
		w := caseWall(t, c.file)
		got := ask(t, w, c.question)
		if got.Verdict != c.want {
			t.Errorf("%s: %s: got %+v, want %s", c.file, c.question, got, c.want)
		}
		text := got.Why + "\n" + strings.Join(got.Rules, "\n")
		if !strings.Contains(text, c.says) {
			t.Errorf("%s: %s: nothing says %q: %+v", c.file, c.question, c.says, got)
		}
	}
}

var everydayCases = []struct {
	file, question string
	want           exposure.PermitVerdict
	says           string
}{
	{"docker.save", "tcp 22", "permit", "iptables filter INPUT: -p tcp -m tcp --dport 22 -j ACCEPT"},
	{"docker.save", "tcp 23", "deny", "iptables filter INPUT: policy drop"},
	{"docker.save", "tcp 8080", "permit", "--to-destination 172.17.0.2:80"}, // DNAT goes past INPUT
	{"docker.save", "udp 6003", "permit", "--to-destination 172.17.0.2:6000-6010/6000"},
	{"docker.save", "udp 6011", "deny", "policy drop"},
	{"docker.save", "tcp 5432", "deny", "policy drop"},                               // published on loopback only
	{"docker.save", "tcp 127.0.0.1 5432", "partial", "only who is on the same link"}, // but a neighbour reaches that
	{"docker.save", "tcp 127.0.0.1 5433", "deny", "the kernel drops packets to a loopback address"},
	{"docker.save", "tcp ::1 8080", "deny", "the kernel drops packets to a loopback address"},

	{"ufw.save", "tcp 22", "permit", "ufw-user-limit-accept: -j ACCEPT"},
	{"ufw.save", "tcp 443", "permit", "-m multiport --dports 80,443"},
	{"ufw.save", "tcp 5432", "partial", "10.0.0.0/8"},
	{"ufw.save", "tcp 9100", "partial", "eth1"},
	{"ufw.save", "tcp 8081", "deny", "policy drop"},
	{"ufw.save", "udp 137", "deny", "ufw-skip-to-policy-input: -j DROP"},
	{"ufw.save", "udp 68", "partial", "source port"},
	{"ufw.save", "udp 224.0.0.251 5353", "permit", "--dport 5353"},
	{"ufw.save", "udp 60500", "permit", "60000:61000"},

	{"firewalld.json", "tcp 22", "partial", "198.51.100.0/24"},
	{"firewalld.json", "tcp 9090", "partial", "eth1"},
	{"firewalld.json", "tcp 5432", "deny", "reject with icmpx admin-prohibited"},
	{"firewalld.json", "tcp 2222", "permit", "redirect to :22"}, // ct status dnat
	{"firewalld.json", "tcp 8443", "permit", "dnat ip to 192.168.122.10:443"},
	{"firewalld.json", "tcp 2001:db8::2 8443", "deny", "reject"},
	{"firewalld.json", "udp 137", "partial", "eth1"},

	{"server.json", "tcp 22", "partial", "203.0.113.5-203.0.113.6"},
	{"server.json", "tcp 2001:db8::2 22", "permit", "within its rate"},
	{"server.json", "tcp 23", "permit", "tcp dport 23 accept"},
	{"server.json", "tcp 9999", "deny", "add @allowed"},
	{"server.json", "tcp 9998", "deny", "policy drop"},
	{"server.json", "tcp 443", "permit", "vmap @services"},
	{"server.json", "tcp 8443", "partial", "192.168.0.0/16"},
	{"server.json", "udp 53", "permit", "udp dport { 53, 51820 } accept"},
	{"server.json", "udp 123", "partial", "5.0.0.0/8"},
	{"server.json", "tcp 3306", "partial", "denied: 5.0.0.0/8"},
	{"server.json", "tcp 6379", "partial", "wg0"},
	{"server.json", "tcp 7000", "permit", "tcp dport 7000 accept"},
	{"server.json", "tcp 7001", "permit", "tcp dport 7001 accept"},
	{"server.json", "tcp 7002", "partial", "time of day"},
	{"server.json", "tcp 7003", "deny", "policy drop"},
	{"server.json", "tcp 7004", "permit", "tcp sport 1024-65535"},
	{"server.json", "udp 7005", "partial", "source port (permitted: 53)"},
	{"server.json", "tcp 7006", "permit", "tcp dport 7006 accept"},
	{"server.json", "tcp 7007", "partial", "random choice"},
	{"server.json", "tcp 7008", "unknown", "socket"},
	{"server.json", "udp 7009", "unknown", "@th,64,16"},
	{"server.json", "udp 7010", "deny", "policy drop"}, // unknown or not, nothing accepts
	{"server.json", "tcp 7011", "partial", "helper"},
	{"server.json", "tcp 7012", "deny", "policy drop"},
	{"server.json", "tcp 7013", "deny", "policy drop"}, // 127.0.0.0/8 is no stranger's

	{"kube-iptables.save", "tcp 30080", "permit", "--to-destination 10.244"},
	{"kube-iptables.save", "tcp 22", "permit", "policy accept"},
	{"kube-iptables.save", "tcp 443", "permit", "policy accept"},
	{"kube-nft.json", "tcp 30080", "permit", "dnat to 10.244"},
	{"kube-nft.json", "udp 30053", "permit", "dnat to 10.244.2.8:53"},
	{"kube-nft.json", "tcp 30081", "deny", "no-endpoint-nodeports"},
	{"kube-nft.json", "tcp 192.168.5.1 30080", "permit", "policy accept"},
}
