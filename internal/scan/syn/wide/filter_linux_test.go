package wide

import (
	"testing"

	"golang.org/x/net/bpf"
	"pgregory.net/rapid"
)

// The kernel's filter takes every packet that read reads and whose port is
// reserved; read is the naive twin, the filter runs in a virtual machine.
func TestFilterTakesWhatIsRead(t *testing.T) {
	const first = 40000
	vm4, err4 := bpf.NewVM(answers4(first))
	vm6, err6 := bpf.NewVM(answers6(first))
	if err4 != nil || err6 != nil {
		t.Fatal(err4, err6)
	}
	seeds := [][]byte{}
	for _, c := range []struct{ src, dst string }{{"10.0.0.1", "10.0.0.2"}, {"fd00::1", "fd00::2"}} {
		probe := probeOf(c.src, c.dst, first+3, 443, 77)
		seeds = append(seeds, answerTo(probe, flagSYN|flagACK, 78), answerTo(probe, flagRST|flagACK, 78), refusalOf(probe, 3, 3), refusalOf(probe, 1, 4), probe)
	}
	rapid.Check(t, func(t *rapid.T) {
		b := append([]byte(nil), rapid.SampledFrom(seeds).Draw(t, "packet")...)
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		vm := vm4
		if b[0]>>4 == 6 {
			vm = vm6
		} else if b[0]>>4 != 4 {
			return
		}
		h, ok := read(b)
		ok = ok && h.sport&^(maxTries-1) == first
		taken, err := vm.Run(b)
		if ok && (err != nil || taken == 0) {
			t.Fatalf("the filter loses % x (%+v)", b, h)
		}
	})
	other := probeOf("10.0.0.1", "10.0.0.2", first+maxTries, 443, 77)
	if n, _ := vm4.Run(answerTo(other, flagSYN|flagACK, 78)); n != 0 {
		t.Error("the filter takes another port's answer")
	}
}
