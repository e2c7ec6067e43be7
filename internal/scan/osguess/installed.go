package osguess

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/osguess/nmapos"
	"github.com/portreeve/portreeve/internal/scan/osguess/p0f"
)

// ErrUnknownDatabase says that a file is no database that is read here.
var ErrUnknownDatabase = errors.New("neither p0f.fp of p0f 3 nor nmap-os-db")

// Places are where the programs' packages put their databases, below the
// root; the first of each kind that is there is read.
func Places() [][]string {
	return [][]string{
		{"etc/p0f/p0f.fp", "etc/p0f.fp", "usr/local/etc/p0f.fp", "usr/local/etc/p0f/p0f.fp", "usr/share/p0f/p0f.fp",
			"opt/homebrew/etc/p0f/p0f.fp", "usr/pkg/share/examples/p0f/p0f.fp"},
		{"usr/share/nmap/nmap-os-db", "usr/local/share/nmap/nmap-os-db", "opt/homebrew/share/nmap/nmap-os-db",
			"usr/pkg/share/nmap/nmap-os-db", "opt/local/share/nmap/nmap-os-db"},
	}
}

// Find reads the databases installed below a root (os.DirFS("/")). One that is
// there and cannot be read is a gap.
func Find(root fs.FS) ([]Database, []exposure.Gap) {
	var found []Database
	var gaps []exposure.Gap
	for _, paths := range Places() {
		for _, path := range paths {
			db, err := open(root, path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				gaps = append(gaps, exposure.Gap{View: "network", Why: fmt.Sprintf("the installed signatures of operating systems in /%s were not used: %v", path, err)})
			} else {
				found = append(found, db)
			}
			break
		}
	}
	return found, gaps
}

func open(root fs.FS, path string) (Database, error) {
	f, err := root.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return Load(f)
}

// Load reads a database, told apart by its content. Its error wraps
// ErrUnknownDatabase, p0f.ErrFormat or nmapos.ErrFormat where the content is
// at fault.
func Load(r io.Reader) (Database, error) {
	b := bufio.NewReaderSize(r, peek)
	head, err := b.Peek(peek)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read signatures of operating systems: %w", err)
	}
	switch text := "\n" + string(head); {
	case strings.Contains(text, "\nMatchPoints") || strings.Contains(text, "\nFingerprint "):
		return loaded(nmapos.Read(b))
	case strings.Contains(text, "\n[") || strings.Contains(text, "\nclasses"):
		return loaded(p0f.Read(b))
	}
	return nil, ErrUnknownDatabase
}

// peek is how far into a file its kind must show.
const peek = 64 << 10

// loaded keeps a nil table from becoming a database that is not nil.
func loaded[T Database](db T, err error) (Database, error) {
	if err != nil {
		return nil, err
	}
	return db, nil
}
