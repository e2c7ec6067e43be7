package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// singleHanded are packages, below internal/, that start goroutines in their
// tests only, to serve sockets or to be killed: what they test has no
// goroutine, and takes minutes under the race detector. history is used by
// watch and cli, whose tests run under it; SQLite itself is C made Go, twenty
// times as slow there.
var singleHanded = []string{"firewall", "firewall/source", "remedy/serverconf", "history"}

// concurrent lists the packages that start goroutines, in the code or in its
// tests: the race detector sees nothing in the others that it does not see
// here, where they are used.
func concurrent(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-json=Dir,ImportPath,GoFiles,TestGoFiles,XTestGoFiles", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w", err)
	}
	var found []string
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir, ImportPath                    string
			GoFiles, TestGoFiles, XTestGoFiles []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("read go list's output: %w", err)
		}
		for _, file := range append(append(p.GoFiles, p.TestGoFiles...), p.XTestGoFiles...) {
			starts, err := startsGoroutines(filepath.Join(p.Dir, file))
			if err != nil {
				return nil, err
			}
			if starts && !slices.ContainsFunc(singleHanded, func(name string) bool { return strings.HasSuffix(p.ImportPath, "/internal/"+name) }) {
				found = append(found, p.ImportPath)
				break
			}
		}
	}
}

// startsGoroutines tells whether a file has a go statement, or calls a method
// Go (sync.WaitGroup, errgroup).
func startsGoroutines(file string) (bool, error) {
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return false, fmt.Errorf("look for goroutines: %w", err)
	}
	found := false
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = true
		case *ast.CallExpr:
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Go" {
				found = true
			}
		}
		return !found
	})
	return found, nil
}
