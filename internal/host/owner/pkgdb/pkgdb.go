package pkgdb

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

// Answer is what is known of one file.
type Answer struct {
	Package string // the package's name without version or architecture
	Unknown string // why Package is empty
	// Asked: a database was read whole and lists the file in no package.
	Asked bool
}

// Root is a root directory with its databases.
type Root struct {
	Files *rootfs.FS
	// Host: it is this host's own root, so that the host's own programs may
	// be asked about it.
	Host bool
}

// errAbsent says that a root has no database of a kind.
var errAbsent = errors.New("no such database")

// database looks files up by all their names and gives the packages found;
// errAbsent when the root has none of its kind.
type database struct {
	name string
	find func(ctx context.Context, root Root, names *nameSet) error
}

var databases = []database{
	{"dpkg", findDpkg},
	{"apk", findApk},
	{"pacman", findPacman},
	{"rpm", findRPM},
}

// Lookup answers for every path.
func Lookup(ctx context.Context, root Root, paths []string) map[string]Answer {
	answers := make(map[string]Answer, len(paths))
	names := newNameSet(aliases(root.Files))
	for _, p := range paths {
		if pkg := byFolder(p); pkg != "" {
			answers[p] = Answer{Package: pkg}
			continue
		}
		names.add(p)
	}
	if len(names.files) == 0 {
		return answers
	}
	asked, failed := ask(ctx, root, names)
	for p, pkg := range names.files {
		answers[p] = answer(pkg, asked, failed)
	}
	return answers
}

func ask(ctx context.Context, root Root, names *nameSet) (asked, failed []string) {
	for _, db := range databases {
		err := db.find(ctx, root, names)
		switch {
		case err == nil:
			asked = append(asked, db.name)
		case !errors.Is(err, errAbsent):
			failed = append(failed, db.name+": "+reason(err))
		}
	}
	return asked, failed
}

func answer(pkg string, asked, failed []string) Answer {
	switch {
	case pkg != "":
		return Answer{Package: strings.ToValidUTF8(pkg, "\uFFFD")}
	case len(failed) > 0:
		return Answer{Unknown: "package database could not be read: " + strings.Join(failed, "; ")}
	case len(asked) > 0:
		return Answer{Unknown: "in no package (" + strings.Join(asked, ", ") + ")", Asked: true}
	}
	return Answer{Unknown: "no package database in this root"}
}

func reason(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "permission denied (CAP_DAC_READ_SEARCH shows it)"
	}
	return err.Error()
}

// nameSet holds the files that are looked for, under all their names.
type nameSet struct {
	files   map[string]string // path asked for → package, "" until found
	names   map[string]string // every name → path asked for
	lengths [256]bool         // the lengths of the names, by their last eight bits
	aliases []alias
}

func newNameSet(aliases []alias) *nameSet {
	return &nameSet{files: map[string]string{}, names: map[string]string{}, aliases: aliases}
}

func (s *nameSet) add(p string) {
	s.files[p] = ""
	for _, name := range otherNames(p, s.aliases) {
		s.names[name] = p
		s.lengths[len(name)&0xff] = true
	}
}

// lookup tests a name from a database without allocating: most names are not
// among the few that are looked for, and their length alone tells.
func (s *nameSet) lookup(name []byte) (asked string, ok bool) {
	if !s.lengths[len(name)&0xff] {
		return "", false
	}
	asked, ok = s.names[string(name)]
	return asked, ok
}

// found notes a package; of several the first by name stays.
func (s *nameSet) found(asked, pkg string) {
	if have := s.files[asked]; have == "" || pkg < have {
		s.files[asked] = pkg
	}
}

// alias is a folder that is a symbolic link to another: a file in one has two
// names.
type alias struct{ link, folder string }

// merged are the folders that distributions have turned into links to one
// another.
var merged = []string{
	"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
	"/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/local",
}

func aliases(files *rootfs.FS) []alias {
	var list []alias
	for _, link := range merged {
		if folder, err := files.Resolve(link); err == nil && folder != link {
			list = append(list, alias{link, folder})
		}
	}
	return list
}

func otherNames(p string, aliases []alias) []string {
	names := []string{p}
	for _, a := range aliases {
		if rest, ok := strings.CutPrefix(p, a.folder+"/"); ok {
			names = append(names, path.Join(a.link, rest))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
