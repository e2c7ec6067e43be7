package identity

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Identity is one process as /proc shows it.
type Identity struct {
	PID     int32
	Name    string // comm, at most 15 bytes for a user process
	Cmdline string // arguments joined by spaces, cut after MaxCmdline bytes
	UID     uint32 // effective, as in the reader's user namespace
	Started time.Time
	Cgroup  string // text of the cgroup file

	Exe Executable
	// MountNS is the mount namespace and the root folder in it, a name for
	// the tree of files that the process sees; "" when it may not be read.
	MountNS string
	// UIDs and GIDs map the users and groups of the process's user namespace.
	UIDs, GIDs IDMap
}

// ErrEnded says that the process is no more.
var ErrEnded = errors.New("the process ended")

// MaxCmdline bounds a command line in bytes.
const MaxCmdline = 4096

// Read reads one process. It fails with ErrEnded when the process ended or
// its number went to another one meanwhile; what may not be read for lack of
// privilege is left empty.
func Read(procRoot string, pid int32, boot time.Time) (Identity, error) {
	dir := filepath.Join(procRoot, strconv.Itoa(int(pid)))
	before, err := readStat(dir)
	if err != nil {
		return Identity{}, fmt.Errorf("process %d: %w: %w", pid, ErrEnded, err)
	}
	id := Identity{PID: pid, Name: text(before.comm), Started: before.started(boot)}
	id.UID, err = readUID(dir)
	if err != nil {
		return Identity{}, fmt.Errorf("process %d: %w: %w", pid, ErrEnded, err)
	}
	id.Cmdline = readCmdline(dir)
	id.Cgroup = readBounded(filepath.Join(dir, "cgroup"), 64<<10)
	id.UIDs = ParseIDMap(readBounded(filepath.Join(dir, "uid_map"), 64<<10))
	id.GIDs = ParseIDMap(readBounded(filepath.Join(dir, "gid_map"), 64<<10))
	id.Exe = readExecutable(dir)
	id.MountNS = mountNS(dir)
	after, err := readStat(dir)
	if err != nil || after.start != before.start {
		return Identity{}, fmt.Errorf("process %d: %w", pid, ErrEnded)
	}
	return id, nil
}

func mountNS(dir string) string {
	ns, err := os.Readlink(filepath.Join(dir, "ns/mnt"))
	if err != nil {
		return ""
	}
	root, err := os.Readlink(filepath.Join(dir, "root"))
	if err != nil {
		return ""
	}
	return ns + root
}

// readBounded gives the first limit bytes of a file, "" when it cannot be
// read.
func readBounded(file string, limit int64) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return ""
	}
	return string(text)
}

func readCmdline(dir string) string {
	raw := readBounded(filepath.Join(dir, "cmdline"), MaxCmdline+1)
	cut := len(raw) > MaxCmdline
	if cut {
		raw = raw[:MaxCmdline]
	}
	line := text(strings.ReplaceAll(strings.TrimRight(raw, "\x00"), "\x00", " "))
	if cut {
		line += "…"
	}
	return line
}

// text makes valid UTF-8; control characters stay, since only the place that
// prints knows how to show them.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
