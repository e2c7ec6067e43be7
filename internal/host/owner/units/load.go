package units

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

// loadPath is the system manager's unit load path, strongest first
// (systemd.unit(5), table 1, and systemd-analyze unit-paths).
var loadPath = []string{
	"/etc/systemd/system.control",
	"/run/systemd/system.control",
	"/run/systemd/transient",
	"/run/systemd/generator.early",
	"/etc/systemd/system",
	"/etc/systemd/system.attached",
	"/run/systemd/system",
	"/run/systemd/system.attached",
	"/run/systemd/generator",
	"/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system",
	"/lib/systemd/system",
	"/run/systemd/generator.late",
}

const (
	maxFile  = 1 << 20 // bytes of one unit file
	maxUnits = 4096
)

// tree is what the load path's folders list.
type tree struct {
	files *rootfs.FS
	units map[string]string   // unit name → file, from the strongest folder
	drops map[string][]string // "NAME.d" → folders, strongest first
	wants map[string]bool     // unit names that something pulls in
}

func readTree(files *rootfs.FS) *tree {
	t := &tree{files: files, units: map[string]string{}, drops: map[string][]string{}, wants: map[string]bool{}}
	seen := map[string]bool{}
	for _, dir := range loadPath {
		real, err := files.Resolve(dir)
		if err != nil || seen[real] { // /lib is often a link to /usr/lib
			continue
		}
		seen[real] = true
		t.list(real, strings.HasPrefix(dir, "/run/systemd/generator"))
	}
	return t
}

func (t *tree) list(dir string, generated bool) {
	names, err := t.files.ReadDir(dir)
	if err != nil {
		return
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case strings.HasSuffix(name, ".socket"):
			t.unit(dir, name, generated)
		case strings.HasSuffix(name, ".socket.d") || name == "socket.d":
			t.drops[name] = append(t.drops[name], path.Join(dir, name))
		case strings.HasSuffix(name, ".wants") || strings.HasSuffix(name, ".requires") || strings.HasSuffix(name, ".upholds"):
			t.wanted(path.Join(dir, name))
		}
	}
}

func (t *tree) unit(dir, name string, generated bool) {
	if _, stronger := t.units[name]; stronger || len(t.units) >= maxUnits {
		return
	}
	t.units[name] = path.Join(dir, name)
	if generated {
		t.wants[name] = true
	}
}

func (t *tree) wanted(dir string) {
	names, err := t.files.ReadDir(dir)
	if err != nil {
		return
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".socket") {
			t.wants[name] = true
		}
	}
}

// instances lists the units to read: every plain one, and for a template the
// instances that something wants or that have a file.
func (t *tree) instances() []string {
	var names []string
	for name := range t.units {
		if _, instance, template := splitTemplate(name); !template || instance != "" {
			names = append(names, name)
		}
	}
	for name := range t.wants {
		prefix, instance, template := splitTemplate(name)
		if _, listed := t.units[name]; !listed && template && instance != "" && t.units[prefix+"@.socket"] != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// splitTemplate takes "foo@bar.socket" apart.
func splitTemplate(name string) (prefix, instance string, template bool) {
	stem := strings.TrimSuffix(name, path.Ext(name))
	return strings.Cut(stem, "@")
}

// text gives the unit's file and its drop-ins, in the order in which they are
// read; masked is a unit that is linked to /dev/null or empty.
func (t *tree) text(name string) (parts []string, masked bool) {
	prefix, _, template := splitTemplate(name)
	file, ok := t.units[name]
	if !ok && template {
		file, ok = t.units[prefix+"@.socket"]
	}
	if !ok {
		return nil, true
	}
	main, masked := t.file(file)
	if masked {
		return nil, true
	}
	return append([]string{main}, t.dropIns(name)...), false
}

func (t *tree) file(name string) (text string, masked bool) {
	raw, err := t.files.ReadFile(name, maxFile)
	if errors.Is(err, rootfs.ErrNotRegular) || errors.Is(err, fs.ErrNotExist) || len(raw) == 0 {
		return "", true
	}
	return string(raw), false
}

// dropIns gives the drop-in files that apply, by file name; a folder that is
// stronger, or named more exactly, hides the same name in another.
func (t *tree) dropIns(name string) []string {
	files := map[string]string{}
	for _, folder := range dropFolders(name) {
		for _, dir := range t.drops[folder] {
			t.collect(dir, files)
		}
	}
	var parts []string
	for _, base := range slices.Sorted(maps.Keys(files)) {
		if text, masked := t.file(files[base]); !masked {
			parts = append(parts, text)
		}
	}
	return parts
}

func (t *tree) collect(dir string, files map[string]string) {
	names, err := t.files.ReadDir(dir)
	if err != nil {
		return
	}
	for _, base := range names {
		if _, hidden := files[base]; !hidden && strings.HasSuffix(base, ".conf") && len(files) < maxUnits {
			files[base] = path.Join(dir, base)
		}
	}
}

// dropFolders lists the drop-in folders of a unit, most exact first: its own,
// its template's, those of its name cut at each dash, and its type's.
func dropFolders(name string) []string {
	folders := []string{name + ".d"}
	prefix, _, template := splitTemplate(name)
	if template {
		folders = append(folders, prefix+"@.socket.d")
	}
	stem := strings.TrimSuffix(name, ".socket")
	for i := len(stem) - 1; i > 0; i-- {
		if stem[i] == '-' {
			folders = append(folders, stem[:i+1]+".socket.d")
		}
	}
	return append(folders, "socket.d")
}
