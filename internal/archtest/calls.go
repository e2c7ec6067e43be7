package archtest

import (
	"go/ast"
	"go/token"
	"slices"
)

// use is one mention of a name of an imported package: os.Exit, time.Now.
type use struct{ pkg, name, where string }

// uses lists every selector on an imported package in a file. A local
// variable that shadows the package's name is none.
func (t *tree) uses(f *file) []use {
	paths := map[string]string{}
	for _, imp := range t.imports(f) {
		paths[imp.name] = imp.path
	}
	var out []use
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		id, ok := sel.X.(*ast.Ident)
		if ok && id.Obj == nil && paths[id.Name] != "" {
			out = append(out, use{paths[id.Name], sel.Sel.Name, t.at(sel.Pos())})
		}
		return true
	})
	return out
}

// forbidUses reports mentions that a choice of files must not have.
func forbidUses(t *tree, of func(*file) bool, banned map[string][]string, why string) []Violation {
	var out []Violation
	for _, f := range t.files {
		if !of(f) {
			continue
		}
		for _, u := range t.uses(f) {
			if slices.Contains(banned[u.pkg], u.name) {
				out = append(out, Violation{u.where, "uses " + u.pkg + "." + u.name, why})
			}
		}
	}
	return out
}

// noClock keeps the audit free of the clock.
func noClock(t *tree) []Violation {
	return forbidUses(t, func(f *file) bool { return f.room == "audit" && !f.test },
		map[string][]string{"time": {"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}},
		"audit is the pure join: the time of the evidence is handed in")
}

// handedDown wants contexts to come from cli.
func handedDown(t *tree) []Violation {
	return forbidUses(t, (*file).isLibrary,
		map[string][]string{"context": {"Background", "TODO"}},
		"a context is handed down from cli, so that an interrupt reaches everything")
}

// quietLibraries wants flags, environment, output and exit codes in cli.
func quietLibraries(t *tree) []Violation {
	banned := map[string][]string{
		"os":  {"Exit", "Getenv", "LookupEnv", "Args", "Stdin", "Stdout", "Stderr"},
		"fmt": {"Print", "Printf", "Println"},
	}
	out := forbidUses(t, (*file).isLibrary, banned,
		"flags, environment, output and exit codes live only in cli; a library returns values")
	return append(out, forbidImports(t, (*file).isLibrary,
		func(p string) bool { return p == "log" || p == "log/slog" || p == "flag" },
		"no logging and no flags in library code; it returns values and errors")...)
}

// errorText refuses to match errors by their words.
func errorText(t *tree) []Violation {
	var out []Violation
	for _, f := range t.files {
		if f.test || f.generated {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if matchesErrorText(n) {
				out = append(out, Violation{t.at(n.Pos()), "matches an error by its text", "use errors.Is or errors.As"})
			}
			return true
		})
	}
	return out
}

func matchesErrorText(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		return (n.Op == token.EQL || n.Op == token.NEQ) && (isErrorText(n.X) || isErrorText(n.Y))
	case *ast.CallExpr:
		sel, ok := n.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains([]string{"Contains", "HasPrefix", "HasSuffix", "EqualFold", "MatchString"}, sel.Sel.Name) {
			return false
		}
		return slices.ContainsFunc(n.Args, isErrorText)
	}
	return false
}

// isErrorText reports an expression x.Error().
func isErrorText(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) != 0 {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Error"
}
