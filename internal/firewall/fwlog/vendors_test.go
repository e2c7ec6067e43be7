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

// TestVendorsLongLines: lines of 256 KiB that make as many false starts as
// they can are read in one pass. (In more than one this would not end.)
func TestVendorsLongLines(t *testing.T) {
	const size = 1 << 18
	for _, start := range []string{
		"CEF:0|a|b|c|d|e|f|msg=", "LEEF:1.0|a|b|c|d|", "%ASA-4-106023: Deny tcp src a:",
		"%SEC-6-IPACCESSLOGP: list 1 denied tcp ", "%FTD-1-430002: ", "x CheckPoint 1 - [action:\"", "id=firewall sn=1 fw=2 ",
		"RT_FLOW_SESSION_CREATE [x source-address=\"", `type="traffic" srcip=`, "1,2,3,TRAFFIC,", "1647478988.289402144 MX flows src=",
		`msg_id="3000-0148" Allow `, "x NetScreen device_id=x (traffic): ", " FW: x D tcp ", "Block: type=FWD|",
	} {
		for _, fill := range []string{" ", "=", "a=", `"`, `\`, "%", ": ", ", ", "(", "1:", ",", "|", "%A-1-", " src=", "->", `a="`, `a:"b"; `} {
			l := append([]byte(start), bytes.Repeat([]byte(fill), size/len(fill))...)
			var e Event
			if New(Options{Now: readAt}).Read(l, &e) {
				t.Errorf("%s and many %q: an event", start, fill)
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
