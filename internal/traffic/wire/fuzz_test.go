package wire_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/wire"
	"github.com/portreeve/portreeve/internal/traffic/wire/wiretest"
)

// FuzzDecode reads any bytes as any link type, by the rules that hold for all
// frames. Its seeds are small frames of the fixtures and built ones.
func FuzzDecode(f *testing.F) {
	const small, perFile = 200, 2
	taken := map[string]int{}
	for _, c := range captured(f) {
		if len(c.data) <= small && taken[c.file] < perFile {
			taken[c.file]++
			f.Add(uint16(c.link), c.wire, c.data)
		}
	}
	built := rapid.Custom(wiretest.Any)
	for i := range 200 {
		c := built.Example(i)
		f.Add(uint16(c.Link), uint32(len(c.Frame)), c.Frame)
	}
	f.Fuzz(func(t *testing.T, link uint16, wireLen uint32, data []byte) {
		checkBothWays(t, wire.LinkType(link), data, wireLen)
	})
}
