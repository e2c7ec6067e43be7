package p0f

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/scan/osguess/synack"
)

// sample is written for this test in the format that p0f's README defines.
const sample = `; comment
classes = win,unix,other
[tcp:request]
label = s:unix:Wrong:section
sig   = *:64:0:*:*,*:mss:df:0
[tcp:response]
label = g:unix:Toy:generic
sig   = *:64:0:*:*,*:mss,nop,ws::0
label = s:unix:Toy:1.x
sig   = *:64:0:*:mss*4,*:mss,nop,ws:df:0
label = s:unix:Toy:2.x
sig   = *:64:0:*:mss*10,*:mss,sok,ts,nop,ws:df:0
label = s:!:Program:x
sig   = *:64:0:*:*,*:sok:df:0
label = s:other:Six:
sig   = 6:255:0:1440:mtu*2,*:mss,eol+1:flow:*
label = s:other:Odd:
sig   = 4:60-:0:*:%512,3:mss,nop,ws,eol+0:df,id+:+
[http:request]
label = s:!:http:x
sig = 1:Host::x
`

func table(t testing.TB) *Table {
	t.Helper()
	table, err := Read(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	if table.Len() != 5 {
		t.Fatalf("%d signatures", table.Len())
	}
	return table
}

func print4(a synack.Answer) synack.Print {
	a.Src, a.Flags, a.Seq, a.Ack = netip.MustParseAddr("192.0.2.1"), 0x12, 1, 1
	return synack.Print{Addr: a.Src, SYNACK: &a}
}

// Specific wins over generic, generic over a near fit; other sections and
// programs are not asked.
func TestRules(t *testing.T) {
	db := table(t)
	base := synack.Answer{TTL: 60, DF: true, Window: 5840, MSS: 1460, Scale: 2, Layout: "MNW"}
	for _, c := range []struct {
		change   func(a *synack.Answer)
		want     string
		accuracy int
	}{
		{func(*synack.Answer) {}, "Toy 1.x", accuracySpecific},
		{func(a *synack.Answer) { a.Flags |= 0x40 }, "Toy 1.x", accuracySpecific}, // ECN echo was asked for
		{func(a *synack.Answer) { a.TTL = 20 }, "Toy 1.x", accuracyFuzzy},
		{func(a *synack.Answer) { a.DF, a.ID = false, 7 }, "Toy generic", accuracyGeneric},
		{func(a *synack.Answer) { a.ID = 7 }, "", 0}, // id+ may go, not come
		{func(a *synack.Answer) { a.Window = 5841 }, "", 0},
		{func(a *synack.Answer) { a.Layout, a.Window, a.TSVal = "MSTNW", 14480, 1 }, "Toy 2.x", accuracySpecific}, // segments less timestamps
		{func(a *synack.Answer) { a.Layout = "S" }, "", 0},
		{func(a *synack.Answer) { a.Layout = "M" }, "", 0},
		{func(a *synack.Answer) {
			a.Layout, a.TTL, a.ID, a.Window, a.Scale, a.Payload = "MNWE", 3, 9, 1024, 3, 5
		}, "Odd", accuracySpecific},
	} {
		a := base
		c.change(&a)
		p := print4(a)
		p.SYNACK.Flags |= a.Flags
		got := db.Match(p)
		if c.want == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || strings.TrimSpace(got[0].Name) != c.want || got[0].Accuracy != c.accuracy || got[0].Via != Via {
			t.Errorf("%+v: want %q, got %v", a, c.want, got)
		}
	}
}

// An IPv6 signature counts the larger headers of its MTU.
func TestMTUOfIPv6(t *testing.T) {
	a := synack.Answer{Src: netip.MustParseAddr("2001:db8::1"), Seq: 1, Ack: 1, TTL: 250, FlowLabel: 5, Window: 3000, MSS: 1440,
		Scale: synack.NoScale, Layout: "ME", Pad: 1}
	if got := table(t).Match(synack.Print{Addr: a.Src, SYNACK: &a}); len(got) != 1 || got[0].Name != "Six" {
		t.Errorf("%v", got)
	}
	if got := table(t).Match(synack.Print{Addr: a.Src}); got != nil {
		t.Errorf("silence: %v", got)
	}
}

// What is no database is refused with ErrFormat.
func TestErrors(t *testing.T) {
	for _, text := range []string{"", "[tcp:request]\nsig = x", "[tcp:response]\nsig = *:64:0:*:*,*:mss:df:0",
		"[tcp:response]\nlabel = s:u:n:f\nsig = *:64", "[tcp:response]\nlabel = s:u:n:f\nsig = *:64:0:*:*,*:shoe:df:0",
		"[tcp:response]\nlabel = s:u:n:f\nsig = *:64:0:*:*,*:mss:shoe:0", "[tcp:response]\nlabel = s:u:n:f\nsig = *:many:0:*:*,*:mss:df:0",
		strings.Repeat("x", 1<<17)} {
		if _, err := Read(strings.NewReader(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

// Nothing that a file holds or a host answers ends the program.
func FuzzReadAndMatch(f *testing.F) {
	f.Add(sample, uint16(5840), uint16(1460), "MNW", uint8(64))
	f.Add("[tcp:response]\nlabel = s:u:n:f\nsig = *:64:0:*:mtu*0,*:eol+9,?5:df:0", uint16(0), uint16(0), "E", uint8(0))
	f.Fuzz(func(t *testing.T, text string, window, mss uint16, layout string, ttl uint8) {
		db, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, g := range db.Match(print4(synack.Answer{TTL: ttl, Window: window, MSS: mss, Layout: layout})) {
			if len(g.Name) > maxName || g.Accuracy < 1 || g.Accuracy > 100 {
				t.Errorf("%+v", g)
			}
		}
	})
}
