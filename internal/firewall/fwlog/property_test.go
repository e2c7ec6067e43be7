package fwlog

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestNoHistory: what a line is does not hang on the lines before it, but for
// what headers say. Each line is read alone, and then among others in an
// order that is drawn.
func TestNoHistory(t *testing.T) {
	var lines [][]byte
	var alone []string
	for _, l := range everything(t) {
		p := New(Options{Now: readAt})
		said := sayAll(p, l)
		if p.carried != (carried{}) {
			continue // a header
		}
		lines, alone = append(lines, l), append(alone, said)
	}
	rapid.Check(t, func(t *rapid.T) {
		p := New(Options{Now: readAt})
		for range 200 {
			i := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
			if got := sayAll(p, lines[i]); got != alone[i] {
				t.Fatalf("%s\nalone %s\nnow   %s", lines[i], alone[i], got)
			}
		}
	})
}

// sayAll is all that a Parser says of a line.
func sayAll(p *Parser, l []byte) string {
	var out bytes.Buffer
	var e Event
	if !p.Read(l, &e) {
		writeOther(&out, 1, p.Known(), &e)
		return out.String()
	}
	writeEvent(&out, 1, &e)
	for p.More(&e) {
		writeEvent(&out, 1, &e)
	}
	return out.String()
}

// TestCutLines: a line that was cut anywhere never tells an address or a port
// that the whole line does not.
func TestCutLines(t *testing.T) {
	for _, name := range []string{"netfilter", "mikrotik", "filterlog", "pflog", "ipfw", "ipmon", "ulogd"} {
		for _, file := range corpusFiles(t) {
			if !strings.HasPrefix(file, "testdata/"+name+"/") {
				continue
			}
			for i, l := range corpusLines(t, file) {
				cutLine(t, file, i+1, l)
			}
		}
	}
}

func cutLine(t *testing.T, file string, number int, l []byte) {
	p := New(Options{Now: readAt})
	var whole, e Event
	if !p.Read(l, &whole) {
		return
	}
	src, dst := whole.Src, whole.Dst
	sport, dport := whole.SrcPort, whole.DstPort
	for n := range l {
		if !New(Options{Now: readAt}).Read(l[:n], &e) {
			continue
		}
		if e.Src != src || e.Dst != dst || e.HasPorts && (e.SrcPort != sport || e.DstPort != dport) {
			t.Errorf("%s:%d cut at %d: %s:%d > %s:%d", file, number, n, e.Src, e.SrcPort, e.Dst, e.DstPort)
		}
		if e.HasProto && e.Proto != whole.Proto || e.HasICMP && (e.ICMPType != whole.ICMPType || e.ICMPCode != whole.ICMPCode) {
			t.Errorf("%s:%d cut at %d: protocol %d, ICMP %d/%d", file, number, n, e.Proto, e.ICMPType, e.ICMPCode)
		}
	}
}

// TestAddr: parseAddr is netip.ParseAddr without the zone.
func TestAddr(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text string
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			text = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4"))).String()
		case 1:
			text = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 0, 1, 255}), 16, 16).Draw(t, "v6"))).String()
		case 2:
			text = rapid.StringOfN(rapid.RuneFrom([]rune("0123456789abcdefF:.%")), 0, 40, -1).Draw(t, "text")
		case 3:
			text = strings.Join(rapid.SliceOfN(rapid.StringMatching(`[0-9a-f]{0,4}`), 1, 9).Draw(t, "groups"), ":")
		}
		if rapid.Bool().Draw(t, "change") && len(text) > 0 {
			b := []byte(text)
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.SampledFrom([]byte("0:.1%fg")).Draw(t, "to")
			text = string(b)
		}
		want, err := netip.ParseAddr(text)
		got, ok := parseAddr([]byte(text))
		if ok != (err == nil) || ok && got != want.WithZone("") {
			t.Fatalf("%q: %v %t, netip says %v %v", text, got, ok, want, err)
		}
	})
}

// TestStamps: times are what package time says they are.
func TestStamps(t *testing.T) {
	layouts := []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.000000Z07:00", "2006-01-02 15:04:05.000Z0700", "2006/01/02 15:04:05",
		"2006-01-02T15:04:05,000000-07:00", "Jan _2 2006 15:04:05", "2006 Jan _2 15:04:05", "Mon Jan _2 15:04:05 2006",
		"02/Jan/2006:15:04:05 -0700", "Jan/02/2006 15:04:05", "2006-01-02_15:04:05", "Mon, 02 Jan 2006 15:04:05 -0700",
		"Jan _2 15:04:05", "Jan 02 15:04:05.000000",
	}
	zones := []*time.Location{time.UTC, time.FixedZone("", 2*3600), time.FixedZone("", -9*3600-1800)}
	rapid.Check(t, func(t *rapid.T) {
		layout := rapid.SampledFrom(layouts).Draw(t, "layout")
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		at := time.Unix(rapid.Int64Range(2*86400, 4e9).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).In(zone)
		now := at.Add(time.Duration(rapid.Int64Range(0, 360*24).Draw(t, "hours ago")) * time.Hour)
		text := at.Format(layout)
		want, err := time.ParseInLocation(layout, text, zone)
		if err != nil {
			t.Fatal(err)
		}
		if want.Year() == 0 {
			want = time.Date(at.Year(), want.Month(), want.Day(), want.Hour(), want.Minute(), want.Second(), want.Nanosecond(), zone)
		}
		p := New(Options{Now: now, Zone: zone})
		for range 2 { // the second time it is remembered
			got, n := p.stamp([]byte(text + " host"))
			if n != len(text) || got != want.UnixNano() {
				t.Fatalf("%q: %d, %s; want %s", text, n, time.Unix(0, got).In(zone), want)
			}
		}
	})
}

// TestYear: a line without a year is of the last year in which it is not more
// than a day after Now.
func TestYear(t *testing.T) {
	now := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"Mar  1 12:00:00": "2025-03-01T12:00:00Z",
		"Mar  2 11:59:59": "2025-03-02T11:59:59Z",
		"Mar  2 12:00:01": "2024-03-02T12:00:01Z",
		"Dec 31 23:59:59": "2024-12-31T23:59:59Z",
		"Feb 29 10:00:00": "2024-02-29T10:00:00Z",
	} {
		p := New(Options{Now: now})
		if got, _ := p.stamp([]byte(text)); time.Unix(0, got).UTC().Format(time.RFC3339) != want {
			t.Errorf("%s: %s, want %s", text, time.Unix(0, got).UTC(), want)
		}
	}
	if got, n := New(Options{}).stamp([]byte("Mar  1 12:00:00")); got != 0 || n != 15 {
		t.Errorf("without Now: %d, %d", got, n)
	}
}
