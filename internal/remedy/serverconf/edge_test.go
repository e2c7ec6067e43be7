package serverconf

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"pgregory.net/rapid"
)

func loopback() []netip.Addr {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
}

func listener(addr string, port uint16, exe, cmdline string) *exposure.Socket {
	return &exposure.Socket{
		Proto: exposure.TCP, State: exposure.Listen, Addr: exposure.ParseAddress(addr), Port: port,
		Processes: []exposure.Process{{PID: 9, Exe: exe, Cmdline: cmdline}},
	}
}

// Line endings and a missing last newline stay as they are, byte for byte.
func TestBytesStay(t *testing.T) {
	for _, c := range []struct{ name, exe, conf, addr, before, after string }{
		{"crlf, inserted", "/usr/sbin/sshd", "/etc/ssh/sshd_config", "::", "# x\r\nUsePAM yes\r\n", "# x\r\nListenAddress ::1\r\nListenAddress 0.0.0.0\r\nUsePAM yes\r\n"},
		{"crlf, changed", "/usr/sbin/sshd", "/etc/ssh/sshd_config", "0.0.0.0", "ListenAddress 0.0.0.0 \r\n", "ListenAddress 127.0.0.1 \r\n"},
		{"no last newline, changed", "/usr/sbin/sshd", "/etc/ssh/sshd_config", "0.0.0.0", "ListenAddress 0.0.0.0:22", "ListenAddress 127.0.0.1:22"},
		{"no last newline, inserted", "/usr/sbin/sshd", "/etc/ssh/sshd_config", "0.0.0.0", "# x", "# x\nListenAddress 127.0.0.1\nListenAddress ::"},
		{"empty, inserted", "/usr/sbin/sshd", "/etc/ssh/sshd_config", "0.0.0.0", "", "ListenAddress 127.0.0.1\nListenAddress ::\n"},
		{"bytes that are no text", "/usr/sbin/sshd", "/etc/ssh/sshd_config", "0.0.0.0", "# \xff\x00\x1b[31m\nListenAddress 0.0.0.0\n\xfe", "# \xff\x00\x1b[31m\nListenAddress 127.0.0.1\n\xfe"},
	} {
		root := FS(fstest.MapFS{c.conf[1:]: &fstest.MapFile{Data: []byte(c.before), Mode: 0o604}})
		edits, err := Rebind(root, listener(c.addr, 22, c.exe, "sshd"), loopback())
		if err != nil || len(edits) != 1 {
			t.Errorf("%s: %s", c.name, render(edits, err))
			continue
		}
		if got := string(edits[0].After); got != c.after || edits[0].Mode != 0o604 {
			t.Errorf("%s: %q, want %q", c.name, got, c.after)
		}
	}
}

// Files that include each other many times over, and files without end, are
// declined soon.
func TestIncludesAreBounded(t *testing.T) {
	for _, c := range []struct{ exe, cmdline, conf, line string }{
		{"/usr/sbin/nginx", "nginx: master process nginx", "etc/nginx/nginx.conf", "include nginx.conf;\n"},
		{"/usr/sbin/sshd", "sshd", "etc/ssh/sshd_config", "Include sshd_config\n"},
		{"/usr/sbin/apache2", "apache2", "etc/apache2/apache2.conf", "Include apache2.conf\n"},
		{"/usr/bin/redis-server", "redis-server /r.conf", "r.conf", "include /r.conf\n"},
		{"/usr/bin/postgres", "postgres -D /d", "d/postgresql.conf", "include 'postgresql.conf'\n"},
		{"/usr/sbin/mysqld", "mysqld", "etc/my.cnf", "!include /etc/my.cnf\n"},
		{"/usr/sbin/dnsmasq", "dnsmasq", "etc/dnsmasq.conf", "conf-file=/etc/dnsmasq.conf\n"},
		{"/usr/sbin/named", "named", "etc/bind/named.conf", "include \"/etc/bind/named.conf\";\n"},
		{"/usr/sbin/lighttpd", "lighttpd", "etc/lighttpd/lighttpd.conf", "include \"lighttpd.conf\"\n"},
		{"/usr/sbin/squid", "squid", "etc/squid/squid.conf", "include /etc/squid/squid.conf\n"},
		{"/usr/sbin/xinetd", "xinetd", "etc/xinetd.conf", "include /etc/xinetd.conf\n"},
	} {
		root := FS(fstest.MapFS{c.conf: &fstest.MapFile{Data: []byte(strings.Repeat(c.line, 2000))}})
		s := listener("0.0.0.0", 80, c.exe, c.cmdline)
		start := time.Now()
		_, err := Rebind(root, s, loopback())
		if strings.Contains(c.exe, "xinetd") {
			_, err = RemoveInetd(root, s)
		}
		var declined *Declined
		if !errors.As(err, &declined) || len(declined.Looked) == 0 {
			t.Errorf("%s: %v", c.exe, err)
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%s took %s", c.exe, d)
		}
	}
}

// hugeRoot has one file that says it is larger than all bounds.
type hugeRoot struct{ Root }

func (h hugeRoot) Stat(string) (fs.FileInfo, error) { return hugeFile{}, nil }

func (h hugeRoot) ReadFile(name string) ([]byte, error) {
	if strings.HasPrefix(name, "/proc") {
		return nil, fs.ErrNotExist
	}
	panic("it is read all the same: " + name)
}

type hugeFile struct{ madeFile }

func (hugeFile) Size() int64       { return 1 << 40 }
func (hugeFile) Mode() fs.FileMode { return 0o644 }

func TestHugeFileIsNotRead(t *testing.T) {
	for _, k := range servers() {
		s := listener("0.0.0.0", 80, "/usr/lib/postfix/sbin/"+k.programs[0], k.programs[0]+" -c /x -f /x --config /x")
		if _, err := Rebind(hugeRoot{FS(fstest.MapFS{})}, s, loopback()); !errors.Is(err, ErrNotOurs) {
			t.Errorf("%s: %v", k.name, err)
		}
	}
}

// Whatever addresses and ports sshd is told, a plan takes the one socket away
// and leaves every other.
func TestOthersStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addrs := []string{"0.0.0.0", "::", "192.0.2.1", "192.0.2.2", "2001:db8::1", "127.0.0.1"}
		var conf strings.Builder
		binds := map[netip.AddrPort]bool{}
		for range rapid.IntRange(1, 6).Draw(t, "lines") {
			b := netip.AddrPortFrom(netip.MustParseAddr(rapid.SampledFrom(addrs).Draw(t, "addr")), rapid.SampledFrom([]uint16{22, 2222}).Draw(t, "port"))
			if !binds[b] {
				fmt.Fprintf(&conf, "%sListenAddress %s\n", rapid.SampledFrom([]string{"", "# x\n", "  "}).Draw(t, "before"), b)
			}
			binds[b] = true
		}
		which := netip.AddrPortFrom(netip.MustParseAddr(rapid.SampledFrom(addrs).Draw(t, "socket")), 22)
		root := FS(fstest.MapFS{"etc/ssh/sshd_config": &fstest.MapFile{Data: []byte(conf.String())}})
		edits, err := Rebind(root, listener(which.Addr().String(), 22, "/usr/sbin/sshd", "sshd"), loopback())
		if which.Addr().IsLoopback() {
			return
		}
		if (err == nil) != binds[which] {
			t.Fatalf("%s of\n%s: %v", which, &conf, err)
		}
		if err != nil {
			return
		}
		delete(binds, which)
		to := netip.AddrPortFrom(loopback()[family(which.Addr().Is6())], 22)
		binds[to] = true
		got := map[netip.AddrPort]bool{}
		for line := range strings.Lines(string(edits[0].After)) {
			if _, text, ok := strings.Cut(strings.TrimSpace(line), "ListenAddress "); ok {
				got[netip.MustParseAddrPort(text)] = true
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(binds) {
			t.Fatalf("%s of\n%s gives %v, want %v", which, &conf, got, binds)
		}
	})
}

func TestUnknownServer(t *testing.T) {
	for _, s := range []*exposure.Socket{listener("0.0.0.0", 80, "/usr/bin/python3", "python3"), {Addr: exposure.ParseAddress("::"), Port: 5}} {
		if _, err := Rebind(OS{}, s, loopback()); !errors.Is(err, ErrUnknownServer) {
			t.Errorf("%v", err)
		}
		if _, err := RemoveInetd(OS{}, s); !errors.Is(err, ErrUnknownServer) {
			t.Errorf("%v", err)
		}
	}
	if _, err := Rebind(OS{}, &exposure.Socket{Addr: exposure.ParseAddress("*")}, loopback()); !errors.Is(err, ErrNotOurs) {
		t.Errorf("%v", err)
	}
	if len(Servers()) != len(servers()) {
		t.Error("Servers leaves some out")
	}
}
