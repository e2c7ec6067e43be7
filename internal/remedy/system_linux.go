package remedy

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// machineClock is the machine's own.
type machineClock struct{}

func (machineClock) Now() time.Time { return time.Now() }

// SinceBoot reads CLOCK_BOOTTIME (clock_gettime(2)), which counts suspension.
func (machineClock) SinceBoot() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}

func (machineClock) Boot() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data)), err
}

func (machineClock) Sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func supported() error { return nil }

// privileged asks for CAP_NET_ADMIN in this thread (capget(2)).
func privileged() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return fail(NoPrivilege, "the capabilities of this process could not be read", err)
	}
	if data[0].Effective&(1<<unix.CAP_NET_ADMIN) == 0 {
		return fail(NoPrivilege, "no privilege: firewall rules are changed with CAP_NET_ADMIN", nil).hint("run it as root: sudo portreeve …")
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		err = nil // a file system that does not sync folders
	}
	return errors.Join(err, f.Close())
}

// lock takes an exclusive lock (flock(2)), which ends with this process, and
// waits for it until ctx ends.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = f.Close() }, nil
		case errors.Is(err, unix.EINTR):
		case !errors.Is(err, unix.EWOULDBLOCK):
			_ = f.Close()
			return nil, err
		case ctx.Err() != nil:
			_ = f.Close()
			return nil, ctx.Err()
		default:
			machineClock{}.Sleep(ctx, 20*time.Millisecond)
		}
	}
}

// makeStateDir makes the journal's folder, for this user alone.
func makeStateDir(state string) error {
	if err := os.MkdirAll(changesDir(state), 0o700); err != nil {
		return err
	}
	for _, dir := range []string{state, changesDir(state)} {
		st, err := os.Lstat(dir)
		if err != nil {
			return err
		}
		sys, ok := st.Sys().(*syscall.Stat_t)
		if !st.IsDir() || !ok || int(sys.Uid) != os.Geteuid() || st.Mode().Perm()&0o022 != 0 {
			return errors.New(dir + " is not a folder that only this user can write to")
		}
	}
	return os.Chmod(changesDir(state), 0o700)
}

// inScratch runs fn on a thread of its own in a new network namespace, which
// ends with it.
func inScratch(fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- &noScratch{err}
			return
		}
		done <- fn()
	}()
	return <-done
}

// startGuard starts a process that outlives this one and its session: in a
// session of its own, with no terminal, no folder held, and its words in a
// log file. alive is its input, ready its output.
func startGuard(argv []string, alive, ready, log *os.File) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = alive, ready, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// settle makes the guard hard to end: no hangup reaches it, the kernel takes
// others first when memory is short, and it leaves the control group of the
// session, which systemd-logind may end as a whole.
func settle() {
	signal.Ignore(unix.SIGHUP, unix.SIGPIPE, unix.SIGQUIT, unix.SIGTSTP)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0)
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return
	}
	for _, group := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"} {
		_ = os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
	}
}
