package flow

import (
	"testing"

	"pgregory.net/rapid"
)

// TestIndex: whatever is put in and taken out, in whatever order, all that is
// in is found at its number, and nothing else.
func TestIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, hashes := newIndex(), map[uint32]uint32{}
		at := func(number uint32) uint32 { return hashes[number] }
		drawn := rapid.SliceOfN(rapid.Uint32Range(0, 40), 1, 200).Draw(t, "numbers")
		for _, number := range drawn {
			if hash, in := hashes[number]; in {
				x.remove(hash, number, at)
				delete(hashes, number)
				continue
			}
			// Few homes, some of them at the end, so that runs meet and wrap.
			low := rapid.SampledFrom([]uint32{0, 1, 2, 3, minSlots - 2, minSlots - 1}).Draw(t, "home")
			hashes[number] = low | rapid.Uint32Range(0, 2).Draw(t, "tag")<<numberBits
			x.put(hashes[number], number)
		}
		if x.used != len(hashes) {
			t.Fatalf("%d used, want %d", x.used, len(hashes))
		}
		for number, hash := range hashes {
			if !x.holds(hash, number) {
				t.Fatalf("%d (%x) is lost", number, hash)
			}
		}
	})
}

// holds looks the way Table.lookUp does.
func (x *index) holds(hash, number uint32) bool {
	for i := x.home(hash); x.slots[i] != 0; i = x.next(i) {
		if x.slots[i] == tag(hash)|(number+1) {
			return true
		}
	}
	return false
}

// TestIndexGrows: all is found after the index has grown many times.
func TestIndexGrows(t *testing.T) {
	x := newIndex()
	at := func(number uint32) uint32 { return number * 2654435761 }
	const n = 100_000
	for number := range uint32(n) {
		x.put(at(number), number)
		x.grow(at)
	}
	for number := range uint32(n) {
		if !x.holds(at(number), number) {
			t.Fatalf("%d is lost", number)
		}
	}
	if x.used != n || len(x.slots) < 2*n || len(x.slots) > 4*n {
		t.Errorf("%d used of %d slots", x.used, len(x.slots))
	}
}
