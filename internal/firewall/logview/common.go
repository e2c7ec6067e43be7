package logview

import (
	_ "embed"
	"strconv"
	"strings"
)

// IANA protocol numbers.
const (
	protoICMP   = 1
	protoIGMP   = 2
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

//go:embed common.txt
var commonText string

// commonPorts has a bit for each port that the internet's noise asks for.
type portBits [1024]uint64

func (b *portBits) has(port uint16) bool { return b[port>>6]&(1<<(port&63)) != 0 }

var commonTCP, commonUDP = readCommon(commonText)

func commonPort(proto uint8, port uint16) bool {
	switch proto {
	case protoTCP:
		return commonTCP.has(port)
	case protoUDP:
		return commonUDP.has(port)
	}
	return false
}

// readCommon reads lines of a protocol and ports; # begins a comment.
func readCommon(text string) (tcp, udp *portBits) {
	tcp, udp = new(portBits), new(portBits)
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		to := tcp
		if fields[0] == "udp" {
			to = udp
		}
		for _, f := range fields[1:] {
			if n, err := strconv.ParseUint(f, 10, 16); err == nil {
				to[n>>6] |= 1 << (n & 63)
			}
		}
	}
	return tcp, udp
}
