package pkgdb

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
)

// spec is a package with enough files to spread over many pages.
const spec = `Name: NAME
Version: 1
Release: 1
Summary: x
License: x
BuildArch: noarch
%description
x
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/opt/NAME
touch %{buildroot}/usr/bin/NAME
for i in $(seq 1500); do : > %{buildroot}/opt/NAME/file-$i; done
%files
/usr/bin/NAME
/opt/NAME
`

// rpmRoot makes a root with a database that rpm itself wrote.
func rpmRoot(t *testing.T) Root {
	t.Helper()
	rpmbuild, rpm := nettest.Need(t, "rpmbuild"), nettest.Need(t, "rpm")
	dir := t.TempDir()
	db := filepath.Join(dir, "root/var/lib/rpm")
	if err := os.MkdirAll(db, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"first", "second"} {
		file := filepath.Join(dir, name+".spec")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(spec, "NAME", name)), 0o644); err != nil {
			t.Fatal(err)
		}
		nettest.Run(t, rpmbuild, "-bb", "--quiet", "--define", "_topdir "+dir, file)
		nettest.Run(t, rpm, "--dbpath", db, "-i", "--justdb", "--nodeps", "--noscripts", "--ignoresize",
			filepath.Join(dir, "RPMS/noarch", name+"-1-1.noarch.rpm"))
	}
	if _, err := os.Stat(filepath.Join(db, "rpmdb.sqlite")); err != nil {
		t.Skipf("this rpm keeps another form of database: %v", err)
	}
	return open(t, filepath.Join(dir, "root"))
}

func TestRPM(t *testing.T) {
	r := rpmRoot(t)
	check(t, r, map[string]Answer{
		"/usr/bin/first":        {Package: "first"},
		"/usr/bin/second":       {Package: "second"},
		"/opt/first/file-1":     {Package: "first"},
		"/opt/second/file-1":    {Package: "second"},
		"/opt/second/file-1500": {Package: "second"},
		"/opt/third/file-1":     unowned("rpm"),
		"/usr/bin/none":         unowned("rpm"),
	})
	if n := len(Lookup(t.Context(), r, []string{"/opt/first/file-77", "/opt/second/file-1499"})); n != 2 {
		t.Errorf("%d answers", n)
	}
}

// A database whose last changes wait in the log gives no answer.
func TestRPMWithPendingChanges(t *testing.T) {
	r := root(t, map[string]string{"var/lib/rpm/rpmdb.sqlite": "SQLite format 3\x00", "var/lib/rpm/rpmdb.sqlite-wal": "x"})
	if got := Lookup(t.Context(), r, []string{"/x"})["/x"]; got.Asked || !strings.Contains(got.Unknown, "log") {
		t.Errorf("%+v", got)
	}
}
