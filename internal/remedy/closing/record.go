package closing

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// recordOf reads how a process was started.
func recordOf(proc string, pid int) (*record, error) {
	dir := filepath.Join(proc, strconv.Itoa(pid))
	r := &record{ref: ref{PID: pid}}
	var err error
	if r.Start, err = started(dir); err != nil {
		return nil, err
	}
	if r.Exe, err = os.Readlink(filepath.Join(dir, "exe")); err != nil {
		return nil, err
	}
	if r.Cwd, err = os.Readlink(filepath.Join(dir, "cwd")); err != nil {
		return nil, err
	}
	environ, err := os.ReadFile(filepath.Join(dir, "environ"))
	if err != nil {
		return nil, err
	}
	cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return nil, err
	}
	r.Env = environment(environ)
	r.Argv, r.Title = commandLine(cmdline)
	r.identity(dir)
	for i := range r.Stdio {
		if at, err := os.Readlink(filepath.Join(dir, "fd", strconv.Itoa(i))); err == nil {
			if info, err := os.Lstat(at); err == nil && info.Mode().IsRegular() {
				r.Stdio[i] = at
			}
		}
	}
	return r, nil
}

// environment reads NAME=value strings; a server that writes a title over its
// command line writes over these too.
func environment(b []byte) (out []string) {
	for f := range bytes.SplitSeq(b, []byte{0}) {
		name, _, ok := bytes.Cut(f, []byte("="))
		if ok && len(name) > 0 && !bytes.ContainsAny(name, " \t/-:") {
			out = append(out, string(f))
		}
	}
	return out
}

// commandLine tells a command line from a title that a server has written
// over it: one string with spaces. Titles of nginx and sshd hold the command
// line behind their own words; others do not.
func commandLine(raw []byte) (argv []string, title string) {
	raw = bytes.TrimRight(raw, "\x00 ")
	for f := range bytes.SplitSeq(raw, []byte{0}) {
		argv = append(argv, string(f))
	}
	if len(raw) == 0 || !strings.Contains(argv[0], " ") {
		return argv, ""
	}
	title = argv[0]
	if rest, ok := strings.CutPrefix(title, "nginx: master process "); ok {
		return strings.Fields(rest), title
	}
	if rest, ok := strings.CutPrefix(title, "sshd: "); ok {
		if line, _, ok := strings.Cut(rest, " [listener]"); ok {
			return strings.Fields(line), title
		}
	}
	return nil, title
}

// started reads the 22nd field of stat (proc(5)); the second is a name in
// brackets that may hold anything.
func started(dir string) (uint64, error) {
	f, err := statFields(dir)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(f[19], 10, 64)
}

// statFields are the fields of stat from the third on.
func statFields(dir string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return nil, err
	}
	f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(f) < 20 {
		return nil, fmt.Errorf("%s: %d fields", filepath.Join(dir, "stat"), len(f))
	}
	return f, nil
}

func parentOf(proc string, pid int) int {
	f, err := statFields(filepath.Join(proc, strconv.Itoa(pid)))
	if err != nil {
		return 0
	}
	parent, _ := strconv.Atoi(f[1])
	return parent
}

// identity reads the effective user and group, and the groups (proc(5),
// status).
func (r *record) identity(dir string) {
	data, _ := os.ReadFile(filepath.Join(dir, "status"))
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		number := func(s string) uint32 {
			n, _ := strconv.ParseUint(s, 10, 32)
			return uint32(n)
		}
		switch {
		case f[0] == "Uid:" && len(f) > 2:
			r.UID = number(f[2])
		case f[0] == "Gid:" && len(f) > 2:
			r.GID = number(f[2])
		case f[0] == "Groups:":
			for _, g := range f[1:] {
				r.Groups = append(r.Groups, number(g))
			}
		}
	}
}
