package pkgdb

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
)

// dpkg-query is the oracle on this machine's own database.
func TestAgreesWithDpkg(t *testing.T) {
	query := nettest.Need(t, "dpkg-query")
	r := open(t, "/")
	var paths []string
	for _, pattern := range []string{"/usr/bin/*", "/usr/sbin/*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range found {
			if real, err := filepath.EvalSymlinks(p); err == nil && real == p && !strings.ContainsAny(p, "*?[\\") {
				paths = append(paths, p)
			}
		}
	}
	got := Lookup(t.Context(), r, paths)
	owners := dpkgOwners(t, query, r, paths)
	diverted, err := readDiversions(r.Files)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if _, ok := diverted.to[p]; ok { // dpkg-query names the path before the diversion
			continue
		}
		if want := owners[p]; got[p].Package == "" && len(want) > 0 || got[p].Package != "" && !slices.Contains(want, got[p].Package) {
			t.Errorf("%s: %+v, dpkg-query %v", p, got[p], want)
		}
	}
}

// dpkgOwners asks dpkg-query by both names of a merged folder.
func dpkgOwners(t *testing.T, query string, r Root, paths []string) map[string][]string {
	t.Helper()
	asked := map[string]string{}
	args := []string{"-S"}
	for _, p := range paths {
		for _, name := range otherNames(p, aliases(r.Files)) {
			asked[name] = p
			args = append(args, name)
		}
	}
	out, _ := exec.Command(query, args...).Output() // fails for those without an owner
	owners := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		packages, file, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || strings.HasPrefix(line, "diversion") {
			continue
		}
		for pkg := range strings.SplitSeq(packages, ", ") {
			owners[asked[file]] = append(owners[asked[file]], dpkgName(pkg))
		}
	}
	return owners
}
