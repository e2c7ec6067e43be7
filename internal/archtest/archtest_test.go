package archtest

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestHouse(t *testing.T) {
	broken, err := Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range broken {
		t.Error(v)
	}
}

// The tree that Check reads is the whole repository, not an empty folder.
func TestHouseIsRead(t *testing.T) {
	tree, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	rooms := map[string]bool{}
	for _, f := range tree.files {
		rooms[f.room] = true
	}
	for _, room := range []string{"exposure", "nettest", "archtest"} {
		if !rooms[room] {
			t.Errorf("room %s was not read", room)
		}
	}
	if tree.module != "github.com/portreeve/portreeve" {
		t.Errorf("module %q", tree.module)
	}
}

// Every rule finds what it forbids, in the file and for the reason expected,
// and leaves the look-alike beside it alone.
func TestRulesFindAndSpare(t *testing.T) {
	const doc = "// Package x is a guide.\npackage x\n"
	cases := []struct {
		name  string
		files map[string]string // added to a sound tree
		where string            // "" when nothing is broken
		says  string
	}{
		{name: "sound tree"},
		{
			name:  "upward import",
			files: map[string]string{"internal/host/up.go": "package host\nimport _ \"example.org/m/internal/audit\"\n"},
			where: "internal/host/up.go:2", says: "imports example.org/m/internal/audit: imports point downwards only",
		},
		{
			name:  "view imports view, in a subfolder",
			files: map[string]string{"internal/host/owner/x.go": "// Package owner is a guide.\npackage owner\nimport _ \"example.org/m/internal/scan\"\n"},
			where: "internal/host/owner/x.go:3", says: "the five views never import each other",
		},
		{
			name:  "view imports view, in a test",
			files: map[string]string{"internal/scan/scan_test.go": "package scan\nimport _ \"example.org/m/internal/host\"\n"},
			where: "internal/scan/scan_test.go:2", says: "the five views never import each other",
		},
		{
			name: "room of the same layer",
			files: map[string]string{
				"internal/report/doc.go": "// Package report is a guide.\npackage report\nimport _ \"example.org/m/internal/remedy\"\n",
			},
			where: "internal/report/doc.go:3", says: "imports point downwards only",
		},
		{
			name:  "skipping a layer downwards is fine",
			files: map[string]string{"internal/cli/x.go": "package cli\nimport _ \"example.org/m/internal/exposure\"\n"},
		},
		{
			name:  "unknown room",
			files: map[string]string{"internal/attic/doc.go": "// Package attic is a guide.\npackage attic\n"},
			where: "internal/attic", says: "a room that the house does not know",
		},
		{
			name:  "codec speaks exposure",
			files: map[string]string{"internal/host/sockdiag/doc.go": "// Package sockdiag is a guide.\npackage sockdiag\nimport _ \"example.org/m/internal/exposure\"\n"},
			where: "internal/host/sockdiag/doc.go:3", says: "a leaf codec returns kernel- or wire-shaped values",
		},
		{
			name:  "owner may speak exposure",
			files: map[string]string{"internal/host/owner/doc.go": "// Package owner is a guide.\npackage owner\nimport _ \"example.org/m/internal/exposure\"\n"},
		},
		{
			name:  "vocabulary with a library",
			files: map[string]string{"internal/exposure/x.go": "package exposure\nimport _ \"golang.org/x/net/bpf\"\n"},
			where: "internal/exposure/x.go:2", says: "standard library only",
		},
		{
			name:  "audit reads files",
			files: map[string]string{"internal/audit/x.go": "package audit\nimport _ \"os\"\n"},
			where: "internal/audit/x.go:2", says: "audit is the pure join",
		},
		{
			name:  "audit in a subfolder dials",
			files: map[string]string{"internal/audit/policy/doc.go": "// Package policy is a guide.\npackage policy\nimport _ \"net\"\n"},
			where: "internal/audit/policy/doc.go:3", says: "audit is the pure join",
		},
		{
			name:  "audit may use netip, and its tests may read files",
			files: map[string]string{"internal/audit/x.go": "package audit\nimport _ \"net/netip\"\n", "internal/audit/x_test.go": "package audit\nimport _ \"os\"\n"},
		},
		{
			name:  "audit looks at the clock under another name",
			files: map[string]string{"internal/audit/x.go": "package audit\nimport tm \"time\"\nfunc f() tm.Time { return tm.Now() }\n"},
			where: "internal/audit/x.go:3", says: "uses time.Now",
		},
		{
			name:  "a variable called time is not the clock",
			files: map[string]string{"internal/audit/x.go": "package audit\nimport \"time\"\ntype c struct{ Now int }\nvar _ time.Time\nfunc f(time c) int { return time.Now }\n"},
		},
		{
			name:  "context made below cli",
			files: map[string]string{"internal/scan/x.go": "package scan\nimport \"context\"\nvar f = context.Background\n"},
			where: "internal/scan/x.go:3", says: "handed down from cli",
		},
		{
			name:  "context made in cli, in a test, in a generator",
			files: map[string]string{"internal/cli/x.go": "package cli\nimport \"context\"\nvar f = context.Background\n", "internal/scan/x_test.go": "package scan\nimport \"context\"\nvar f = context.Background\n", "internal/knowledge/gen/main.go": "// Gen is a guide.\npackage main\nimport \"context\"\nvar f = context.Background\nfunc main() {}\n"},
		},
		{
			name:  "kernel import in a portable file",
			files: map[string]string{"internal/host/x.go": "package host\nimport _ \"golang.org/x/sys/unix\"\n"},
			where: "internal/host/x.go:2", says: "only _linux.go files",
		},
		{
			name:  "kernel import in a portable test",
			files: map[string]string{"internal/host/x_test.go": "package host\nimport _ \"github.com/mdlayher/netlink/nlenc\"\n"},
			where: "internal/host/x_test.go:2", says: "only _linux.go files",
		},
		{
			name: "kernel imports where they belong",
			files: map[string]string{
				"internal/host/x_linux.go":             "package host\nimport _ \"golang.org/x/sys/unix\"\n",
				"internal/host/x_linux_amd64.go":       "package host\nimport _ \"golang.org/x/sys/unix\"\n",
				"internal/host/x_linux_test.go":        "package host\nimport _ \"golang.org/x/sys/unix\"\n",
				"internal/host/iter_x86_bpfel.go":      "// Code generated by bpf2go; DO NOT EDIT.\n//go:build 386 || amd64\n\npackage host\nimport _ \"github.com/cilium/ebpf\"\n",
				"internal/host/x_other.go":             "//go:build !linux\n\npackage host\n",
				"internal/nettest/namespaces_linux.go": "package nettest\nimport _ \"golang.org/x/sys/unix\"\n",
			},
		},
		{
			name:  "Linux file without a stub",
			files: map[string]string{"internal/host/x_linux.go": "package host\n", "internal/host/x.go": "package host\nvar X int\n"},
			where: "internal/host/x_linux.go", says: "no stub for other systems",
		},
		{
			name:  "package that is empty on other systems",
			files: map[string]string{"internal/scan/raw/doc.go": "// Package raw is a guide.\npackage raw\n", "internal/scan/raw/x_linux.go": "package raw\nvar X int\n"},
		},
		{
			name:  "test helper in the product",
			files: map[string]string{"internal/host/x.go": "package host\nimport _ \"example.org/m/internal/nettest\"\n"},
			where: "internal/host/x.go:2", says: "nettest is for tests",
		},
		{
			name:  "test helper in a test",
			files: map[string]string{"internal/host/x_test.go": "package host\nimport _ \"example.org/m/internal/nettest\"\n"},
		},
		{
			name:  "vague package",
			files: map[string]string{"internal/host/util/doc.go": "// Package util is a guide.\npackage util\n"},
			where: "internal/host/util", says: "name a package after what it is for",
		},
		{
			name:  "init function",
			files: map[string]string{"internal/host/x.go": "package host\nfunc init() {}\n"},
			where: "internal/host/x.go:2", says: "init function",
		},
		{
			name:  "a method called init is none",
			files: map[string]string{"internal/host/x.go": "package host\ntype T int\nfunc (T) init() {}\n"},
		},
		{
			name:  "no package comment",
			files: map[string]string{"internal/host/bare/x.go": "package bare\n"},
			where: "internal/host/bare", says: "no package comment",
		},
		{
			name:  "a build line is no package comment",
			files: map[string]string{"internal/host/bare/doc.go": "//go:build linux\npackage bare\n"},
			where: "internal/host/bare", says: "no package comment",
		},
		{
			name:  "two package comments",
			files: map[string]string{"internal/host/x.go": "// Package host is told twice.\npackage host\n"},
			where: "internal/host/x.go", says: "second package comment",
		},
		{
			name:  "package comment elsewhere",
			files: map[string]string{"internal/host/x/x.go": doc},
			where: "internal/host/x/x.go", says: "in doc.go",
		},
		{
			name:  "package comment that begins otherwise",
			files: map[string]string{"internal/host/x/doc.go": "// Something else.\npackage x\n"},
			where: "internal/host/x/doc.go", says: "does not begin",
		},
		{
			name:  "long file",
			files: map[string]string{"internal/host/x.go": "package host\n" + strings.Repeat("\n", maxLines)},
			where: "internal/host/x.go", says: "has 601 lines",
		},
		{
			name:  "long file, generated or a test",
			files: map[string]string{"internal/host/x.go": "// Code generated by x; DO NOT EDIT.\n\npackage host\n" + strings.Repeat("\n", maxLines), "internal/host/x_test.go": "package host\n" + strings.Repeat("\n", maxLines)},
		},
		{
			name:  "library prints",
			files: map[string]string{"internal/host/x.go": "package host\nimport \"fmt\"\nfunc f() { fmt.Println() }\n"},
			where: "internal/host/x.go:3", says: "uses fmt.Println",
		},
		{
			name:  "library reads the environment",
			files: map[string]string{"internal/history/x.go": "// Package history is a guide.\npackage history\nimport \"os\"\nvar s = os.Getenv(\"X\")\n", "internal/history/doc.go": "package history\n"},
			where: "internal/history/x.go:4", says: "uses os.Getenv",
		},
		{
			name:  "library logs",
			files: map[string]string{"internal/host/x.go": "package host\nimport _ \"log/slog\"\n"},
			where: "internal/host/x.go:2", says: "no logging",
		},
		{
			name:  "error matched by text",
			files: map[string]string{"internal/host/x.go": "package host\nimport \"strings\"\nfunc f(err error) bool { return strings.Contains(err.Error(), \"x\") }\n"},
			where: "internal/host/x.go:3", says: "matches an error by its text",
		},
		{
			name:  "error compared by text",
			files: map[string]string{"internal/host/x.go": "package host\nfunc f(err error) bool { return \"x\" == err.Error() }\n"},
			where: "internal/host/x.go:2", says: "matches an error by its text",
		},
		{
			name:  "replace in go.mod",
			files: map[string]string{"go.mod": "module example.org/m\n\nreplace example.org/x => ../x\n"},
			where: "go.mod", says: "has a replace line",
		},
		{
			name:  "replace block in go.mod",
			files: map[string]string{"go.mod": "module example.org/m\n\nreplace (\n\texample.org/x => ../x\n)\n"},
			where: "go.mod", says: "has a replace line",
		},
		{
			name:  "a module called replacement is none",
			files: map[string]string{"go.mod": "module example.org/m\n\n// replace nothing\nrequire example.org/replace v1.0.0\n"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			broken, err := Check(soundTree(c.files))
			if err != nil {
				t.Fatal(err)
			}
			if c.where == "" {
				for _, v := range broken {
					t.Errorf("nothing is broken, yet: %s", v)
				}
				return
			}
			for _, v := range broken {
				if v.Where == c.where && strings.Contains(v.String(), c.says) {
					return
				}
			}
			t.Errorf("want %s with %q, got %v", c.where, c.says, broken)
		})
	}
}

// soundTree is a small house that breaks no rule, with files added.
func soundTree(more map[string]string) fstest.MapFS {
	files := map[string]string{
		"go.mod":                   "module example.org/m\n\ngo 1.26\n",
		"cmd/m/main.go":            "// M is a guide.\npackage main\nimport _ \"example.org/m/internal/cli\"\nfunc main() {}\n",
		"internal/cli/doc.go":      "// Package cli is a guide.\npackage cli\nimport (\n\t_ \"os\"\n\t_ \"example.org/m/internal/audit\"\n)\n",
		"internal/audit/doc.go":    "// Package audit is a guide.\npackage audit\nimport _ \"example.org/m/internal/host\"\n",
		"internal/host/doc.go":     "// Package host is a guide.\npackage host\nimport _ \"example.org/m/internal/exposure\"\n",
		"internal/scan/doc.go":     "// Package scan is a guide.\npackage scan\n",
		"internal/exposure/doc.go": "// Package exposure is a guide.\npackage exposure\nimport _ \"net/netip\"\n",
		"internal/nettest/doc.go":  "// Package nettest is a guide.\npackage nettest\n",
	}
	for name, src := range more {
		files[name] = src
	}
	out := fstest.MapFS{}
	for name, src := range files {
		out[name] = &fstest.MapFile{Data: []byte(src)}
	}
	return out
}

func TestUnreadableTree(t *testing.T) {
	if _, err := Check(fstest.MapFS{}); err == nil || !strings.Contains(err.Error(), "go.mod") {
		t.Errorf("a tree without go.mod: %v", err)
	}
	broken := soundTree(map[string]string{"internal/host/x.go": "package host\nfunc {"})
	if _, err := Check(broken); err == nil || !strings.Contains(err.Error(), "internal/host/x.go") {
		t.Errorf("a file that does not parse: %v", err)
	}
}
