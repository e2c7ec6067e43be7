package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Violation is one broken rule.
type Violation struct {
	Where string // file, or file:line
	What  string // what the file does
	Why   string // the rule
}

func (v Violation) String() string { return v.Where + ": " + v.What + ": " + v.Why }

// tree is the parsed sources of one module.
type tree struct {
	fset   *token.FileSet
	module string
	files  []*file
	gomod  []byte
}

// file is one Go file with what the rules ask of it.
type file struct {
	path      string // slash-separated, relative to the module root
	dir       string
	room      string
	lines     int
	test      bool
	generated bool
	ast       *ast.File
}

// load parses go.mod and every Go file below internal and cmd. Folders named
// testdata, and those that the go command ignores, are left out.
func load(fsys fs.FS) (*tree, error) {
	gomod, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return nil, fmt.Errorf("read the module's go.mod: %w", err)
	}
	t := &tree{fset: token.NewFileSet(), gomod: gomod, module: modulePath(gomod)}
	for _, top := range []string{"cmd", "internal"} {
		if _, err := fs.Stat(fsys, top); err != nil {
			continue
		}
		if err := fs.WalkDir(fsys, top, t.visit(fsys)); err != nil {
			return nil, fmt.Errorf("read the sources below %s: %w", top, err)
		}
	}
	return t, nil
}

func (t *tree) visit(fsys fs.FS) fs.WalkDirFunc {
	return func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && ignoredFolder(d.Name()) {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(p) != ".go" {
			return nil
		}
		return t.add(fsys, p)
	}
}

func ignoredFolder(name string) bool {
	return name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

func (t *tree) add(fsys fs.FS, p string) error {
	src, err := fs.ReadFile(fsys, p)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(t.fset, p, src, parser.ParseComments)
	if err != nil {
		return err
	}
	t.files = append(t.files, &file{
		path:      p,
		dir:       path.Dir(p),
		room:      roomOf(path.Dir(p)),
		lines:     bytes.Count(src, []byte("\n")),
		test:      strings.HasSuffix(p, "_test.go"),
		generated: ast.IsGenerated(parsed),
		ast:       parsed,
	})
	return nil
}

// modulePath reads the module line of a go.mod.
func modulePath(gomod []byte) string {
	for line := range strings.Lines(string(gomod)) {
		if rest, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// packages groups the files by folder, in order.
func (t *tree) packages() [][]*file {
	byDir := map[string][]*file{}
	var dirs []string
	for _, f := range t.files {
		if byDir[f.dir] == nil {
			dirs = append(dirs, f.dir)
		}
		byDir[f.dir] = append(byDir[f.dir], f)
	}
	slices.Sort(dirs)
	var out [][]*file
	for _, dir := range dirs {
		out = append(out, byDir[dir])
	}
	return out
}

// house gives the folder of an import of this module, and whether it is one.
func (t *tree) house(importPath string) (dir string, ok bool) {
	return strings.CutPrefix(importPath, t.module+"/")
}

// at names a place in a file.
func (t *tree) at(pos token.Pos) string {
	p := t.fset.Position(pos)
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

// imports lists a file's import paths with their places.
func (t *tree) imports(f *file) []importOf {
	var out []importOf
	for _, spec := range f.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err == nil {
			out = append(out, importOf{path: p, name: localName(spec, p), where: t.at(spec.Pos())})
		}
	}
	return out
}

// importOf is one import: its path, the name it has in the file, its place.
type importOf struct{ path, name, where string }

func localName(spec *ast.ImportSpec, importPath string) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	base := path.Base(importPath)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(importPath)) // math/rand/v2 is rand
	}
	return base
}

// isProgram reports a package main.
func (f *file) isProgram() bool { return f.ast.Name.Name == "main" }
