package flow

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// TestSizes: a record is two cache lines, which the processor fetches as a
// pair; what it holds is laid out for that.
func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(record{}); n != 128 {
		t.Errorf("a record has %d bytes, want 128", n)
	}
	if n := unsafe.Sizeof(rest{}); n > 128 {
		t.Errorf("the rest of a flow has %d bytes, want at most 128", n)
	}
	if n := unsafe.Offsetof(record{}.bytes); n != 64 {
		t.Errorf("bytes are at %d, want 64", n)
	}
}

// TestLongHistory: letters that do not fit in the record are kept elsewhere, up
// to a bound, and go with the flow.
func TestLongHistory(t *testing.T) {
	table := NewTable(Options{MaxFlows: 1, Emit: func(*Flow) {}})
	p := wire.Packet{Kind: wire.KindIP, Version: 4, Proto: protoTCP, HasPorts: true, HasTCP: true,
		Flags: flagFIN | flagACK, Window: 1, SrcPort: 40000, DstPort: 80}
	p.Src[15], p.Dst[15] = 1, 2
	for n := range 400 {
		p.Seq += 10
		table.Add(&p, 1, 60, 60)
		want := strings.Repeat("F", min(n+1, maxHistory))
		if got := all(table)[0].History; got != want {
			t.Fatalf("after %d: %q, want %q", n+1, got, want)
		}
	}
	if len(table.long) != 1 {
		t.Errorf("%d long histories, want 1", len(table.long))
	}
	p.SrcPort++
	table.Add(&p, 2, 60, 60)
	if len(table.long) != 0 || all(table)[0].History != "F" {
		t.Errorf("the next flow in its place: %v", all(table))
	}
}

// TestPortsAtLeast: when no more addresses can be remembered, the rows say so
// and the sums go on.
func TestPortsAtLeast(t *testing.T) {
	var ports Ports
	ports.Add(&Flow{Proto: protoTCP, ServerPort: 80, PacketsToServer: 1})
	ports.addrs.used = maxDistinct
	ports.Add(&Flow{Proto: protoTCP, ServerPort: 80, Client: [16]byte{1}, PacketsToServer: 1})
	ports.Add(&Flow{Proto: protoTCP, ServerPort: 81, Client: [16]byte{1}, PacketsToServer: 1})
	for _, r := range ports.Rows() {
		if !r.AtLeast || r.Clients != 1 || r.Servers != 1 || r.Packets != uint64(82-r.Port) {
			t.Errorf("%+v", r)
		}
	}
}

// TestLikely: every line of the list is read, and says what it should.
func TestLikely(t *testing.T) {
	for line := range strings.Lines(likelyText) {
		for i, f := range strings.Fields(line) {
			if strings.HasPrefix(line, "#") || i == 0 && (f == "tcp" || f == "udp") {
				continue
			}
			var set portSet
			if addRange(&set, f); i == 0 || set == (portSet{}) {
				t.Errorf("%q in %q means nothing", f, line)
			}
		}
	}
	for _, c := range []struct {
		proto uint8
		port  uint16
		want  bool
	}{{protoTCP, 443, true}, {protoTCP, 6379, true}, {protoUDP, 53, true}, {protoUDPLite, 53, true},
		{protoSCTP, 443, true}, {protoTCP, 8005, true}, {protoTCP, 49152, false}, {protoUDP, 6379, false}, {protoICMP, 8, false}} {
		if got := Likely(c.proto, c.port); got != c.want {
			t.Errorf("Likely(%d, %d) = %v", c.proto, c.port, got)
		}
	}
}
