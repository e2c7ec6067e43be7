package nmapos

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/scan/osguess/synack"
)

// sample is written for this test in the format that nmap's guide describes.
const sample = `# comment
MatchPoints
SEQ(TI=100)
OPS(O1=20%O2=20)
WIN(W1=15)
ECN(CC=100)
T1(R=100%DF=20%T=15%TG=15)
T5(DF=20%TG=15%W=25)
IE(TG=15)

Fingerprint Toy 2 - 4
Class Maker | Toy | 2.X | general purpose
Class Maker | Toy | 4.X | general purpose
SEQ(TI=Z)
OPS(O1=M5B4ST11NW7|M5B4NNSNW7%O2=)
WIN(W1=FE88|<10)
ECN(CC=Y)
T1(R=Y%DF=Y%T=3B-45%TG=40)
T5(DF=Y%TG=40%W=0)
IE(TG=40)

Fingerprint Toy 10
Class Maker | Toy | 10.X | general purpose
SEQ(TI=Z)
OPS(O1=M5B4ST11NW7)
WIN(W1=FE88)
T1(DF=Y%TG=40)

Fingerprint Box
Class Boxes | embedded || switch
SEQ(TI=I)
OPS(O1=M218)
WIN(W1=1000-1100)
T1(DF=N%TG=FF)
`

func table(t testing.TB) *Table {
	t.Helper()
	table, err := Read(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	if table.Len() != 3 {
		t.Fatalf("%d fingerprints", table.Len())
	}
	return table
}

func toy() synack.Print {
	addr := netip.MustParseAddr("192.0.2.1")
	a := synack.Answer{Src: addr, Flags: 0x52, TTL: 60, DF: true, Window: 0xfe88, MSS: 1400, Scale: 7, Layout: "MSTNW", TSVal: 3, TSEcr: 4}
	return synack.Print{Addr: addr, SYNACK: &a, ECNAsked: true}
}

// Fingerprints that fit alike make one range of one family; a usual segment
// size is the link's and not compared.
func TestFamilyAndRange(t *testing.T) {
	got := table(t).Match(toy())
	if len(got) != 1 || got[0].Name != "Toy 2.X–10.X" || got[0].Accuracy != most || got[0].Via != Via {
		t.Errorf("%v", got)
	}
	p := toy()
	p.SYNACK.Layout, p.SYNACK.MSS, p.SYNACK.TTL, p.SYNACK.DF, p.SYNACK.Window, p.SYNACK.ID = "M", 536, 250, false, 0x1010, 9
	if got := table(t).Match(p); len(got) != 1 || got[0].Name != "Boxes embedded" || got[0].Accuracy > mostPlain {
		t.Errorf("%v", got)
	}
}

// Every attribute that was heard counts: one change each loses the range or
// the guess.
func TestEveryAttributeCounts(t *testing.T) {
	db := table(t)
	full := func() synack.Print {
		p := toy()
		p.RST, p.Echo = &synack.Answer{TTL: 60, DF: true}, 60
		return p
	}
	base := func(p synack.Print) float64 {
		credits := db.compare(observe(p))
		return db.score(&db.fingerprints[0], &credits)
	}
	if base(full()) != 1 {
		t.Fatalf("whole fit is %v", base(full()))
	}
	for name, change := range map[string]func(p *synack.Print){
		"O1": func(p *synack.Print) { p.SYNACK.Layout = "MNW" }, "O1 number": func(p *synack.Print) { p.SYNACK.Scale = 6 },
		"W1": func(p *synack.Print) { p.SYNACK.Window = 77 }, "DF": func(p *synack.Print) { p.SYNACK.DF = false },
		"TG": func(p *synack.Print) { p.SYNACK.TTL = 100 }, "TI": func(p *synack.Print) { p.SYNACK.ID = 8 },
		"CC": func(p *synack.Print) { p.SYNACK.Flags = 0x12 }, "T5 DF": func(p *synack.Print) { p.RST.DF = false },
		"T5 W": func(p *synack.Print) { p.RST.Window = 9 }, "T5 TG": func(p *synack.Print) { p.RST.TTL = 200 },
		"IE TG": func(p *synack.Print) { p.Echo = 250 },
	} {
		p := full()
		change(&p)
		if base(p) >= 1 {
			t.Errorf("%s does not count", name)
		}
	}
	if got := db.Match(synack.Print{Addr: netip.MustParseAddr("2001:db8::1"), SYNACK: toy().SYNACK}); got != nil {
		t.Errorf("IPv6: %v", got)
	}
}

// permits against the plainest reading of one range.
func TestPermits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint16().Draw(t, "a"), rapid.Uint16().Draw(t, "b")
		have := rapid.Uint16().Draw(t, "have")
		hex := func(n uint16) string { return strings.ToUpper(strconv.FormatUint(uint64(n), 16)) }
		h := uint64(have)
		for expression, want := range map[string]bool{
			hex(a): a == have, hex(a) + "-" + hex(b): a <= have && have <= b, "<" + hex(a): have < a, ">" + hex(a): have > a,
			hex(a) + "|" + hex(b): a == have || b == have, "": false,
		} {
			if permits(expression, h) != want {
				t.Fatalf("permits(%q, %X) is %v", expression, have, !want)
			}
		}
	})
}

// What is no database is refused with ErrFormat.
func TestErrors(t *testing.T) {
	for _, text := range []string{"", "Fingerprint X\n", "MatchPoints\nOPS(O1=20)\n", "MatchPoints\n\nFingerprint X\n", strings.Repeat("x", 1<<17)} {
		if _, err := Read(strings.NewReader(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

// Nothing that a file holds or a host answers ends the program.
func FuzzReadAndMatch(f *testing.F) {
	f.Add(sample, uint16(0xfe88), uint16(1460), "MSTNW", uint8(64))
	f.Add("MatchPoints\nOPS(O1=20)\nFingerprint X\nClass a|b|c|d\nOPS(O1=M|W-|<|>)\n", uint16(0), uint16(536), "M?E", uint8(0))
	f.Fuzz(func(t *testing.T, text string, window, mss uint16, layout string, ttl uint8) {
		db, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		p := toy()
		p.SYNACK.Window, p.SYNACK.MSS, p.SYNACK.Layout, p.SYNACK.TTL = window, mss, layout[:min(len(layout), 40)], ttl
		for _, g := range db.Match(p) {
			if g.Accuracy < 0 || g.Accuracy > most {
				t.Errorf("%+v", g)
			}
		}
	})
}
