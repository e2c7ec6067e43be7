package holders

import (
	"fmt"
	"strings"
)

// Privilege is what the caller may see of other processes.
type Privilege struct {
	SysPtrace, DacReadSearch bool
	// UserNamespace: the capabilities are those of a user namespace that is
	// not the host's.
	UserNamespace bool
	// HidePID is the proc mount's hidepid option as the kernel writes it
	// ("invisible", "ptraceable", "noaccess" or 2, 4, 1); "" when off or when
	// the caller is in the group GID that is exempt.
	HidePID string
	GID     string
}

// Hidden says that the proc mount lists only some processes; "" when it lists
// all. With noaccess all are listed, and denied one by one.
func (p Privilege) Hidden() string {
	if p.SysPtrace && !p.UserNamespace {
		return ""
	}
	switch p.HidePID {
	case "2", "invisible", "4", "ptraceable":
	default:
		return ""
	}
	group := ""
	if p.GID != "" && p.GID != "0" {
		group = " or membership of group " + p.GID
	}
	return fmt.Sprintf("processes of other users are not listed, since /proc is mounted with hidepid=%s: CAP_SYS_PTRACE%s shows them", p.HidePID, group)
}

// procOptions finds the options hidepid and gid of the proc file system that
// is mounted last at the path, in the text of a mountinfo file
// (proc_pid_mountinfo(5)).
func procOptions(mountinfo, path string) (hidepid, gid string) {
	for line := range strings.Lines(mountinfo) {
		mount, super, ok := strings.Cut(strings.TrimSpace(line), " - ")
		fields, about := strings.Fields(mount), strings.Fields(super)
		if !ok || len(fields) < 6 || len(about) < 3 || fields[4] != path || about[0] != "proc" {
			continue
		}
		hidepid, gid = "", ""
		for option := range strings.SplitSeq(about[2], ",") {
			name, value, _ := strings.Cut(option, "=")
			switch name {
			case "hidepid":
				hidepid = value
			case "gid":
				gid = value
			}
		}
	}
	if hidepid == "0" || hidepid == "off" {
		hidepid = ""
	}
	return hidepid, gid
}
