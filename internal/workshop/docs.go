package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// checkDocs reads every page: each relative link must lead to a file, each
// anchor to a heading, each page must be listed in docs/README.md, and each
// command of the program must have a page of its name.
func checkDocs(ctx context.Context, _ []string) error {
	pages, err := readPages(os.DirFS("."))
	if err != nil {
		return err
	}
	problems := append(brokenLinks(os.DirFS("."), pages), unlisted(pages)...)
	commands, err := commandNames(ctx)
	if err != nil {
		return err
	}
	for _, name := range commands {
		if pages["docs/"+name+".md"] == nil {
			problems = append(problems, fmt.Errorf("the command %s has no page docs/%s.md", name, name))
		}
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	fmt.Printf("docs: %d pages, %d commands, all links resolve\n", len(pages), len(commands))
	return nil
}

// readPages reads the Markdown files at the root and below docs.
func readPages(fsys fs.FS) (map[string]*page, error) {
	names, err := fs.Glob(fsys, "*.md")
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(fsys, "docs", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path.Ext(p) == ".md" {
			names = append(names, p)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the docs: %w", err)
	}
	pages := map[string]*page{}
	for _, name := range names {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		pages[name] = parsePage(string(text))
	}
	return pages, nil
}

func brokenLinks(fsys fs.FS, pages map[string]*page) []error {
	var out []error
	for name, p := range pages {
		for _, l := range p.links {
			if why := followLink(fsys, pages, name, l.target); why != "" {
				out = append(out, fmt.Errorf("%s:%d: link %s: %s", name, l.line, l.target, why))
			}
		}
	}
	return out
}

// followLink says why a relative link leads nowhere, or "". Links to the web
// are not followed.
func followLink(fsys fs.FS, pages map[string]*page, from, target string) string {
	if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
		return ""
	}
	file, anchor, _ := strings.Cut(target, "#")
	to := from
	if file != "" {
		to = path.Join(path.Dir(from), file)
	}
	if _, err := fs.Stat(fsys, to); err != nil {
		return "there is no such file"
	}
	if p := pages[to]; anchor != "" && p != nil && !p.anchors[anchor] {
		return "the page has no such heading"
	}
	return ""
}

// unlisted wants every page below docs in the index, by a link.
func unlisted(pages map[string]*page) []error {
	index := pages["docs/README.md"]
	if index == nil {
		return []error{errors.New("docs/README.md, the index, is not there")}
	}
	listed := map[string]bool{"docs/README.md": true}
	for _, l := range index.links {
		file, _, _ := strings.Cut(l.target, "#")
		listed[path.Join("docs", file)] = true
	}
	var out []error
	for name := range pages {
		if strings.HasPrefix(name, "docs/") && !listed[name] {
			out = append(out, fmt.Errorf("%s is not listed in docs/README.md", name))
		}
	}
	return out
}

// commandNames asks the program itself, through its shell completion.
func commandNames(ctx context.Context) ([]string, error) {
	dir, err := os.MkdirTemp("", "portreeve-docs")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin := filepath.Join(dir, "portreeve")
	if err := command(ctx, "go", "build", "-o", bin, "./cmd/portreeve").Run(); err != nil {
		return nil, fmt.Errorf("build the program to ask it for its commands: %w", err)
	}
	out, err := exec.CommandContext(ctx, bin, "__complete", "").Output()
	if err != nil {
		return nil, fmt.Errorf("ask the program for its commands: %w", err)
	}
	return completions(out), nil
}

// completions reads cobra's answer: a name, a tab and a description a line,
// then a line with the directive (":4").
func completions(out []byte) []string {
	var names []string
	for line := range bytes.Lines(out) {
		name, _, _ := strings.Cut(strings.TrimSpace(string(line)), "\t")
		if name == "" || strings.HasPrefix(name, ":") || name == "help" || name == "completion" {
			continue
		}
		names = append(names, name)
	}
	return names
}
