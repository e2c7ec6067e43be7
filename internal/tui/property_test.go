package tui

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
	"pgregory.net/rapid"
)

// anyFlow is a flow with whatever in it.
func anyFlow(t *rapid.T) flow.Flow {
	f := flow.Flow{
		Proto:  rapid.SampledFrom([]uint8{1, 6, 6, 6, 17, 17, 33, 47, 58, 132, 136, 255}).Draw(t, "proto"),
		IPv6:   rapid.Bool().Draw(t, "ipv6"),
		Client: anyAddress(t), Server: anyAddress(t),
		ClientPort: rapid.Uint16().Draw(t, "client port"), ServerPort: rapid.SampledFrom([]uint16{0, 22, 443, 65535}).Draw(t, "port"),
		PacketsToServer: anyTotal(t), PacketsToClient: anyTotal(t), BytesToServer: anyTotal(t), BytesToClient: anyTotal(t),
		First: rapid.Int64().Draw(t, "first"), Last: rapid.Int64().Draw(t, "last"),
		State: flow.State(rapid.Byte().Draw(t, "state")), History: rapid.String().Draw(t, "history"),
		OrientedBy: flow.Orientation(rapid.Byte().Draw(t, "by")),
		HasVLAN:    rapid.Bool().Draw(t, "tagged"), VLAN: rapid.Uint16().Draw(t, "vlan"), Depth: rapid.Byte().Draw(t, "depth"),
		Refused: rapid.Uint32().Draw(t, "refused"), RefusedType: rapid.Byte().Draw(t, "type"), RefusedCode: rapid.Byte().Draw(t, "code"),
		Label: anyText(t),
	}
	for i := range f.Tunnels {
		f.Tunnels[i] = wire.Tunnel(rapid.Byte().Draw(t, "tunnel"))
	}
	return f
}

func anyAddress(t *rapid.T) [16]byte {
	var a [16]byte
	if rapid.Bool().Draw(t, "ipv4") {
		a = [16]byte{10: 0xff, 11: 0xff, 12: 10}
		a[15] = rapid.ByteRange(0, 3).Draw(t, "host")
		return a
	}
	copy(a[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address"))
	return a
}

func anyTotal(t *rapid.T) uint64 {
	return rapid.Uint64().Draw(t, "total") >> rapid.IntRange(0, 63).Draw(t, "shift")
}

// anyText is what a hostile host might call itself.
func anyText(t *rapid.T) string {
	return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", "https", "\x1b[2J\x1b]0;owned\a", "\xff\xfe", "\u202egnp.exe", "e\u0301\u0301\u0301", "日本語日本語",
		"\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "ᄀᄀᄀ각ᆨᆨ", "שלום", "﷽", "a\tb\nc", strings.Repeat("x", 500),
	})).Draw(t, "text")
}

func anyStatus(t *rapid.T) Status {
	s := Status{Interfaces: rapid.SliceOfN(rapid.Custom(anyText), 0, 4).Draw(t, "interfaces"), Source: anyText(t),
		Packets: anyTotal(t), Bytes: anyTotal(t), Dropped: anyTotal(t), DropsKnown: rapid.Bool().Draw(t, "known"), Since: night}
	if rapid.Bool().Draw(t, "judged") {
		s.Grade = flow.Grade{Letter: rapid.SampledFrom([]string{"A", "B", "C", "F", "\x1b"}).Draw(t, "letter"),
			Because: rapid.SliceOfN(rapid.Custom(anyText), 0, 3).Draw(t, "because"), Means: rapid.SliceOfN(rapid.Custom(anyText), 0, 3).Draw(t, "means")}
	}
	if rapid.Bool().Draw(t, "over") {
		s.Err = fmt.Errorf("read: %s", anyText(t))
	}
	return s
}

var someKeys = []string{"1", "2", "3", "tab", "s", "S", "r", "/", "enter", "esc", "left", "right", "up", "down", "j", "k", "g", "G",
	"pgup", "pgdown", "home", "end", "space", "p", "?", "e", "t", "z", "+", "-", "backspace", "ctrl+u", "ctrl+l", "ctrl+z", "ctrl+x",
	"text:tcp", "text:443", "text:10.", "text:日本", "text: \u202e"}

// TestAnyKeysAnyData presses any keys over any data at any size. The screen
// has its lines, none too wide by two independent measures, and no byte that a
// terminal obeys; the selection is in the list.
func TestAnyKeysAnyData(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		feed := &fixture{}
		names := rapid.SliceOfN(rapid.Custom(anyText), 1, 4).Draw(rt, "names")
		s := newStage(t, feed, Options{ASCII: rapid.Bool().Draw(rt, "ascii"), Title: anyText(rt), Filter: anyText(rt),
			Service: func(_ uint8, port uint16) string { return names[int(port)%len(names)] },
			Owner:   func(_ context.Context, f *flow.Flow) string { return names[int(f.ClientPort)%len(names)] }})
		at := night
		steps := map[string]func(*rapid.T){
			"": func(rt *rapid.T) { check(rt, s) },
			"size": func(rt *rapid.T) {
				s.size(rapid.IntRange(0, 200).Draw(rt, "width"), rapid.IntRange(0, 60).Draw(rt, "height"))
			},
			"key":   func(rt *rapid.T) { s.keys(rapid.SampledFrom(someKeys).Draw(rt, "key")) },
			"key2":  func(rt *rapid.T) { s.keys(rapid.SampledFrom(someKeys).Draw(rt, "key")) },
			"paste": func(rt *rapid.T) { s.send(pasteMsg(anyText(rt))) },
			"flows": func(rt *rapid.T) { feed.flows = rapid.SliceOfN(rapid.Custom(anyFlow), 0, 30).Draw(rt, "flows") },
			"tick": func(rt *rapid.T) {
				feed.status = anyStatus(rt)
				at = at.Add(time.Duration(rapid.Int64Range(-1, int64(time.Minute)).Draw(rt, "later")))
				s.tick(at)
			},
		}
		s.size(80, 24)
		rt.Repeat(steps)
	})
}

func check(t *rapid.T, s *stage) {
	m := &s.model
	lines := m.frame()
	if len(lines) > max(m.height, 0) || !m.tooSmall() && len(lines) != m.height {
		t.Fatalf("%d lines at %dx%d", len(lines), m.width, m.height)
	}
	for _, l := range lines {
		if columns(l) > m.width || otherWidth(l) > m.width {
			t.Fatalf("%d (%d) columns of %d: %q", columns(l), otherWidth(l), m.width, l)
		}
		if bad := strings.IndexFunc(l, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u200d' }); bad >= 0 || !utf8.ValidString(l) {
			t.Fatalf("not clean: %q", l)
		}
	}
	p := &m.place
	if p.exact || len(p.rows) == 0 {
		return
	}
	if p.index < 0 || p.index >= len(p.rows) || p.rows[p.index].id != p.selected || p.index < p.top || p.index >= p.top+m.room() {
		t.Fatalf("selection %d, top %d, %d rows, room %d", p.index, p.top, len(p.rows), m.room())
	}
}

// TestCleanWidth: both measures agree about whatever clean lets through.
func TestCleanWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := clean(anyText(t))
		if columns(s) != otherWidth(s) {
			t.Fatalf("%q: %d and %d", s, columns(s), otherWidth(s))
		}
		if clean(s) != s {
			t.Fatalf("not stable: %q", s)
		}
	})
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if s := clean(string(r)); columns(s) != otherWidth(s) {
			t.Errorf("%U: %d and %d", r, columns(s), otherWidth(s))
		}
	}
}

// TestSelectionStays: a selection that was moved stays on its row when order,
// rates, size and other rows change.
func TestSelectionStays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		feed := &fixture{}
		for i := range 40 {
			feed.flows = append(feed.flows, conversation(6, fmt.Sprintf("10.0.%d.1:%d", i%5, 1000+i), fmt.Sprintf("10.1.0.%d:%d", i%7, 100+i)))
		}
		s := newStage(t, feed, Options{})
		s.size(80, 24)
		at := night
		tick := func() {
			at = at.Add(time.Second)
			for i := range feed.flows {
				feed.grow(i, at, 1, rapid.Uint64Range(0, 1e6).Draw(rt, "bytes"), 1, 100)
			}
			s.tick(at)
		}
		tick()
		s.keys(rapid.SampledFrom([]string{"1", "2", "3"}).Draw(rt, "list"))
		for range rapid.IntRange(1, 30).Draw(rt, "down") {
			s.keys("down")
		}
		chosen := s.model.place.selected
		for range 10 {
			s.keys(rapid.SampledFrom([]string{"s", "S", "r", "t", "space"}).Draw(rt, "key"))
			s.size(80, rapid.IntRange(10, 50).Draw(rt, "height"))
			tick()
			if s.model.place.selected != chosen {
				rt.Fatalf("selection moved from %v to %v", chosen, s.model.place.selected)
			}
			check(rt, s)
		}
	})
}

// TestTopIsTheBeginningOfAll: the rows kept are those that come first when all
// are sorted.
func TestTopIsTheBeginningOfAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := order{key: sortKey(rapid.IntRange(0, int(byLast)).Draw(t, "key")), up: rapid.Bool().Draw(t, "up")}
		kept := top{order: o, most: rapid.IntRange(1, 20).Draw(t, "most")}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		var all []row
		for i := range rapid.IntRange(0, 60).Draw(t, "rows") {
			one := row{id: rowID{clientPort: uint16(i), port: uint16(r.IntN(5)), client: [16]byte{byte(r.IntN(5))}}, last: int64(r.IntN(5)), clients: uint64(r.IntN(5)), flows: uint64(r.IntN(5))}
			one.rate[0], one.total[1] = float64(r.IntN(5)), volume{uint64(r.IntN(5)), uint64(r.IntN(5))}
			all = append(all, one)
			kept.offer(&one)
		}
		naive := naiveSort(all, o)
		for i, got := range kept.sorted() {
			if got.id != naive[i].id {
				t.Fatalf("row %d is %v, want %v", i, got.id, naive[i].id)
			}
		}
		if len(kept.heap) != min(kept.most, len(all)) || kept.all != uint64(len(all)) {
			t.Fatalf("%d of %d rows kept", len(kept.heap), kept.all)
		}
	})
}

// naiveSort takes the first of the rest again and again.
func naiveSort(rows []row, o order) []row {
	rows = append([]row{}, rows...)
	for i := range rows {
		for j := i + 1; j < len(rows); j++ {
			if o.compare(&rows[j], &rows[i]) < 0 {
				rows[i], rows[j] = rows[j], rows[i]
			}
		}
	}
	return rows
}
