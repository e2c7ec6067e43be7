package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

const maxLines = 600

// names refuses package names that say nothing.
func names(t *tree) []Violation {
	vague := []string{"util", "utils", "common", "helper", "helpers", "type", "types", "model", "models", "misc"}
	var out []Violation
	for _, files := range t.packages() {
		f := files[0]
		base := path.Base(f.dir)
		if slices.Contains(vague, base) || slices.Contains(vague, f.ast.Name.Name) {
			out = append(out, Violation{f.dir, "is a package called " + base, "name a package after what it is for"})
		}
	}
	return out
}

// packageComments wants one guide per package, in doc.go (main.go will do for
// a program).
func packageComments(t *tree) []Violation {
	var out []Violation
	for _, files := range t.packages() {
		sources := slices.DeleteFunc(slices.Clone(files), func(f *file) bool { return f.test || f.generated })
		if len(sources) == 0 {
			continue
		}
		if v, bad := oneComment(sources); bad {
			out = append(out, v)
		}
	}
	return out
}

func oneComment(sources []*file) (Violation, bool) {
	commented := slices.DeleteFunc(slices.Clone(sources), func(f *file) bool {
		return f.ast.Doc == nil || strings.TrimSpace(f.ast.Doc.Text()) == ""
	})
	const why = "every package has exactly one package comment, in doc.go, that is a guide to it"
	switch {
	case len(commented) == 0:
		return Violation{sources[0].dir, "has no package comment", why}, true
	case len(commented) > 1:
		return Violation{commented[1].path, "is a second package comment beside " + path.Base(commented[0].path), why}, true
	}
	f := commented[0]
	if base := path.Base(f.path); base != "doc.go" && !(f.isProgram() && base == "main.go") {
		return Violation{f.path, "holds the package comment", why}, true
	}
	if !f.isProgram() && !strings.HasPrefix(f.ast.Doc.Text(), "Package "+f.ast.Name.Name+" ") {
		return Violation{f.path, fmt.Sprintf("does not begin %q", "Package "+f.ast.Name.Name+" …"), why}, true
	}
	return Violation{}, false
}

// noInit refuses work before main.
func noInit(t *tree) []Violation {
	var out []Violation
	for _, f := range t.files {
		if f.test || f.generated {
			continue
		}
		for _, decl := range f.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				out = append(out, Violation{t.at(fn.Pos()), "has an init function", "nothing works before main: build values where they are used"})
			}
		}
	}
	return out
}

// fileSize keeps files readable in one go.
func fileSize(t *tree) []Violation {
	var out []Violation
	for _, f := range t.files {
		if !f.test && !f.generated && f.lines > maxLines {
			out = append(out, Violation{f.path, fmt.Sprintf("has %d lines", f.lines),
				fmt.Sprintf("a file has at most %d; split it along what it does", maxLines)})
		}
	}
	return out
}

// installable refuses the go.mod lines that make `go install …@version` fail.
func installable(t *tree) []Violation {
	var out []Violation
	for line := range strings.Lines(string(t.gomod)) {
		for _, word := range []string{"replace", "exclude"} {
			if rest, ok := strings.CutPrefix(line, word); ok && strings.IndexAny(rest, " \t(") == 0 {
				out = append(out, Violation{"go.mod", "has a " + word + " line", "go install …@version must work"})
			}
		}
	}
	return out
}
