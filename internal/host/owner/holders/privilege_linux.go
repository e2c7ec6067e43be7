package holders

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mayLoad reports the capabilities that loading a tracing program needs
// (capabilities(7)); asking first saves reading the kernel's types in vain.
func mayLoad() bool {
	caps, err := effective("/proc/thread-self/status")
	if err != nil {
		return true // the kernel will say
	}
	return has(caps, unix.CAP_SYS_ADMIN) || has(caps, unix.CAP_BPF) && has(caps, unix.CAP_PERFMON)
}

func has(caps uint64, capability int) bool { return caps&(1<<capability) != 0 }

func effective(statusFile string) (uint64, error) {
	value, err := statusField(statusFile, "CapEff:")
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(value, 16, 64)
}

// statusField reads one field of a /proc/PID/status file (proc_pid_status(5)).
func statusField(file, name string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("%s has no field %s", file, name)
}

// SameNamespace reports whether a proc file system numbers processes as the
// caller's own PID namespace does, which is how Iterate numbers them. Its
// self/status lists the caller's numbers from the namespace of the mount down
// to the caller's own (field NSpid, Linux 4.1): one number, one namespace.
func SameNamespace(procRoot string) bool {
	numbers, err := statusField(filepath.Join(procRoot, "self", "status"), "NSpid:")
	return err == nil && numbers == strconv.Itoa(os.Getpid())
}

// ReadPrivilege reads the caller's privileges over the processes of a proc
// file system. What cannot be read counts as not there.
func ReadPrivilege(procRoot string) Privilege {
	caps, _ := effective("/proc/thread-self/status")
	p := Privilege{
		SysPtrace:     has(caps, unix.CAP_SYS_PTRACE),
		DacReadSearch: has(caps, unix.CAP_DAC_READ_SEARCH) || has(caps, unix.CAP_DAC_OVERRIDE),
	}
	ids, err := os.ReadFile("/proc/self/uid_map")
	p.UserNamespace = err == nil && !slices.Equal(strings.Fields(string(ids)), []string{"0", "0", "4294967295"})
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err == nil {
		p.HidePID, p.GID = procOptions(string(mounts), filepath.Clean(procRoot))
	}
	if member(p.GID) {
		p.HidePID = ""
	}
	return p
}

// member reports that the caller is in the group; group 0 is proc's default
// and exempts nobody but its members all the same.
func member(gid string) bool {
	want, err := strconv.Atoi(gid)
	if err != nil {
		want = 0
	}
	groups, _ := os.Getgroups()
	return want == os.Getegid() || slices.Contains(groups, want)
}

// Outside reports that the caller runs in a PID namespace below the host's
// first one, so that there may be processes that it cannot see at all. The
// first namespace's inode is PROC_PID_INIT_INO of include/linux/proc_ns.h.
func Outside() bool {
	const first = "pid:[4026531836]"
	link, err := os.Readlink("/proc/self/ns/pid")
	return err == nil && link != first
}
