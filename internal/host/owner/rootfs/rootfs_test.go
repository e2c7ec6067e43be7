package rootfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func open(t *testing.T) (*FS, string) {
	t.Helper()
	outside := t.TempDir()
	dir := filepath.Join(outside, "root")
	must(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600))
	for _, folder := range []string{"usr/bin", "etc", "opt/app"} {
		must(t, os.MkdirAll(filepath.Join(dir, folder), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(dir, "usr/bin/tool"), []byte("tool"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("inner"), 0o644))
	for name, target := range map[string]string{
		"bin": "usr/bin", "absolute": "/usr/bin/tool", "up": "../../../../secret", "opt/app/run": "../../bin/tool",
		"loop": "loop", "dangling": "/none", "etc/out": outside + "/secret", "chain": "/bin/../../absolute", "opt/app/esc": "/../secret",
	} {
		must(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	f, err := Open(dir)
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f, dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestResolve(t *testing.T) {
	f, _ := open(t)
	for name, want := range map[string]string{
		"/bin/tool": "/usr/bin/tool", "absolute": "/usr/bin/tool", "/opt/app/run": "/usr/bin/tool", "/chain": "/usr/bin/tool",
		"/up": "/secret", "/opt/app/esc": "/secret", "/": "/", "/../..": "/", "//usr//bin": "/usr/bin",
	} {
		for range 2 { // the second time folders are remembered
			if got, err := f.Resolve(name); err != nil || got != want {
				t.Errorf("%s: %q %v, want %q", name, got, err, want)
			}
		}
	}
	for _, name := range []string{"/loop", "/dangling", "/etc/out", "/none/x", "/usr/bin/tool/x"} {
		if got, err := f.Resolve(name); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestReadFile(t *testing.T) {
	f, _ := open(t)
	for name, want := range map[string]string{"/absolute": "tool", "/up": "inner", "/opt/app/esc": "inner"} {
		if got, err := f.ReadFile(name, 100); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	if _, err := f.ReadFile("/absolute", 3); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := f.ReadFile("/usr", 100); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := f.ReadFile("/etc/out", 100); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("outside: %v", err)
	}
}

// Both ways of ReadInto give the same, and neither leaves the folder.
func TestReadInto(t *testing.T) {
	f, dir := open(t)
	for name, read := range map[string]func(string, []byte, int64) ([]byte, error){"call": f.ReadInto, "os.Root": f.readInto} {
		buf := make([]byte, 0, 2)
		for _, file := range []string{"usr/bin/tool", "secret"} {
			got, err := read(file, buf, 100)
			want, _ := os.ReadFile(filepath.Join(dir, file))
			if err != nil || string(got) != string(want) {
				t.Errorf("%s: %s: %q %v", name, file, got, err)
			}
			buf = got
		}
		if _, err := read("secret", nil, 2); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: too large: %v", name, err)
		}
		if _, err := read("none", nil, 2); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: none: %v", name, err)
		}
		for _, file := range []string{"../secret", "etc/out", "usr"} {
			if got, err := read(file, nil, 100); err == nil {
				t.Errorf("%s: %s: %q", name, file, got)
			}
		}
	}
}

func TestReadDirAndSub(t *testing.T) {
	f, _ := open(t)
	names, err := f.ReadDir("/bin")
	if err != nil || !slices.Equal(names, []string{"tool"}) {
		t.Errorf("%v %v", names, err)
	}
	sub, err := f.Sub("/bin")
	must(t, err)
	if got, err := sub.ReadFile("/tool", 10); err != nil || string(got) != "tool" {
		t.Errorf("%q %v", got, err)
	}
	must(t, sub.Close())
	if _, err := sub.ReadInto("tool", nil, 10); err == nil {
		t.Error("read after Close")
	}
	if _, err := f.Sub("/absolute"); err == nil {
		t.Error("a file is no folder")
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("../up", "/bin/../x")
	f.Add("/", "loop")
	f.Fuzz(func(t *testing.T, target, name string) {
		dir := t.TempDir()
		if os.Symlink(target, filepath.Join(dir, "link")) != nil {
			return
		}
		root, err := Open(dir)
		must(t, err)
		defer root.Close()
		for _, p := range []string{name, "/link/" + name, "link"} {
			if got, err := root.Resolve(p); err == nil && (got == "" || got[0] != '/') {
				t.Errorf("%q", got)
			}
		}
	})
}
