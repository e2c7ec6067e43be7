package negotiate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/wire"
	"pgregory.net/rapid"
)

// learned lists all that a Watcher expects, without times.
func (w *Watcher) learnedAll() []string {
	var out []string
	for k, e := range w.expects.byKey {
		a := e.Value.(*expectation).what
		out = append(out, fmt.Sprint(k, a.Name, a.ControlProto, a.Detail, a.Control, a.ControlClient))
	}
	slices.Sort(out)
	return out
}

// cut sends what was said over TCP in other segments: at random borders, with
// repetitions and neighbours changed round.
func cut(t *rapid.T, l *lab, said []sent) {
	for _, s := range said {
		p := l.packet(s)
		if s.proto != protoTCP {
			l.Packet(&p, l.now)
			continue
		}
		parts := segments(t, p)
		if len(parts) > 1 && rapid.Bool().Draw(t, "swap") {
			i := rapid.IntRange(0, len(parts)-2).Draw(t, "at")
			parts[i], parts[i+1] = parts[i+1], parts[i]
		}
		for _, part := range parts {
			l.Packet(&part, l.now)
			if rapid.IntRange(0, 5).Draw(t, "again") == 0 {
				l.Packet(&part, l.now)
			}
		}
	}
}

func segments(t *rapid.T, p wire.Packet) []wire.Packet {
	var out []wire.Packet
	for rest := p.Payload; len(rest) > 0; {
		n := min(len(rest), rapid.SampledFrom([]int{1, 2, 3, 5, 17, 40, 400, 4000}).Draw(t, "size"))
		q := p
		q.Payload, q.PayloadLen = rest[:n], uint32(n)
		q.Seq = p.Seq + uint32(len(p.Payload)-len(rest))
		out, rest = append(out, q), rest[n:]
	}
	return out
}

// begins is a SYN in both directions: then a segment that comes too early is
// known for one.
func begins(said []sent) []sent {
	var out []sent
	seen := map[[2]string]bool{}
	for _, s := range said {
		way := [2]string{s.from, s.to}
		if s.proto == protoTCP && !seen[way] {
			seen[way] = true
			out = append(out, sent{protoTCP, s.from, s.to, syn, ""})
		}
	}
	return append(out, said...)
}

func TestSegmentBordersDoNotMatter(t *testing.T) {
	all := conversations()
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(all).Draw(t, "conversation")
		if strings.Contains(c.name, "another port") {
			return // known by the first segment's words
		}
		whole, parts := newLab(Options{}), newLab(Options{})
		whole.hear(begins(c.said)...)
		cut(t, parts, nil)
		for _, s := range begins(c.said) {
			if s.flags&syn != 0 {
				parts.hear(s)
			} else {
				cut(t, parts, []sent{s})
			}
		}
		if want, got := whole.learnedAll(), parts.learnedAll(); !slices.Equal(want, got) {
			t.Fatalf("%s: whole %v\nin parts %v", c.name, want, got)
		}
	})
}

func TestLostSegment(t *testing.T) {
	c, s := "10.0.0.2:40000", "10.0.0.1:21"
	l := heard(sent{protoTCP, c, s, syn, ""}, sent{protoTCP, s, c, syn | ack, ""}, tcp(s, c, "220 ready\r\n"))
	l.packet(tcp(s, c, "331 this was never captured, 227 Entering")) // sent, not heard
	l.hear(tcp(s, c, "227 Entering Passive Mode (10,0,0,1,195,81)\r\n"))
	const flow = "tcp 10.0.0.2:41000 10.0.0.1:50001"
	if got := l.ask(flow); got != "" {
		t.Errorf("%q before it is known that a segment was lost", got)
	}
	l.hear(tcp(c, s, "")) // acknowledges all of it
	if got := l.ask(flow); got != "ftp-data" {
		t.Errorf("%q after it", got)
	}
}

// A segment that is missing where nothing acknowledges is given up.
func TestLostSegmentOneSided(t *testing.T) {
	c, s := "10.0.0.2:40000", "10.0.0.1:21"
	l := heard(sent{protoTCP, s, c, syn | ack, ""})
	l.packet(tcp(s, c, "331 this was never captured"))
	l.hear(tcp(s, c, "227 Entering Passive Mode (10,0,0,1,195,81)\r\n"))
	for range maxHeld {
		l.hear(tcp(s, c, "200 and so on\r\n"))
	}
	l.wants(t, map[string]string{"tcp 10.0.0.2:41000 10.0.0.1:50001": "ftp-data"})
}

func TestSnapLength(t *testing.T) {
	c, s := "10.0.0.2:40000", "10.0.0.1:21"
	l := heard()
	p := l.packet(tcp(s, c, "230 welcome to a server with much to say\r\n"))
	p.Payload = p.Payload[:6]
	l.Packet(&p, l.now)
	l.hear(tcp(s, c, "227 Entering Passive Mode (10,0,0,1,195,81)\r\n"))
	l.wants(t, map[string]string{"tcp 10.0.0.2:41000 10.0.0.1:50001": "ftp-data"})
}

func TestWhenAnAgreementHolds(t *testing.T) {
	c, s := "10.0.0.2:40000", "10.0.0.1:21"
	l := heard(tcp(s, c, "227 Entering Passive Mode (10,0,0,1,195,81)\r\n"))
	const flow = "tcp 10.0.0.2:41000 10.0.0.1:50001"
	agreed := l.now
	for after, want := range map[time.Duration]string{
		0: "ftp-data", -time.Minute: "", time.Minute: "ftp-data", ftpHold + time.Second: "",
	} {
		if got := l.askAt(flow, agreed+int64(after)); got != want {
			t.Errorf("%s after it: %q", after, got)
		}
	}
	l.hear(sent{protoTCP, c, s, fin | ack, ""})
	if got := l.askAt(flow, l.now+int64(time.Minute)); got != "" {
		t.Errorf("%q after the control connection's end", got)
	}
	if got := l.askAt(flow, l.now); got != "ftp-data" {
		t.Errorf("%q at its end", got)
	}
}

func TestCallEnds(t *testing.T) {
	a, b := "192.0.2.10:5060", "192.0.2.20:5060"
	l := heard(
		udp(a, b, sipped("INVITE sip:b@example.org SIP/2.0", "x", sdp("c=IN IP4 192.0.2.10", "m=audio 30000 RTP/AVP 0"))),
		udp(b, a, sipped("SIP/2.0 200 OK", "x", sdp("c=IN IP4 192.0.2.20", "m=audio 40000 RTP/AVP 0"))),
		udp(a, b, sipped("BYE sip:b@example.org SIP/2.0", "x", "")),
	)
	const flow = "udp 192.0.2.10:30000 192.0.2.20:40000"
	if got := l.ask(flow); got != "rtp" {
		t.Errorf("%q at the end", got)
	}
	if got := l.askAt(flow, l.now+int64(time.Minute)); got != "" {
		t.Errorf("%q after the end", got)
	}
}

func TestBounds(t *testing.T) {
	o := Options{MaxExpect: 10, MaxControl: 5, MaxBytes: 4000, MaxPending: 7}
	l := newLab(o)
	for i := range 300 {
		c := fmt.Sprintf("10.0.%d.%d:4000", i/100, i%100)
		l.hear(
			tcp("10.1.0.1:21", c, fmt.Sprintf("227 Entering Passive Mode (10,1,0,1,100,%d)\r\n", i%256)),
			tcp(c, "10.1.0.1:21", strings.Repeat("x", 900)),
			tcp(c, "10.1.0.1:5060", "INVITE sip:x SIP/2.0\r\n"+strings.Repeat("y", 3000)),
			tcp(c, "10.1.0.1:9999", "INVITE sip:x SIP/2.0\r\n"),
			udp(c, "10.1.0.1:111", rpcCalled(i, 2, 4)),
			udp(c, "10.1.0.1:5060", sipped("INVITE sip:x SIP/2.0", fmt.Sprint(i), sdp("c=IN IP4 192.0.2.11", "m=audio 30000 RTP/AVP 0"))),
		)
		if w := l.Watcher; len(w.expects.byKey) > 10 || len(w.conns.byKey) > 5 || w.conns.bytes > 4000 || len(w.asked.byKey) > 7 || len(w.calls.byID) > 7 {
			t.Fatalf("%d expectations, %d connections, %d bytes, %d questions, %d calls",
				len(w.expects.byKey), len(w.conns.byKey), w.conns.bytes, len(w.asked.byKey), len(w.calls.byID))
		}
	}
	if kept := l.counted(); kept != l.conns.bytes {
		t.Errorf("%d bytes are kept, %d counted", kept, l.conns.bytes)
	}
	l.wants(t, map[string]string{"tcp 10.0.2.99:1 10.1.0.1:25643": "ftp-data", "tcp 10.0.0.0:1 10.1.0.1:25600": ""})
}

// counted adds up what the streams keep.
func (w *Watcher) counted() (n int) {
	for c := range maps.Values(w.conns.byKey) {
		n += c.up.size() + c.down.size()
	}
	return n
}

// What is no control traffic costs no allocation, whatever it begins with.
func TestOthersCostNothing(t *testing.T) {
	l := newLab(Options{})
	for _, s := range []sent{
		tcp("10.0.0.1:443", "10.0.0.2:40000", "\x17\x03\x03\x00\x10 and more"), udp("10.0.0.1:40001", "10.0.0.2:40000", "INVALID sip"),
		tcp("10.0.0.1:443", "10.0.0.2:40000", ""),
	} {
		p := l.packet(s)
		if n := testing.AllocsPerRun(100, func() { l.Packet(&p, l.now) }); n != 0 {
			t.Errorf("%q: %v allocations", s.data, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { l.ask("tcp 10.0.0.1:443 10.0.0.2:40000") }); n > 2 {
		t.Errorf("a question costs %v allocations", n) // both are the test's own
	}
}

func BenchmarkOthers(b *testing.B) {
	l := newLab(Options{})
	p := l.packet(tcp("10.0.0.1:443", "10.0.0.2:40000", "\x17\x03\x03\x00\x10 and more"))
	for b.Loop() {
		l.Packet(&p, l.now)
	}
}

func BenchmarkLabelNone(b *testing.B) {
	l := newLab(Options{})
	p := l.packet(tcp("10.0.0.1:443", "10.0.0.2:40000", ""))
	for b.Loop() {
		l.Label(protoTCP, p.Src, p.SrcPort, p.Dst, p.DstPort, 0)
	}
}
