package serverconf

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Bounds of one plan: what real configurations stay far below.
const (
	mostFiles = 512
	mostBytes = 16 << 20
	mostDepth = 16
	// Files may be included again and again; this bounds what is gone through.
	mostVisits = 4096
	mostWalked = 64 << 20
)

// Declined is the error of a plan that would be a guess: the configuration
// does not explain for certain why the server listens there. It is ErrNotOurs
// to errors.Is.
type Declined struct {
	Server   string
	Endpoint string
	Looked   []string // the files and command lines that were read
	Why      string   // a clause: what stands in the way
}

func (d *Declined) Error() string {
	text := fmt.Sprintf("%s of %s: no edit is certain: %s", d.Endpoint, d.Server, d.Why)
	if len(d.Looked) > 0 {
		text += "; looked at " + strings.Join(d.Looked, ", ")
	}
	return text + "; change it by hand"
}

func (d *Declined) Unwrap() error { return ErrNotOurs }

// file is a configuration file as it was read.
type file struct {
	path string // symbolic links resolved
	data []byte
	mode fs.FileMode
}

// newline is the line ending of a file: that of its first line.
func (f *file) newline() string {
	for i, c := range f.data {
		if c == '\n' {
			if i > 0 && f.data[i-1] == '\r' {
				return "\r\n"
			}
			break
		}
	}
	return "\n"
}

// lineOf numbers the line of a byte, from 1.
func (f *file) lineOf(at int) int {
	n := 1
	for _, c := range f.data[:min(at, len(f.data))] {
		if c == '\n' {
			n++
		}
	}
	return n
}

// wholeLine widens a stretch to the lines that it touches, the last newline
// included.
func (f *file) wholeLine(from, to int) (int, int) {
	for from > 0 && f.data[from-1] != '\n' {
		from--
	}
	for to < len(f.data) && (to == from || f.data[to-1] != '\n') {
		to++
	}
	return from, to
}

// indent is the white space that begins the line of a byte.
func (f *file) indent(at int) string {
	start, _ := f.wholeLine(at, at)
	end := start
	for end < len(f.data) && (f.data[end] == ' ' || f.data[end] == '\t') {
		end++
	}
	return string(f.data[start:end])
}

// view is what one plan sees: the root, the socket, its server's process.
type view struct {
	root   Root
	s      *exposure.Socket
	server string
	proc   *exposure.Process
	argv   []string // the server's command line; the unit's where it hides its own
	hidden bool     // the process shows a title instead of its command line
	cwd    string
	looked []string
	files  map[string]*file
	size   int // bytes read
	visits int // files gone through, and their bytes
	walked int
}

func (v *view) look(what string) {
	if !slices.Contains(v.looked, what) {
		v.looked = append(v.looked, what)
	}
}

// decline makes the error of a plan that is not certain.
func (v *view) decline(format string, args ...any) error {
	return &Declined{Server: v.server, Endpoint: v.s.Endpoint().String(), Looked: v.looked, Why: fmt.Sprintf(format, args...)}
}

// read gives a file, each only once.
func (v *view) read(name string) (*file, error) {
	name = path.Clean("/" + name)
	v.look(name)
	real := resolve(v.root, name)
	if v.visits++; v.visits > mostVisits || v.walked > mostWalked {
		return nil, v.decline("its files include each other again and again")
	}
	if f := v.files[real]; f != nil {
		v.walked += len(f.data)
		return f, nil
	}
	info, err := v.root.Stat(name)
	if err != nil {
		return nil, v.unreadable(name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, v.decline("%s is no regular file", name)
	}
	if v.size += int(min(info.Size(), mostBytes+1)); v.size > mostBytes || len(v.files) == mostFiles {
		return nil, v.decline("its configuration is larger than %d MiB or than %d files", mostBytes>>20, mostFiles)
	}
	data, err := v.root.ReadFile(name)
	if err != nil {
		return nil, v.unreadable(name, err)
	}
	f := &file{path: real, data: data, mode: info.Mode()}
	v.files[real] = f
	return f, nil
}

// started is a file as it is without the edits of an overlay: what the process
// that runs was started with.
func (v *view) started(f *file) *file {
	root := v.root
	for {
		o, is := root.(overlay)
		if !is {
			break
		}
		root = o.Root
	}
	old, err := readSmall(root, f.path)
	if err != nil {
		return f
	}
	old.path = f.path
	return old
}

func (v *view) unreadable(name string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return v.decline("%s cannot be read: %v", name, err)
}

func (v *view) exists(name string) bool {
	_, err := v.root.Stat(name)
	return err == nil
}

// first gives the first of the paths that exists.
func (v *view) first(names ...string) (string, error) {
	for _, n := range names {
		if v.exists(n) {
			return n, nil
		}
		v.look(n)
	}
	return "", v.decline("none of the places where its configuration is kept exists, and its command line names no other")
}

// abs takes a path of the command line relative to the working folder.
func (v *view) abs(name string) string {
	if strings.HasPrefix(name, "/") {
		return path.Clean(name)
	}
	return path.Join("/", v.cwd, name)
}

// option finds an option's value on the command line, the last one: "-c X",
// "-cX", "--config X", "--config=X". Names carry their dashes.
func (v *view) option(names ...string) (value string, found bool) {
	for i, a := range v.argv {
		if i == 0 {
			continue
		}
		for _, n := range names {
			switch {
			case a == n && i+1 < len(v.argv):
				value, found = v.argv[i+1], true
			case len(n) > 2 && strings.HasPrefix(a, n+"="):
				value, found = a[len(n)+1:], true
			case len(n) == 2 && strings.HasPrefix(a, n) && len(a) > 2 && !strings.HasPrefix(a, "--"):
				value, found = a[2:], true
			}
		}
	}
	return value, found
}

// program is the path of the server's executable, as a command to run.
func (v *view) program() string {
	if strings.HasPrefix(v.proc.Exe, "/") && !v.proc.Deleted {
		return v.proc.Exe
	}
	if len(v.argv) > 0 && strings.HasPrefix(v.argv[0], "/") {
		return v.argv[0]
	}
	return v.proc.Name
}

// commandLine reads the server's argv: from /proc, else from the text that
// the host view has.
func (v *view) commandLine(pid int, text string) []string {
	b, err := v.root.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil || len(b) == 0 {
		return strings.Fields(text)
	}
	argv := strings.Split(strings.TrimRight(string(b), "\x00 "), "\x00")
	if len(argv) == 1 {
		return strings.Fields(argv[0])
	}
	return argv
}

// titled takes the command line out of a process title, where the server
// keeps it there: nginx and sshd do, redis does not.
func titled(argv []string) (line []string, hidden bool) {
	text := strings.Join(argv, " ")
	if rest, ok := strings.CutPrefix(text, "nginx: master process "); ok {
		return strings.Fields(rest), false
	}
	if rest, ok := strings.CutPrefix(text, "sshd: "); ok {
		rest, _, _ = strings.Cut(rest, " [listener]")
		return strings.Fields(rest), false
	}
	if len(argv) == 2 && strings.HasPrefix(path.Base(argv[0]), "redis") || len(argv) == 2 && strings.HasPrefix(path.Base(argv[0]), "valkey") {
		return argv, strings.Contains(argv[1], ":")
	}
	return argv, len(argv) > 0 && strings.HasSuffix(argv[0], ":")
}

// master picks the process to ask and to signal: the one that no other of
// them started.
func master(root Root, all []exposure.Process) *exposure.Process {
	parents := map[int]int{}
	for i := range all {
		parents[all[i].PID] = parentOf(root, all[i].PID)
	}
	for i := range all {
		if _, child := parents[parents[all[i].PID]]; !child {
			return &all[i]
		}
	}
	return &all[0]
}

// parentOf reads field 4 of /proc/PID/stat (proc(5)); 0 when not known.
func parentOf(root Root, pid int) int {
	b, err := root.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	text := string(b)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1])
	return n
}

// hasIPv6 reports whether the process's namespace knows IPv6: a wildcard that
// stood for both families must not be written out for one that is not there.
// Where nothing tells, it is believed to be there.
func (v *view) hasIPv6() bool {
	net := "/proc/" + strconv.Itoa(v.proc.PID) + "/net"
	if _, err := v.root.Stat(net); err != nil {
		return true
	}
	b, err := v.root.ReadFile(net + "/if_inet6")
	return err == nil && len(b) > 0
}

// newView looks at the process behind a socket.
func newView(root Root, s *exposure.Socket, server string) (*view, error) {
	v := &view{root: root, s: s, server: server, files: map[string]*file{}}
	if s.Container != nil {
		return nil, v.decline("it runs in container %s, whose files are its own", s.Container.Name+s.Container.ID)
	}
	v.proc = master(root, s.Processes)
	pid := strconv.Itoa(v.proc.PID)
	v.look("the command line of process " + pid)
	v.argv, v.hidden = titled(v.commandLine(v.proc.PID, v.proc.Cmdline))
	if l, can := root.(linker); can {
		v.cwd, _ = l.ReadLink("/proc/" + pid + "/cwd")
		if own, err := l.ReadLink("/proc/" + pid + "/root"); err == nil && own != "/" {
			return nil, v.decline("process %s lives below %s, and names files from there", pid, own)
		}
	}
	if v.hidden {
		v.askUnit()
	}
	return v, nil
}

// askUnit takes the command line of the unit, where the process hides its own.
func (v *view) askUnit() {
	unit := v.unit()
	if unit == "" {
		return
	}
	if argv := execStart(v.root, unit, v.look); len(argv) > 0 {
		v.argv, v.hidden = argv, false
	}
}

// unit is the socket's service unit, "" where it has none of its own.
func (v *view) unit() string {
	unit := v.s.Unit
	if v.proc.Unit != "" {
		unit = v.proc.Unit
	}
	if strings.HasSuffix(unit, ".service") && !strings.HasPrefix(unit, "user@") {
		return unit
	}
	return ""
}
