package rtnl

import (
	_ "embed"
	"encoding/binary"
	"strconv"
	"strings"
	"sync"
)

//go:embed tunnels.txt
var tunnelsText string

// portAttrs maps a link kind to the attributes that hold its ports.
var portAttrs = sync.OnceValue(func() map[string][]uint16 {
	out := map[string][]uint16{}
	for line := range strings.Lines(tunnelsText) {
		f := strings.Fields(line)
		if len(f) != 2 || f[0] == "#" {
			continue
		}
		if n, err := strconv.ParseUint(f[1], 10, 16); err == nil {
			out[f[0]] = append(out[f[0]], uint16(n))
		}
	}
	return out
})

// portIn reads a 16-bit port in network order.
func portIn(b []byte) (uint16, bool) {
	if len(b) != 2 {
		return 0, false
	}
	port := binary.BigEndian.Uint16(b)
	return port, port != 0
}
