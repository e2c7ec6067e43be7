package owner

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// put writes files below a folder: path → text; "→" before a text makes a
// symbolic link.
func put(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		at := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		if target, link := strings.CutPrefix(text, "→"); link {
			err = errors.Join(err, os.Symlink(target, at))
		} else {
			err = errors.Join(err, os.WriteFile(at, []byte(text), 0o755))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

const (
	statOf7 = "7 (nginx) S 1 2 3 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 250 0 0"
	idA     = "3f4c8b1e0a7d5c2f9b6e4a1d8c7f0e3b2a5d6c9f8e1b4a7d0c3f6e9b2a5d8c1f"
)

// fakeHost is a proc tree and a root of a test's own, with process 7 of the
// host and process 8 of a container.
func fakeHost(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	host, box, proc := filepath.Join(dir, "host"), filepath.Join(dir, "box"), filepath.Join(dir, "proc")
	put(t, host, map[string]string{
		"etc/passwd":                          "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:\n",
		"usr/sbin/nginx":                      "",
		"var/lib/dpkg/info/nginx.list":        "/usr/sbin/nginx\n",
		"usr/lib/systemd/system/nginx.socket": "[Socket]\nListenStream=80\nListenStream=/run/n.sock\n",
		"etc/systemd/system/sockets.target.wants/nginx.socket": "→/usr/lib/systemd/system/nginx.socket",
		"etc/inetd.conf":                                       "23 stream tcp nowait root /usr/sbin/in.telnetd in.telnetd\n",
		"usr/lib/systemd/system/ssh.socket":                    "[Socket]\nListenStream=22\n",
		"var/lib/docker/containers/" + idA + "/config.v2.json": `{"Name":"/web"}`,
	})
	put(t, box, map[string]string{
		"etc/passwd":           "root:x:0:0::/root:/bin/sh\nredis:x:999:999::/:\n",
		"usr/bin/redis-server": "",
		"lib/apk/db/installed": "P:redis\nF:usr/bin\nR:redis-cli\n\n",
	})
	put(t, proc, map[string]string{
		"stat":      "cpu 1\nbtime 1000\n",
		"7/stat":    statOf7,
		"7/status":  "Uid:\t33\t33\t33\t33\n",
		"7/cmdline": "nginx: master\x00",
		"7/cgroup":  "0::/system.slice/nginx.service\n",
		"7/root":    "→" + host,
		"7/exe":     "→" + host + "/usr/sbin/nginx",
		"7/ns/mnt":  "→mnt:[1]",
		"8/stat":    strings.ReplaceAll(statOf7, "nginx", "redis-server"),
		"8/status":  "Uid:\t100999\t100999\t100999\t100999\n",
		"8/cmdline": "redis-server\x00*:6379\x00",
		"8/cgroup":  "0::/system.slice/docker-" + idA + ".scope\n",
		"8/uid_map": "0 100000 65536\n",
		"8/gid_map": "0 100000 65536\n",
		"8/root":    "→" + box,
		"8/exe":     "→" + box + "/usr/bin/redis-server",
		"8/ns/mnt":  "→mnt:[2]",
	})
	return Config{ProcRoot: proc, Root: host}
}

func TestDescribe(t *testing.T) {
	cfg := fakeHost(t)
	d := NewDescriber(cfg)
	got := d.Describe(t.Context(), []int32{7, 8, 9, 7})
	started := time.Unix(1002, 5e8).UTC()
	want := map[int32]Description{
		7: {
			Process: exposure.Process{PID: 7, Name: "nginx", Exe: cfg.Root + "/usr/sbin/nginx", Cmdline: "nginx: master",
				User: "www-data", UID: 33, Package: "nginx", Unit: "nginx.service", Started: started},
			Unit: "nginx.service", ActivatedBy: "nginx.socket", Package: "nginx",
		},
		8: {
			Process: exposure.Process{PID: 8, Name: "redis-server", Exe: strings.Replace(cfg.Root, "/host", "/box", 1) + "/usr/bin/redis-server",
				Cmdline: "redis-server *:6379", User: "redis", UID: 100999, Unpackaged: true, Unit: "docker-" + idA + ".scope", Started: started},
			Unit: "docker-" + idA + ".scope", PackageUnknown: "in no package (apk)",
			Container: &exposure.Container{ID: idA, Name: "web", Runtime: "docker"},
		},
	}
	// Who owns the temporary folders above is no matter of this test.
	ignore := cmpopts.IgnoreFields(exposure.Process{}, "Writable", "WritableWhy")
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Error(diff)
	}
	for pid, desc := range want {
		if one, ok := d.Process(pid); !ok || !cmp.Equal(one, desc, ignore) {
			t.Errorf("Process(%d): %+v", pid, one)
		}
	}
	if _, ok := d.Process(9); ok {
		t.Error("process 9 is no more")
	}
	if one, ok := NewDescriber(cfg).Process(7); !ok || one.Package != "nginx" {
		t.Errorf("Process without Describe: %+v", one)
	}
}

func TestSocketUnit(t *testing.T) {
	d := NewDescriber(fakeHost(t))
	for at, want := range map[string]string{"[::]:80": "nginx.socket nginx.service", "0.0.0.0:22": "ssh.socket ssh.service", "0.0.0.0:23": ""} {
		ap := netip.MustParseAddrPort(at)
		unit, service, ok := d.SocketUnit(exposure.TCP, ap.Addr(), ap.Port())
		if got := strings.TrimSpace(unit + " " + service); got != want || ok != (want != "") {
			t.Errorf("%s: %q %v", at, got, ok)
		}
	}
}

func TestInetdService(t *testing.T) {
	d := NewDescriber(fakeHost(t))
	if service, program, ok := d.InetdService("inetd", exposure.TCP, 23); !ok || service != "23" || program != "/usr/sbin/in.telnetd" {
		t.Errorf("%q %q %v", service, program, ok)
	}
	if service, _, ok := d.InetdService("sshd", exposure.TCP, 23); ok {
		t.Errorf("sshd is no super-server: %q", service)
	}
}

func TestDescribeNothingThere(t *testing.T) {
	d := NewDescriber(Config{ProcRoot: filepath.Join(t.TempDir(), "none"), Root: filepath.Join(t.TempDir(), "none")})
	if got := d.Describe(t.Context(), []int32{1, 2}); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if unit, _, ok := d.SocketUnit(exposure.TCP, netip.IPv4Unspecified(), 22); ok {
		t.Error(unit)
	}
}

// copyOf puts a copy of the test program at a path.
func copyOf(t *testing.T, to string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// runCopy plays a part from a copy of the test program.
func runCopy(t *testing.T, ns *nettest.NS, part, file string, args ...string) *player {
	t.Helper()
	copyOf(t, file)
	return play(t, ns, part, nil, func(c *exec.Cmd) {
		inside := ns.Command(file, args...)
		c.Path, c.Args = inside.Path, inside.Args
	})
}

// Programs that were deleted or replaced while they run, as the kernel has it.
func TestRunningPrograms(t *testing.T) {
	ns := nettest.New(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	deleted := runCopy(t, ns, "hold", at("deleted"))
	replaced := runCopy(t, ns, "hold", at("replaced"))
	named := runCopy(t, ns, "hold", at("named (deleted)"))
	open := runCopy(t, ns, "hold", at("open"))
	if err := errors.Join(os.Remove(at("deleted")), os.Remove(at("replaced")), os.Chmod(at("open"), 0o777)); err != nil {
		t.Fatal(err)
	}
	copyOf(t, at("replaced"))
	got := NewDescriber(Config{}).Describe(t.Context(), []int32{deleted.pid(), replaced.pid(), named.pid(), open.pid()})
	for pid, want := range map[int32]exposure.Process{
		deleted.pid():  {Exe: at("deleted"), Deleted: true},
		replaced.pid(): {Exe: at("replaced"), Replaced: true},
		named.pid():    {Exe: at("named (deleted)")},
		open.pid():     {Exe: at("open"), Writable: true},
	} {
		p := got[pid].Process
		if p.Exe != want.Exe || p.Deleted != want.Deleted || p.Replaced != want.Replaced {
			t.Errorf("%+v, want %+v", p, want)
		}
		if want.Writable && (!p.Writable || !strings.Contains(p.WritableWhy, "everyone may write")) {
			t.Errorf("writable: %q", p.WritableWhy)
		}
		if age := time.Since(p.Started); age < -2*time.Second || age > time.Minute {
			t.Errorf("began %v ago", age)
		}
		if p.User != "root" || p.UID != 0 || !strings.HasPrefix(p.Cmdline, want.Exe) {
			t.Errorf("%+v", p)
		}
	}
}

// A process in a chroot: its users and its packages are those of its root.
func TestChroot(t *testing.T) {
	ns := nettest.New(t)
	jail := t.TempDir()
	put(t, jail, map[string]string{
		"etc/passwd":                 "admin:x:0:0::/:/bin/sh\n",
		"var/lib/dpkg/info/app.list": "/srv/app\n",
	})
	inside := runCopy(t, ns, "chroot", filepath.Join(jail, "srv/app"), jail)
	stray := runCopy(t, ns, "chroot", filepath.Join(jail, "srv/stray"), jail)
	outside := runCopy(t, ns, "chroot", filepath.Join(t.TempDir(), "app"), jail)
	got := NewDescriber(Config{}).Describe(t.Context(), []int32{inside.pid(), stray.pid(), outside.pid()})
	for name, c := range map[string]struct {
		p          *player
		pkg, why   string
		unpackaged bool
	}{
		"inside":  {inside, "app", "", false},
		"stray":   {stray, "", "in no package (dpkg)", true},
		"outside": {outside, "", "its executable is not in the root directory that it sees", false},
	} {
		d := got[c.p.pid()]
		if d.Process.User != "admin" || d.Package != c.pkg || d.PackageUnknown != c.why || d.Process.Unpackaged != c.unpackaged {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func BenchmarkDescribe(b *testing.B) {
	pids := []int32{int32(os.Getpid()), int32(os.Getppid())}
	for b.Loop() {
		NewDescriber(Config{}).Describe(b.Context(), pids)
	}
}
