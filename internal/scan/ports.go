package scan

import (
	"errors"
	"fmt"
)

// PortRange is First to Last, both included; 1–65535.
type PortRange struct{ First, Last uint16 }

// ErrPortRange is a range that holds port 0 or ends before it begins.
var ErrPortRange = errors.New("a port range goes from 1 to 65535, the lower port first")

// listPorts lists the ports of ranges once each, ascending; no range is all.
func listPorts(ranges []PortRange) ([]uint16, error) {
	if len(ranges) == 0 {
		ranges = []PortRange{{1, 65535}}
	}
	var want [1 << 16]bool
	n := 0
	for _, r := range ranges {
		if r.First == 0 || r.Last < r.First {
			return nil, fmt.Errorf("%w: %d-%d", ErrPortRange, r.First, r.Last)
		}
		for p := int(r.First); p <= int(r.Last); p++ {
			if !want[p] {
				want[p], n = true, n+1
			}
		}
	}
	ports := make([]uint16, 0, n)
	for p, in := range want {
		if in {
			ports = append(ports, uint16(p))
		}
	}
	return ports, nil
}
