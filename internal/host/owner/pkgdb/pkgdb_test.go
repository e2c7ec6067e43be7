package pkgdb

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

// root makes a root directory: path → text; a text that begins with "→" is a
// symbolic link.
func root(t testing.TB, files map[string]string) Root {
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
	return open(t, dir)
}

func open(t testing.TB, dir string) Root {
	t.Helper()
	files, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	return Root{Files: files}
}

// check asks for all paths at once and for each alone.
func check(t *testing.T, r Root, want map[string]Answer) {
	t.Helper()
	var paths []string
	for p := range want {
		paths = append(paths, p)
	}
	if diff := cmp.Diff(want, Lookup(t.Context(), r, paths)); diff != "" {
		t.Error(diff)
	}
	for p, answer := range want {
		if diff := cmp.Diff(map[string]Answer{p: answer}, Lookup(t.Context(), r, []string{p})); diff != "" {
			t.Errorf("alone:\n%s", diff)
		}
	}
}

func unowned(db string) Answer { return Answer{Unknown: "in no package (" + db + ")", Asked: true} }

func TestDpkg(t *testing.T) {
	const info = "var/lib/dpkg/info/"
	check(t, root(t, map[string]string{
		"bin":                     "→usr/bin",
		"sbin":                    "→usr/sbin",
		"lib":                     "→usr/lib",
		"usr/bin/x":               "",
		"usr/sbin/x":              "",
		"usr/lib/x":               "",
		info + "format":           "1\n",
		info + "bash.list":        "/.\n/bin\n/bin/bash\n/usr/share/doc\n",
		info + "libc6:amd64.list": "/lib\n/lib/ld.so\n/usr/lib/gconv\n",
		info + "ssh.list":         "/usr/sbin/sshd", // no line end
		info + "ssh.postinst":     "/usr/bin/notalist\n",
		info + "vim.list":         "/usr/bin/vi\n",
		info + "vim-tiny.list":    "/usr/bin/vi\n",
		info + "diverted.list":    "/usr/bin/tool\n",
		info + "diverter.list":    "/usr/bin/tool\n",
		info + "local.list":       "/usr/bin/own\n",
		"var/lib/dpkg/diversions": "/usr/bin/tool\n/usr/bin/tool.real\ndiverter\n/usr/bin/own\n/usr/bin/own.dist\n:\n",
	}), map[string]Answer{
		"/usr/bin/bash":      {Package: "bash"},
		"/usr/lib/ld.so":     {Package: "libc6"},
		"/usr/lib/gconv":     {Package: "libc6"},
		"/usr/sbin/sshd":     {Package: "ssh"},
		"/usr/bin/vi":        {Package: "vim"}, // the first of two by name
		"/usr/bin/tool":      {Package: "diverter"},
		"/usr/bin/tool.real": {Package: "diverted"},
		"/usr/bin/own":       unowned("dpkg"),
		"/usr/bin/own.dist":  {Package: "local"},
		"/usr/bin/notalist":  unowned("dpkg"),
		"/usr/local/bin/x":   unowned("dpkg"),
		"/opt/bin/bash":      unowned("dpkg"),
	})
}

// Without the merge /bin and /usr/bin are two folders.
func TestDpkgUnmerged(t *testing.T) {
	check(t, root(t, map[string]string{
		"bin/x": "", "usr/bin/x": "",
		"var/lib/dpkg/info/bash.list": "/bin/bash\n",
	}), map[string]Answer{"/bin/bash": {Package: "bash"}, "/usr/bin/bash": unowned("dpkg")})
}

// A root where /usr/bin is the link, and one where /usr/sbin is.
func TestMergedOtherWays(t *testing.T) {
	check(t, root(t, map[string]string{
		"bin/x": "", "usr/bin": "→../bin",
		"var/lib/dpkg/info/env.list": "/usr/bin/env\n",
	}), map[string]Answer{"/bin/env": {Package: "env"}})
	check(t, root(t, map[string]string{
		"usr/bin/x": "", "usr/sbin": "→bin", "sbin": "→usr/bin",
		"var/lib/pacman/local/iproute2-6.1-1/files": "%FILES%\nusr/\nusr/sbin/\nusr/sbin/ip\n",
	}), map[string]Answer{"/usr/bin/ip": {Package: "iproute2"}})
}

func TestStatusD(t *testing.T) {
	check(t, root(t, map[string]string{
		"var/lib/dpkg/status.d/base":            "Package: base\n",
		"var/lib/dpkg/status.d/libssl3.md5sums": "d41d8cd98f00b204e9800998ecf8427e  usr/lib/libssl.so.3\nbroken\n\nx \n",
		"var/lib/dpkg/status.d/nodejs.md5sums":  "d41d8cd98f00b204e9800998ecf8427e  nodejs/bin/node\n",
	}), map[string]Answer{"/usr/lib/libssl.so.3": {Package: "libssl3"}, "/nodejs/bin/node": {Package: "nodejs"}, "/app": unowned("dpkg")})
}

func TestApk(t *testing.T) {
	check(t, root(t, map[string]string{
		"lib/apk/db/installed": "C:Q1x=\nP:busybox\nV:1.36\nF:bin\nM:0:0:1777\nR:busybox\na:0:0:755\nZ:Q1y=\nF:\nR:top\n\nP:nginx\nF:usr/sbin\nR:nginx\n\nR:orphan\n",
	}), map[string]Answer{
		"/bin/busybox": {Package: "busybox"}, "/top": {Package: "busybox"}, "/usr/sbin/nginx": {Package: "nginx"},
		"/usr/sbin/orphan": unowned("apk"), "/orphan": unowned("apk"),
	})
}

func TestPacman(t *testing.T) {
	check(t, root(t, map[string]string{
		"var/lib/pacman/local/ALPM_DB_VERSION":           "9\n",
		"var/lib/pacman/local/openssh-9.8p1-1/files":     "%FILES%\nusr/\nusr/bin/\nusr/bin/sshd\n\n%BACKUP%\netc/ssh/sshd_config\tabc\n",
		"var/lib/pacman/local/python-six-1.16.0-9/files": "%FILES%\nusr/lib/six.py\n",
		"var/lib/pacman/local/nofiles-1-1/desc":          "%NAME%\nnofiles\n",
	}), map[string]Answer{
		"/usr/bin/sshd": {Package: "openssh"}, "/usr/lib/six.py": {Package: "python-six"},
		"/etc/ssh/sshd_config": unowned("pacman"),
	})
}

func TestByFolder(t *testing.T) {
	check(t, root(t, nil), map[string]Answer{
		"/snap/nextcloud/123/bin/httpd": {Package: "snap:nextcloud"},
		"/snap/lxd_two/9/lxd":           {Package: "snap:lxd"},
		"/snap/bin/lxd":                 {Unknown: "no package database in this root"},
		"/var/lib/flatpak/app/org.foo.Bar/current/files/bin/bar":          {Package: "flatpak:org.foo.Bar"},
		"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nginx-1.2/bin/nginx": {Package: "nix:nginx-1.2"},
		"/nix/store/short/bin/x": {Unknown: "no package database in this root"},
		"/gnu/store/0123456789abcdfghijklmnpqrsvwxyz-openssh-9.8/sbin/sshd": {Package: "guix:openssh-9.8"},
		"/home/linuxbrew/.linuxbrew/Cellar/redis/7.2/bin/redis":             {Package: "brew:redis"},
	})
}

// What cannot be read is no reason to call a file unpackaged.
func TestUnreadable(t *testing.T) {
	r := root(t, map[string]string{"var/lib/rpm/Packages": "x", "var/lib/dpkg/info/a.list": "/usr/bin/a\n"})
	got := Lookup(t.Context(), r, []string{"/usr/bin/a", "/usr/bin/b"})
	if got["/usr/bin/a"].Package != "a" {
		t.Errorf("%+v", got)
	}
	if b := got["/usr/bin/b"]; b.Asked || !strings.Contains(b.Unknown, "rpm") {
		t.Errorf("%+v", b)
	}
	r = root(t, map[string]string{"lib/apk/db/installed/folder": ""})
	if got := Lookup(t.Context(), r, []string{"/x"})["/x"]; got.Asked || !strings.Contains(got.Unknown, "apk") {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r = root(t, map[string]string{"var/lib/dpkg/info/a.list": "/usr/bin/a\n"})
	if got := Lookup(ctx, r, []string{"/x"})["/x"]; got.Asked || !strings.Contains(got.Unknown, "canceled") {
		t.Errorf("%+v", got)
	}
}

func fuzzNames() *nameSet {
	names := newNameSet(nil)
	names.add("/usr/bin/a")
	names.add("/b")
	return names
}

func FuzzDatabases(f *testing.F) {
	f.Add([]byte("/usr/bin/a\n/b"), "/b\n/c\n:\n")
	f.Add([]byte("P:x\nF:usr/bin\nR:a\n\n"), "")
	f.Add([]byte("%FILES%\nusr/bin/a\n\n%BACKUP%\n"), "\n\n\n")
	f.Add([]byte("abc  usr/bin/a\nx \n  \n"), "/b\n/c\nx\n/c\n/b\ny\n")
	f.Add([]byte("name\t/usr/bin/a\n"), "")
	f.Fuzz(func(t *testing.T, text []byte, diversions string) {
		parseApk(text, fuzzNames())
		parseRPM(text, fuzzNames())
		pacmanNames(text, func([]byte) {})
		d := parseDiversions(diversions)
		wanted := d.wanted(fuzzNames())
		lineNames(text, func(name []byte) {
			if _, ok := wanted.lookup(name); ok {
				d.owned(string(name), "pkg", fuzzNames())
			}
		})
		sumNames(text, func(name []byte) {
			if name[0] != '/' {
				t.Errorf("%q", name)
			}
		})
		if name := pacmanName(string(text)); !strings.HasPrefix(string(text), name) {
			t.Errorf("%q", name)
		}
		byFolder(string(text))
	})
}

func BenchmarkDpkg(b *testing.B) {
	if _, err := os.Stat(dpkgInfo); err != nil {
		b.Skip("no dpkg here")
	}
	r := open(b, "/")
	for b.Loop() {
		Lookup(b.Context(), r, []string{"/usr/bin/ss", "/usr/bin/bash", "/usr/local/bin/none"})
	}
}
