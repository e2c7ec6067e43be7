package identity

import (
	"strconv"
	"strings"
)

// IDMap maps users between a user namespace and the reader's
// (user_namespaces(7), /proc/PID/uid_map). The empty map changes nothing.
type IDMap []idRange

type idRange struct{ inside, outside, count uint64 }

// maxRanges is the kernel's bound on the lines of a map (UID_GID_MAP_MAX_EXTENTS).
const maxRanges = 340

// ParseIDMap reads a uid_map file; lines that are not in its form are left
// out.
func ParseIDMap(text string) IDMap {
	var m IDMap
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 3 || len(m) == maxRanges {
			continue
		}
		var n [3]uint64
		var bad bool
		for i, field := range fields {
			v, err := strconv.ParseUint(field, 10, 32)
			n[i], bad = v, bad || err != nil
		}
		if !bad {
			m = append(m, idRange{n[0], n[1], n[2]})
		}
	}
	return m
}

// Inside gives the number that the reader's user has within the namespace;
// false when it has none there.
func (m IDMap) Inside(id uint32) (uint32, bool) {
	if len(m) == 0 {
		return id, true
	}
	for _, r := range m {
		if n := uint64(id); n >= r.outside && n-r.outside < r.count {
			in := r.inside + (n - r.outside)
			return uint32(in), in <= 1<<32-1
		}
	}
	return 0, false
}
