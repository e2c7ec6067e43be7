package serverconf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/nettest"
)

// daemon is a real server with a configuration of its own, which listens on
// every address. $D in texts is its folder.
type daemon struct {
	program string
	files   map[string]string
	argv    []string
	port    uint16
	// others are ports that must stay as they are.
	others []string
	user   string
	before []string // run once, as user
	// placed are files that stand at a fixed path for the planner only.
	placed  map[string]string
	noCheck bool
	noIPv6  bool     // the namespace has no address but the loopback ones
	want    []string // listeners on the port afterwards
	pid     int      // of the one that runs
}

func daemons() map[string]daemon {
	pg := postgresFolder()
	return map[string]daemon{
		"nginx": {
			program: "nginx", argv: []string{"nginx", "-c", "$D/n.conf"}, port: 8080,
			files: map[string]string{
				"n.conf":  "daemon off; pid $D/pid; error_log $D/err; events {}\nhttp {\n access_log off;\n client_body_temp_path $D/b; proxy_temp_path $D/p; fastcgi_temp_path $D/f; scgi_temp_path $D/s; uwsgi_temp_path $D/u;\n server { listen 8080 default_server; listen [::]:8080 default_server; listen 9090; }\n include sites/*;\n}\n",
				"sites/a": "server {\n\tlisten 8080;\n\tlisten [::]:8080;\n\tserver_name a;\n}\n",
			},
			others: []string{"tcp/0.0.0.0:9090"}, want: []string{"tcp/127.0.0.1:8080", "tcp/[::1]:8080"},
		},
		"nginx-dual": {
			program: "nginx", argv: []string{"nginx", "-c", "$D/n.conf"}, port: 8080,
			files: map[string]string{"n.conf": "daemon off; pid $D/pid; error_log $D/err; events {}\nhttp {\n access_log off;\n client_body_temp_path $D/b; proxy_temp_path $D/p; fastcgi_temp_path $D/f; scgi_temp_path $D/s; uwsgi_temp_path $D/u;\n server {\n listen [::]:8080 ipv6only=off;\n}\n}\n"},
			want:  []string{"tcp/127.0.0.1:8080", "tcp/[::1]:8080"},
		},
		"sshd": {
			program: "sshd", argv: []string{"sshd", "-D", "-e", "-f", "$D/sshd_config"}, port: 2222,
			files:  map[string]string{"sshd_config": "Port 2222\nPort 22\nHostKey $D/key\nPidFile none\nMatch User git\n\tX11Forwarding no\n"},
			before: []string{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "$D/key"},
			others: []string{"tcp/0.0.0.0:22", "tcp/[::]:22"}, want: []string{"tcp/127.0.0.1:2222", "tcp/[::1]:2222"},
		},
		"apache": {
			program: "apache2", argv: []string{"apache2", "-D", "FOREGROUND", "-f", "$D/a.conf"}, port: 8080,
			files: map[string]string{
				"a.conf":     "ServerRoot $D\nServerName x\nPidFile $D/pid\nErrorLog $D/err\nDefaultRuntimeDir $D\nLoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\nLoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\nIncludeOptional ports.*\nListen 0.0.0.0:9090\n",
				"ports.conf": "# ports\nListen 8080\n<IfModule none.c>\n\tListen 443\n</IfModule>\n",
			},
			others: []string{"tcp/0.0.0.0:9090"}, want: []string{"tcp/127.0.0.1:8080", "tcp/[::1]:8080"},
		},
		"apache-v4": {
			program: "apache2", argv: []string{"apache2", "-D", "FOREGROUND", "-f", "$D/a.conf"}, port: 8080, noIPv6: true,
			files: map[string]string{"a.conf": "ServerRoot $D\nServerName x\nPidFile $D/pid\nErrorLog $D/err\nDefaultRuntimeDir $D\nLoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\nLoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\nListen 0.0.0.0:8080\n"},
			want:  []string{"tcp/127.0.0.1:8080"},
		},
		"redis": {
			program: "redis-server", argv: []string{"redis-server", "$D/r.conf"}, port: 6379, noCheck: true,
			files: map[string]string{"r.conf": "# bind 127.0.0.1\nport 6379\nsave \"\"\ndir $D\nset-proc-title no\n"},
			want:  []string{"tcp/127.0.0.1:6379", "tcp/[::1]:6379"},
		},
		"memcached": {
			program: "memcached", argv: []string{"memcached", "-u", "nobody", "-p", "11222"}, port: 11222, noCheck: true,
			placed: map[string]string{"/etc/memcached.conf": "# options\n-u nobody\n-p 11222\n"},
			want:   []string{"tcp/127.0.0.1:11222", "tcp/[::1]:11222"},
		},
		"dnsmasq": {
			program: "dnsmasq", argv: []string{"dnsmasq", "-k", "-C", "$D/d.conf"}, port: 53,
			files: map[string]string{"d.conf": "no-resolv\nuser=root\npid-file=$D/pid\nno-hosts\n"},
			want:  []string{"tcp/127.0.0.1:53", "tcp/[::1]:53", "udp/127.0.0.1:53", "udp/[::1]:53"},
		},
		"named": {
			program: "named", argv: []string{"named", "-g", "-n", "1", "-c", "$D/named.conf"}, port: 53,
			files: map[string]string{"named.conf": "controls { };\ninclude \"$D/options\"; # more\n", "options": "options {\n\tdirectory \"$D\"; pid-file none; session-keyfile \"$D/k\"; managed-keys-directory \"$D\";\n\tdnssec-validation no; recursion no;\n\tlisten-on-v6 { any; };\n};\n"},
			want:  []string{"tcp/127.0.0.1:53", "tcp/[::1]:53", "udp/127.0.0.1:53", "udp/[::1]:53"},
		},
		"haproxy": {
			program: "haproxy", argv: []string{"haproxy", "-db", "-f", "$D/h.cfg"}, port: 8080,
			files:  map[string]string{"h.cfg": "defaults\n\tmode http\n\ttimeout connect 1s\n\ttimeout client 1s\n\ttimeout server 1s\nfrontend a\n\tbind *:8080,:9090 name x # all\n\tbind :::8080 v6only\n\tdefault_backend b\nbackend b\n\tserver s 127.0.0.1:1\n"},
			others: []string{"tcp/0.0.0.0:9090"}, want: []string{"tcp/127.0.0.1:8080", "tcp/[::1]:8080"},
		},
		"lighttpd": {
			program: "lighttpd", argv: []string{"lighttpd", "-D", "-f", "$D/l.conf"}, port: 8080,
			files:  map[string]string{"l.conf": "server.document-root = \"$D\"\nserver.port = 8080\n$SERVER[\"socket\"] == \"[::]:8080\" { }\n$SERVER[\"socket\"] == \"0.0.0.0:9090\" { }\n"},
			others: []string{"tcp/0.0.0.0:9090"}, want: []string{"tcp/127.0.0.1:8080", "tcp/[::1]:8080"},
		},
		"squid": {
			program: "squid", argv: []string{"squid", "-N", "-f", "$D/squid.conf"}, port: 3128,
			files:  map[string]string{"squid.conf": "pid_filename $D/pid\ncache_log $D/log\naccess_log none\nhttp_port 3128 name=a\nhttp_port 0.0.0.0:3129\nicp_port 0\nhtcp_port 0\nmemory_cache_shared off\nshutdown_lifetime 0 seconds\nvisible_hostname x\npinger_enable off\n"},
			others: []string{"tcp/0.0.0.0:3129"}, want: []string{"tcp/127.0.0.1:3128", "tcp/[::1]:3128"},
		},
		"cups": {
			program: "cupsd", argv: []string{"cupsd", "-f", "-c", "$D/cupsd.conf", "-s", "$D/cups-files.conf"}, port: 632,
			files: map[string]string{
				"c/x": "", "r/x": "", "s/x": "", "t/x": "",
				"cupsd.conf":      "# none\nPort 632\nListen $D/sock\nListen 192.0.2.7:633\n<Location />\n</Location>\n",
				"cups-files.conf": "ServerRoot $D\nCacheDir $D/c\nRequestRoot $D/r\nStateDir $D/s\nTempDir $D/t\nErrorLog $D/err\nAccessLog $D/acc\nPageLog $D/page\n",
			},
			others: []string{"tcp/192.0.2.7:633"}, want: []string{"tcp/127.0.0.1:632", "tcp/[::1]:632"},
		},
		"mosquitto": {
			program: "mosquitto", argv: []string{"mosquitto", "-c", "$D/m.conf"}, port: 1883, noCheck: true,
			files:  map[string]string{"m.conf": "user root\nlistener 1883\nallow_anonymous true\nlistener 1884 192.0.2.7\n"},
			others: []string{"tcp/192.0.2.7:1884"}, want: []string{"tcp/127.0.0.1:1883"},
		},
		"vsftpd": {
			program: "vsftpd", argv: []string{"vsftpd", "$D/v.conf"}, port: 2121, noCheck: true,
			files: map[string]string{"v.conf": "background=NO\nlisten=YES\nlisten_port=2121\nsecure_chroot_dir=$D/empty\n", "empty/x": ""},
			want:  []string{"tcp/127.0.0.1:2121"},
		},
		"vsftpd-v6": {
			program: "vsftpd", argv: []string{"vsftpd", "$D/v.conf"}, port: 2121, noCheck: true,
			files: map[string]string{"v.conf": "background=NO\nlisten=NO\nlisten_ipv6=YES\nlisten_port=2121\nsecure_chroot_dir=$D/empty", "empty/x": ""},
			want:  []string{"tcp/[::1]:2121"},
		},
		"snmpd": {
			program: "snmpd", argv: []string{"snmpd", "-f", "-I", "-smux", "-C", "-c", "$D/s.conf", "-p", "$D/pid", "-Lf", "$D/log"}, port: 161, noCheck: true,
			files:  map[string]string{"s.conf": "rocommunity x\nagentAddress udp:161,udp6:[::]:161,tcp:192.0.2.7:1161\n[snmp] persistentDir $D\n"},
			others: []string{"tcp/192.0.2.7:1161"}, want: []string{"udp/127.0.0.1:161", "udp/[::1]:161"},
		},
		"dovecot": {
			program: "dovecot", argv: []string{"dovecot", "-F", "-c", "$D/d.conf"}, port: 143,
			files: map[string]string{"d.conf": "base_dir = $D/run\nlog_path = $D/log\nprotocols = imap\nssl = no\nprotocol imap {\n}\nservice imap-login {\n  inet_listener imaps {\n    port = 0\n  }\n}\n"},
			want:  []string{"tcp/127.0.0.1:143", "tcp/[::1]:143"},
		},
		"node-exporter": {
			program: "prometheus-node-exporter", argv: []string{"prometheus-node-exporter", "--collector.disable-defaults"}, port: 9100, noCheck: true,
			placed: map[string]string{"/etc/default/prometheus-node-exporter": "# ARGS\nARGS=\"--collector.disable-defaults\"\n"},
			want:   []string{"tcp/127.0.0.1:9100"},
		},
		"postgres": {
			program: pg + "/postgres", user: "postgres", port: 5433,
			argv:   []string{pg + "/postgres", "-D", "$D/data", "-p", "5433"},
			before: []string{"sh", "-c", pg + "/initdb -N -D $D/data -A trust >/dev/null && printf \"listen_addresses = '10.0.0.1'\\nunix_socket_directories = '$D'\\ninclude_dir 'more'\\n\" >>$D/data/postgresql.conf && mkdir $D/data/more && printf \"Listen_Addresses='*' # all\\n\" >$D/data/more/x.conf"},
			want:   []string{"tcp/127.0.0.1:5433", "tcp/[::1]:5433"},
		},
		"mariadb": {
			program: "mariadbd", user: "mysql", argv: []string{"mariadbd", "--defaults-file=$D/my.cnf"}, port: 3307,
			files: map[string]string{"my.cnf": "[mysqld]\nskip-grant-tables\ndatadir=$D/data\nsocket=$D/s\npid-file=$D/pid\nport=3307\ninnodb_buffer_pool_size=8M\ninnodb_log_file_size=4M\nlog-error=$D/err\n!includedir $D/more\n[client]\nbind-address = x\n", "more/a.cnf": "[server]\nbind_address = 0.0.0.0\n", "more/b.cnf": "[mysqld]\nbind-address\t= * # all\n", "data/none": ""},
			want:  []string{"tcp/127.0.0.1:3307", "tcp/[::1]:3307"},
		},
	}
}

// postgresFolder is where Debian keeps the newest PostgreSQL's programs.
func postgresFolder() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) == 0 {
		return "/usr/lib/postgresql/15/bin"
	}
	return found[len(found)-1]
}

// Edited and started again, the real server listens on loopback only, its own
// check agrees, and its other ports are as they were.
func TestRealServers(t *testing.T) {
	for name, d := range daemons() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d.try(t)
		})
	}
}

func (d *daemon) try(t *testing.T) {
	ns := nettest.New(t)
	if !d.noIPv6 {
		ns.Script("ip link add d0 type veth peer name d1; ip addr add 192.0.2.7/24 dev d0; ip addr add 2001:db8::7/64 dev d0 nodad; ip link set d1 up; ip link set d0 up")
	}
	d.program = nettest.Need(t, d.program)
	d.fill(t)
	root := placedRoot{OS{}, d.placed}
	stop := d.start(t, ns, d.argv)
	before := d.wait(t, ns)
	edits := d.plan(t, root, before)
	argv := d.argv
	for _, e := range edits {
		t.Logf("%s", render([]Edit{e}, nil))
		if d.placed[e.Path] != "" {
			argv = append([]string{d.argv[0]}, optionWords(string(e.After))...)
			continue
		}
		if err := os.WriteFile(e.Path, e.After, e.Mode.Perm()); err != nil {
			t.Fatal(err)
		}
	}
	d.check(t, ns, edits[0].Check)
	if edits[0].RestartNeeded {
		stop()
		d.start(t, ns, argv)
	} else if err := syscall.Kill(edits[0].PIDs[0], signals()[edits[0].Signal]); err != nil {
		t.Fatal(err)
	}
	d.wait(t, ns)
	got := d.listeners(t, ns)
	want := slices.Concat(d.want, d.others)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listens on %v, want %v", got, want)
	}
}

// optionWords reads a file of options as its start script does.
func optionWords(text string) []string {
	_, text, _ = strings.Cut(text, "\n")
	text = strings.TrimPrefix(text, `ARGS="`)
	return strings.Fields(strings.TrimSuffix(text, "\"\n"))
}

// xinetd serves no more what the edit disables, and goes on with the rest.
func TestRealXinetd(t *testing.T) {
	t.Parallel()
	ns := nettest.New(t)
	service := "service %s\n{\n\ttype = INTERNAL UNLISTED\n\tid = %[1]s-%s\n\tport = %d\n\tsocket_type = stream\n\tprotocol = tcp\n\tuser = root\n\twait = no\n%s}\n"
	d := daemon{
		program: nettest.Need(t, "xinetd"), argv: []string{"xinetd", "-dontfork", "-stayalive", "-f", "$D/x.conf", "-pidfile", "$D/pid"}, port: 1007,
		files: map[string]string{
			"x.conf": "defaults\n{\n}\nincludedir $D/d\n" + fmt.Sprintf(service, "discard", "a", 1009, ""),
			"d/echo": fmt.Sprintf(service, "echo", "b", 1007, "\tdisable = no\n") + fmt.Sprintf(service, "echo", "c", 1008, ""),
		},
	}
	d.fill(t)
	d.start(t, ns, d.argv)
	for _, s := range d.wait(t, ns) {
		if s.Port != d.port && s.Port != 1009 {
			continue
		}
		edits, err := RemoveInetd(OS{}, &s)
		if err != nil || len(edits) != 1 {
			t.Fatalf("%v: %v", edits, err)
		}
		e := edits[0]
		if err := os.WriteFile(e.Path, e.After, e.Mode.Perm()); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(e.PIDs[0], signals()[e.Signal]); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for range 100 {
		if got = d.listeners(t, ns); len(got) == 1 {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	if len(got) != 1 || !strings.HasSuffix(got[0], ":1008") {
		t.Errorf("listens on %v, want port 1008 only", got)
	}
}

func signals() map[string]syscall.Signal { return map[string]syscall.Signal{"HUP": syscall.SIGHUP} }

// placedRoot is the host with some files at places where a test must not
// write.
type placedRoot struct {
	OS
	files map[string]string
}

func (r placedRoot) ReadFile(name string) ([]byte, error) {
	if text, ok := r.files[name]; ok {
		return []byte(text), nil
	}
	return r.OS.ReadFile(name)
}

func (r placedRoot) Stat(name string) (fs.FileInfo, error) {
	if text, ok := r.files[name]; ok {
		return madeFile{Edit{Path: name, After: []byte(text), Mode: 0o644}}, nil
	}
	return r.OS.Stat(name)
}

// fill writes the configuration into a folder that others may enter.
func (d *daemon) fill(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "serverconf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	in := func(s string) string { return strings.ReplaceAll(s, "$D", dir) }
	for name, text := range d.files {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(in(text)), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if d.user != "" {
		nettest.Run(t, "chown", "-R", d.user, dir)
	}
	d.argv, d.before = mapText(d.argv, in), mapText(d.before, in)
	if len(d.before) > 0 {
		cmd := exec.Command(d.before[0], d.before[1:]...)
		cmd.Dir = dir
		d.as(t, cmd)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", d.before, err, out)
		}
	}
}

func mapText(list []string, f func(string) string) []string {
	out := slices.Clone(list)
	for i := range out {
		out[i] = f(out[i])
	}
	return out
}

func (d *daemon) as(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if d.user == "" {
		return
	}
	u, err := user.Lookup(d.user)
	if err != nil {
		nettest.Missing(t, "user "+d.user)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// start runs the server in the namespace and gives what ends it.
func (d *daemon) start(t *testing.T, ns *nettest.NS, argv []string) (stop func()) {
	t.Helper()
	cmd := exec.Command(d.program, argv[1:]...)
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	d.as(t, cmd)
	ns.Do(func() { err = cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	d.pid = cmd.Process.Pid
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("%s said:\n%s", d.program, b)
		}
		_ = log.Close()
	}
	stop = once(stop)
	t.Cleanup(stop)
	return stop
}

func once(f func()) func() {
	done := false
	return func() {
		if !done {
			done = true
			f()
		}
	}
}

func (d *daemon) snapshot(t *testing.T, ns *nettest.NS) []exposure.Socket {
	t.Helper()
	snap, err := (&host.Reader{}).Snapshot(context.Background(), host.Options{NetNS: ns.Name})
	if err != nil {
		t.Fatal(err)
	}
	return snap.Sockets
}

// wait waits until the server has listened on the same for a moment. It reads
// the kernel's tables by itself: a whole snapshot each time would keep the
// machine from starting the servers.
func (d *daemon) wait(t *testing.T, ns *nettest.NS) []exposure.Socket {
	t.Helper()
	same, before := 0, ""
	for range 1000 {
		now := d.bound()
		if same++; now != before || !strings.Contains(now, fmt.Sprintf(":%04X ", d.port)) {
			same, before = 0, now
		}
		if same == 12 {
			return d.snapshot(t, ns)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s does not listen at port %d", d.program, d.port)
	return nil
}

// bound are the server's namespace's listeners as /proc/PID/net shows them
// (proc(5)): local addresses in hexadecimal.
func (d *daemon) bound() string {
	var out []string
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", d.pid, name))
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 9 && (f[3] == "0A" || f[3] == "07") {
				out = append(out, name+" "+f[1]+" "+f[9])
			}
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func (d *daemon) listeners(t *testing.T, ns *nettest.NS) (out []string) {
	t.Helper()
	for _, s := range d.snapshot(t, ns) {
		if text := s.Endpoint().String(); s.IsListener() && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	slices.Sort(out)
	return out
}

// plan asks for every socket of the port that is not on loopback, each on
// top of the edits before it.
func (d *daemon) plan(t *testing.T, root Root, all []exposure.Socket) []Edit {
	t.Helper()
	to := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	edits := map[string]Edit{}
	for _, s := range all {
		if s.Port != d.port || s.Scope == exposure.ScopeLoopback || !s.IsListener() {
			continue
		}
		more, err := Rebind(Overlay(root, values(edits)), &s, to)
		if err != nil && !errors.Is(err, ErrAlready) {
			t.Fatal(err)
		}
		for _, e := range more {
			edits[e.Path] = e
		}
	}
	if len(edits) == 0 {
		t.Fatal(fmt.Errorf("nothing to change for %v", all))
	}
	return values(edits)
}

func values(m map[string]Edit) (out []Edit) {
	for _, k := range sortedKeys(m) {
		out = append(out, m[k])
	}
	return out
}

func (d *daemon) check(t *testing.T, ns *nettest.NS, argv []string) {
	t.Helper()
	if d.noCheck {
		if len(argv) > 0 {
			t.Errorf("a check %v where there is none", argv)
		}
		return
	}
	cmd := ns.Command(argv[0], argv[1:]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("its own check %v: %v\n%s", argv, err, out)
	}
}
