package serverconf

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Root reads files of a system by absolute, slash-separated path; os.DirFS
// does not fit, since its paths have no slash before them. OS is the host's
// own.
type Root interface {
	ReadFile(name string) ([]byte, error)
	ReadDir(name string) ([]fs.DirEntry, error)
	// Stat follows symbolic links.
	Stat(name string) (fs.FileInfo, error)
}

// Edit is one change of one configuration file, not made yet.
type Edit struct {
	// Server is the program's name, as: redis, inetd.
	Server string
	// Path is the file, symbolic links resolved: it is replaced by a rename.
	Path string
	// Before is the whole file as it was read, After as it will be. Before is
	// nil where the file does not exist yet.
	Before, After []byte
	// Mode is the file's mode.
	Mode fs.FileMode
	// Check is the server's own check of its configuration. An argument "{}"
	// stands for a candidate file, where the server can check one that is not
	// in place; without one the check is of what is in place. Empty: the
	// server has no check.
	Check []string
	// Reload makes the server read it. Empty: Signal is sent to PIDs.
	Reload []string
	// Signal is a name such as "HUP"; empty for none.
	Signal string
	PIDs   []int
	// RestartNeeded: a reload does not move a listening socket, so the server
	// is restarted (by its unit or script, else by Reload).
	RestartNeeded bool
	// Why says what the change does, Note what whoever decides should know.
	Why, Note string
}

// Errors of Rebind and RemoveInetd; compare with errors.Is.
var (
	// ErrUnknownServer: this program does not know the server's configuration.
	ErrUnknownServer = errors.New("the configuration of this server is not known to this program")
	// ErrAlready: the configuration says so already; the server only has to
	// read it.
	ErrAlready = errors.New("the configuration says so already")
	// ErrNotOurs: the address is set elsewhere (a command line, a drop-in that
	// a tool writes); the error names where.
	ErrNotOurs = errors.New("the address is not set in a file that can be edited here")
)

func unknown(s *exposure.Socket) error {
	if len(s.Processes) == 0 {
		return fmt.Errorf("%s: %w: no process is known", s.Endpoint(), ErrUnknownServer)
	}
	return fmt.Errorf("%s (%s): %w", s.Endpoint(), s.Processes[0].Name, ErrUnknownServer)
}
