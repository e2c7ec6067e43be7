package serverconf

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// OS is the root of the host itself.
type OS struct{}

// ReadFile reads a file of the host.
func (OS) ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }

// ReadDir lists a folder of the host, sorted by name.
func (OS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// Stat follows symbolic links.
func (OS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// ReadLink reads a symbolic link.
func (OS) ReadLink(name string) (string, error) { return os.Readlink(name) }

// linker is a Root that can read symbolic links. With one that cannot, a path
// is taken as it stands.
type linker interface {
	ReadLink(name string) (string, error)
}

// FS makes a Root of a file system whose paths have no leading slash, such as
// os.DirFS of a copied system.
func FS(fsys fs.FS) Root { return fsRoot{fsys} }

type fsRoot struct{ fsys fs.FS }

func relative(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return "."
	}
	return name
}

func (r fsRoot) ReadFile(name string) ([]byte, error) { return fs.ReadFile(r.fsys, relative(name)) }

func (r fsRoot) ReadDir(name string) ([]fs.DirEntry, error) {
	return fs.ReadDir(r.fsys, relative(name))
}

func (r fsRoot) Stat(name string) (fs.FileInfo, error) { return fs.Stat(r.fsys, relative(name)) }

func (r fsRoot) ReadLink(name string) (string, error) { return fs.ReadLink(r.fsys, relative(name)) }

// Overlay is a root as it will be once the edits are made. With it the edits
// of several sockets of one server are planned one after the other: each
// Rebind sees what the ones before it changed.
func Overlay(root Root, edits []Edit) Root {
	o := overlay{Root: root, after: map[string]Edit{}}
	for _, e := range edits {
		o.after[e.Path] = e
	}
	return o
}

type overlay struct {
	Root
	after map[string]Edit
}

func (o overlay) ReadFile(name string) ([]byte, error) {
	if e, changed := o.after[resolve(o.Root, name)]; changed {
		return bytes.Clone(e.After), nil
	}
	return o.Root.ReadFile(name)
}

func (o overlay) Stat(name string) (fs.FileInfo, error) {
	if e, changed := o.after[resolve(o.Root, name)]; changed {
		return madeFile{e}, nil
	}
	info, err := o.Root.Stat(name)
	if err != nil && o.holds(name) {
		return madeFile{Edit{Path: name, Mode: fs.ModeDir | 0o755}}, nil
	}
	return info, err
}

// holds reports a folder that an edit's new file brings with it.
func (o overlay) holds(dir string) bool {
	for p := range o.after {
		if strings.HasPrefix(p, strings.TrimSuffix(path.Clean(dir), "/")+"/") {
			return true
		}
	}
	return false
}

func (o overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := o.Root.ReadDir(name)
	if err != nil && !o.holds(name) {
		return nil, err
	}
	for p, e := range o.after {
		known := func(d fs.DirEntry) bool { return d.Name() == path.Base(p) }
		if path.Dir(p) == path.Clean(name) && !slices.ContainsFunc(list, known) {
			list = append(slices.Clip(list), fs.FileInfoToDirEntry(madeFile{e}))
		}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

func (o overlay) ReadLink(name string) (string, error) {
	if l, can := o.Root.(linker); can {
		return l.ReadLink(name)
	}
	return "", fs.ErrInvalid
}

// madeFile describes a file as an edit leaves it.
type madeFile struct{ e Edit }

func (m madeFile) Name() string       { return path.Base(m.e.Path) }
func (m madeFile) Size() int64        { return int64(len(m.e.After)) }
func (m madeFile) Mode() fs.FileMode  { return m.e.Mode }
func (m madeFile) ModTime() time.Time { return time.Time{} }
func (m madeFile) IsDir() bool        { return m.e.Mode.IsDir() }
func (m madeFile) Sys() any           { return nil }

// mostLinks bounds the symbolic links on one path (the kernel's MAXSYMLINKS,
// include/linux/namei.h).
const mostLinks = 40

// resolve follows the symbolic links of every part of an absolute path. What
// cannot be followed is left as it stands.
func resolve(root Root, name string) string {
	l, can := root.(linker)
	if !can {
		return path.Clean("/" + name)
	}
	done, rest := "/", strings.Split(path.Clean("/"+name), "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		if part == "" || part == "." {
			continue
		}
		next := path.Join(done, part)
		target, err := l.ReadLink(next)
		if err != nil || links == mostLinks {
			done = next
			continue
		}
		links++
		if strings.HasPrefix(target, "/") {
			done = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return done
}

// glob expands a pattern of path.Match's kind, part by part, sorted. A
// pattern without wildcards is itself where the file exists.
func glob(root Root, pattern string, most int) []string {
	found := []string{"/"}
	for part := range strings.SplitSeq(strings.Trim(path.Clean("/"+pattern), "/"), "/") {
		var next []string
		for _, dir := range found {
			next = append(next, step(root, dir, part)...)
			if len(next) > most {
				return next
			}
		}
		found = next
	}
	return found
}

func step(root Root, dir, part string) (out []string) {
	if !strings.ContainsAny(part, `*?[`) {
		name := path.Join(dir, part)
		if _, err := root.Stat(name); err == nil {
			return []string{name}
		}
		return nil
	}
	list, _ := root.ReadDir(dir)
	for _, d := range list {
		hidden := strings.HasPrefix(d.Name(), ".") && !strings.HasPrefix(part, ".")
		if ok, _ := path.Match(part, d.Name()); ok && !hidden {
			out = append(out, path.Join(dir, d.Name()))
		}
	}
	return out
}
