package units

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

// root makes a root directory: path → text; a text that begins with "→" is a
// symbolic link.
func root(t testing.TB, files map[string]string) *rootfs.FS {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, link := strings.CutPrefix(text, "→"); link {
			err = os.Symlink(target, at)
		} else {
			err = os.WriteFile(at, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	fs, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fs.Close() })
	return fs
}

const unitDir = "usr/lib/systemd/system/"

// find asks for "proto/addr:port" and answers "unit → service".
func find(t *testing.T, s Sockets, endpoint string) string {
	t.Helper()
	proto, at, _ := strings.Cut(endpoint, "/")
	ap := netip.MustParseAddrPort(at)
	unit, ok := s.Find(exposure.Proto(proto), ap.Addr(), ap.Port())
	if !ok {
		return ""
	}
	return unit.Name + " → " + unit.Service
}

func TestFind(t *testing.T) {
	s := Read(root(t, map[string]string{
		unitDir + "ssh.socket":       "[Unit]\nDescription=x\n[Socket]\nListenStream=22\nAccept=no\n",
		unitDir + "sshd@.socket":     "[Socket]\nListenStream=%i\n",
		unitDir + "telnet.socket":    "[Socket]\nListenStream=0.0.0.0:23\nListenStream=[::1]:23\nAccept=yes\n",
		unitDir + "dns.socket":       "[Socket]\nListenDatagram=127.0.0.53:53%%lo\nListenStream=127.0.0.53:53%%lo\nService=resolved.service\n",
		unitDir + "lite.socket":      "[Socket]\nListenDatagram=5000\nSocketProtocol=udplite\n",
		unitDir + "sctp.socket":      "[Socket]\nListenSequentialPacket=5001\nSocketProtocol=sctp\n",
		unitDir + "cleared.socket":   "[Socket]\nListenStream=81\nListenStream=\nListenStream=82\n",
		unitDir + "local.socket":     "[Socket]\nListenStream=/run/x.sock\nListenStream=@abstract\nListenStream=vsock:2:83\nListenFIFO=/run/f\n",
		unitDir + "manager.socket":   "[Socket]\nListenStream=%t/x\nListenStream=84\n",
		unitDir + "folded.socket":    "[Socket]\n# ListenStream=85\nListenStream=\\\n; a comment between\n  86\n",
		unitDir + "elsewhere.socket": "[Install]\nListenStream=87\n",
		unitDir + "plain.service":    "[Socket]\nListenStream=88\n",

		// /etc wins over /run, which wins over /usr/lib.
		unitDir + "moved.socket":                        "[Socket]\nListenStream=90\n",
		"run/systemd/system/moved.socket":               "[Socket]\nListenStream=91\n",
		"etc/systemd/system/moved.socket":               "[Socket]\nListenStream=92\n",
		unitDir + "masked.socket":                       "[Socket]\nListenStream=93\n",
		"etc/systemd/system/masked.socket":              "→/dev/null",
		unitDir + "empty.socket":                        "[Socket]\nListenStream=94\n",
		"etc/systemd/system/empty.socket":               "",
		unitDir + "dropped.socket":                      "[Socket]\nListenStream=95\n",
		unitDir + "dropped.socket.d/a.conf":             "[Socket]\nListenStream=\nListenStream=96\n",
		"etc/systemd/system/dropped.socket.d/a.conf":    "[Socket]\nListenStream=97\nService=other.service\n",
		"run/systemd/generator/dropped.socket.d/z.conf": "[Socket]\nListenStream=98\n",
		unitDir + "a-b.socket":                          "[Socket]\nListenStream=99\n",
		unitDir + "a-.socket.d/x.conf":                  "[Socket]\nService=by-prefix.service\n",

		// Instances exist where something wants them.
		"etc/systemd/system/sockets.target.wants/sshd@2222.socket": "→/usr/lib/systemd/system/sshd@.socket",
		"lib": "→usr/lib",
	}))
	for endpoint, want := range map[string]string{
		"tcp/[::]:22":       "ssh.socket → ssh.service",
		"tcp/0.0.0.0:22":    "ssh.socket → ssh.service",
		"tcp/127.0.0.1:22":  "",
		"udp/[::]:22":       "",
		"tcp/[::]:2222":     "sshd@2222.socket → sshd@2222.service",
		"tcp/0.0.0.0:23":    "telnet.socket → telnet@.service",
		"tcp/[::1]:23":      "telnet.socket → telnet@.service",
		"tcp/[::]:23":       "",
		"udp/127.0.0.53:53": "dns.socket → resolved.service",
		"tcp/127.0.0.53:53": "dns.socket → resolved.service",
		"udplite/[::]:5000": "lite.socket → lite.service",
		"udp/[::]:5000":     "",
		"sctp/[::]:5001":    "sctp.socket → sctp.service",
		"tcp/[::]:81":       "",
		"tcp/[::]:82":       "cleared.socket → cleared.service",
		"tcp/[::]:83":       "",
		"tcp/[::]:84":       "manager.socket → manager.service",
		"tcp/[::]:85":       "",
		"tcp/[::]:86":       "folded.socket → folded.service",
		"tcp/[::]:87":       "",
		"tcp/[::]:88":       "",
		"tcp/[::]:90":       "",
		"tcp/[::]:91":       "",
		"tcp/[::]:92":       "moved.socket → moved.service",
		"tcp/[::]:93":       "",
		"tcp/[::]:94":       "",
		"tcp/[::]:95":       "dropped.socket → other.service", // /etc's a.conf hides /usr/lib's
		"tcp/[::]:96":       "",
		"tcp/[::]:97":       "dropped.socket → other.service",
		"tcp/[::]:98":       "dropped.socket → other.service",
		"tcp/[::]:99":       "a-b.socket → by-prefix.service",
	} {
		if got := find(t, s, endpoint); got != want {
			t.Errorf("%s: %q, want %q", endpoint, got, want)
		}
	}
}

// Of two units for one port the enabled one is named.
func TestEnabledWins(t *testing.T) {
	s := Read(root(t, map[string]string{
		unitDir + "a.socket": "[Socket]\nListenStream=0.0.0.0:80\n",
		unitDir + "b.socket": "[Socket]\nListenStream=80\n",
		unitDir + "c.socket": "[Socket]\nListenStream=[::]:80\n",
		"etc/systemd/system/sockets.target.wants/b.socket": "→/usr/lib/systemd/system/b.socket",
		"run/systemd/generator/g.socket":                   "[Socket]\nListenStream=81\n",
		unitDir + "g2.socket":                              "[Socket]\nListenStream=81\n",
	}))
	for endpoint, want := range map[string]string{
		"tcp/0.0.0.0:80": "b.socket → b.service", "tcp/[::]:80": "b.socket → b.service", "tcp/[::]:81": "g.socket → g.service",
	} {
		if got := find(t, s, endpoint); got != want {
			t.Errorf("%s: %q, want %q", endpoint, got, want)
		}
	}
}

func TestStarting(t *testing.T) {
	s := Read(root(t, map[string]string{
		unitDir + "web.socket":                                      "[Socket]\nListenStream=80\n",
		unitDir + "spare.socket":                                    "[Socket]\nListenStream=81\nService=web.service\n",
		unitDir + "echo.socket":                                     "[Socket]\nListenStream=7\nAccept=yes\n",
		"etc/systemd/system/sockets.target.wants/web.socket":        "→/usr/lib/systemd/system/web.socket",
		"etc/systemd/system/multi-user.target.requires/echo.socket": "→/usr/lib/systemd/system/echo.socket",
	}))
	for service, want := range map[string][]string{
		"web.service": {"web.socket"}, "echo@1-2:7.service": {"echo.socket"}, "none.service": nil,
	} {
		var names []string
		for _, unit := range s.Starting(service) {
			names = append(names, unit.Name)
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%s:\n%s", service, diff)
		}
	}
}

func TestRootWithoutSystemd(t *testing.T) {
	if s := Read(root(t, map[string]string{"etc/passwd": ""})); s.Len() != 0 {
		t.Errorf("%d units", s.Len())
	}
}

func TestSpecifiers(t *testing.T) {
	for value, want := range map[string]string{
		"%i": `a\x2db-c`, "%I": "a-b/c", "%p": "foo-bar", "%P": "foo/bar", "%j": "bar", "%n": `foo-bar@a\x2db-c.socket`,
		"%N": `foo-bar@a\x2db-c`, "100%%": "100%", "%": "%", "none": "none",
	} {
		if got, ok := specifiers(value, `foo-bar@a\x2db-c.socket`); !ok || got != want {
			t.Errorf("%q: %q %v, want %q", value, got, ok, want)
		}
	}
	for _, value := range []string{"%h/x", "%t", "%m"} {
		if got, ok := specifiers(value, "a.socket"); ok {
			t.Errorf("%q: %q, which only the manager knows", value, got)
		}
	}
}

func FuzzUnit(f *testing.F) {
	f.Add("[Socket]\nListenStream=22\nAccept=yes\nService=x@%i.service\n")
	f.Add("[Socket]\nListenDatagram=[fe80::1]:53%%eth0#name\n\\\n\\")
	f.Add("ListenStream=1\n[Socket\nListenStream=\\\n# c\n2\n;\n")
	f.Fuzz(func(t *testing.T, text string) {
		unit := socketOf("a@b.socket", []string{text, text})
		for _, l := range unit.Listen {
			if l.Port == 0 || l.Proto == "" {
				t.Errorf("%+v", l)
			}
		}
		if unit.Service == "" {
			t.Error("no service")
		}
	})
}

func BenchmarkRead(b *testing.B) {
	files, err := rootfs.Open("/")
	if err != nil {
		b.Skip(err)
	}
	defer files.Close()
	for b.Loop() {
		Read(files)
	}
}
