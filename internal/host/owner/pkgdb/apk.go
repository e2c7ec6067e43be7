package pkgdb

import (
	"context"
	"errors"
	"io/fs"
)

// apkInstalled are the places of apk's database; the second is that of roots
// whose /lib is merged into /usr.
var apkInstalled = []string{"/lib/apk/db/installed", "/usr/lib/apk/db/installed"}

func findApk(ctx context.Context, root Root, names *nameSet) error {
	for _, file := range apkInstalled {
		text, err := root.Files.ReadFile(file, maxList)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		parseApk(text, names)
		return ctx.Err()
	}
	return errAbsent
}

// parseApk reads apk's installed file: one letter, a colon and a value on a
// line; "P" begins the name of a package, "F" a folder, "R" a file in it; an
// empty line ends the package (apk-package(5)).
func parseApk(text []byte, names *nameSet) {
	var pkg string
	var name []byte
	folder := 0
	lineNames(text, func(line []byte) {
		if len(line) < 2 || line[1] != ':' {
			pkg, name, folder = "", name[:0], 0
			return
		}
		switch value := line[2:]; line[0] {
		case 'P':
			pkg = string(value)
		case 'F':
			name = append(append(name[:0], '/'), value...)
			if len(value) > 0 {
				name = append(name, '/')
			}
			folder = len(name)
		case 'R':
			if folder == 0 {
				return
			}
			name = append(name[:folder], value...)
			if asked, ok := names.lookup(name); ok && pkg != "" {
				names.found(asked, pkg)
			}
		}
	})
}
