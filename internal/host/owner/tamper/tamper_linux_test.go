package tamper

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/host/owner/accounts"
	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

// place is a file or folder of a case: mode, user, group.
type place struct {
	mode     os.FileMode
	uid, gid int
}

const (
	ann, bob = 1000, 1001
	staff    = 50 // ann and bob
	lonely   = 51 // nobody
	unknown  = 77 // not in the file
)

var (
	users  = accounts.ParseUsers("root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/:\nbob:x:1001:1001::/:\nwww:x:33:33::/:\n")
	groups = accounts.ParseGroups("root:x:0:\nann:x:1000:\nbob:x:1001:\nstaff:x:50:ann,bob\nlonely:x:51:\nwww:x:33:\n")
)

func TestWho(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give files away")
	}
	safe := place{0o755, 0, 0}
	for name, c := range map[string]struct {
		top, folder, file place
		want              string // "" is nobody
	}{
		"all of root":                     {safe, safe, safe, ""},
		"everyone may write":              {safe, safe, place{0o777, 0, 0}, "everyone may write"},
		"everyone may replace":            {safe, place{0o777, 0, 0}, safe, "everyone may replace files in /opt/app"},
		"everyone above":                  {place{0o777, 0, 0}, safe, safe, "everyone may replace files in /opt (mode 0777)"},
		"sticky folder":                   {safe, place{0o777 | os.ModeSticky, 0, 0}, safe, ""},
		"sticky above, folder of another": {place{0o777 | os.ModeSticky, 0, 0}, place{0o755, bob, bob}, place{0o755, ann, ann}, "user bob may replace files in /opt/app"},
		"sticky above, folder of owner":   {place{0o777 | os.ModeSticky, 0, 0}, place{0o755, ann, ann}, place{0o755, ann, ann}, ""},
		"sticky folder of another":        {safe, place{0o777 | os.ModeSticky, bob, bob}, place{0o755, ann, ann}, "user bob may replace"},
		"group may write":                 {safe, safe, place{0o775, 0, staff}, "group staff may write"},
		"group may replace":               {safe, place{0o775, 0, staff}, safe, "group staff may replace"},
		"group of nobody":                 {safe, place{0o775, 0, lonely}, safe, ""},
		"group that is not known":         {safe, place{0o775, 0, unknown}, safe, "group 77 may replace"},
		"the owner's own group":           {safe, place{0o775, ann, ann}, place{0o775, ann, ann}, ""},
		"root's group":                    {safe, place{0o775, 0, 0}, place{0o775, 0, 0}, ""},
		"file of ann in her folder":       {safe, place{0o755, ann, ann}, place{0o755, ann, ann}, ""},
		"file of root in ann's folder":    {safe, place{0o755, ann, ann}, safe, "user ann may replace"},
		"setgid folder":                   {safe, place{0o775 | os.ModeSetgid, 0, staff}, safe, "group staff may replace"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			app := filepath.Join(dir, "opt/app")
			if err := os.MkdirAll(app, 0o755); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(app, "server")
			if err := os.WriteFile(file, nil, 0o755); err != nil {
				t.Fatal(err)
			}
			for name, p := range map[string]place{file: c.file, app: c.folder, filepath.Join(dir, "opt"): c.top, dir: safe} {
				if err := os.Chown(name, p.uid, p.gid); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(name, p.mode); err != nil {
					t.Fatal(err)
				}
			}
			check(t, dir, c.want, nil)
		})
	}
}

func check(t *testing.T, dir, want string, translate func(uint32) (uint32, bool)) {
	t.Helper()
	files, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	c := Context{Files: files, Users: users, Groups: groups, User: translate, Group: translate}
	if got, _ := c.Who("/opt/app/server"); !strings.Contains(got, want) || (want == "") != (got == "") {
		t.Errorf("%q, want %q", got, want)
	}
}

// In a user namespace the container's root is root.
func TestWhoInAUserNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give files away")
	}
	dir := t.TempDir()
	app := filepath.Join(dir, "opt/app")
	if err := os.MkdirAll(app, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(app, "server"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "opt", "opt/app"} {
		if err := os.Chown(filepath.Join(dir, name), 100000, 100000); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(filepath.Join(app, "server"), 100033, 100033); err != nil {
		t.Fatal(err)
	}
	check(t, dir, "", func(id uint32) (uint32, bool) { return id - 100000, id >= 100000 })
	check(t, dir, "user 100000 may replace", nil)
}
