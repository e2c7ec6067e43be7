package holders

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kcmpFiles is KCMP_FILES of include/uapi/linux/kcmp.h: do two tasks share
// their file table?
const kcmpFiles = 2

// threads reads the tables of threads that do not share the leader's
// (unshare(CLONE_FILES)), which the leader's fd directory does not show. The
// number of links of the task directory tells how many threads there are, so
// that a process of one thread costs one call.
func (w *worker) threads(pid int32) error {
	var st unix.Stat_t
	if err := fstatat(w.proc, w.scratch.path(pid, "/task"), &st); err != nil || st.Nlink <= 3 {
		return nil
	}
	dir, err := openAt(w.proc, w.scratch.path(pid, "/task"))
	if err != nil {
		return nil // it ended
	}
	defer unix.Close(dir)
	read := append(make([]int32, 0, 8), pid) // one thread of every table that was read
	for {
		n, err := getdents(dir, w.scratch.threads)
		if err != nil || n == 0 {
			return nil
		}
		for name := range entryNames(w.scratch.threads[:n]) {
			if tid, ok := number(name); ok && !w.shared(read, tid) {
				if err := w.thread(pid, tid); err != nil {
					return err
				}
				read = append(read, tid)
			}
		}
	}
}

// shared reports that the thread's table was read already. Where the kernel
// cannot tell (no kcmp, another PID namespace) it was not, and is read again:
// doubles are dropped in the end.
func (w *worker) shared(read []int32, tid int32) bool {
	if tid == read[0] {
		return true
	}
	if !w.kcmp {
		return false
	}
	for _, other := range read {
		order, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(other), uintptr(tid), kcmpFiles, 0, 0, 0)
		if errno == 0 && order == 0 {
			return true
		}
	}
	return false
}

func (w *worker) thread(pid, tid int32) error {
	err := w.table(pid, w.scratch.threadPath(pid, tid))
	if ended(err) || denied(err) {
		return nil
	}
	return err
}

// withoutFiles reports a kernel thread or a zombie: it has no descriptors
// that could be denied. Fields as in proc_pid_stat(5), which everyone may
// read.
func withoutFiles(proc int, pid int32) bool {
	fd, err := unix.Openat(proc, strconv.Itoa(int(pid))+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ended(err)
	}
	f := os.NewFile(uintptr(fd), "stat")
	defer f.Close()
	buf := make([]byte, 1024)
	n, err := f.Read(buf)
	if err != nil {
		return ended(err)
	}
	rest := buf[bytes.LastIndexByte(buf[:n], ')')+1 : n]
	fields := strings.Fields(string(rest)) // from field 3, state
	if len(fields) < 7 {
		return false
	}
	const kernelThread = 0x00200000 // PF_KTHREAD, include/linux/sched.h
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	return fields[0] == "Z" || fields[0] == "X" || err == nil && flags&kernelThread != 0
}
