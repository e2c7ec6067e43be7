package inetd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

var files = map[string]string{
	"etc/services": "telnet\t23/tcp\ntftp 69/udp trivial # x\nbroken\nbig 99999/tcp\necho 7/tcp\n",
	"etc/inetd.conf": `#<off># ftp stream tcp nowait root /usr/sbin/ftpd ftpd
telnet	stream	tcp6	nowait	telnetd.utmp	/usr/sbin/tcpd	/usr/sbin/in.telnetd
127.0.0.1:trivial dgram udp wait nobody /usr/sbin/in.tftpd in.tftpd /srv
8023 stream tcp nowait root /usr/sbin/x x
echo stream tcp nowait root internal
short line
unknown stream tcp nowait root /x
`,
	"etc/xinetd.conf":      "defaults\n{\n\tinstances = 60\n}\nincludedir /etc/xinetd.d\n",
	"etc/xinetd.d/telnet":  "service telnet\n{\n\tdisable = no\n\tsocket_type = stream\n\tuser = root\n\tserver = /usr/sbin/in.telnetd\n\tlog_on_failure += USERID\n}\n",
	"etc/xinetd.d/off":     "service echo\n{\n disable = yes\n socket_type = stream\n}\n",
	"etc/xinetd.d/own":     "service own {\n# c\n type = UNLISTED\n protocol = tcp\n port = 9000\n server = /opt/own\n}\n",
	"etc/xinetd.d/old.bak": "service old\n{\n protocol = tcp\n port = 9001\n}\n",
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s := Read(root)
	for _, c := range []struct {
		process string
		proto   exposure.Proto
		port    uint16
		want    string // name program user
	}{
		{"inetd", "tcp", 23, "telnet /usr/sbin/tcpd telnetd"},
		{"inetutils-inetd", "udp", 69, "trivial /usr/sbin/in.tftpd nobody"},
		{"inetd", "tcp", 8023, "8023 /usr/sbin/x root"},
		{"inetd", "tcp", 7, "echo internal root"},
		{"inetd", "tcp", 21, ""},
		{"inetd", "udp", 23, ""},
		{"xinetd", "tcp", 23, "telnet /usr/sbin/in.telnetd root"},
		{"xinetd", "tcp", 7, ""},
		{"xinetd", "tcp", 9000, "own /opt/own "},
		{"xinetd", "tcp", 9001, ""},
		{"nginx", "tcp", 23, ""},
	} {
		got, ok := s.Find(c.process, c.proto, c.port)
		if text := got.Name + " " + got.Program + " " + got.User; ok != (c.want != "") || ok && text != c.want {
			t.Errorf("%s %s/%d: %q %v, want %q", c.process, c.proto, c.port, text, ok, c.want)
		}
	}
}

func FuzzConfiguration(f *testing.F) {
	for _, text := range files {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		known := parsePorts(text)
		for _, s := range append(parseInetd(text, "x", known), parseXinetd(text, "x", known)...) {
			if s.Port == 0 && s.Name == "" || s.Proto == "" {
				t.Errorf("%+v", s)
			}
		}
	})
}
