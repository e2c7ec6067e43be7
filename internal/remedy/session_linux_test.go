package remedy

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// pairLab is a host with a server named sshd on port 22, and a client.
type pairLab struct {
	*lab
	client *nettest.NS
}

const (
	serverAddr = "192.0.2.1"
	clientAddr = "192.0.2.2"
)

func newPair(t *testing.T) *pairLab {
	t.Helper()
	p := &pairLab{lab: newLab(t), client: nettest.New(t)}
	nettest.Veth(t, p.ns, p.client, "ether0="+serverAddr+"/24", "ether0="+clientAddr+"/24")
	p.ns.Run("ip", "addr", "add", "2001:db8::1/64", "dev", "ether0", "nodad")
	p.client.Run("ip", "addr", "add", "2001:db8::2/64", "dev", "ether0", "nodad")
	bin := filepath.Join(t.TempDir(), "sshd")
	if err := os.Symlink(self(), bin); err != nil { // a process is named by what was run
		t.Fatal(err)
	}
	cmd := p.ns.Command("/usr/bin/env", helperEnv+"=serve", bin, "[::]:22")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "listens\n" {
		t.Fatal(line, err)
	}
	return p
}

// dial connects from the client; nil when nothing comes back.
func (p *pairLab) dial(addr string) (c net.Conn) {
	p.client.Do(func() {
		d := net.Dialer{Timeout: 400 * time.Millisecond}
		c, _ = d.Dial("tcp", net.JoinHostPort(addr, "22"))
	})
	return c
}

// echoes reports that the connection carries data both ways.
func echoes(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(400 * time.Millisecond))
	if _, err := c.Write([]byte("x")); err != nil {
		return false
	}
	_, err := c.Read(make([]byte, 1))
	return err == nil
}

// The judgement on a session is what the kernel does with it: rules are
// loaded past all checks, the session is used, and a new one is tried.
func TestSessionsAreJudgedAsTheKernelDoes(t *testing.T) {
	const head, tail = "table inet portreeve {\n\tset ops {\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.2 }\n\t}\n\tchain input {\n\t\ttype filter hook input priority 10; policy drop;\n", "\n\t}\n}\n"
	for rules, passes := range map[string]bool{
		"ct state established accept\ntcp dport 22 accept":   true,
		"tcp dport 22 accept":                                true,
		"ct state established accept":                        false,
		"ct state new tcp dport 22 accept":                   false,
		"tcp dport 80 accept":                                false,
		"ip saddr @ops accept":                               true,
		"ip saddr 192.0.2.3 accept":                          false,
		"iifname ether0 accept":                              true,
		"iifname ether1 accept":                              false,
		"ct state vmap { established : accept, new : drop }": false,
		"ct state vmap { established : accept, new : jump a }\n}\nchain a {\ntcp dport 22 accept":                               true,
		"tcp dport 22 ct state new,established accept":                                                                          true,
		"ip saddr 192.0.2.0/30 tcp dport { 20-25 } accept":                                                                      true,
		"accept\n}\nchain output {\ntype filter hook output priority 0; policy drop;\ntcp sport 80 accept":                      false,
		"accept\n}\nchain output {\ntype filter hook output priority 0; policy drop;\ntcp sport 22 ct state established accept": true,
	} {
		t.Run(rules, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.ns.Script("nft 'add table ip tracked; add chain ip tracked c { type filter hook input priority 0; }; add rule ip tracked c ct state new counter'")
			c := p.dial(serverAddr)
			if c == nil || !echoes(c) {
				t.Fatal("no session")
			}
			defer c.Close()
			text := head + rules + tail
			_, err := p.prepare(p.options(time.Minute, Load{"nft", []byte(text)}))
			if err != nil && ReasonOf(err) != Refused {
				t.Fatal(err)
			}
			p.ns.Script("nft -f - <<'E'\n" + text + "\nE")
			lives, again := echoes(c), p.dial(serverAddr)
			if again != nil {
				defer again.Close()
			}
			if kernel := lives && again != nil; kernel != (err == nil) || kernel != passes {
				t.Errorf("the kernel lets the session live %v, a new one begin %v; judged: %v; wanted %v", lives, again != nil, err, passes)
			}
		})
	}
}

func TestSessionsOfEachKind(t *testing.T) {
	const only4 = "*filter\n:PORTREEVE-INPUT - [0:0]\n-A PORTREEVE-INPUT -s 192.0.2.2 -j ACCEPT\n-A PORTREEVE-INPUT -j DROP\nCOMMIT\n"
	const none = "*filter\n:PORTREEVE-INPUT - [0:0]\n-A PORTREEVE-INPUT -j DROP\nCOMMIT\n"
	for name, tc := range map[string]struct {
		addr string
		load []Load
		ok   bool
	}{
		"IPv4, iptables permits":    {serverAddr, []Load{{"iptables", []byte(only4)}}, true},
		"IPv4, iptables denies":     {serverAddr, []Load{{"iptables", []byte(none)}}, false},
		"IPv4, legacy denies":       {serverAddr, []Load{{"iptables-legacy", []byte(none)}}, false},
		"IPv4, ip6tables denies":    {serverAddr, []Load{{"ip6tables", []byte(none)}}, true},
		"IPv6, ip6tables denies":    {"2001:db8::1", []Load{{"ip6tables", []byte(none)}}, false},
		"IPv6, nft permits":         {"2001:db8::1", []Load{{"nft", []byte(web)}}, true},
		"IPv6, nft permits no IPv6": {"2001:db8::1", []Load{{"nft", []byte(strings.Replace(web, "tcp dport", "ip saddr 192.0.2.0/24 tcp dport", 1))}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			before := p.rules()
			c := p.dial(tc.addr)
			if c == nil || !echoes(c) {
				t.Fatal("no session")
			}
			defer c.Close()
			o := p.options(time.Minute, tc.load...)
			plan, err := p.prepare(o)
			switch {
			case tc.ok && (err != nil || len(plan.Sessions) != 1):
				t.Fatalf("%v: %+v", err, plan)
			case !tc.ok && (ReasonOf(err) != Refused || !strings.Contains(err.Error(), "another session")):
				t.Fatal(err)
			}
			p.await(before, 0)
			if o.MayCutOthers = true; !tc.ok {
				if plan, err = p.prepare(o); err != nil || len(plan.Sessions) != 0 {
					t.Errorf("others may be cut: %v", err)
				}
			}
		})
	}
}

// A session that comes between the plan and its making is protected too.
func TestSessionAfterThePlan(t *testing.T) {
	p := newPair(t)
	before := p.rules()
	plan, err := p.prepare(p.options(time.Minute, Load{"nft", []byte(strings.Replace(web, "22, ", "", 1))}))
	if err != nil {
		t.Fatal(err)
	}
	c := p.dial(serverAddr)
	if c == nil {
		t.Fatal("no session")
	}
	defer c.Close()
	p.ns.Do(func() { _, err = plan.Apply(t.Context()) })
	if ReasonOf(err) != Refused {
		t.Errorf("applied: %v", err)
	}
	p.await(before, 0)
}

// SSH_CONNECTION counts, also where only a parent has it, as under sudo.
func TestOwnSession(t *testing.T) {
	closed := strings.Replace(web, "22, ", "", 1)
	for name, tc := range map[string]struct {
		env, rules, run string
		refused         bool
	}{
		"its own":         {"192.0.2.2 40000 192.0.2.1 22", closed, "exec env", true},
		"its parent's":    {"192.0.2.2 40000 192.0.2.1 22", closed, "env -u SSH_CONNECTION", true},
		"permitted":       {"192.0.2.2 40000 192.0.2.1 22", web, "exec env", false},
		"not an address":  {"192.0.2.2 40000 203.0.113.1 2222", web, "exec env", true},
		"IPv6":            {"2001:db8::2 40000 2001:db8::1 22", closed, "exec env", true},
		"mapped":          {"::ffff:192.0.2.2 40000 ::ffff:192.0.2.1 22", closed, "exec env", true},
		"too many fields": {"192.0.2.2 1 192.0.2.1 22 9", closed, "exec env", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.ns.Script("ip link add ether0 type bridge; ip link set ether0 up; ip addr add 192.0.2.1/24 dev ether0; ip addr add 2001:db8::1/64 dev ether0 nodad")
			before := l.rules()
			cmd, out := l.helper(order{Load: []Load{{"nft", []byte(tc.rules)}}, Within: time.Minute})
			run := cmd.Args[len(cmd.Args)-2:]
			cmd.Args = append(cmd.Args[:len(cmd.Args)-4], "sh", "-c", tc.run+" "+strings.Join(run, " ")+"; exit $?")
			cmd.Env = append(os.Environ(), "SSH_CONNECTION="+tc.env)
			err := cmd.Run()
			if refused := strings.Contains(out.String(), "your own session"); refused != tc.refused || refused == (err == nil) {
				t.Fatalf("%v: %s", err, out)
			}
			if tc.refused {
				l.await(before, 0)
			}
		})
	}
}

func TestWhoHasLoggedIn(t *testing.T) {
	for titles, want := range map[string]bool{
		"sshd: [accepted]":                      true,
		"sshd: root [priv]|sshd: root [net]":    true,
		"sshd: unknown [priv]|sshd: unk [net]":  true,
		"sshd: root@pts/0":                      false,
		"sshd: ada [priv]|sshd: ada@notty":      false,
		"sshd-session: ada@pts/1":               false,
		"dropbear":                              false,
		"sshd: ada [priv]|sshd: ada@[accepted]": false,
	} {
		var ps []exposure.Process
		for title := range strings.SplitSeq(titles, "|") {
			ps = append(ps, exposure.Process{Name: "sshd", Cmdline: title})
		}
		if got := stillAuthenticating(ps); got != want {
			t.Errorf("%s: %v", titles, got)
		}
	}
}

func TestKnownUsesAreNamed(t *testing.T) {
	p := newPair(t)
	server := netip.MustParseAddr(serverAddr)
	o := p.options(time.Minute, Load{"nft", []byte(web)})
	o.Flows = []exposure.Flow{
		{Proto: exposure.TCP, Client: netip.MustParseAddr("192.0.2.9"), Server: server, ServerPort: 5432},
		{Proto: exposure.TCP, Client: netip.MustParseAddr("192.0.2.8"), Server: server, ServerPort: 5432},
		{Proto: exposure.TCP, Client: netip.MustParseAddr("192.0.2.9"), Server: server, ServerPort: 443},
		{Proto: exposure.UDP, Client: netip.MustParseAddr("192.0.2.9"), Server: server, ServerPort: 53, Answered: exposure.FlowUnanswered},
		{Proto: exposure.TCP, Client: netip.MustParseAddr("192.0.2.9"), Server: netip.MustParseAddr("198.51.100.1"), ServerPort: 25},
	}
	o.Usage = []exposure.Usage{{Endpoint: exposure.Endpoint{Proto: exposure.UDP, Addr: exposure.IPAddress(netip.IPv4Unspecified()), Port: 123},
		Clients: []netip.Addr{netip.MustParseAddr("192.0.2.7")}}}
	plan, err := p.prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, u := range plan.Refused {
		got[string(u.Proto)+" "+u.Server.String()] = u.Count
		if u.Why == "" || len(u.Clients) != u.Count {
			t.Errorf("%+v", u)
		}
	}
	if len(got) != 2 || got["tcp 192.0.2.1:5432"] != 2 || got["udp 192.0.2.1:123"] != 1 {
		t.Errorf("refused: %v", got)
	}
	if !strings.Contains(strings.Join(plan.Notes, "\n"), "1 known flows are forwarded") {
		t.Errorf("notes: %q", plan.Notes)
	}
}

func TestPlanTellsOfOthers(t *testing.T) {
	l := newLab(t)
	l.ns.Script("nft -f - <<'E'\n" + presentRules(t)["docker-like"] + "\nE")
	plan, err := l.prepare(l.options(time.Minute, loads("nft")...))
	if err != nil {
		t.Fatal(err)
	}
	notes := strings.Join(plan.Notes, "\n")
	for _, want := range []string{"Docker", "not persistent", "every other one", "after 1m0s"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no word of %q: %s", want, notes)
		}
	}
	if len(plan.Parts) != 1 || len(plan.Parts[0].Now) != 0 || !strings.Contains(string(plan.Parts[0].Will), "22, 80, 443") || plan.Parts[0].Diff[0].Op != '+' {
		t.Errorf("%+v", plan.Parts)
	}
}

// Without CAP_NET_ADMIN nothing is tried.
func TestNoPrivilege(t *testing.T) {
	nettest.Need(t, "setpriv")
	l := newLab(t)
	cmd, out := l.helper(order{Load: loads("nft"), Within: time.Minute})
	cmd.Args = append(cmd.Args[:len(cmd.Args)-3], append([]string{"setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"}, cmd.Args[len(cmd.Args)-3:]...)...)
	if err := cmd.Run(); err == nil || !strings.Contains(out.String(), "CAP_NET_ADMIN") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestNoProgram(t *testing.T) {
	l := newLab(t)
	o := l.options(time.Minute, loads("nft")...)
	o.Run = func(context.Context, []byte, string, ...string) ([]byte, error) { return nil, exec.ErrNotFound }
	var e *Error
	if _, err := l.prepare(o); !errors.As(err, &e) || e.Reason != NoProgram || !strings.Contains(e.Hint, "nftables") {
		t.Error(err)
	}
}

// Where no namespace for a trial may be made, the text is read instead, and
// sessions are protected all the same.
func TestUntried(t *testing.T) {
	nettest.Need(t, "setpriv")
	for _, kind := range kinds(t)[:2] {
		for env, want := range map[string]string{
			"192.0.2.2 40000 192.0.2.1 22":   "applied",
			"192.0.2.2 40000 192.0.2.1 2222": "prepare: this would cut your own session",
		} {
			t.Run(kind+", "+want, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.ns.Script("ip link add ether0 type bridge; ip link set ether0 up; ip addr add 192.0.2.1/24 dev ether0")
				before := l.rules()
				cmd, out := l.helper(order{Load: loads(kind), Within: time.Minute})
				at := len(cmd.Args) - 3
				cmd.Args = append(cmd.Args[:at:at], append([]string{"setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"}, cmd.Args[at:]...)...)
				cmd.Env = append(os.Environ(), "SSH_CONNECTION="+env)
				err := cmd.Run()
				if !strings.HasPrefix(out.String(), want) || (want == "applied") != (err == nil) {
					t.Fatalf("%v: %s", err, out)
				}
				if want == "applied" {
					if _, err := l.undo(); err != nil {
						t.Fatal(err)
					}
				}
				l.await(before, 0)
			})
		}
	}
}
