package serverconf

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/portreeve/portreeve/internal/exposure"
)

var update = flag.Bool("update", false, "write what the edits are into testdata")

// goldenCase is one file of testdata: what the socket is, the files of the
// system, and the lines that the edit takes and puts.
//
//	socket: tcp [::]:80 dual
//	process: 812 /usr/sbin/nginx nginx: master process nginx
//	to: 127.0.0.1 ::1
//	-- /etc/nginx/nginx.conf --
//	…
//	-- want --
//	/etc/nginx/nginx.conf
//	-	listen 80;
//	+	listen 127.0.0.1:80;
//	check: nginx -t -c /etc/nginx/nginx.conf
type goldenCase struct {
	name   string
	head   string
	socket *exposure.Socket
	to     []netip.Addr
	inetd  bool
	files  fstest.MapFS
	order  []string
	want   string
}

func loadCase(t testing.TB, name string) *goldenCase {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	c := &goldenCase{name: name, files: fstest.MapFS{}, to: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}, socket: &exposure.Socket{State: exposure.Listen}}
	parts := strings.Split("\n"+string(b), "\n-- ")
	c.head = strings.TrimPrefix(parts[0], "\n")
	for line := range strings.Lines(c.head) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		c.setHead(t, key, value)
	}
	for _, p := range parts[1:] {
		file, body, ok := strings.Cut(p+"\n", " --\n")
		body = strings.TrimSuffix(body, "\n")
		if !ok {
			t.Fatalf("%s: no name in %q", name, p)
		}
		body += "\n"
		if file == "want" {
			c.want = strings.TrimRight(body, "\n") + "\n"
			continue
		}
		c.order = append(c.order, file)
		from, link, isLink := strings.Cut(file, " -> ")
		f := &fstest.MapFile{Data: []byte(body), Mode: 0o640}
		if isLink {
			f = &fstest.MapFile{Data: []byte(link), Mode: fs.ModeSymlink | 0o777}
		}
		c.files[strings.TrimPrefix(from, "/")] = f
	}
	return c
}

func (c *goldenCase) setHead(t testing.TB, key, value string) {
	t.Helper()
	s := c.socket
	switch key {
	case "socket":
		fields := strings.Fields(value)
		ap := netip.MustParseAddrPort(fields[1])
		s.Proto, s.Addr, s.Port = exposure.Proto(fields[0]), exposure.IPAddress(ap.Addr()), ap.Port()
		s.DualStack = len(fields) > 2 && fields[2] == "dual"
	case "process":
		fields := strings.SplitN(value, " ", 3)
		pid, err := strconv.Atoi(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		p := exposure.Process{PID: pid, Exe: fields[1], Name: filepath.Base(fields[1])}
		if len(fields) > 2 {
			p.Cmdline = fields[2]
		}
		s.Processes = append(s.Processes, p)
	case "unit":
		s.Unit = value
	case "activated":
		s.ActivatedBy = value
	case "container":
		s.Container = &exposure.Container{Name: value}
	case "inetd":
		c.inetd = true
	case "to":
		c.to = nil
		for f := range strings.FieldsSeq(value) {
			c.to = append(c.to, netip.MustParseAddr(f))
		}
	case "why", "":
	default:
		t.Fatalf("%s: the head says %q", c.name, key)
	}
}

func (c *goldenCase) plan(root Root) ([]Edit, error) {
	if c.inetd {
		return RemoveInetd(root, c.socket)
	}
	return Rebind(root, c.socket, c.to)
}

// render shows edits as the lines that go and come.
func render(edits []Edit, err error) string {
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	var out strings.Builder
	for _, e := range edits {
		out.WriteString(e.Path + "\n")
		for _, l := range changedLines(e.Before, e.After) {
			out.WriteString(l + "\n")
		}
	}
	for _, e := range edits {
		for _, l := range [][2]string{{"check", strings.Join(e.Check, " ")}, {"reload", strings.Join(e.Reload, " ")}, {"signal", e.Signal}, {"note", e.Note}} {
			if text := l[0] + ": " + l[1] + "\n"; l[1] != "" && !strings.Contains(out.String(), text) {
				out.WriteString(text)
			}
		}
		if e.RestartNeeded && !strings.Contains(out.String(), "\nrestart\n") {
			out.WriteString("restart\n")
		}
	}
	return out.String()
}

// changedLines compares line by line, naively: what the golden cases change
// lies close together.
func changedLines(before, after []byte) (out []string) {
	a, b := strings.SplitAfter(string(before), "\n"), strings.SplitAfter(string(after), "\n")
	for len(a) > 0 || len(b) > 0 {
		i, j := nextCommon(a, b)
		for _, l := range a[:i] {
			out = append(out, "-"+strings.TrimRight(l, "\n"))
		}
		for _, l := range b[:j] {
			out = append(out, "+"+strings.TrimRight(l, "\n"))
		}
		if i == len(a) || j == len(b) {
			return out
		}
		a, b = a[i+1:], b[j+1:]
	}
	return out
}

// nextCommon finds the nearest pair of equal lines.
func nextCommon(a, b []string) (int, int) {
	for sum := 0; sum <= len(a)+len(b); sum++ {
		for i := 0; i <= sum && i < len(a); i++ {
			if j := sum - i; j < len(b) && a[i] == b[j] {
				return i, j
			}
		}
	}
	return len(a), len(b)
}

func goldenFiles(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden cases: %v", err)
	}
	return names
}

func TestGolden(t *testing.T) {
	for _, name := range goldenFiles(t) {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(name, "testdata/"), ".txt"), func(t *testing.T) {
			c := loadCase(t, name)
			edits, err := c.plan(FS(c.files))
			got := render(edits, err)
			if *update && got != c.want {
				c.write(t, got)
				return
			}
			if got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
			c.checkEdits(t, edits)
		})
	}
}

// checkEdits holds for every edit: made, there is nothing left to do; the
// rest of the file is as it was.
func (c *goldenCase) checkEdits(t *testing.T, edits []Edit) {
	t.Helper()
	if len(edits) == 0 {
		return
	}
	for _, e := range edits {
		if bytes.Equal(e.Before, e.After) {
			t.Errorf("%s: the edit changes nothing", e.Path)
		}
		if f := c.files[strings.TrimPrefix(e.Path, "/")]; f != nil && (!bytes.Equal(f.Data, e.Before) || f.Mode != e.Mode) {
			t.Errorf("%s: before or mode is not the file's", e.Path)
		}
	}
	again, err := c.plan(Overlay(FS(c.files), edits))
	if c.inetd {
		if !errors.Is(err, ErrNotOurs) {
			t.Errorf("a second time: %s", render(again, err))
		}
		return
	}
	if !errors.Is(err, ErrAlready) {
		t.Errorf("a second time: %s", render(again, err))
	}
}

func (c *goldenCase) write(t *testing.T, want string) {
	t.Helper()
	var out bytes.Buffer
	out.WriteString(c.head)
	out.WriteByte('\n')
	for _, name := range c.order {
		path, _, _ := strings.Cut(name, " -> ")
		body := string(c.files[strings.TrimPrefix(path, "/")].Data)
		if strings.Contains(name, " -> ") {
			body = "\n"
		}
		fmt.Fprintf(&out, "-- %s --\n%s", name, body)
	}
	text := strings.TrimRight(out.String(), "\n") + "\n-- want --\n" + want
	if err := os.WriteFile(c.name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
