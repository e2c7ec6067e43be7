package wire_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/wire"
	"github.com/portreeve/portreeve/internal/traffic/wire/wiretest"
)

// What was built is what is found, to the last field.
func TestDecodesWhatWasBuilt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := wiretest.Any(t)
		var d wire.Decoder
		var p wire.Packet
		d.Decode(c.Link, c.Frame, uint32(len(c.Frame)), &p)
		if diff := cmp.Diff(c.Want, p, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%#v\n%s", c.Layers, diff)
		}
	})
}
