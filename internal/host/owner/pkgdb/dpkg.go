package pkgdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

const (
	dpkgInfo       = "/var/lib/dpkg/info"
	dpkgStatusD    = "/var/lib/dpkg/status.d" // of images without dpkg itself
	dpkgDiversions = "/var/lib/dpkg/diversions"
	maxList        = 64 << 20 // bytes of one database file
)

// findDpkg reads the file lists of all packages, info/PACKAGE.list or
// info/PACKAGE:ARCH.list, one path a line (dpkg-query(1)).
func findDpkg(ctx context.Context, root Root, names *nameSet) error {
	info, err := root.Files.Sub(dpkgInfo)
	if errors.Is(err, fs.ErrNotExist) {
		return findStatusD(ctx, root, names)
	}
	if err != nil {
		return err
	}
	defer info.Close()
	lists, err := listed(info, ".list")
	if err != nil {
		return err
	}
	diverted, err := readDiversions(root.Files)
	if err != nil {
		return err
	}
	wanted := diverted.wanted(names)
	// Where a diversion is about a wanted file, two packages may name it.
	asked := names
	if diverted.concern(names) {
		asked = nil
	}
	hits, err := searchFiles(ctx, info, lists, wanted, asked, lineNames)
	if err != nil {
		return err
	}
	for _, h := range hits {
		pkg := dpkgName(strings.TrimSuffix(h.file, ".list"))
		if asked, ok := diverted.owned(h.name, pkg, names); ok {
			names.found(asked, pkg)
		}
	}
	return nil
}

// findStatusD reads status.d/PACKAGE.md5sums, which images built without dpkg
// keep instead: a sum and a path without its first slash on a line.
func findStatusD(ctx context.Context, root Root, names *nameSet) error {
	dir, err := root.Files.Sub(dpkgStatusD)
	if errors.Is(err, fs.ErrNotExist) {
		return errAbsent
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	lists, err := listed(dir, ".md5sums")
	if err != nil {
		return err
	}
	hits, err := searchFiles(ctx, dir, lists, names, names, sumNames)
	for _, h := range hits {
		names.found(names.names[h.name], dpkgName(strings.TrimSuffix(h.file, ".md5sums")))
	}
	return err
}

func listed(dir *rootfs.FS, ending string) ([]string, error) {
	all, err := dir.ReadDir("/")
	var lists []string
	for _, name := range all {
		if strings.HasSuffix(name, ending) {
			lists = append(lists, name)
		}
	}
	return lists, err
}

func dpkgName(list string) string {
	name, _, _ := strings.Cut(list, ":")
	return name
}

// hit is a name found in a file of a database.
type hit struct{ file, name string }

// search is one reading of many files in parallel. Files that look as if they
// belonged to what is wanted come first, and it ends when all was found: a
// package's name mostly begins like its program.
type search struct {
	dir    *rootfs.FS
	files  []string
	wanted *nameSet
	split  func([]byte, func([]byte))
	next   atomic.Int64
	enough atomic.Bool

	mu      sync.Mutex
	hits    []hit
	asked   *nameSet
	missing map[string]string // of asked: paths that are not found yet
}

// searchFiles reads many files in parallel and gives the names in them that
// are wanted: enough of them for every path of asked, or all where asked is
// nil.
func searchFiles(ctx context.Context, dir *rootfs.FS, files []string, wanted, asked *nameSet, split func([]byte, func([]byte))) ([]hit, error) {
	s := &search{dir: dir, files: likelyFirst(files, wanted), wanted: wanted, asked: asked, split: split}
	if asked != nil {
		s.missing = maps.Clone(asked.files)
	}
	var failed error
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 8, len(files)) {
		wg.Go(func() {
			err := s.some(ctx)
			s.mu.Lock()
			defer s.mu.Unlock()
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	return s.hits, failed
}

// likelyPrefix is how much of a program's name a package's name should have.
const likelyPrefix = 3

// likelyFirst orders files: those whose name holds the beginning of a wanted
// file's name before the others.
func likelyFirst(files []string, wanted *nameSet) []string {
	var stems []string
	for asked := range wanted.files {
		base := path.Base(asked)
		stems = append(stems, base[:min(likelyPrefix, len(base))])
	}
	var likely, others []string
	for _, f := range files {
		if slices.ContainsFunc(stems, func(s string) bool { return strings.Contains(f, s) }) {
			likely = append(likely, f)
		} else {
			others = append(others, f)
		}
	}
	return append(likely, others...)
}

func (s *search) some(ctx context.Context) error {
	buf := make([]byte, 0, 128<<10) // most lists are smaller
	for !s.enough.Load() {
		i := int(s.next.Add(1) - 1)
		if i >= len(s.files) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		text, err := s.dir.ReadInto(s.files[i], buf, maxList)
		if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.files[i], err)
		}
		buf = text[:0]
		s.split(text, func(name []byte) {
			if _, ok := s.wanted.lookup(name); ok {
				s.hit(hit{s.files[i], string(name)})
			}
		})
	}
	return nil
}

func (s *search) hit(h hit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hits = append(s.hits, h)
	if s.asked != nil {
		delete(s.missing, s.asked.names[h.name])
		s.enough.Store(len(s.missing) == 0)
	}
}

// lineNames gives every line.
func lineNames(text []byte, yield func([]byte)) {
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			end = len(text)
		}
		yield(text[:end])
		text = text[min(end+1, len(text)):]
	}
}

// sumNames gives the path of every line "SUM  path", with a slash before it:
// the text's own blank is lent for that.
func sumNames(text []byte, yield func([]byte)) {
	lineNames(text, func(line []byte) {
		blank := bytes.IndexByte(line, ' ')
		if blank < 0 || blank+2 >= len(line) {
			return
		}
		name := line[blank+1:]
		name[0] = '/'
		yield(name)
	})
}
