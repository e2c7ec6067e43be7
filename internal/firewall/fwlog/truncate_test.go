package fwlog

import (
	"fmt"
	"net/netip"
	"testing"
)

// ends is what a line that is cut short must not get wrong.
type ends struct {
	src, dst         netip.Addr
	srcPort, dstPort uint16
	ports            bool
}

func (e ends) String() string {
	return fmt.Sprintf("%s/%d>%s/%d(%t)", e.src, e.srcPort, e.dst, e.dstPort, e.ports)
}

func endsOf(e *Event) ends { return ends{e.Src, e.Dst, e.SrcPort, e.DstPort, e.HasPorts} }

// TestCutShort cuts each event of the corpora at every byte: what is left is
// declined or has the same addresses and ports. Ports and translated addresses
// may be missing, but not be others.
//
// Where a whole line ends with an address or a number, nobody can tell
// whether digits are missing: cuts in that last number are left out.
func TestCutShort(t *testing.T) {
	for _, file := range corpusFiles(t) {
		p := New(Options{Now: readAt})
		for i, l := range corpusLines(t, file) {
			whole := readAll(p, l)
			if len(whole) == 0 {
				continue
			}
			if err := cutShort(p, l, whole); err != "" {
				t.Errorf("%s:%d: %s", file, i+1, err)
			}
		}
	}
}

// cutShort gives the first cut that is wrong.
func cutShort(p *Parser, l []byte, whole []Event) string {
	last := len(l)
	for last > 0 && (digit(l[last-1]) || hexColon(l[last-1])) {
		last--
	}
	for n := range l {
		if n > last {
			break
		}
		for i, e := range readAll(p, l[:n]) {
			if i >= len(whole) || wrong(&e, &whole[i]) {
				return fmt.Sprintf("cut at %d, %s is read as %s of %q", n, endsOf(&whole[min(i, len(whole)-1)]), endsOf(&e), l[:n])
			}
		}
	}
	return ""
}

func hexColon(c byte) bool { return c == '.' || c == ':' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func wrong(e, whole *Event) bool {
	return e.Src != whole.Src || e.Dst != whole.Dst ||
		e.HasPorts && endsOf(e) != endsOf(whole) ||
		e.NATSrc.IsValid() && e.NATSrc != whole.NATSrc ||
		e.NATDst.IsValid() && e.NATDst != whole.NATDst ||
		e.NATSrcPort != 0 && e.NATSrcPort != whole.NATSrcPort ||
		e.NATDstPort != 0 && e.NATDstPort != whole.NATDstPort
}

// readAll gives copies of all events of a line.
func readAll(p *Parser, l []byte) (events []Event) {
	var e Event
	for ok := p.Read(l, &e); ok; ok = p.More(&e) {
		events = append(events, e)
	}
	return events
}
