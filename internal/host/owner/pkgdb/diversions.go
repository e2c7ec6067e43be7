package pkgdb

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

// diversions holds the file diversions: the files of all packages but one
// that would stand at "from" stand at "to" (dpkg-divert(1)).
type diversions struct {
	from map[string]diversion // by the path that packages list
	to   map[string]string    // where the file stands → the path packages list
}

type diversion struct{ to, by string }

// local is the mark of a diversion that no package, but the administrator,
// made.
const local = ":"

func readDiversions(files *rootfs.FS) (diversions, error) {
	text, err := files.ReadFile(dpkgDiversions, maxList)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return parseDiversions(string(text)), err
}

// parseDiversions reads three lines for each diversion: from, to, package.
func parseDiversions(text string) diversions {
	d := diversions{map[string]diversion{}, map[string]string{}}
	lines := strings.Split(text, "\n")
	for ; len(lines) >= 3; lines = lines[3:] {
		from, to, by := lines[0], lines[1], lines[2]
		if from == "" || to == "" || by == "" {
			continue
		}
		d.from[from] = diversion{to, by}
		d.to[to] = from
	}
	return d
}

// wanted adds to the names the paths under which packages list diverted
// files.
func (d diversions) wanted(names *nameSet) *nameSet {
	all := newNameSet(nil)
	for name := range names.names {
		all.add(name)
		if from, ok := d.to[name]; ok {
			all.add(from)
		}
	}
	return all
}

// concern reports whether any diversion is about a wanted file.
func (d diversions) concern(names *nameSet) bool {
	for name := range names.names {
		_, to := d.to[name]
		_, from := d.from[name]
		if to || from {
			return true
		}
	}
	return false
}

// owned tells which file that was asked for a package's listed path stands
// for; false when its file was diverted elsewhere.
func (d diversions) owned(listed, pkg string, names *nameSet) (asked string, ok bool) {
	stands := listed
	if div, diverted := d.from[listed]; diverted && (div.by == local || dpkgName(div.by) != pkg) {
		stands = div.to
	}
	asked, ok = names.names[stands]
	return asked, ok
}
