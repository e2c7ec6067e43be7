package pkgdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/host/owner/pkgdb/rpmdb"
)

// rpmFolders are where rpm keeps its database, newest place first.
var rpmFolders = []string{"/usr/lib/sysimage/rpm", "/usr/share/rpm", "/var/lib/rpm"}

// rpmFiles are the database files of rpm's back ends: sqlite, ndb, Berkeley DB.
var rpmFiles = []string{"rpmdb.sqlite", "Packages.db", "Packages"}

var (
	errRPMForeign = errors.New("a database in Berkeley DB or ndb form is read for this host's own root only, by its rpm program")
	errRPMAnswer  = errors.New("the rpm program gave no sure answer")
	errRPMPending = errors.New("changes wait in the database's write-ahead log")
)

// rpmTimeout bounds the rpm program, which waits for its lock.
const rpmTimeout = 5 * time.Second

// findRPM reads a database in sqlite form itself and asks the host's rpm
// program about the others.
func findRPM(ctx context.Context, root Root, names *nameSet) error {
	file := rpmDatabase(root)
	switch {
	case file == "":
		return errAbsent
	case path.Base(file) == rpmFiles[0]:
		err := readRPM(ctx, root, file, names)
		if err == nil || !root.Host {
			return err
		}
	case !root.Host:
		return errRPMForeign
	}
	return askRPM(ctx, names)
}

func readRPM(ctx context.Context, root Root, file string, names *nameSet) error {
	if log, err := root.Files.Stat(file + "-wal"); err == nil && log.Size() > 0 {
		return errRPMPending
	}
	db, err := root.Files.OpenFile(file)
	if err != nil {
		return err
	}
	defer db.Close()
	info, err := db.Stat()
	if err != nil {
		return err
	}
	bases := map[string]bool{}
	for name := range names.names {
		bases[path.Base(name)] = true
	}
	return rpmdb.Owners(ctx, db, info.Size(), func(base string) bool { return bases[base] }, func(file, pkg string) {
		if asked, ok := names.names[file]; ok {
			names.found(asked, pkg)
		}
	})
}

func rpmDatabase(root Root) string {
	for _, folder := range rpmFolders {
		for _, name := range rpmFiles {
			if info, err := root.Files.Stat(folder + "/" + name); err == nil && info.Size() > 0 {
				return folder + "/" + name
			}
		}
	}
	return ""
}

// askRPM lists the files of all packages that own one of the names. rpm ends
// with the number of names that no package owns, and writes errors, also that
// a file does not exist, to its standard error; with any there "in no package"
// would be a guess.
func askRPM(ctx context.Context, names *nameSet) error {
	ctx, cancel := context.WithTimeout(ctx, rpmTimeout)
	defer cancel()
	args := []string{"-qf", "--qf", `[%{=NAME}\t%{FILENAMES}\n]`, "--"}
	for name := range names.names {
		args = append(args, name)
	}
	slices.Sort(args[4:])
	cmd := exec.CommandContext(ctx, "rpm", args...)
	cmd.Env = append(cmd.Environ(), "LC_ALL=C")
	var failures bytes.Buffer
	cmd.Stderr = &failures
	out, err := cmd.Output()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		return fmt.Errorf("ask rpm: %w", err)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("ask rpm: %w", ctx.Err())
	}
	parseRPM(out, names)
	if failures.Len() > 0 && slices.Contains(slices.Collect(maps.Values(names.files)), "") {
		return errRPMAnswer
	}
	return nil
}

// parseRPM reads lines of a package's name, a tab and a file.
func parseRPM(out []byte, names *nameSet) {
	lineNames(out, func(line []byte) {
		pkg, name, ok := bytes.Cut(line, []byte{'\t'})
		if !ok {
			return
		}
		if asked, ok := names.lookup(name); ok {
			names.found(asked, string(pkg))
		}
	})
}
