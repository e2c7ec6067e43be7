package flow

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:embed likely.txt
var likelyText string

// portSet has a bit for each port.
type portSet [1 << 16 / 64]uint64

func (s *portSet) has(port uint16) bool { return s[port/64]>>(port%64)&1 != 0 }
func (s *portSet) add(port uint16)      { s[port/64] |= 1 << (port % 64) }

var likelyPorts = sync.OnceValue(func() map[uint8]*portSet { return parseLikely(likelyText) })

// Likely tells the ports on which servers are commonly found; UDP-Lite has
// UDP's, SCTP and DCCP those of TCP.
func Likely(proto uint8, port uint16) bool {
	switch proto {
	case protoUDPLite:
		proto = protoUDP
	case protoSCTP, protoDCCP:
		proto = protoTCP
	}
	set := likelyPorts()[proto]
	return set != nil && set.has(port)
}

func parseLikely(text string) map[uint8]*portSet {
	sets := map[uint8]*portSet{protoTCP: {}, protoUDP: {}}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		set := sets[protoTCP]
		if fields[0] == "udp" {
			set = sets[protoUDP]
		}
		for _, f := range fields[1:] {
			addRange(set, f)
		}
	}
	return sets
}

func addRange(set *portSet, text string) {
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		to = from
	}
	low, _ := strconv.ParseUint(from, 10, 16)
	high, _ := strconv.ParseUint(to, 10, 16)
	for port := low; port <= high && port > 0; port++ {
		set.add(uint16(port))
	}
}
