package serverconf

import (
	"path"
	"strings"
)

// unitFolders are where systemd keeps units, strongest first
// (systemd.unit(5), "Unit File Load Path").
func unitFolders() []string {
	return []string{
		"/etc/systemd/system", "/run/systemd/system", "/run/systemd/generator", "/usr/local/lib/systemd/system",
		"/usr/lib/systemd/system", "/lib/systemd/system",
	}
}

// unitFiles lists a unit's file and its drop-ins in the order in which systemd
// reads them: a drop-in of a stronger folder hides its namesake, and all are
// read by name.
func unitFiles(root Root, unit string) (out []string) {
	names := unitNames(unit)
	for _, dir := range unitFolders() {
		for _, n := range names {
			if out == nil && isFile(root, path.Join(dir, n)) {
				out = []string{path.Join(dir, n)}
			}
		}
	}
	if out == nil {
		return nil
	}
	drops := map[string]string{}
	for _, dir := range unitFolders() {
		for _, n := range names {
			for _, d := range glob(root, path.Join(dir, n+".d")+"/*.conf", mostFiles) {
				if drops[path.Base(d)] == "" {
					drops[path.Base(d)] = d
				}
			}
		}
	}
	for _, name := range sortedKeys(drops) {
		out = append(out, drops[name])
	}
	return out
}

func isFile(root Root, name string) bool {
	info, err := root.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// unitNames are a unit's own name and its template's.
func unitNames(unit string) []string {
	at := strings.IndexByte(unit, '@')
	dot := strings.LastIndexByte(unit, '.')
	if at < 0 || dot < at+2 {
		return []string{unit}
	}
	return []string{unit, unit[:at+1] + unit[dot:]}
}

func unitInstance(unit string) string {
	at, dot := strings.IndexByte(unit, '@'), strings.LastIndexByte(unit, '.')
	if at < 0 || dot < at+1 {
		return ""
	}
	return unit[at+1 : dot]
}

// unitValues gives the values of a setting over a unit's files; an empty
// value forgets those before it.
func unitValues(root Root, files []string, section, key string) (out []string) {
	for _, name := range files {
		f, err := readSmall(root, name)
		if err != nil {
			continue
		}
		for _, e := range systemdSyntax().scan(f) {
			if e.section == section && e.key == key {
				out = append(out, e.val)
				if e.val == "" {
					out = nil
				}
			}
		}
	}
	return out
}

func systemdSyntax() syntax {
	return syntax{comments: "#;", equals: true, strict: true, sections: true}
}

func readSmall(root Root, name string) (*file, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > mostBytes {
		return &file{path: name}, nil
	}
	data, err := root.ReadFile(name)
	return &file{path: name, data: data, mode: info.Mode()}, err
}

// execStart is the command line of a service unit, as far as it can be told
// without its environment: "$ARGS" stays as it is.
func execStart(root Root, unit string, look func(string)) []string {
	files := unitFiles(root, unit)
	for _, f := range files {
		look(f)
	}
	lines := unitValues(root, files, "Service", "ExecStart")
	if len(lines) == 0 {
		return nil
	}
	argv := words(strings.ReplaceAll(lines[len(lines)-1], "%i", unitInstance(unit)))
	if len(argv) > 0 {
		argv[0] = strings.TrimLeft(argv[0], "@-:+!|")
	}
	return argv
}

// words splits a command line at white space, quotes respected.
func words(line string) (out []string) {
	var word strings.Builder
	var quote byte
	inWord := false
	for i := range len(line) {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, inWord = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if inWord {
				out = append(out, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		out = append(out, word.String())
	}
	return out
}
