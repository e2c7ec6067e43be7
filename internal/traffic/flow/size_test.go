package flow

import (
	"testing"
	"unsafe"
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
