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

// tooSlow are packages, below internal/, left out all the same: closing's tests
// start this program's test binary some hundred times to kill it, which takes
// ten minutes under the race detector. Its only goroutines ask addresses, each
// for itself.
var tooSlow = []string{"remedy/closing"}

// concurrent lists the packages whose code starts goroutines; tests that do so
// mostly serve sockets. The race detector sees little in the other packages
// that it does not see here, where they are used, and all of them take longer
// under it than everything else together.
func concurrent(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-json=Dir,ImportPath,GoFiles", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w", err)
	}
	var found []string
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir, ImportPath string
			GoFiles         []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("read go list's output: %w", err)
		}
		for _, file := range p.GoFiles {
			starts, err := startsGoroutines(filepath.Join(p.Dir, file))
			if err != nil {
				return nil, err
			}
			if starts && !slices.ContainsFunc(tooSlow, func(name string) bool { return strings.HasSuffix(p.ImportPath, "/internal/"+name) }) {
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
