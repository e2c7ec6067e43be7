package archtest

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

const arrows = "imports point downwards only: cmd → cli → {report, tui, history, remedy} → audit → {host, scan, traffic, firewall, knowledge} → exposure"

// knownRooms wants every folder below internal to have a place in the house.
func knownRooms(t *tree) []Violation {
	var out []Violation
	for _, files := range t.packages() {
		f := files[0]
		if layerOf(f.room) < 0 && !isWorkshop(f.room) && f.room != "" {
			out = append(out, Violation{f.dir, "is a room that the house does not know",
				"give it a layer in DESIGN.md and in archtest's house.go"})
		}
	}
	return out
}

// downwards checks the direction of every import between rooms.
func downwards(t *tree) []Violation {
	var out []Violation
	for _, f := range t.files {
		for _, imp := range t.imports(f) {
			dir, ok := t.house(imp.path)
			if !ok {
				continue
			}
			if why := refuse(f, dir); why != "" {
				out = append(out, Violation{imp.where, "imports " + imp.path, why})
			}
		}
	}
	return out
}

// refuse says why a file may not import a folder of the house, or "".
func refuse(f *file, dir string) string {
	to := roomOf(dir)
	switch {
	case isTestHelper(dir):
		return refuseHelper(f, dir)
	case f.room == to || isWorkshop(f.room) || f.test && f.room == "":
		return ""
	case isView(f.room) && isView(to):
		return "the five views never import each other; audit joins them"
	case layerOf(to) >= layerOf(f.room):
		return arrows
	}
	return ""
}

func refuseHelper(f *file, dir string) string {
	if f.test || roomOf(dir) == f.room && isTestHelper(f.dir) {
		return ""
	}
	return fmt.Sprintf("%s is for tests and must not be in the product", path.Base(dir))
}

// leafCodecs wants the codecs to return kernel- or wire-shaped values.
func leafCodecs(t *tree) []Violation {
	return forbidImports(t, func(f *file) bool { return isCodec(f.dir) },
		func(p string) bool { return p == t.module+"/internal/exposure" },
		"a leaf codec returns kernel- or wire-shaped values; the view above it translates into exposure")
}

// plainVocabulary wants exposure to rest on the standard library alone.
func plainVocabulary(t *tree) []Violation {
	return forbidImports(t, func(f *file) bool { return f.room == "exposure" && !f.test },
		func(p string) bool { return !isStandard(p) },
		"exposure is the vocabulary that everything imports: standard library only")
}

// isStandard reports a path of the standard library: no dot in its first
// element (cmd/go's own test).
func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// pureJoin keeps the audit free of input, output and chance.
func pureJoin(t *tree) []Violation {
	impure := []string{
		"os", "os/exec", "os/signal", "os/user", "net", "net/http", "net/rpc", "net/smtp",
		"syscall", "log", "log/slog", "io/ioutil", "plugin",
		"math/rand", "math/rand/v2", "crypto/rand",
		"golang.org/x/sys/unix", "golang.org/x/sys/windows",
	}
	return forbidImports(t, func(f *file) bool { return f.room == "audit" && !f.test },
		func(p string) bool { return slices.Contains(impure, p) },
		"audit is the pure join: no I/O, no clock, no chance; what it needs is handed in")
}

// kernelFiles wants kernel interfaces in _linux.go files alone, so that every
// other system builds. Objects that bpf2go embeds carry its own names.
func kernelFiles(t *tree) []Violation {
	return forbidImports(t, func(f *file) bool { return !isLinuxFile(f.path) }, isKernelImport,
		"only _linux.go files reach for the kernel; give the package an API file, a Linux file and a stub")
}

var linuxFile = regexp.MustCompile(`_linux(_[a-z0-9]+)?(_test)?\.go$|_bpfe[lb]\.go$`)

func isLinuxFile(p string) bool { return linuxFile.MatchString(p) }

func isKernelImport(p string) bool {
	for _, prefix := range []string{
		"golang.org/x/sys/unix",
		"github.com/mdlayher",
		"github.com/cilium/ebpf",
		"github.com/gopacket/gopacket/afpacket",
		"github.com/google/nftables",
		"github.com/vishvananda/netlink",
	} {
		if p == prefix || strings.HasPrefix(p, prefix+"/") {
			return true
		}
	}
	return false
}

// stubs wants each library package with a Linux file and portable code to have
// a file for other systems beside it. A package that is empty elsewhere needs
// none: only Linux files can use it.
func stubs(t *tree) []Violation {
	var out []Violation
	for _, files := range t.packages() {
		linux := slices.IndexFunc(files, func(f *file) bool { return !f.test && !f.generated && isLinuxFile(f.path) })
		if linux < 0 || isTestHelper(files[0].dir) || !slices.ContainsFunc(files, isPortable) || slices.ContainsFunc(files, isStub) {
			continue
		}
		out = append(out, Violation{files[linux].path, "has no stub for other systems beside it",
			"a package with a Linux file has a //go:build !linux file that returns one named error"})
	}
	return out
}

// isPortable reports a source file with code for every system.
func isPortable(f *file) bool {
	return !f.test && !isLinuxFile(f.path) && len(f.ast.Decls) > 0
}

func isStub(f *file) bool {
	if f.test {
		return false
	}
	for _, group := range f.ast.Comments {
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:build ") && strings.Contains(c.Text, "!linux") {
				return true
			}
		}
	}
	return false
}

// forbidImports reports the imports that a choice of files must not have.
func forbidImports(t *tree, of func(*file) bool, forbidden func(path string) bool, why string) []Violation {
	var out []Violation
	for _, f := range t.files {
		if !of(f) {
			continue
		}
		for _, imp := range t.imports(f) {
			if forbidden(imp.path) {
				out = append(out, Violation{imp.where, "imports " + imp.path, why})
			}
		}
	}
	return out
}
