package negotiate

import "testing"

// fuzzed feeds bytes in both directions of a control flow, in two halves, and
// checks the bounds; a Watcher must take whatever comes.
func fuzzed(f *testing.F, proto uint8, port string, seeds ...string) {
	for _, c := range conversations() {
		for _, s := range c.said {
			if s.proto == proto && (hasPort(s.from, port) || hasPort(s.to, port)) {
				seeds = append(seeds, s.data)
			}
		}
	}
	for _, s := range seeds {
		f.Add([]byte(s), uint16(len(s)/2))
	}
	client, server := clientHost+":40000", serverHost+":"+port
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		l := newLab(Options{MaxExpect: 64, MaxBytes: 64 << 10, MaxPending: 16})
		i := min(int(at), len(b))
		for _, part := range []string{string(b[:i]), string(b[i:])} {
			l.hear(sent{proto, client, server, ack, part}, sent{proto, server, client, ack, part})
		}
		if n := len(l.expects.byKey); n > 64 {
			t.Errorf("%d expectations", n)
		}
		if kept := l.counted(); kept != l.conns.bytes || kept > 64<<10 {
			t.Errorf("%d bytes are kept, %d counted", kept, l.conns.bytes)
		}
		for k := range l.expects.byKey {
			if k.at.Port == 0 && k.proto != protoGRE || k.proto != protoTCP && k.proto != protoUDP && k.proto != protoGRE {
				t.Errorf("expects %v", k)
			}
		}
	})
}

func hasPort(endpoint, port string) bool {
	n := len(endpoint) - len(port)
	return n > 0 && endpoint[n:] == port && endpoint[n-1] == ':'
}

func FuzzFTP(f *testing.F)    { fuzzed(f, protoTCP, "21") }
func FuzzRPC(f *testing.F)    { fuzzed(f, protoUDP, "111") }
func FuzzRPCTCP(f *testing.F) { fuzzed(f, protoTCP, "111") }
func FuzzDCERPC(f *testing.F) { fuzzed(f, protoTCP, "135") }
func FuzzSIP(f *testing.F)    { fuzzed(f, protoUDP, "5060") }
func FuzzSIPTCP(f *testing.F) {
	fuzzed(f, protoTCP, "5060", sipped("SIP/2.0 200 OK", "x", sdp("c=IN IP4 192.0.2.20", "m=audio 40000 RTP/AVP 0")))
}
func FuzzRTSP(f *testing.F) { fuzzed(f, protoTCP, "554") }
func FuzzTFTP(f *testing.F) { fuzzed(f, protoUDP, "69") }
func FuzzIRC(f *testing.F)  { fuzzed(f, protoTCP, "6667") }
func FuzzPPTP(f *testing.F) { fuzzed(f, protoTCP, "1723") }
func FuzzTURN(f *testing.F) { fuzzed(f, protoUDP, "3478") }
func FuzzTURNTCP(f *testing.F) {
	fuzzed(f, protoTCP, "3478", stunMessage(allocateSuccess, xorRelayed(10, 0, 0, 1, 30303)))
}
func FuzzMapping(f *testing.F) { fuzzed(f, protoUDP, "5351") }
func FuzzTNS(f *testing.F)     { fuzzed(f, protoTCP, "1521") }
func FuzzMGCP(f *testing.F)    { fuzzed(f, protoUDP, "2427") }
