package report

import (
	"strconv"

	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// FlowLines writes flows as lines of text, one each: when, for how long, who
// to whom, how much each way, how it went, and by what client and server were
// told apart.
type FlowLines struct {
	// Verbose adds VLAN, tunnels and refusals.
	Verbose bool
	// Service names a port; may be nil.
	Service func(proto uint8, port uint16) string
	clock   PacketLines
}

// AppendHead adds the line above the columns.
func (l *FlowLines) AppendHead(dst []byte) []byte {
	return append(dst, "FIRST           SECONDS PROTO CLIENT > SERVER                              "+
		"PKTS>  PKTS<   BYTES>   BYTES< STATE  HISTORY  BY\n"...)
}

// endsWidth is how wide client and server are together, unless they are wider.
const endsWidth = 43

// Append adds one flow, newline included.
func (l *FlowLines) Append(dst []byte, f *flow.Flow) []byte {
	dst = append(l.clock.appendTime(dst, f.First), ' ')
	dst = appendRight(dst, strconv.AppendFloat(nil, float64(f.Last-f.First)/1e9, 'f', 1, 64), 7)
	dst = append(dst, ' ')
	at := len(dst)
	dst = appendPad(appendProto(dst, f.Proto), at, 5)
	dst = append(dst, ' ')
	at = len(dst)
	dst = appendPacketEnd(dst, f.Client, f.ClientPort, true)
	dst = append(dst, " > "...)
	dst = appendPacketEnd(dst, f.Server, f.ServerPort, true)
	dst = appendPad(dst, at, endsWidth)
	for i, n := range [...]uint64{f.PacketsToServer, f.PacketsToClient, f.BytesToServer, f.BytesToClient} {
		dst = append(dst, ' ')
		dst = appendRight(dst, strconv.AppendUint(nil, n, 10), 6+i/2*2)
	}
	dst = append(dst, ' ')
	at = len(dst)
	dst = appendPad(append(dst, f.State.String()...), at, 6)
	at = len(append(dst, ' '))
	dst = appendPad(append(append(dst, ' '), f.History...), at, 8)
	dst = append(append(dst, ' '), f.OrientedBy.String()...)
	return append(l.appendMore(dst, f), '\n')
}

func (l *FlowLines) appendMore(dst []byte, f *flow.Flow) []byte {
	if f.Label != "" {
		dst = append(append(dst, ' '), Escape(f.Label)...)
	}
	if !l.Verbose {
		return dst
	}
	if l.Service != nil {
		if name := l.Service(f.Proto, f.ServerPort); name != "" {
			dst = append(append(dst, ' '), Escape(name)...)
		}
	}
	if f.HasVLAN {
		dst = appendNumber(dst, " vlan ", uint64(f.VLAN&0xfff))
	}
	for i, t := range f.Tunnels[:min(int(f.Depth), len(f.Tunnels))] {
		if i == 0 {
			dst = append(dst, " in "...)
		} else {
			dst = append(dst, '/')
		}
		dst = append(dst, t.String()...)
	}
	if f.Refused > 0 {
		dst = appendNumber(dst, " refused ", uint64(f.Refused))
		dst = append(dst, " time"...)
		if f.Refused > 1 {
			dst = append(dst, 's')
		}
		dst = appendNumber(dst, " by icmp type ", uint64(f.RefusedType))
		dst = appendNumber(dst, " code ", uint64(f.RefusedCode))
	}
	return dst
}

// appendPad fills with blanks until width bytes stand behind at.
func appendPad(dst []byte, at, width int) []byte {
	for len(dst)-at < width {
		dst = append(dst, ' ')
	}
	return dst
}

func appendRight(dst, cell []byte, width int) []byte {
	for n := len(cell); n < width; n++ {
		dst = append(dst, ' ')
	}
	return append(dst, cell...)
}
