package cli

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// replaceable says who else than root may change a file or put another in its
// place; "" nobody.
func replaceable(path string) string {
	for p := path; ; p = filepath.Dir(p) {
		var st unix.Stat_t
		if err := unix.Stat(p, &st); err != nil {
			return fmt.Sprintf("%s cannot be looked at (%v)", p, err)
		}
		sticky := st.Mode&unix.S_ISVTX != 0 && p != path
		switch {
		case st.Uid != 0:
			return fmt.Sprintf("%s belongs to the user with number %d, who may replace it", p, st.Uid)
		case st.Mode&0o002 != 0 && !sticky:
			return p + " may be written by everybody"
		case st.Mode&0o020 != 0 && st.Gid != 0 && !sticky:
			return fmt.Sprintf("%s may be written by the group with number %d", p, st.Gid)
		}
		if p == filepath.Dir(p) {
			return ""
		}
	}
}
