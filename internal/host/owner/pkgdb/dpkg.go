package pkgdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
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
	hits, err := searchFiles(ctx, info, lists, wanted, lineNames)
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
	hits, err := searchFiles(ctx, dir, lists, names, sumNames)
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

// searchFiles reads many files in parallel and gives the names in them that
// are wanted.
func searchFiles(ctx context.Context, dir *rootfs.FS, files []string, wanted *nameSet, split func([]byte, func([]byte))) ([]hit, error) {
	var next atomic.Int64
	var mu sync.Mutex
	var hits []hit
	var failed error
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 8, len(files)) {
		wg.Go(func() {
			mine, err := searchSome(ctx, dir, files, &next, wanted, split)
			mu.Lock()
			defer mu.Unlock()
			hits = append(hits, mine...)
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	return hits, failed
}

func searchSome(ctx context.Context, dir *rootfs.FS, files []string, next *atomic.Int64, wanted *nameSet, split func([]byte, func([]byte))) ([]hit, error) {
	var hits []hit
	buf := make([]byte, 0, 128<<10) // most lists are smaller
	for {
		i := int(next.Add(1) - 1)
		if i >= len(files) {
			return hits, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		text, err := dir.ReadInto(files[i], buf, maxList)
		if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", files[i], err)
		}
		buf = text[:0]
		split(text, func(name []byte) {
			if _, ok := wanted.lookup(name); ok {
				hits = append(hits, hit{files[i], string(name)})
			}
		})
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
