package drift

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/portreeve/portreeve/internal/exposure"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type option func(*exposure.Socket)

func sock(addr string, port uint16, opts ...option) exposure.Socket {
	ip := netip.MustParseAddr(addr)
	s := exposure.Socket{Proto: exposure.TCP, State: exposure.Listen, Addr: exposure.IPAddress(ip), Port: port, Scope: exposure.ScopeOf(ip), NetNS: exposure.NetNS{ID: "1"}}
	for _, o := range opts {
		o(&s)
	}
	return s
}

// by is a process; its inode follows from its number.
func by(exe string, pids ...int) option {
	return func(s *exposure.Socket) {
		for _, pid := range pids {
			s.Processes = append(s.Processes, exposure.Process{PID: pid, Name: path.Base(exe), Exe: exe, Cmdline: exe, Started: noon.Add(time.Duration(pid) * time.Minute)})
			s.Inodes = append(s.Inodes, uint64(pid))
		}
	}
}

func cmdline(text string) option { return func(s *exposure.Socket) { s.Processes[0].Cmdline = text } }
func unit(name string) option    { return func(s *exposure.Socket) { s.Unit = name } }
func inNS(id, name string) option {
	return func(s *exposure.Socket) { s.NetNS = exposure.NetNS{ID: id, Name: name} }
}
func udp(s *exposure.Socket)  { s.Proto, s.State = exposure.UDP, exposure.Unconnected }
func dual(s *exposure.Socket) { s.DualStack = true }
func unseen(inode uint64) option {
	return func(s *exposure.Socket) {
		s.OwnerUnknown, s.Inodes = "needs CAP_SYS_PTRACE (run as root)", []uint64{inode}
	}
}
func container(name, id string) option {
	return func(s *exposure.Socket) { s.Container = &exposure.Container{Name: name, ID: id, Runtime: "docker"} }
}
func activated(by string, inode uint64) option {
	return func(s *exposure.Socket) { s.ActivatedBy, s.Inodes = by, append(s.Inodes, inode) }
}

func snap(socks ...exposure.Socket) *Snapshot {
	s := &Snapshot{View: View{NetNS: AllNetNS, Boot: "boot", Known: true, Caps: ^uint64(0)}}
	s.Taken, s.Host, s.Self, s.Sockets = noon, "web", exposure.NetNS{ID: "1"}, socks
	return s
}

func (s *Snapshot) with(fn func(*Snapshot)) *Snapshot { fn(s); return s }

func unprivileged(s *Snapshot) {
	s.View.Caps, s.View.UID = 0, 1000
	s.Gaps = append(s.Gaps, exposure.Gap{View: "host", Why: "owners of 2 socket(s) not seen: needs root"},
		exposure.Gap{View: "host", Why: "network namespaces of 12 process(es) not seen: needs root"})
}

func words(r Result) []string {
	out := []string{}
	for _, c := range r.Changes {
		out = append(out, string(c.Kind)+" "+c.Endpoint.String())
	}
	return out
}

const nginx, sshd, python = "/usr/sbin/nginx", "/usr/sbin/sshd", "/usr/bin/python3.11"

func TestKinds(t *testing.T) {
	none := []string{}
	for name, c := range map[string]struct {
		before, after *Snapshot
		want          []string
		gap           string // "" none
	}{
		"opened":  {snap(), snap(sock("0.0.0.0", 80, by(nginx, 5))), []string{"opened tcp/0.0.0.0:80"}, ""},
		"closed":  {snap(sock("::", 80, by(nginx, 5))), snap(), []string{"closed tcp/[::]:80"}, ""},
		"restart": {snap(sock("0.0.0.0", 80, by(nginx, 5))), snap(sock("0.0.0.0", 80, by(nginx, 9))), []string{"replaced tcp/0.0.0.0:80"}, ""},
		"pid reused by a restart": {snap(sock("0.0.0.0", 80, by(nginx, 5))),
			snap(sock("0.0.0.0", 80, by(nginx, 5), func(s *exposure.Socket) { s.Processes[0].Started = noon.Add(time.Hour) })), []string{"replaced tcp/0.0.0.0:80"}, ""},
		"clock set": {snap(sock("0.0.0.0", 80, by(nginx, 5))),
			snap(sock("0.0.0.0", 80, by(nginx, 5), func(s *exposure.Socket) { s.Processes[0].Started = s.Processes[0].Started.Add(time.Second) })), none, ""},
		"workers":         {snap(sock("0.0.0.0", 80, by(nginx, 5, 6, 7))), snap(sock("0.0.0.0", 80, by(nginx, 5, 8, 9))), none, ""},
		"master reloaded": {snap(sock("0.0.0.0", 80, by(nginx, 5, 6, 7))), snap(sock("0.0.0.0", 80, by(nginx, 8, 9))), []string{"replaced tcp/0.0.0.0:80"}, ""},
		"another program": {snap(sock("0.0.0.0", 80, by(nginx, 5))), snap(sock("0.0.0.0", 80, by("/usr/sbin/apache2", 9))), []string{"owner-changed tcp/0.0.0.0:80"}, ""},
		"another script": {snap(sock("0.0.0.0", 80, by(python, 5), cmdline("python3 -m http.server"))), snap(sock("0.0.0.0", 80, by(python, 9), cmdline("python3 /tmp/x.py"))),
			[]string{"owner-changed tcp/0.0.0.0:80"}, ""},
		"same script": {snap(sock("0.0.0.0", 80, by(python, 5), cmdline("python3 -u /srv/a.py --port 80"))), snap(sock("0.0.0.0", 80, by(python, 9), cmdline("python3 /srv/a.py -v"))),
			[]string{"replaced tcp/0.0.0.0:80"}, ""},
		"upgrade in a unit": {snap(sock("::1", 5432, by("/usr/lib/postgresql/15/bin/postgres", 5), unit("postgresql.service"))),
			snap(sock("::1", 5432, by("/usr/lib/postgresql/16/bin/postgres", 9), unit("postgresql.service"))), []string{"replaced tcp/[::1]:5432"}, ""},
		"another program in a session": {snap(sock("::1", 80, by("/a/one", 5), unit("session-1.scope"))), snap(sock("::1", 80, by("/a/two", 9), unit("session-1.scope"))), []string{"owner-changed tcp/[::1]:80"}, ""},
		"rebound":                      {snap(sock("0.0.0.0", 80, by(nginx, 5))), snap(sock("127.0.0.1", 80, by(nginx, 9))), []string{"scope-changed tcp/127.0.0.1:80"}, ""},
		"rebound without end":          {snap(sock("0.0.0.0", 80, by(nginx, 5))), snap(sock("127.0.0.1", 80, by(nginx, 5))), []string{"scope-changed tcp/127.0.0.1:80"}, ""},
		"to dual stack":                {snap(sock("0.0.0.0", 80, by(nginx, 5))), snap(sock("::", 80, by(nginx, 9), dual)), []string{"scope-changed tcp/[::]:80"}, ""},
		"v6 only to dual":              {snap(sock("::", 80, by(nginx, 5))), snap(sock("::", 80, by(nginx, 9), dual)), []string{"scope-changed tcp/[::]:80"}, ""},
		"to a device":                  {snap(sock("::", 80, by(nginx, 5))), snap(sock("::", 80, by(nginx, 9), func(s *exposure.Socket) { s.Device = "eth0" })), []string{"scope-changed tcp/[::]:80"}, ""},
		"became another program":       {snap(sock("::", 80, by(nginx, 5))), snap(sock("::", 80, by(sshd, 5))), []string{"owner-changed tcp/[::]:80"}, ""},
		"another port":                 {snap(sock("::", 80, by(nginx, 5))), snap(sock("::", 81, by(nginx, 5))), []string{"closed tcp/[::]:80", "opened tcp/[::]:81"}, ""},
		"taken by another and moved": {snap(sock("0.0.0.0", 80, by(nginx, 5))), snap(sock("0.0.0.0", 80, by(sshd, 9)), sock("127.0.0.1", 80, by(nginx, 5))),
			[]string{"owner-changed tcp/0.0.0.0:80", "opened tcp/127.0.0.1:80"}, ""},
		"another host":   {snap(sock("::", 80)), snap().with(func(s *Snapshot) { s.Host = "db" }), none, "different hosts"},
		"another schema": {snap(sock("::", 80)), snap().with(func(s *Snapshot) { s.View.Schema = "portreeve.host/2" }), none, "schema"},
		"another namespace, self": {snap(sock("::", 80)).with(func(s *Snapshot) { s.View.NetNS = SelfNetNS }),
			snap().with(func(s *Snapshot) { s.View.NetNS, s.Self.ID = SelfNetNS, "2" }), none, "different network namespaces"},
		"self after a boot": {snap(sock("::", 80, by(nginx, 5))).with(func(s *Snapshot) { s.View.NetNS = SelfNetNS }),
			snap(sock("::", 80, by(nginx, 5), inNS("2", ""))).with(func(s *Snapshot) { s.View.NetNS, s.Self.ID, s.View.Boot = SelfNetNS, "2", "other" }), []string{"replaced tcp/[::]:80"}, ""},
		"all, then self": {snap(sock("::", 80, by(nginx, 5)), sock("::", 81, by(nginx, 6), inNS("7", "blue"))),
			snap(sock("::", 80, by(nginx, 5))).with(func(s *Snapshot) { s.View.NetNS = SelfNetNS }), none, "does not cover"},
		"namespace gone":   {snap(sock("::", 81, by(nginx, 6), inNS("7", "blue"))), snap(), []string{"closed tcp/[::]:81"}, ""},
		"namespace unread": {snap(sock("::", 81, by(nginx, 6), inNS("7", "blue"))), snap().with(unprivileged), none, "does not cover"},
		"no root, then root": {snap(sock("0.0.0.0", 80, unseen(5)), sock("0.0.0.0", 81, by(nginx, 7))).with(unprivileged),
			snap(sock("0.0.0.0", 80, by(nginx, 9)), sock("0.0.0.0", 81, by(nginx, 7)), sock("::", 82, by(nginx, 9))), []string{"opened tcp/[::]:82"}, "changed hands is not known"},
		"no root, same socket": {snap(sock("0.0.0.0", 80, unseen(5))).with(unprivileged), snap(sock("0.0.0.0", 80, by(nginx, 5))), none, "before: owners"},
		"no executable, then one": {snap(sock("0.0.0.0", 80, by(nginx, 5), func(s *exposure.Socket) { s.Processes[0].Exe = "" })).with(unprivileged),
			snap(sock("0.0.0.0", 80, by(nginx, 9))), []string{"replaced tcp/0.0.0.0:80"}, "before: "},
		"client came, no root":       {snap().with(unprivileged), snap(sock("0.0.0.0", 40000, udp, by("/usr/bin/dig", 5))).with(unprivileged), none, "clients"},
		"client went, no root":       {snap(sock("0.0.0.0", 40000, udp, by("/usr/bin/dig", 5))).with(unprivileged), snap(), none, "clients"},
		"server came, now root":      {snap().with(unprivileged), snap(sock("0.0.0.0", 40000, udp, by("/usr/sbin/vpn", 5))), []string{"opened udp/0.0.0.0:40000"}, "before: "},
		"server port, no root":       {snap().with(unprivileged), snap(sock("0.0.0.0", 53, udp, by("/usr/sbin/named", 5))).with(unprivileged), []string{"opened udp/0.0.0.0:53"}, "not seen"},
		"table unread":               {snap(sock("::", 80, by(nginx, 5))), snap().with(func(s *Snapshot) { s.Gaps = []exposure.Gap{{View: "host", Why: "tcp sockets of namespace 1: EPERM"}} }), none, "could not read"},
		"firewall's gap is not ours": {snap(sock("::", 80, by(nginx, 5))), snap().with(func(s *Snapshot) { s.Gaps = []exposure.Gap{{View: "firewall", Why: "nft is missing"}} }), []string{"closed tcp/[::]:80"}, ""},
		"container made anew": {snap(sock("0.0.0.0", 80, by(nginx, 5), container("web", "aaa"), inNS("7", ""))), snap(sock("0.0.0.0", 80, by(nginx, 9), container("web", "bbb"), inNS("8", ""))),
			[]string{"replaced tcp/0.0.0.0:80"}, ""},
		"another container": {snap(sock("0.0.0.0", 80, by(nginx, 5), container("web", "aaa"))), snap(sock("0.0.0.0", 80, by(nginx, 9), container("shop", "bbb"))), []string{"owner-changed tcp/0.0.0.0:80"}, ""},
		"service of a socket unit began": {snap(sock("::", 22, by("/usr/lib/systemd/systemd", 1), activated("ssh.socket", 77))),
			snap(sock("::", 22, by("/usr/lib/systemd/systemd", 1), by(sshd, 9), activated("ssh.socket", 77))), none, ""},
		"kernel's": {snap(sock("::", 2049, func(s *exposure.Socket) { s.Kernel = &exposure.KernelUser{User: "nfsd"} })),
			snap(sock("::", 2049, func(s *exposure.Socket) { s.Kernel = &exposure.KernelUser{User: "nfsd", Source: "rpc"} })), none, ""},
		"connections are none": {snap(), snap(sock("::1", 80, func(s *exposure.Socket) { s.State = exposure.Established })), none, ""},
		"two services of one endpoint, one restarts": {snap(sock("::", 5353, udp, by("/a", 5)), sock("::", 5353, udp, by("/b", 6))),
			snap(sock("::", 5353, udp, by("/b", 6)), sock("::", 5353, udp, by("/a", 9))), []string{"replaced udp/[::]:5353"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Compare(c.before, c.after)
			if d := gocmp.Diff(c.want, words(got)); d != "" {
				t.Error(d)
			}
			all := fmt.Sprint(got.Gaps)
			if (c.gap == "") != (len(got.Gaps) == 0) || !strings.Contains(all, c.gap) {
				t.Errorf("gaps %s, want %q", all, c.gap)
			}
		})
	}
}

func TestLargeIsQuick(t *testing.T) {
	var a, b []exposure.Socket
	for i := range 100_000 {
		ip := fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)
		a = append(a, sock(ip, 80, by(nginx, 2+i)))
		b = append(b, sock(ip, 80, by(nginx, 2+i+i%2*200_000)))
	}
	before, after := snap(a...), snap(b...)
	start := time.Now()
	got := Compare(before, after)
	took := time.Since(start)
	if len(got.Changes) != 50_000 {
		t.Errorf("%d changes", len(got.Changes))
	}
	t.Logf("100,000 listeners in %v", took)
	// One endpoint with as many services must not be quadratic either.
	var c []exposure.Socket
	for i := range 100_000 {
		c = append(c, sock("::", 5353, udp, by("/d"+fmt.Sprint(i), 2+i)))
	}
	start = time.Now()
	if got := Compare(snap(c...), snap(reversed(c)...)); len(got.Changes) != 0 {
		t.Errorf("%d changes of none", len(got.Changes))
	}
	t.Logf("100,000 services of one endpoint in %v", time.Since(start))
}

func TestScript(t *testing.T) {
	for line, want := range map[string]string{
		"python3 -m http.server 80":           "-m http.server",
		"python3 -u /srv/a.py -x":             "/srv/a.py",
		"java -Xmx2g -cp /lib/a.jar:b Main x": "Main",
		"java -jar /srv/app.jar":              "-jar /srv/app.jar",
		"sh -c nc":                            "-c nc",
		"python3":                             "python3.11",
	} {
		if got := script(&exposure.Process{Exe: python, Cmdline: line}); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	if got := script(&exposure.Process{Exe: nginx, Cmdline: "nginx -c /etc/x"}); got != "" {
		t.Errorf("nginx is no interpreter: %q", got)
	}
}

func reversed(list []exposure.Socket) []exposure.Socket {
	out := slices.Clone(list)
	slices.Reverse(out)
	return out
}
