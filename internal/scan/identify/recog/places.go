package recog

import (
	_ "embed"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

//go:embed places.txt
var placesText string

// Look is what Find needs of the system. Getenv is required; a nil Glob asks
// the file system, which must answer with existing folders.
type Look struct {
	Getenv func(name string) string
	Glob   func(pattern string) []string
}

// Find looks in the usual places for a folder of fingerprints.
func Find(l Look) (folder string, ok bool) {
	if l.Glob == nil {
		l.Glob = foldersLike
	}
	for line := range strings.Lines(placesText) {
		pattern := l.expand(strings.TrimSpace(line))
		if pattern == "" {
			continue
		}
		if found := l.Glob(pattern); len(found) > 0 {
			return slices.MaxFunc(found, byVersion), true
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

// foldersLike are the folders that a pattern names and that hold XML files.
func foldersLike(pattern string) []string {
	found, err := filepath.Glob(pattern)
	if err != nil { // a variable that is no pattern
		return nil
	}
	return slices.DeleteFunc(found, func(path string) bool {
		files, err := filepath.Glob(filepath.Join(path, "*.xml"))
		return err != nil || len(files) == 0
	})
}

// byVersion compares paths with numbers in them: recog-3.10 is after
// recog-3.9.
func byVersion(a, b string) int {
	split := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(`/\-.`, r) })
	}
	return slices.CompareFunc(split(a), split(b), func(x, y string) int {
		n, errX := strconv.Atoi(x)
		m, errY := strconv.Atoi(y)
		if errX == nil && errY == nil {
			return n - m
		}
		return strings.Compare(x, y)
	})
}
