package pkgdb

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
)

const pacmanLocal = "/var/lib/pacman/local"

// findPacman reads local/NAME-VERSION-RELEASE/files of every package.
func findPacman(ctx context.Context, root Root, names *nameSet) error {
	dir, err := root.Files.Sub(pacmanLocal)
	if errors.Is(err, fs.ErrNotExist) {
		return errAbsent
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	packages, err := dir.ReadDir("/")
	if err != nil {
		return err
	}
	lists := make([]string, 0, len(packages))
	for _, p := range packages {
		if pacmanName(p) != "" {
			lists = append(lists, p+"/files")
		}
	}
	hits, err := searchFiles(ctx, dir, lists, names, names, pacmanNames)
	for _, h := range hits {
		names.found(names.names[h.name], pacmanName(strings.TrimSuffix(h.file, "/files")))
	}
	return err
}

// pacmanName takes the version and the release, which hold no dash, off the
// name of a package's folder; "" for another folder.
func pacmanName(folder string) string {
	name := folder
	for range 2 {
		dash := strings.LastIndexByte(name, '-')
		if dash <= 0 {
			return ""
		}
		name = name[:dash]
	}
	return name
}

// pacmanNames gives the lines of section %FILES%, which have no slash before
// them, up to the empty line that ends it.
func pacmanNames(text []byte, yield func([]byte)) {
	inFiles := false
	var name []byte
	lineNames(text, func(line []byte) {
		switch {
		case bytes.Equal(line, []byte("%FILES%")):
			inFiles = true
		case len(line) == 0 || line[0] == '%':
			inFiles = false
		case inFiles:
			name = append(append(name[:0], '/'), line...)
			yield(name)
		}
	})
}
