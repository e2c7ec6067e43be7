package udp

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// daemon is a real server: how it is started in a namespace (in a folder of
// its own) and what it is known by.
type daemon struct {
	port            uint16
	name, product   string
	versionMustBeIn bool
	program         func(t *testing.T) string
	args            func(dir string) []string
	files           map[string]string
	alsoPorts       []uint16
	alsoNames       []string
}

func args(a ...string) func(string) []string { return func(string) []string { return a } }

func daemons() []daemon {
	return []daemon{
		{port: 53, name: "domain", product: "dnsmasq", versionMustBeIn: true,
			program: func(t *testing.T) string { return nettest.Need(t, "dnsmasq") },
			args: func(dir string) []string {
				return []string{"--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--log-facility=" + dir + "/log", "--pid-file=" + dir + "/pid"}
			}},
		{port: 123, name: "ntp",
			program: func(t *testing.T) string { return nettest.Need(t, "ntpd") },
			args: func(dir string) []string {
				return []string{"-n", "-c", dir + "/ntp.conf", "-l", dir + "/log", "-p", dir + "/pid"}
			},
			files: map[string]string{"ntp.conf": "restrict default\ndisable ntp\n"}},
		{port: 161, name: "snmp", product: "Net-SNMP",
			program: func(t *testing.T) string { return nettest.Need(t, "snmpd") },
			args: func(dir string) []string {
				return []string{"-f", "-C", "-c", dir + "/snmpd.conf", "-Lf", dir + "/log", "-p", dir + "/pid", "udp:161"}
			},
			files: map[string]string{"snmpd.conf": "rocommunity portreeve-test\n"}},
		{port: 69, name: "tftp",
			program: func(t *testing.T) string { return nettest.Need(t, "in.tftpd") },
			args:    func(dir string) []string { return []string{"-L", "-u", "nobody", "-s", dir} }},
		{port: 111, name: "sunrpc",
			program: func(t *testing.T) string { return nettest.Need(t, "rpcbind") },
			args:    args("-f", "-w")},
		{port: 11211, name: "memcache", product: "memcached", versionMustBeIn: true,
			program: func(t *testing.T) string { return nettest.Need(t, "memcached") },
			args:    args("-u", "nobody", "-U", "11211", "-m", "8", "-t", "1")},
		{port: 1194, name: "openvpn",
			program: func(t *testing.T) string { return nettest.Need(t, "openvpn") },
			args: func(dir string) []string {
				return []string{"--dev", "null", "--ifconfig-noexec", "--tls-server", "--port", "1194", "--proto", "udp",
					"--dh", "none", "--ca", dir + "/cert.pem", "--cert", dir + "/cert.pem", "--key", dir + "/key.pem", "--log", dir + "/log"}
			},
			files: certificate()},
		{port: 3478, name: "stun", product: "coturn", versionMustBeIn: true,
			program: func(t *testing.T) string { return nettest.Need(t, "turnserver") },
			args: func(dir string) []string {
				return []string{"-c", dir + "/turn.conf", "-n", "--no-tls", "--no-dtls", "-L", "0.0.0.0", "--log-file", dir + "/log", "--pidfile", dir + "/pid", "-b", dir + "/db", "--no-cli"}
			},
			files: map[string]string{"turn.conf": ""}},
		{port: 7, name: "echo", alsoPorts: []uint16{13, 19, 37}, alsoNames: []string{"daytime", "chargen", "time"},
			program: func(t *testing.T) string { return nettest.Need(t, "xinetd") },
			args: func(dir string) []string {
				return []string{"-dontfork", "-f", dir + "/xinetd.conf", "-pidfile", dir + "/pid", "-filelog", dir + "/log"}
			},
			files: map[string]string{"xinetd.conf": inetd("echo") + inetd("daytime") + inetd("chargen") + inetd("time")}},
	}
}

func inetd(name string) string {
	return "service " + name + "\n{\ntype = INTERNAL\nid = " + name + "-dgram\nsocket_type = dgram\nprotocol = udp\nuser = root\nwait = yes\ndisable = no\n}\n"
}

// start runs the daemon.
func (d daemon) start(t *testing.T, ns *nettest.NS) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range d.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ns.Start(d.program(t), d.args(dir)...)
}

// Real daemons are open and called by their names; what is closed beside them
// is closed.
func TestRealDaemons(t *testing.T) {
	for _, d := range daemons() {
		t.Run(d.name, func(t *testing.T) {
			a, b := nettest.New(t), nettest.New(t)
			nettest.Veth(t, a, b, "10.9.0.1/24", "10.9.0.2/24")
			b.Run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0") // it is asked until it is up
			d.start(t, b)
			want := append([]uint16{d.port}, d.alsoPorts...)
			w := ports("10.9.0.2", append(want, 4, 5)...)
			var r result
			for end := time.Now().Add(8 * time.Second); time.Now().Before(end); {
				r = sweepIn(t, a, &Transport{}, w)
				if r.count(exposure.Open) == len(want) {
					break // it is up
				}
				time.Sleep(200 * time.Millisecond)
			}
			for i, name := range append([]string{d.name}, d.alsoNames...) {
				d.judge(t, r.states[uint64(i)], name)
			}
			if n := r.count(exposure.Closed); n != 2 {
				t.Errorf("%d closed: %v", n, r.states)
			}
		})
	}
}

func (d daemon) judge(t *testing.T, p exposure.PortState, name string) {
	t.Helper()
	if p.State != exposure.Open || p.Service == nil {
		t.Errorf("port %d is %s, service %+v", p.Port, p.State, p.Service)
		return
	}
	s := *p.Service
	if s.Name != name || s.Product != d.product || d.versionMustBeIn && s.Version == "" || p.TTL == 0 {
		t.Errorf("port %d: %+v, TTL %d", p.Port, s, p.TTL)
	}
	t.Logf("port %d: %s %s %s (%s)", p.Port, s.Name, s.Product, s.Version, s.Info)
}
