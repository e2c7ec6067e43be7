package discover

import (
	"testing"

	"golang.org/x/net/bpf"
)

// agreeWithFilter runs the socket filters on a packet: what decode takes must
// pass.
func agreeWithFilter(t *testing.T, b []byte, wanted bool) {
	program := answers4(testPort)
	if len(b) > 0 && b[0]>>4 == 6 {
		program = answers6(testPort)
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := vm.Run(b); wanted && (err != nil || n == 0) {
		t.Errorf("the filter keeps out what decode takes: % x", b)
	}
}

// The filters keep out what is no answer.
func TestFiltersKeepOut(t *testing.T) {
	src, dst := ours4, host4
	for range 2 {
		for kind := range kinds(src.Is4()) {
			probe := putProbe(make([]byte, longestPacket), kind, src, dst, testPort, 7)
			program := answers4(testPort)
			if src.Is6() {
				program = answers6(testPort)
			}
			vm, err := bpf.NewVM(program)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := vm.Run(probe); n != 0 || err != nil {
				t.Errorf("kind %d: our own probe passes", kind)
			}
			if n, _ := vm.Run(reply(probe, false)); n == 0 {
				t.Errorf("kind %d: the answer does not pass", kind)
			}
			if other, _ := bpf.NewVM(answers4(testPort + 1)); src.Is4() && (kind == kindSYN || kind == kindACK) {
				if n, _ := other.Run(reply(probe, false)); n != 0 {
					t.Error("an answer to another port passes")
				}
			}
		}
		src, dst = ours6, host6
	}
}
