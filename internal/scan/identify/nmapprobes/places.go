package nmapprobes

import (
	_ "embed"
	"os"
	"strings"
)

//go:embed places.txt
var placesText string

// Look is what Find needs of the system. Getenv is required; a nil IsFile
// asks the file system.
type Look struct {
	Getenv func(name string) string
	IsFile func(path string) bool
}

// Find looks in the usual places for the file that nmap has installed.
func Find(l Look) (path string, ok bool) {
	if l.IsFile == nil {
		l.IsFile = isFile
	}
	for line := range strings.Lines(placesText) {
		if path := l.expand(strings.TrimSpace(line)); path != "" && l.IsFile(path) {
			return path, true
		}
	}
	return "", false
}

// expand puts variables into a place; "" for a comment and where a variable is
// not set.
func (l Look) expand(place string) string {
	if strings.HasPrefix(place, "#") {
		return ""
	}
	unset := false
	path := os.Expand(place, func(name string) string {
		value := l.Getenv(name)
		unset = unset || value == ""
		return value
	})
	if unset {
		return ""
	}
	return path
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
