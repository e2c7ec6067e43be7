package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	tail := " S 1 2 3 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0"
	for line, want := range map[string]stat{
		"7 (sshd)" + tail:    {"sshd", 12345},
		"7 (a) b (c)" + tail: {"a) b (c", 12345},
		"7 (\n) R 9)" + tail: {"\n) R 9", 12345},
		"7 ()" + tail + "\n": {"", 12345},
	} {
		if got, err := parseStat(line); err != nil || got != want {
			t.Errorf("%q: %+v %v", line, got, err)
		}
	}
	for _, line := range []string{"", "7 sshd S", "7 (sshd) S 1", "7 )x(" + tail, "7 (x) S 1 2 3 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 x 0"} {
		if got, err := parseStat(line); !errors.Is(err, errStat) {
			t.Errorf("%q: %+v %v", line, got, err)
		}
	}
}

func FuzzProcFiles(f *testing.F) {
	f.Add("7 (a) b (c) S 1 2 3 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0")
	f.Add("Name:\tx\nUid:\t0\t1000\t0\t0\n")
	f.Add("cpu 1 2\nbtime 1700000000\n")
	f.Add("0 100000 65536\n65536 1 4294967295\n")
	f.Fuzz(func(t *testing.T, s string) {
		if st, err := parseStat(s); err == nil {
			st.started(time.Unix(1, 0))
		}
		_, _ = parseUID(s)
		parseBootTime(s)
		m := ParseIDMap(s)
		for _, id := range []uint32{0, 1000, 1<<32 - 1} {
			m.Inside(id)
		}
	})
}

func TestParseUID(t *testing.T) {
	if uid, err := parseUID("Name:\tx\nUid:\t1\t1000\t3\t4\n"); uid != 1000 || err != nil {
		t.Errorf("%d %v", uid, err)
	}
	for _, s := range []string{"", "Uid:\n", "Uid:\t1\n", "Uid:\t1\tx\n", "Uid:\t1\t4294967296\t"} {
		if _, err := parseUID(s); err == nil {
			t.Errorf("%q is no user", s)
		}
	}
}

func TestIDMap(t *testing.T) {
	m := ParseIDMap("         0     100000      65536\nbroken\n 70000 5 2\n")
	for id, want := range map[uint32]uint32{100000: 0, 165535: 65535, 5: 70000, 6: 70001} {
		if got, ok := m.Inside(id); !ok || got != want {
			t.Errorf("%d: %d %v, want %d", id, got, ok, want)
		}
	}
	for _, id := range []uint32{0, 4, 7, 165536} {
		if got, ok := m.Inside(id); ok {
			t.Errorf("%d has %d", id, got)
		}
	}
	if got, ok := IDMap(nil).Inside(7); !ok || got != 7 {
		t.Error("the empty map changes nothing")
	}
}

// process is a /proc/PID folder of a test's own.
type process struct {
	t        *testing.T
	dir, top string // its folder; its root
	procRoot string
}

func newProcess(t *testing.T) process {
	t.Helper()
	p := process{t: t, procRoot: t.TempDir(), top: t.TempDir()}
	p.dir = filepath.Join(p.procRoot, "7")
	p.put("stat", "7 (x) S 1 2 3 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 250 0 0")
	p.put("status", "Uid:\t0\t33\t0\t0\n")
	p.put("cmdline", "nginx\x00-g\x00daemon off;\x00")
	p.put("cgroup", "0::/system.slice/nginx.service\n")
	p.link("root", p.top)
	return p
}

func (p process) put(name, text string) {
	p.t.Helper()
	p.write(filepath.Join(p.dir, name), text)
}

func (p process) write(name, text string) {
	p.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o755)); err != nil {
		p.t.Fatal(err)
	}
}

func (p process) link(name, target string) {
	p.t.Helper()
	if err := os.Symlink(target, filepath.Join(p.dir, name)); err != nil {
		p.t.Fatal(err)
	}
}

func (p process) read() Identity {
	p.t.Helper()
	id, err := Read(p.procRoot, 7, time.Unix(1000, 0).UTC())
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

func TestRead(t *testing.T) {
	p := newProcess(t)
	p.write(filepath.Join(p.top, "usr/sbin/nginx"), "")
	p.link("exe", p.top+"/usr/sbin/nginx")
	got := p.read()
	want := Identity{PID: 7, Name: "x", Cmdline: "nginx -g daemon off;", UID: 33, Started: time.Unix(1002, 5e8).UTC(),
		Cgroup: "0::/system.slice/nginx.service\n", Exe: Executable{Path: p.top + "/usr/sbin/nginx", InRoot: "/usr/sbin/nginx"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := Read(p.procRoot, 8, time.Time{}); !errors.Is(err, ErrEnded) {
		t.Errorf("no such process: %v", err)
	}
}

func TestExecutable(t *testing.T) {
	for name, c := range map[string]struct {
		link string // behind the root
		put  []string
		want Executable
	}{
		"in place":              {"/bin/x", []string{"/bin/x"}, Executable{Path: "/bin/x", InRoot: "/bin/x"}},
		"deleted":               {"/bin/x (deleted)", nil, Executable{Path: "/bin/x", InRoot: "/bin/x", Deleted: true}},
		"replaced":              {"/bin/x (deleted)", []string{"/bin/x"}, Executable{Path: "/bin/x", InRoot: "/bin/x", Replaced: true}},
		"so named":              {"/bin/x (deleted)", []string{"/bin/x (deleted)"}, Executable{Path: "/bin/x (deleted)", InRoot: "/bin/x (deleted)"}},
		"so named and deleted":  {"/bin/x (deleted) (deleted)", nil, Executable{Path: "/bin/x (deleted)", InRoot: "/bin/x (deleted)", Deleted: true}},
		"so named, other there": {"/bin/x (deleted) (deleted)", []string{"/bin/x"}, Executable{Path: "/bin/x (deleted)", InRoot: "/bin/x (deleted)", Deleted: true}},
		"not at its path":       {"/bin/x", nil, Executable{Path: "/bin/x"}},
		"invalid UTF-8":         {"/bin/\xff\xfe", []string{"/bin/\xff\xfe"}, Executable{Path: "/bin/\uFFFD", InRoot: "/bin/\xff\xfe"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProcess(t)
			for _, file := range c.put {
				p.write(p.top+file, "")
			}
			p.link("exe", p.top+c.link)
			got := p.read().Exe
			got.Path = strings.TrimPrefix(got.Path, p.top)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMemoryExecutable(t *testing.T) {
	p := newProcess(t)
	p.link("exe", "/memfd:evil (deleted)")
	if diff := cmp.Diff(Executable{Path: "/memfd:evil", Deleted: true, Memory: true}, p.read().Exe); diff != "" {
		t.Error(diff)
	}
	p = newProcess(t) // no executable: a kernel thread
	if got := p.read().Exe; got.Path != "" || !errors.Is(got.Err, fs.ErrNotExist) {
		t.Errorf("%+v", got)
	}
}

func TestHostileTitles(t *testing.T) {
	for name, raw := range map[string]string{
		"megabytes":  strings.Repeat("A", 3<<20),
		"invalid":    "x\x00\xff\xc3\x28\x1b[31m",
		"cut inside": strings.Repeat("a", MaxCmdline-1) + "€€€",
		"all NUL":    strings.Repeat("\x00", 5000),
		"empty":      "",
	} {
		p := newProcess(t)
		p.put("cmdline", raw)
		got := p.read().Cmdline
		if !utf8.ValidString(got) || len(got) > MaxCmdline+16 || strings.ContainsRune(got, 0) {
			t.Errorf("%s: %d bytes, valid %v", name, len(got), utf8.ValidString(got))
		}
		if cut := strings.HasSuffix(got, "…"); cut != (len(raw) > MaxCmdline) {
			t.Errorf("%s: marked as cut: %v", name, cut)
		}
	}
}

// This very process, by the real /proc.
func TestReadSelf(t *testing.T) {
	boot := BootTime("/proc")
	if boot.IsZero() {
		t.Skip("no /proc")
	}
	id, err := Read("/proc", int32(os.Getpid()), boot)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if id.Exe.Path != exe || id.Exe.InRoot == "" || id.Exe.Deleted || id.Exe.Replaced {
		t.Errorf("%+v, want %s", id.Exe, exe)
	}
	if id.UID != uint32(os.Geteuid()) || !strings.HasPrefix(id.Cmdline, os.Args[0]) || id.MountNS == "" {
		t.Errorf("%+v", id)
	}
	if age := time.Since(id.Started); age < -2*time.Second || age > time.Hour {
		t.Errorf("began %v ago", age)
	}
}
