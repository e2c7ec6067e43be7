package knowledge_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
)

func idOf(a *knowledge.Advice) string {
	if a == nil {
		return ""
	}
	return a.ID
}

func TestAdvice(t *testing.T) {
	b := knowledge.Open()
	for _, c := range []struct {
		proto exposure.Proto
		port  uint16
		want  string
	}{
		{exposure.TCP, 22, "ssh"}, {exposure.TCP, 514, "rsh"}, {exposure.UDP, 514, "syslog"},
		{exposure.TCP, 512, "rexec"}, {exposure.UDP, 512, "biff"}, {exposure.UDP, 5353, "mdns"},
		{exposure.TCP, 135, "ms-rpc"}, {exposure.TCP, 445, "smb"}, {exposure.TCP, 3389, "rdp"},
		{exposure.TCP, 6005, "x11"}, {exposure.TCP, 9090, "cockpit"}, {exposure.UDPLite, 53, "dns"},
		{exposure.TCP, 10250, "kubelet"}, {exposure.TCP, 31337, "back-orifice"},
		// Met there, but owned by nobody: no advice without more evidence.
		{exposure.TCP, 834, ""}, {exposure.TCP, 49664, ""}, {exposure.TCP, 31000, ""},
		{exposure.TCP, 5173, ""}, {exposure.TCP, 61001, ""}, {exposure.ICMP, 8, ""},
	} {
		if got := idOf(b.Advice(c.proto, c.port)); got != c.want {
			t.Errorf("Advice(%s, %d) = %q, want %q", c.proto, c.port, got, c.want)
		}
	}
}

func TestCandidates(t *testing.T) {
	b := knowledge.Open()
	for _, c := range []struct {
		port  uint16
		first string
		among []string
	}{
		{9090, "cockpit", []string{"prometheus", "aix-websm"}},
		{834, "", []string{"ypbind", "ypserv"}},
		{49664, "", []string{"ms-rpc-dynamic"}},
		{4444, "metasploit", []string{"netcat", "blaster"}},
		{9100, "jetdirect", []string{"node-exporter"}},
		{3000, "grafana", []string{"devserver", "gitlab"}},
		{31000, "", []string{"nodeport"}},
	} {
		list := b.Candidates(exposure.TCP, c.port)
		var ids []string
		for _, a := range list {
			ids = append(ids, a.ID)
		}
		if c.first != "" && (len(ids) == 0 || ids[0] != c.first) {
			t.Errorf("%d: %q, want %q first", c.port, ids, c.first)
		}
		for _, w := range c.among {
			if !slices.Contains(ids, w) {
				t.Errorf("%d: %q lacks %q", c.port, ids, w)
			}
		}
	}
	if a := b.Advice(exposure.TCP, 9090); !slices.Contains(a.Others, "prometheus") || slices.Contains(a.Others, "cockpit") {
		t.Errorf("Others of 9090: %q", a.Others)
	}
}

func TestAdviceAt(t *testing.T) {
	b := knowledge.Open()
	for _, c := range []struct {
		proto exposure.Proto
		port  uint16
		hints []string
		want  string
	}{
		{exposure.TCP, 9090, []string{"http", "prometheus"}, "prometheus"},
		{exposure.TCP, 9090, []string{"cockpit-tls"}, "cockpit"},
		{exposure.TCP, 9090, nil, "cockpit"},
		{exposure.TCP, 9100, []string{"prometheus-node-exporter"}, "node-exporter"},
		{exposure.TCP, 9100, []string{"prometheus-node-"}, "node-exporter"}, // cut at 15 bytes
		{exposure.TCP, 834, []string{"ypbind"}, "ypbind"},
		{exposure.TCP, 40123, []string{"redis-server"}, "redis"},
		{exposure.TCP, 443, []string{"ssh"}, "ssh"},
		{exposure.TCP, 6010, []string{"sshd"}, "x11"},
		{exposure.TCP, 40123, []string{"/usr/bin/something"}, ""},
		{exposure.TCP, 40123, []string{""}, ""},
		{exposure.TCP, 993, []string{"tls", "dovecot"}, "imaps"},
		{exposure.UDP, 5355, []string{"systemd-resolve"}, "llmnr"},
		{exposure.UDP, 53, []string{"systemd-resolve"}, "dns"},
		{exposure.TCP, 5000, []string{"ControlCenter"}, "airplay"},
	} {
		if got := idOf(b.AdviceAt(c.proto, c.port, c.hints...)); got != c.want {
			t.Errorf("AdviceAt(%s, %d, %q) = %q, want %q", c.proto, c.port, c.hints, got, c.want)
		}
	}
}

func TestAdviceFor(t *testing.T) {
	b := knowledge.Open()
	for name, want := range map[string]string{
		"redis": "redis", "REDIS-SERVER": "redis", "redis-server": "redis", "/usr/bin/redis-server": "redis",
		`C:\Program Files\MySQL\mysqld.exe`: "mysql", "mariadbd": "mysql",
		"ms-wbt-server": "rdp", "microsoft-ds": "smb", "ncube-lm": "oracle", "tnslsnr": "oracle",
		"postgres": "postgresql", "ncat": "netcat", "sunrpc": "rpcbind", "rmcd": "rmc",
		"nginx": "", "dovecot": "", "python3": "", "java": "", "node": "", "": "", " ": "", "nosuch": "",
		"postgres: writer process": "postgresql",
	} {
		if got := idOf(b.AdviceFor(name)); got != want {
			t.Errorf("AdviceFor(%q) = %q, want %q", name, got, want)
		}
	}
}

// What identification may call a protocol finds the service of that name.
func TestProtocolsAreServices(t *testing.T) {
	b := knowledge.Open()
	// Carriers say nothing of the service inside.
	carriers := []string{"tls", "h2", "quic"}
	for _, p := range knowledge.Protocols() {
		if b.AdviceFor(p.Name) == nil && !slices.Contains(carriers, p.Name) {
			t.Errorf("no advice goes by the protocol's name %q", p.Name)
		}
	}
}

func TestHostileNames(t *testing.T) {
	b := knowledge.Open()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		port := rapid.Uint16().Draw(t, "port")
		b.AdviceFor(name)
		b.AdviceAt(exposure.TCP, port, name)
		b.ByName(name)
	})
}

// The owner of every owned port is its advice, and candidates hold every
// claim: the table itself is the naive twin of the index.
func TestEveryClaimIsFound(t *testing.T) {
	b := knowledge.Open()
	for _, a := range b.All() {
		for _, r := range a.Ports {
			for _, p := range []uint16{r.First, r.Last} {
				if got := idOf(b.Advice(r.Proto, p)); got != a.ID {
					t.Errorf("%s owns %s, Advice says %q", a.ID, r, got)
				}
			}
		}
		for _, r := range a.Also {
			if list := b.Candidates(r.Proto, r.Last); !slices.ContainsFunc(list, func(c *knowledge.Advice) bool { return c.ID == a.ID }) {
				t.Errorf("%s is met at %s, Candidates lacks it", a.ID, r)
			}
		}
		if got := idOf(b.AdviceFor(a.ID)); got != a.ID {
			t.Errorf("AdviceFor(%q) = %q", a.ID, got)
		}
	}
}

func TestProtected(t *testing.T) {
	b := knowledge.Open()
	for _, p := range []exposure.Proto{exposure.TCP, exposure.UDP} {
		if a := b.Advice(p, 657); a == nil || !a.Protected || a.ProtectedWhy == "" {
			t.Errorf("657/%s is not protected: %+v", p, a)
		}
	}
	for _, a := range b.All() {
		if a.Protected && len(a.Close.Systemd)+len(a.Close.AIX)+len(a.Close.Inetd) > 0 {
			t.Errorf("%s is protected and yet told how to close", a.ID)
		}
	}
}

func TestSystemctl(t *testing.T) {
	b := knowledge.Open()
	for name, want := range map[string][]knowledge.Systemctl{
		"rpcbind": {{Line: "systemctl disable --now rpcbind.socket rpcbind.service"}},
		"telnet":  {{On: "RHEL, Fedora", Line: "systemctl disable --now telnet.socket"}},
		"ssh": {
			{On: "Debian", Line: "systemctl disable --now ssh.socket ssh.service"},
			{On: "RHEL, Fedora, SUSE, Arch", Line: "systemctl disable --now sshd.service"},
		},
	} {
		if d := cmp.Diff(want, b.AdviceFor(name).Close.Systemctl()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestTextForms(t *testing.T) {
	for _, s := range []string{"tcp/22", "udp/5900-5909", "sctp/1", "dccp/65535"} {
		var r knowledge.PortRange
		if err := r.UnmarshalText([]byte(s)); err != nil || r.String() != s {
			t.Errorf("%q gave %q, %v", s, r, err)
		}
	}
	for _, s := range []string{"", "22", "tcp", "tcp/", "tcp/x", "tcp/2-1", "tcp/70000", "icmp/1", "tcp/1-x", "tcp/-1"} {
		var r knowledge.PortRange
		if err := r.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%q was accepted as %q", s, r)
		}
	}
	for _, s := range []string{"a.service", "a.socket (Debian, Ubuntu)"} {
		var u knowledge.Unit
		if err := u.UnmarshalText([]byte(s)); err != nil {
			t.Error(err)
		}
		if got, err := u.MarshalText(); err != nil || string(got) != s {
			t.Errorf("%q gave %q, %v", s, got, err)
		}
	}
	var u knowledge.Unit
	if err := u.UnmarshalText([]byte("a.service (Debian")); err == nil {
		t.Error("an open bracket was accepted")
	}
}

func TestVocabulary(t *testing.T) {
	kinds := knowledge.Kinds()
	for _, k := range []knowledge.Kind{
		knowledge.Datastore, knowledge.Admin, knowledge.RemoteLogin, knowledge.Cleartext, knowledge.FileSharing,
		knowledge.Orchestration, knowledge.Industrial, knowledge.Backdoor, knowledge.Amplification,
		knowledge.Legacy, knowledge.Development, knowledge.Queue, knowledge.Monitoring,
	} {
		if !slices.ContainsFunc(kinds, func(x knowledge.Term) bool { return x.Name == string(k) }) {
			t.Errorf("%q is not in data/kinds.tsv", k)
		}
	}
	for _, x := range append(kinds, knowledge.Protocols()...) {
		if x.Name == "" || x.Meaning == "" || strings.ContainsAny(x.Name, " \t") {
			t.Errorf("bad term %+v", x)
		}
	}
	b := knowledge.Open()
	if a := b.AdviceFor("redis"); !a.Is(knowledge.Datastore) || !a.Is(knowledge.Admin, knowledge.Cleartext) || a.Is(knowledge.Backdoor) || a.Is() {
		t.Errorf("kinds of redis: %v", a.Kinds)
	}
}

func TestAdviceIsValidJSON(t *testing.T) {
	text, err := json.Marshal(knowledge.Open().AdviceFor("ssh"))
	if err != nil {
		t.Fatal(err)
	}
	var back knowledge.Advice
	if err := json.Unmarshal(text, &back); err != nil || back.ID != "ssh" || len(back.Ports) == 0 {
		t.Errorf("%v: %+v", err, back)
	}
}
