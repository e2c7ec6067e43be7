package serverconf

import (
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/portreeve/portreeve/internal/exposure"
)

// fuzzServer feeds a server's main file: whatever it holds, a plan ends, and
// an edit is sound.
func fuzzServer(f *testing.F, dir, exe, cmdline, conf string) {
	f.Helper()
	for _, name := range goldenFiles(f) {
		if strings.HasPrefix(name, "testdata/"+dir+"/") {
			for _, file := range loadCase(f, name).files {
				if file.Mode&fs.ModeSymlink == 0 {
					f.Add(file.Data, uint16(80), byte(0))
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, port uint16, which byte) {
		if len(data) > 1<<16 {
			return
		}
		root := FS(fstest.MapFS{
			strings.TrimPrefix(conf, "/"): &fstest.MapFile{Data: data, Mode: 0o600},
			"etc/services":                &fstest.MapFile{Data: []byte("http 80/tcp\nhttp 80/udp\n")},
			"etc/postfix/master.cf":       &fstest.MapFile{Data: []byte("http inet n - - - - smtpd\n")},
		})
		s := fuzzSocket(port, which)
		s.Processes = []exposure.Process{{PID: 2, Exe: exe, Name: "x", Cmdline: cmdline}}
		checkPlan(t, root, s)
	})
}

func fuzzSocket(port uint16, which byte) *exposure.Socket {
	addrs := []string{"0.0.0.0", "::", "192.0.2.1", "2001:db8::1"}
	s := &exposure.Socket{Proto: exposure.TCP, State: exposure.Listen, Port: port, DualStack: which&4 != 0}
	s.Addr = exposure.ParseAddress(addrs[which&3])
	if which&8 != 0 {
		s.Proto, s.State = exposure.UDP, exposure.Unconnected
	}
	return s
}

func checkPlan(t *testing.T, root Root, s *exposure.Socket) {
	t.Helper()
	to := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	edits, err := Rebind(root, s, to)
	if err != nil {
		if !errors.Is(err, ErrAlready) && !errors.Is(err, ErrNotOurs) {
			t.Fatalf("an error of another kind: %v", err)
		}
		return
	}
	for _, e := range edits {
		if bytes.Equal(e.Before, e.After) {
			t.Fatalf("%s is not changed", e.Path)
		}
		for _, line := range changedLines(e.Before, e.After) {
			if strings.HasPrefix(line, "-") && !isAboutAddresses(line) {
				t.Fatalf("the edit takes %q", line)
			}
		}
	}
	if again, err := Rebind(Overlay(root, edits), s, to); err == nil {
		t.Fatalf("a second plan has more to do:\n%s\nafter\n%s", render(again, nil), render(edits, nil))
	}
}

// isAboutAddresses: lines that go name a port or an address, or end a file
// without a newline.
func isAboutAddresses(line string) bool {
	return strings.ContainsAny(line, "0123456789*") || strings.Contains(line, "listen") || strings.Contains(line, "ARGS") || strings.Contains(line, "OPTIONS") ||
		strings.Contains(line, "{") || !strings.Contains(line, "\n") || strings.Contains(line, "any") || strings.Contains(line, "all")
}

func FuzzNginx(f *testing.F) {
	fuzzServer(f, "nginx", "/usr/sbin/nginx", "nginx: master process nginx", "/etc/nginx/nginx.conf")
}

func FuzzSSHD(f *testing.F) {
	fuzzServer(f, "sshd", "/usr/sbin/sshd", "sshd", "/etc/ssh/sshd_config")
}

func FuzzApache(f *testing.F) {
	fuzzServer(f, "apache", "/usr/sbin/apache2", "apache2", "/etc/apache2/apache2.conf")
}

func FuzzNamed(f *testing.F) {
	fuzzServer(f, "named", "/usr/sbin/named", "named", "/etc/bind/named.conf")
}

func FuzzRedis(f *testing.F) {
	fuzzServer(f, "redis", "/usr/bin/redis-server", "redis-server /r.conf", "/r.conf")
}

func FuzzPostgres(f *testing.F) {
	fuzzServer(f, "postgresql", "/usr/bin/postgres", "postgres -D /d", "/d/postgresql.conf")
}

func FuzzMySQL(f *testing.F) {
	fuzzServer(f, "mysql", "/usr/sbin/mysqld", "mysqld", "/etc/my.cnf")
}

func FuzzHAProxy(f *testing.F) {
	fuzzServer(f, "haproxy", "/usr/sbin/haproxy", "haproxy", "/etc/haproxy/haproxy.cfg")
}

func FuzzLighttpd(f *testing.F) {
	fuzzServer(f, "lighttpd", "/usr/sbin/lighttpd", "lighttpd", "/etc/lighttpd/lighttpd.conf")
}

func FuzzMemcached(f *testing.F) {
	fuzzServer(f, "memcached", "/usr/bin/memcached", "memcached", "/etc/memcached.conf")
}

func FuzzSnmpd(f *testing.F) {
	fuzzServer(f, "snmpd", "/usr/sbin/snmpd", "snmpd", "/etc/snmp/snmpd.conf")
}

func FuzzDocker(f *testing.F) {
	fuzzServer(f, "docker", "/usr/bin/dockerd", "dockerd", "/etc/docker/daemon.json")
}

func FuzzMongo(f *testing.F) {
	fuzzServer(f, "mongodb", "/usr/bin/mongod", "mongod -f /m.conf", "/m.conf")
}

// FuzzFlat feeds the servers of one setting a line.
func FuzzFlat(f *testing.F) {
	kinds := [][3]string{
		{"unbound", "/usr/sbin/unbound", "etc/unbound/unbound.conf"},
		{"squid", "/usr/sbin/squid", "etc/squid/squid.conf"},
		{"cupsd", "/usr/sbin/cupsd", "etc/cups/cupsd.conf"},
		{"mosquitto", "/usr/sbin/mosquitto", "etc/mosquitto/mosquitto.conf"},
		{"vsftpd", "/usr/sbin/vsftpd", "etc/vsftpd.conf"},
		{"dnsmasq", "/usr/sbin/dnsmasq", "etc/dnsmasq.conf"},
		{"dovecot", "/usr/sbin/dovecot", "etc/dovecot/dovecot.conf"},
		{"grafana", "/usr/sbin/grafana", "etc/grafana/grafana.ini"},
		{"prometheus", "/usr/bin/prometheus", "etc/default/prometheus"},
		{"postfix", "/usr/lib/postfix/sbin/master", "etc/postfix/main.cf"},
	}
	for _, text := range []string{"interface: 0.0.0.0@80\n", "http_port 80", "Listen *:80\r\n", "listener 80\n", "listen_port=80\n", "port=80\n", "listen = *, ::", "http_port=80\n[server]\n", "ARGS=\"\"", "inet_interfaces = all\n"} {
		for which := range kinds {
			f.Add([]byte(text), uint16(80), byte(which<<4))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, port uint16, which byte) {
		k := kinds[int(which>>4)%len(kinds)]
		if len(data) > 1<<16 {
			return
		}
		root := FS(fstest.MapFS{
			k[2]:                    &fstest.MapFile{Data: data, Mode: 0o600},
			"etc/services":          &fstest.MapFile{Data: []byte("http 80/tcp\n")},
			"etc/postfix/master.cf": &fstest.MapFile{Data: []byte("http inet n - - - - smtpd\n")},
		})
		s := fuzzSocket(port, which)
		s.Processes = []exposure.Process{{PID: 2, Exe: k[1], Name: k[0], Cmdline: k[1]}}
		checkPlan(t, root, s)
	})
}

func FuzzSocketUnit(f *testing.F) {
	f.Add([]byte("[Socket]\nListenStream=80\nBindIPv6Only=both\nListenStream=\nListenStream=[::]:80"), uint16(80), byte(5))
	f.Add([]byte("[Socket]\nListenDatagram=0.0.0.0:53\n"), uint16(53), byte(8))
	f.Fuzz(func(t *testing.T, data []byte, port uint16, which byte) {
		s := fuzzSocket(port, which)
		s.ActivatedBy = "a.socket"
		root := FS(fstest.MapFS{"etc/systemd/system/a.socket": &fstest.MapFile{Data: data}})
		edits, err := Rebind(root, s, []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()})
		if err == nil {
			if len(edits) != 1 || edits[0].Before != nil || bytes.ContainsAny(edits[0].After, "\x00\r") && !bytes.ContainsAny(data, "\x00\r") {
				t.Fatalf("%+v", edits)
			}
			checkPlan(t, root, s)
		}
	})
}

func FuzzInetd(f *testing.F) {
	for _, name := range goldenFiles(f) {
		if strings.HasPrefix(name, "testdata/inetd/") {
			for _, file := range loadCase(f, name).files {
				f.Add(file.Data, uint16(7), byte(0))
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, port uint16, which byte) {
		s := fuzzSocket(port, which)
		program := []string{"xinetd", "inetd"}[which>>7]
		s.Processes = []exposure.Process{{PID: 2, Name: program, Cmdline: program}}
		root := FS(fstest.MapFS{"etc/xinetd.conf": &fstest.MapFile{Data: data}, "etc/inetd.conf": &fstest.MapFile{Data: data}, "etc/services": &fstest.MapFile{Data: []byte("echo 7/tcp\necho 7/udp\n")}})
		edits, err := RemoveInetd(root, s)
		if err != nil {
			return
		}
		for _, e := range edits {
			if len(e.After) <= len(e.Before)-4 || bytes.Equal(e.After, e.Before) {
				t.Fatalf("%q became %q", e.Before, e.After)
			}
		}
		if again, err := RemoveInetd(Overlay(root, edits), s); err == nil {
			t.Fatalf("a second plan: %s", render(again, nil))
		}
	})
}
