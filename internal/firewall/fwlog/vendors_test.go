package fwlog

import (
	"bytes"
	"path/filepath"
	"testing"
)

var vendors = []string{
	"cisco-asa", "cisco-ios", "cisco-meraki", "juniper-srx", "juniper-screenos", "juniper-filter",
	"fortigate", "paloalto", "checkpoint", "sonicwall", "sophos-utm", "sophos-xg", "watchguard",
	"stormshield", "zyxel", "barracuda", "huawei", "h3c", "suricata", "cef", "leef",
}

// TestVendorsAllocate: reading a line of a vendor's dialect allocates nothing.
// Left out are lines that hold several events or whose texts have to be
// unescaped.
func TestVendorsAllocate(t *testing.T) {
	own := map[string]bool{}
	for _, name := range vendors {
		own[name] = true
	}
	for _, file := range corpusFiles(t) {
		if !own[filepath.Base(filepath.Dir(file))] {
			continue
		}
		p := New(Options{Now: readAt})
		for i, l := range corpusLines(t, file) {
			var e Event
			if !p.Read(l, &e) || bytes.IndexByte(e.Rule, '=') >= 0 || p.More(&e) {
				continue
			}
			if n := testing.AllocsPerRun(5, func() { p.Read(l, &e) }); n > 0 {
				t.Errorf("%s:%d: %v allocations", file, i+1, n)
			}
		}
	}
}

func BenchmarkVendors(b *testing.B) {
	for _, file := range corpusFiles(b) {
		lines := corpusLines(b, file)
		b.Run(filepath.Base(filepath.Dir(file)), func(b *testing.B) {
			p := New(Options{Now: readAt})
			var e Event
			for i := 0; b.Loop(); i++ {
				p.Read(lines[i%len(lines)], &e)
			}
		})
	}
}
