package pkgdb

import "strings"

// byFolder names the package of a file whose path tells it: "snap:NAME",
// "flatpak:ID", "nix:NAME-VERSION", "guix:NAME-VERSION", "brew:NAME".
func byFolder(p string) string {
	for _, f := range folders {
		rest, ok := strings.CutPrefix(p, f.prefix)
		if !ok {
			continue
		}
		parts := strings.SplitN(rest, "/", f.depth+2)
		if len(parts) < f.depth+2 || parts[f.depth] == "" {
			continue
		}
		if name := f.name(parts[f.depth]); name != "" {
			return f.system + ":" + name
		}
	}
	return ""
}

// folder says that the path element at depth below prefix names the package.
type folder struct {
	prefix string
	depth  int
	system string
	name   func(string) string
}

var folders = []folder{
	{"/snap/", 0, "snap", snapName},
	{"/var/lib/snapd/snap/", 0, "snap", snapName},
	{"/var/lib/flatpak/app/", 0, "flatpak", whole},
	{"/nix/store/", 0, "nix", afterHash},
	{"/gnu/store/", 0, "guix", afterHash},
	{"/home/linuxbrew/.linuxbrew/Cellar/", 0, "brew", whole},
	{"/opt/homebrew/Cellar/", 0, "brew", whole},
	{"/usr/local/Cellar/", 0, "brew", whole},
}

func whole(s string) string { return s }

// snapName leaves out the folder of command links and an instance's key.
func snapName(s string) string {
	if s == "bin" {
		return ""
	}
	name, _, _ := strings.Cut(s, "_")
	return name
}

// afterHash takes the 32 digits and the dash off a store name.
func afterHash(s string) string {
	const hash = 32
	if len(s) <= hash+1 || s[hash] != '-' {
		return ""
	}
	return s[hash+1:]
}
