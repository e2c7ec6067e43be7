package rootfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
)

// ErrTooLarge is the answer for a file above the reader's limit.
var ErrTooLarge = errors.New("file is larger than this reader allows")

// ErrNotRegular is the answer for a device, pipe, socket or directory.
var ErrNotRegular = errors.New("not a regular file")

// maxLinks is the kernel's own bound on symbolic links in one path (MAXSYMLINKS).
const maxLinks = 40

// FS is one root directory.
type FS struct {
	root *os.Root
	// folders remembers directories that are no symbolic link, by path.
	folders sync.Map
	// top is the directory itself, opened when ReadInto first needs it.
	top     *os.File
	topErr  error
	openTop sync.Once
}

// Open opens a root directory, as "/" or "/proc/1/root".
func Open(dir string) (*FS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &FS{root: root}, nil
}

// Close frees the directory.
func (f *FS) Close() error {
	f.openTop.Do(func() { f.topErr = fs.ErrClosed })
	if f.top != nil {
		_ = f.top.Close()
	}
	return f.root.Close()
}

func (f *FS) directory() (*os.File, error) {
	f.openTop.Do(func() { f.top, f.topErr = f.root.Open(".") })
	return f.top, f.topErr
}

// Info describes the root directory itself.
func (f *FS) Info() (fs.FileInfo, error) { return f.root.Stat(".") }

func relative(name string) string {
	if rel := strings.TrimPrefix(path.Clean("/"+name), "/"); rel != "" {
		return rel
	}
	return "."
}

// Resolve follows every symbolic link of a path and gives the path of the
// file itself. It fails with fs.ErrNotExist when the file is not there.
func (f *FS) Resolve(name string) (string, error) {
	rest := strings.Split(relative(name), "/")
	done := "/"
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			done = path.Dir(done)
			continue
		}
		here := path.Join(done, part)
		link, err := f.isLink(here)
		if err != nil {
			return "", err
		}
		if !link {
			done = here
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: too many symbolic links", name)
		}
		target, err := f.root.Readlink(relative(here))
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(target, "/") {
			done = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return done, nil
}

func (f *FS) isLink(name string) (bool, error) {
	if _, folder := f.folders.Load(name); folder {
		return false, nil
	}
	info, err := f.Lstat(name)
	if err == nil && info.IsDir() {
		f.folders.Store(name, nil)
	}
	return err == nil && info.Mode()&fs.ModeSymlink != 0, err
}

// Lstat describes the file, or the symbolic link, at a path whose folders are
// no symbolic links out of the root.
func (f *FS) Lstat(name string) (fs.FileInfo, error) { return f.root.Lstat(relative(name)) }

// Stat describes the file that the path leads to.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	real, err := f.Resolve(name)
	if err != nil {
		return nil, err
	}
	return f.Lstat(real)
}

// Readlink gives the text of a symbolic link.
func (f *FS) Readlink(name string) (string, error) { return f.root.Readlink(relative(name)) }

// ReadFile reads a regular file of at most limit bytes.
func (f *FS) ReadFile(name string, limit int64) ([]byte, error) {
	file, err := f.OpenFile(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readRegular(file, name, limit)
}

// OpenFile opens a regular file for reading.
func (f *FS) OpenFile(name string) (*os.File, error) {
	real, err := f.Resolve(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Lstat(real)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // an open alone may have effects
		return nil, fmt.Errorf("read %s: %w", name, ErrNotRegular)
	}
	return f.root.OpenFile(relative(real), os.O_RDONLY|nonBlocking, 0)
}

func readRegular(file *os.File, name string, limit int64) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: %w", name, ErrNotRegular)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("read %s: %w (%d bytes)", name, ErrTooLarge, limit)
	}
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("read %s: %w (%d bytes)", name, ErrTooLarge, limit)
	}
	return text, err
}

// maxNames bounds one directory listing.
const maxNames = 1 << 18

// ReadDir lists the names in a directory, unsorted.
func (f *FS) ReadDir(name string) ([]string, error) {
	real, err := f.Resolve(name)
	if err != nil {
		return nil, err
	}
	dir, err := f.root.Open(relative(real))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxNames)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}

// Sub opens a directory below as a root of its own: the way to read many
// files of one directory cheaply.
func (f *FS) Sub(name string) (*FS, error) {
	real, err := f.Resolve(name)
	if err != nil {
		return nil, err
	}
	root, err := f.root.OpenRoot(relative(real))
	if err != nil {
		return nil, err
	}
	return &FS{root: root}, nil
}
