package meter

import "testing"

// All samples at once, the later pieces behind their firsts: every kind of
// answer of the program is met.
func TestSamples(t *testing.T) {
	b := newBench(t, Options{MaxFlows: 64}, variant{})
	w := newTwin()
	for _, name := range sampleNames() {
		if frame := samples[name](); b.pass(frame) {
			w.frame(frame)
		} else {
			t.Logf("%s: not taken by the kernel", name)
		}
	}
	b.check(w)
	t.Logf("%+v", b.stats())
}
