package cli

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// running is the real program at work.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   io.Closer
	lines *bufio.Reader
	errs  strings.Builder
}

// start runs the program and gives its streams; it is ended with the test.
func start(t *testing.T, env []string, program string, args ...string) *running {
	t.Helper()
	r := &running{t: t, cmd: exec.Command(program, args...)}
	r.cmd.Env, r.cmd.Stderr = append(os.Environ(), env...), &r.errs
	in, err := r.cmd.StdinPipe()
	must(t, err)
	out, err := r.cmd.StdoutPipe()
	must(t, err)
	r.in, r.out, r.lines = in, out, bufio.NewReader(out)
	must(t, r.cmd.Start())
	t.Cleanup(func() { _ = r.cmd.Process.Kill(); _ = r.cmd.Wait() })
	return r
}

// line waits for the next line.
func (r *running) line() string {
	r.t.Helper()
	line, err := r.lines.ReadString('\n')
	if err != nil {
		r.t.Fatalf("%v: %q\n%s", err, line, r.errs.String())
	}
	return line
}

func (r *running) wants(parts ...string) {
	r.t.Helper()
	line := r.line()
	for _, p := range parts {
		if !strings.Contains(line, p) {
			r.t.Errorf("%q lacks %q", line, p)
		}
	}
}

// end waits for the program's end and gives what it still said.
func (r *running) end() (rest string, code int) {
	r.t.Helper()
	b, err := io.ReadAll(r.lines)
	must(r.t, err)
	_ = r.cmd.Wait()
	return string(b), r.cmd.ProcessState.ExitCode()
}

func appendTo(t *testing.T, name, text string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	_, err = f.WriteString(text)
	must(t, err)
	must(t, f.Close())
}

// The real program, built once.
func TestFirewallProgram(t *testing.T) {
	program := buildProgram(t)
	t.Run("logs", func(t *testing.T) { logsProgram(t, program) })
	t.Run("rules", func(t *testing.T) { rulesProgram(t, program) })
}

// logsProgram is with real files, pipes and signals.
func logsProgram(t *testing.T, program string) {
	for name, fn := range map[string]func(*testing.T, string){
		"follow": followsLogs, "follow two": followsTwo, "duration": followsForSomeTime, "interrupted": logsInterrupted, "journal": readsJournal,
		"journal fails": journalFails, "full disk": logsOntoFullDisk, "closed pipe": logsIntoClosedPipe, "terminal": logsAskNobodyToType, "memory": logsInLittleMemory,
	} {
		t.Run(name, func(t *testing.T) { fn(t, program) })
	}
}

// Growth, rotation and truncation of one log; then Ctrl-C.
func followsLogs(t *testing.T, program string) {
	log := write(t, "fw.log", ufwLine)
	r := start(t, nil, program, "logs", "--follow", "--json", log)
	r.wants(`"line":1,`, `"dst_port":22`)
	appendTo(t, log, noiseLine+denyLine[:40])
	appendTo(t, log, denyLine[40:])
	r.wants(`"line":3,`, `"dst_port":3389`)
	must(t, os.Rename(log, log+".1"))
	appendTo(t, log+".1", builtLine)
	r.wants(`"dst_port":443`)
	appendTo(t, log, vpcLine+vpcLine)
	r.wants(`"format":"aws-vpc"`)
	r.wants(`"format":"aws-vpc"`)
	must(t, os.WriteFile(log, []byte(ufwLine), 0o600)) // truncated
	r.wants(`"dst_port":22`)
	must(t, r.cmd.Process.Signal(os.Interrupt))
	if rest, code := r.end(); code != exitInterrupted || rest != "" || !strings.Contains(r.errs.String(), "1 of ") {
		t.Errorf("%d %q %s", code, rest, r.errs.String())
	}
}

// Only what comes from now on, of two logs; text lines.
func followsTwo(t *testing.T, program string) {
	a, b := write(t, "a.log", ufwLine), write(t, "b.log", ufwLine)
	r := start(t, []string{"TZ=UTC"}, program, "logs", "-f", "--new", "--action", "deny", a, b)
	go func() { // until it is opened, nobody knows where its end was
		for range 200 {
			if f, err := os.OpenFile(a, os.O_APPEND|os.O_WRONLY, 0); err == nil {
				_, _ = f.WriteString(builtLine + denyLine)
				_ = f.Close()
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	if line := r.line(); line != "2026-03-01 10:00:04 deny   tcp 203.0.113.9:51515 > 192.0.2.10:3389 in outside out inside rule OUTSIDE-IN\n" {
		t.Errorf("%q", line)
	}
}

func followsForSomeTime(t *testing.T, program string) {
	log := write(t, "fw.log", mixedLog)
	r := start(t, nil, program, "logs", "-f", "--duration", "600ms", "--by", "port", "--json", log, "/nonexistent/x.log")
	rest, code := r.end()
	if code != exitPartial || !strings.Contains(rest, `"events": 5`) || !strings.Contains(r.errs.String(), "/nonexistent/x.log") {
		t.Errorf("%d %s %s", code, rest, r.errs.String())
	}
}

// Ctrl-C while standard input waits: what came is told, at once.
func logsInterrupted(t *testing.T, program string) {
	for _, c := range []struct{ args, want string }{
		{"logs --json", `"dst_port":3389`}, {"logs --by port", "\n3389/tcp"}, {"logs --by port --json", `"port":3389`}, {"logs --follow --by source", "203.0.113.9"},
	} {
		r := start(t, nil, program, strings.Fields(c.args)...)
		_, err := io.WriteString(r.in, mixedLog+strings.Repeat(noiseLine, 3000)) // more than a pipe holds: it is being read
		must(t, err)
		must(t, r.cmd.Process.Signal(os.Interrupt))
		begun := time.Now()
		rest, code := r.end()
		if code != exitInterrupted || !strings.Contains(rest, c.want) || !strings.Contains(r.errs.String(), "interrupted") || time.Since(begun) > 10*time.Second {
			t.Errorf("%s: %d %q %s", c.args, code, rest, r.errs.String())
		}
	}
}

// fakeJournal is a folder with a journalctl that behaves as told.
func fakeJournal(t *testing.T, script string) []string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "journalctl"), []byte("#!/bin/sh\n"+script), 0o755))
	return []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
}

const journalLine = `{"__REALTIME_TIMESTAMP":"1772359201000000","_TRANSPORT":"kernel","SYSLOG_IDENTIFIER":"kernel","_HOSTNAME":"gw","MESSAGE":"[UFW BLOCK] IN=eth0 OUT= SRC=198.51.100.7 DST=192.0.2.1 LEN=40 PROTO=TCP SPT=40000 DPT=22 WINDOW=1024 SYN"}`

func readsJournal(t *testing.T, program string) {
	args := filepath.Join(t.TempDir(), "args")
	env := fakeJournal(t, "echo \"$@\" > "+args+"\ncat <<'X'\n"+journalLine+"\nX\n")
	rest, code := start(t, env, program, "logs", "--journal", "--json").end()
	if code != exitDone || !strings.Contains(rest, `"time":"2026-03-01T10:00:01.000000000Z","action":"deny","proto":"tcp","src":"198.51.100.7"`) {
		t.Errorf("%d %s", code, rest)
	}
	said, err := os.ReadFile(args)
	must(t, err)
	for _, want := range []string{"--output=json", "--no-pager", "_TRANSPORT=kernel"} {
		if !strings.Contains(string(said), want) {
			t.Errorf("journalctl %s lacks %s", said, want)
		}
	}
	// One that goes on: also where it leaves children behind that hold its output.
	r := start(t, fakeJournal(t, "cat <<'X'\n"+journalLine+"\nX\nsleep 60\n"), program, "logs", "--journal", "--follow", "--json")
	r.wants(`"dst_port":22`)
	must(t, r.cmd.Process.Signal(os.Interrupt))
	if _, code := r.end(); code != exitInterrupted {
		t.Errorf("exit %d %s", code, r.errs.String())
	}
}

func journalFails(t *testing.T, program string) {
	env := fakeJournal(t, "echo 'no journal was found \033[31m' >&2\nexit 1\n")
	r := start(t, env, program, "logs", "--journal")
	if rest, code := r.end(); code != exitUsage || rest != "" || !strings.Contains(r.errs.String(), "no journal was found") || strings.Contains(r.errs.String(), "\x1b") {
		t.Errorf("%d %q %q", code, rest, r.errs.String())
	}
	r = start(t, fakeJournal(t, "cat <<'X'\n"+journalLine+"\nX\nexit 1\n"), program, "logs", "--journal", "--json")
	if rest, code := r.end(); code != exitPartial || strings.Count(rest, "\n") != 1 {
		t.Errorf("%d %q %s", code, rest, r.errs.String())
	}
	r = start(t, []string{"PATH=" + t.TempDir()}, program, "logs", "--journal")
	if _, code := r.end(); code != exitUsage || !strings.Contains(r.errs.String(), "journalctl") {
		t.Errorf("%d %s", code, r.errs.String())
	}
}

func logsOntoFullDisk(t *testing.T, program string) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	defer full.Close()
	log := write(t, "fw.log", mixedLog)
	for _, args := range []string{"logs --json", "logs", "logs --by rule --json", "logs --unparsed"} {
		var errs strings.Builder
		cmd := exec.Command(program, append(strings.Fields(args), log)...)
		cmd.Stdout, cmd.Stderr = full, &errs
		_ = cmd.Run()
		if cmd.ProcessState.ExitCode() != exitPartial || !strings.Contains(errs.String(), "no space left") || !strings.Contains(errs.String(), "free some space") {
			t.Errorf("%s: %d %s", args, cmd.ProcessState.ExitCode(), errs.String())
		}
	}
}

// A reader that has enough (head) ends it, without words.
func logsIntoClosedPipe(t *testing.T, program string) {
	log := write(t, "fw.log", strings.Repeat(mixedLog, 20000))
	r := start(t, nil, program, "logs", "--json", log)
	r.wants(`"line":1,`)
	must(t, r.out.Close())
	done := make(chan error, 1)
	go func() { done <- r.cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on without a reader")
	}
	if strings.Contains(r.errs.String(), "portreeve: write") {
		t.Error(r.errs.String())
	}
}

// Without a file, on a terminal, nobody is made to type a log.
func logsAskNobodyToType(t *testing.T, program string) {
	_, tty := terminal(t)
	var errs strings.Builder
	cmd := exec.Command(program, "logs")
	cmd.Stdin, cmd.Stderr = tty, &errs
	_ = cmd.Run()
	if cmd.ProcessState.ExitCode() != exitUsage || !strings.Contains(errs.String(), "no log to read") || !strings.Contains(errs.String(), "--journal") {
		t.Errorf("%d %s", cmd.ProcessState.ExitCode(), errs.String())
	}
}

// terminal is a pseudo-terminal: its master, which a person would look at, and
// the end that a program gets (pty(7)).
func terminal(t *testing.T) (master, tty *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(t, err)
	master = os.NewFile(uintptr(fd), "ptmx")
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	must(t, unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	t.Cleanup(func() { _ = tty.Close(); _ = master.Close() })
	return master, tty
}

// A quarter of a million sources, each with a port of its own.
func logsInLittleMemory(t *testing.T, program string) {
	const most = 200 << 10 // KiB
	log := filepath.Join(t.TempDir(), "many.log")
	f, err := os.Create(log)
	must(t, err)
	w, r := bufio.NewWriter(f), rand.New(rand.NewPCG(1, 2))
	for range 250_000 {
		n := r.Uint32()
		fmt.Fprintf(w, "2026-03-01T10:00:01Z gw kernel: [UFW BLOCK] IN=eth0 OUT= SRC=%d.%d.%d.%d DST=192.0.2.1 LEN=40 PROTO=TCP SPT=40000 DPT=%d WINDOW=1024 SYN\n", n>>24%223+1, n>>16&255, n>>8&255, n&255, n%60000+1)
	}
	must(t, w.Flush())
	must(t, f.Close())
	for _, by := range []string{"source"} {
		cmd := exec.Command(program, "logs", "--by", by, "--json", log)
		if out, err := cmd.Output(); err != nil || !strings.Contains(string(out[:1000]), `"events": 250000`) {
			t.Errorf("%s: %v", by, err)
		}
		if used := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss; used > most {
			t.Errorf("--by %s: %d KiB", by, used)
		}
	}
}
