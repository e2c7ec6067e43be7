package privilege

import (
	"errors"
	"math/bits"
	"strconv"
	"strings"
)

// ErrUnsupported: capabilities cannot be dropped here. They are a matter of
// Linux, and of binaries without cgo.
var ErrUnsupported = errors.New("capabilities cannot be dropped here")

// Capability is one of linux/capability.h.
type Capability uint8

// Capabilities that this program may need.
const (
	DACOverride    Capability = 1
	DACReadSearch  Capability = 2
	SetPCap        Capability = 8
	NetBindService Capability = 10
	NetAdmin       Capability = 12
	NetRaw         Capability = 13
	SysPtrace      Capability = 19
	SysAdmin       Capability = 21
	SysResource    Capability = 24
	Syslog         Capability = 34
	Perfmon        Capability = 38
	BPF            Capability = 39
)

// names in the order of linux/capability.h, 0 to 40.
const names = "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable " +
	"net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot " +
	"sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease " +
	"audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read " +
	"perfmon bpf checkpoint_restore"

// String is the name as in CAP_NET_RAW; a number where there is no name yet.
func (c Capability) String() string {
	list := strings.Fields(names)
	if int(c) >= len(list) {
		return "CAP_" + strconv.Itoa(int(c))
	}
	return "CAP_" + strings.ToUpper(list[c])
}

// Set is a set of capabilities: bit n is capability n, as in /proc/PID/status.
type Set uint64

// SetOf makes a set.
func SetOf(list ...Capability) (s Set) {
	for _, c := range list {
		s |= 1 << c
	}
	return s
}

// Has reports a member.
func (s Set) Has(c Capability) bool { return s>>c&1 == 1 }

// Without is what is in s and not in o.
func (s Set) Without(o Set) Set { return s &^ o }

// Names lists the members, by number.
func (s Set) Names() (out []string) {
	for rest := uint64(s); rest != 0; rest &= rest - 1 {
		out = append(out, Capability(bits.TrailingZeros64(rest)).String())
	}
	return out
}

// String joins the names; "none" without any.
func (s Set) String() string {
	if s == 0 {
		return "none"
	}
	return strings.Join(s.Names(), " ")
}

// Also is what Drop does or leaves besides.
type Also int

const (
	// KeepSetuid leaves programs that are started their setuid and setgid
	// bits and file capabilities (no PR_SET_NO_NEW_PRIVS): sendmail of most
	// mail systems is one.
	KeepSetuid Also = iota
	// NotDumpable keeps other processes of the same user from reading this
	// one's memory, and the kernel from writing a core dump.
	NotDumpable
)
