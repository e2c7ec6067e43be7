package closing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/remedy"
)

func supported() error { return nil }

// start starts a process as it was started before, in a session of its own.
func start(x *record) error {
	cmd := &exec.Cmd{Path: x.Exe, Args: x.Argv, Dir: x.Cwd, Env: x.Env}
	if len(cmd.Env) == 0 {
		cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if int(x.UID) != os.Geteuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: x.UID, Gid: x.GID, Groups: x.Groups}
		if x.Low {
			cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_NET_BIND_SERVICE}
		}
	}
	var files [3]*os.File
	for i, name := range x.Stdio {
		f, err := stdio(i, name)
		if err != nil {
			return err
		}
		defer f.Close()
		files[i] = f
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[1], files[2]
	if err := cmd.Start(); err != nil {
		return err
	}
	return early(cmd)
}

// early waits a moment: what ends at once with an error has not started. A
// server that puts itself in the background ends without one.
func early(cmd *exec.Cmd) error {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("it ended at once: %w", err)
		}
	case <-time.After(300 * time.Millisecond):
	}
	return nil
}

func stdio(i int, name string) (*os.File, error) {
	if name == "" {
		return os.OpenFile(os.DevNull, os.O_RDWR, 0)
	}
	if i == 0 {
		return os.Open(name)
	}
	return os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
}

// mostSaid bounds what a program's words may take of an error.
const mostSaid = 2000

// runDetached runs a program that may leave a server behind: its output is a
// file, not a pipe, since a server that inherits a pipe keeps its reader
// waiting for ever. Programs are never asked in the user's language.
func runDetached(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
	if stdin != nil || name == "nft" || name == "iptables" || name == "ip6tables" {
		return remedy.RunProgram(ctx, stdin, name, args...)
	}
	fd, err := unix.MemfdCreate("portreeve", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	words := os.NewFile(uintptr(fd), "output")
	defer words.Close()
	cmd := exec.CommandContext(ctx, program(name), args...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0")
	cmd.Stdout, cmd.Stderr = words, words
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Run()
	out, readErr := io.ReadAll(io.NewSectionReader(words, 0, 1<<20))
	if err == nil {
		return out, readErr
	}
	return out, &programError{name: name, said: string(out[:min(len(out), mostSaid)]), err: err}
}

// program looks where administrators' programs are even when PATH does not.
func program(name string) string {
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/", "/usr/local/sbin/"} {
		if _, err := exec.LookPath(dir + name); err == nil {
			return dir + name
		}
	}
	return name
}

// owned gives a new file the owner and the security label of the one that it
// replaces.
func owned(f *os.File, old os.FileInfo, path string) error {
	if st, ok := old.Sys().(*syscall.Stat_t); ok {
		if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil && !errors.Is(err, os.ErrPermission) {
			return err
		}
	}
	label := make([]byte, 1024)
	n, err := unix.Lgetxattr(path, "security.selinux", label)
	if err == nil && n > 0 {
		return unix.Fsetxattr(int(f.Fd()), "security.selinux", label[:n], 0)
	}
	return nil
}

// private wants a folder that only this user can write to, and makes it.
func private(dirs ...string) error {
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		st, err := os.Lstat(dir)
		if err != nil {
			return err
		}
		sys, ok := st.Sys().(*syscall.Stat_t)
		if !st.IsDir() || !ok || int(sys.Uid) != os.Geteuid() || st.Mode().Perm()&0o022 != 0 {
			return errors.New(dir + " is not a folder that only this user can write to")
		}
	}
	return nil
}

// signals are those that servers take as "read your configuration again".
func signalNamed(name string) os.Signal { return unix.SignalNum("SIG" + name) }
