package portname

import (
	_ "embed" // the table
	"fmt"
	"strconv"
	"strings"
	"sync"
)

//go:embed ports.tsv
var data string

var table = sync.OnceValues(func() (map[string]uint16, error) { return read(data) })

// Port gives the port of a name for tcp, udp or another protocol that the
// table lists with it.
func Port(proto, name string) (uint16, bool) {
	t, err := table()
	if err != nil {
		return 0, false
	}
	n, ok := t[proto+" "+strings.ToLower(name)]
	return n, ok
}

func read(data string) (map[string]uint16, error) {
	out := map[string]uint16{}
	for line := range strings.Lines(data) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		f := strings.Fields(line)
		if len(f) < 3 {
			return nil, fmt.Errorf("ports.tsv: %q: want a port, protocols and names", line)
		}
		n, err := strconv.ParseUint(f[0], 10, 16)
		if err != nil {
			return nil, fmt.Errorf("ports.tsv: %w", err)
		}
		for _, name := range f[2:] {
			for proto := range strings.SplitSeq(f[1], ",") {
				out[proto+" "+name] = uint16(n)
			}
		}
	}
	return out, nil
}
