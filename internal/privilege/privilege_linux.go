package privilege

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Have is the calling thread's effective set.
func Have() (Set, error) {
	c, err := get()
	if err != nil {
		return 0, err
	}
	return c.effective, nil
}

// Drop gives up every capability that is not in keep, in all sets and all
// threads, and sets PR_SET_NO_NEW_PRIVS. dropped is what left the permitted
// set; capabilities in keep that the process does not have are no error.
//
// Without CAP_SETPCAP the bounding set cannot be narrowed, also not by root;
// then no_new_privs alone keeps programs that are started from more (the
// kernel gives them no capability that this process does not have).
func Drop(keep Set, also ...Also) (dropped Set, err error) {
	before, err := get()
	if err != nil {
		return 0, err
	}
	if !slices.Contains(also, KeepSetuid) {
		if err := prctl("set no_new_privs", unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
			return 0, err
		}
	}
	// First, while CAP_SETPCAP is still there.
	if err := narrow(keep, before); err != nil {
		return 0, err
	}
	after := caps{before.effective & keep, before.permitted & keep, before.inheritable & keep}
	if after != before {
		if err := set(after); err != nil {
			return 0, err
		}
	}
	if slices.Contains(also, NotDumpable) {
		// It belongs to the process, not to a thread.
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
			return 0, fmt.Errorf("forbid core dumps: %w", err)
		}
	}
	return before.permitted.Without(keep), nil
}

// narrow takes what is not kept out of the bounding set, where that may be.
func narrow(keep Set, have caps) error {
	if !have.effective.Has(SetPCap) {
		return nil
	}
	bounding, err := Bounding()
	if err != nil {
		return err
	}
	for c := Capability(0); c < 64; c++ {
		if bounding.Has(c) && !keep.Has(c) {
			if err := prctl("take "+c.String()+" out of the bounding set", unix.PR_CAPBSET_DROP, uintptr(c)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Bounding is the calling thread's bounding set.
func Bounding() (Set, error) {
	b, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return 0, fmt.Errorf("read the bounding set: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if hex, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			if err != nil {
				return 0, fmt.Errorf("read the bounding set: %w", err)
			}
			return Set(n), nil
		}
	}
	return 0, errors.New("read the bounding set: /proc/thread-self/status has no CapBnd")
}

type caps struct{ effective, permitted, inheritable Set }

func get() (caps, error) {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return caps{}, fmt.Errorf("read capabilities: %w", err)
	}
	join := func(lo, hi uint32) Set { return Set(lo) | Set(hi)<<32 }
	return caps{
		join(data[0].Effective, data[1].Effective), join(data[0].Permitted, data[1].Permitted),
		join(data[0].Inheritable, data[1].Inheritable),
	}, nil
}

// set is capset(2) in every thread. What leaves the permitted or inheritable
// set leaves the ambient one too.
func set(c caps) error {
	head := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := new([2]unix.CapUserData)
	for i := range data {
		shift := 32 * i
		data[i] = unix.CapUserData{
			Effective: uint32(c.effective >> shift), Permitted: uint32(c.permitted >> shift), Inheritable: uint32(c.inheritable >> shift),
		}
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(head)), uintptr(unsafe.Pointer(data)), 0)
	return failure("drop capabilities", errno)
}

// prctl in every thread.
func prctl(what string, option int, arg uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, uintptr(option), arg, 0, 0, 0, 0)
	return failure(what, errno)
}

func failure(what string, errno syscall.Errno) error {
	switch errno {
	case 0:
		return nil
	case syscall.ENOTSUP:
		return fmt.Errorf("%s: this binary was built with cgo: %w", what, ErrUnsupported)
	}
	return fmt.Errorf("%s: %w", what, errno)
}
