package rulefile

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const sample = `schema: portreeve.rules/1
name: dmz
made: 2026-11-21T18:00:00Z
sources:
  - monday.pcap
window:
  from: 2026-11-14T00:00:00Z
  to: 2026-11-21T00:00:00Z
cannot_know:
  - "what runs once a month: seven days were seen"
rules:
  - name: web to database
    action: permit
    proto: tcp
    from: [192.0.2.10, 192.0.2.11]
    to: [198.51.100.20]
    ports: [1433]
    service: ms-sql-s
    evidence:
      flows: 120
      clients: 2
      servers: 1
      first: 2026-11-14T08:00:00Z
      last: 2026-11-20T17:00:00.5Z
      days: 7
      peers:
        - 192.0.2.10 -> 198.51.100.20:1433 (80)
      confidence: high
      why: seen on each of 7 days
  - action: deny
    proto: icmp6
    to: [2001:db8::/32]
    types: [128, 1/4]
  - action: ask
    proto: 47
    from: [192.0.2.0/24, 192.0.2.7-192.0.2.9]
    in: "eth*"
`

func mustParse(t testing.TB, text string) *File {
	t.Helper()
	f, err := Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSampleIsReadAndWrittenAsItIs(t *testing.T) {
	f := mustParse(t, sample)
	if got := string(f.Text()); got != sample {
		t.Errorf("written:\n%s", cmp.Diff(sample, got))
	}
	if f.Rules[0].Line != 12 || f.Rules[1].Line != 30 {
		t.Errorf("lines %d and %d", f.Rules[0].Line, f.Rules[1].Line)
	}
	if f.Rules[0].Evidence.Last != time.Date(2026, 11, 20, 17, 0, 0, 5e8, time.UTC) {
		t.Error(f.Rules[0].Evidence.Last)
	}
}

func rule(lines string) string {
	return "schema: portreeve.rules/1\nrules:\n  - action: permit\n" + lines
}

// Every error names its place, what offends and what is allowed.
func TestErrorsNameThePlace(t *testing.T) {
	for _, c := range []struct {
		name, text   string
		line, column int
		says         []string
	}{
		{"unknown key", rule("    proto: tcp\n    port: [80]\n"), 5, 5, []string{`"port"`, "ports"}},
		{"top key", "schema: portreeve.rules/1\nruels: []\n", 2, 1, []string{`"ruels"`, "rules"}},
		{"no schema", "rules: []\n", 1, 1, []string{"schema: portreeve.rules/1"}},
		{"other schema", "schema: portreeve.rules/2\nrules: []\n", 1, 9, []string{"portreeve.rules/2", "portreeve.rules/1"}},
		{"no rules", "schema: portreeve.rules/1\n", 1, 1, []string{"rules:"}},
		{"twice", rule("    proto: tcp\n    proto: udp\n"), 5, 5, []string{"proto"}},
		{"no protocol", rule("    ports: [80]\n"), 3, 5, []string{"proto", "missing", "tcp"}},
		{"no action", "schema: portreeve.rules/1\nrules:\n  - proto: tcp\n", 3, 5, []string{"action", "permit"}},
		{"action", "schema: portreeve.rules/1\nrules:\n  - {action: allow, proto: tcp}\n", 3, 14, []string{`"allow"`, "permit, deny, ask"}},
		{"protocol", rule("    proto: tpc\n"), 4, 12, []string{`"tpc"`, "udp"}},
		{"port", rule("    proto: tcp\n    ports: [80, 70000]\n"), 5, 17, []string{`"70000"`, "65535"}},
		{"octal port", rule("    proto: tcp\n    ports: [0443]\n"), 5, 13, []string{`"0443"`}},
		{"hex port", rule("    proto: tcp\n    ports: [0x50]\n"), 5, 13, []string{`"0x50"`}},
		{"fraction", rule("    proto: tcp\n    ports: [80.5]\n"), 5, 13, []string{`"80.5"`}},
		{"port backwards", rule("    proto: tcp\n    ports: [90-80]\n"), 5, 13, []string{"before"}},
		{"no list", rule("    proto: tcp\n    ports: 80\n"), 5, 12, []string{"list"}},
		{"empty list", rule("    proto: tcp\n    from: []\n"), 5, 11, []string{"any"}},
		{"address", rule("    proto: tcp\n    from:\n      - 192.0.2.1\n      - 192.0.2\n"), 7, 9, []string{`"192.0.2"`, "192.0.2.0/24"}},
		{"name", rule("    proto: tcp\n    to: [db1]\n"), 5, 10, []string{`"db1"`}},
		{"zone", rule("    proto: tcp\n    to: ['fe80::1%eth0']\n"), 5, 10, []string{"fe80::1%eth0"}},
		{"bits", rule("    proto: tcp\n    to: [192.0.2.5/24]\n"), 5, 10, []string{"192.0.2.0/24"}},
		{"range backwards", rule("    proto: tcp\n    to: [192.0.2.5-192.0.2.4]\n"), 5, 10, []string{"before"}},
		{"range of two families", rule("    proto: tcp\n    to: ['192.0.2.5-2001:db8::1']\n"), 5, 10, []string{"families"}},
		{"two families", rule("    proto: tcp\n    to: [192.0.2.5, '2001:db8::1']\n"), 5, 9, []string{"each family"}},
		{"families apart", rule("    proto: tcp\n    from: [192.0.2.5]\n    to: ['2001:db8::1']\n"), 6, 9, []string{"no packet"}},
		{"icmp over IPv6", rule("    proto: icmp\n    to: ['2001:db8::1']\n"), 5, 9, []string{"icmp6"}},
		{"ports of icmp", rule("    proto: icmp\n    ports: [8]\n"), 5, 12, []string{"no ports"}},
		{"ports of any", rule("    proto: any\n    ports: [8]\n"), 5, 12, []string{"no ports"}},
		{"types of tcp", rule("    proto: tcp\n    types: [8]\n"), 5, 12, []string{"icmp"}},
		{"type", rule("    proto: icmp\n    types: [echo]\n"), 5, 13, []string{`"echo"`, "3/4"}},
		{"type too large", rule("    proto: icmp\n    types: [256]\n"), 5, 13, []string{"256"}},
		{"interface", rule("    proto: tcp\n    in: 'a b'\n"), 5, 9, []string{"interface"}},
		{"time", rule("    proto: tcp\n    evidence: {flows: 1, first: yesterday}\n"), 5, 33, []string{"yesterday", "2026-"}},
		{"count", rule("    proto: tcp\n    evidence: {flows: -1}\n"), 5, 23, []string{"-1"}},
		{"confidence", rule("    proto: tcp\n    evidence: {flows: 1, confidence: sure}\n"), 5, 38, []string{"sure", "high"}},
		{"second document", "schema: portreeve.rules/1\nrules: []\n---\nrules: []\n", 4, 1, []string{"second"}},
		{"anchor", rule("    proto: &x tcp\n"), 4, 12, []string{"anchor"}},
		{"tag", rule("    proto: !!str tcp\n"), 4, 12, []string{"tag"}},
		{"missing value", rule("    proto:\n"), 4, 0, []string{"missing"}},
		{"scalar file", "hello\n", 1, 1, []string{"map"}},
		{"empty file", "", 0, 0, []string{"empty"}},
		{"line end in a text", rule("    proto: tcp\n    comment: \"a\\nb\"\n"), 5, 14, []string{"line-end"}},
		{"bad UTF-8", "schema: portreeve.rules/1\nname: a\xffb\n", 2, 8, []string{"UTF-8"}},
		{"control", "schema: portreeve.rules/1\nname: a\x01b\n", 2, 8, []string{"control"}},
		{"deep", "schema: " + strings.Repeat("[", 4000), 1, 1, []string{"nested"}},
		{"window", "schema: portreeve.rules/1\nwindow: {from: 2026-01-02T00:00:00Z, to: 2026-01-01T00:00:00Z}\nrules: []\n", 2, 9, []string{"before"}},
		{"chain name", "schema: portreeve.rules/1\nname: 'a b'\nrules: []\n", 2, 7, []string{"a b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(c.text))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v", err)
			}
			if e.Line != c.line || c.column != 0 && e.Column != c.column {
				t.Errorf("at %d:%d, want %d:%d: %v", e.Line, e.Column, c.line, c.column, err)
			}
			for _, s := range append(c.says, "x.yaml") {
				if !strings.Contains(e.Error(), s) {
					t.Errorf("%q does not say %q", e, s)
				}
			}
		})
	}
}

func TestSeveralErrorsAreToldAtOnceAndNotWithoutEnd(t *testing.T) {
	text := rule("    proto: tcp\n    ports: [1, x, y]\n") + "  - action: allow\n    proto: udp\n"
	_, err := Parse("", []byte(text))
	if errs, ok := err.(Errors); !ok || len(errs) != 3 || errs[2].Line != 6 {
		t.Errorf("%v", err)
	}
	_, err = Parse("", []byte(rule("    proto: tcp\n    ports: ["+strings.Repeat("x, ", 500)+"x]\n")))
	if errs, ok := err.(Errors); !ok || len(errs) != MaxErrors {
		t.Errorf("%d errors", len(errs))
	}
}

// drawFile draws files whose rules are sound.
func drawFile(t *rapid.T) *File {
	f := &File{Schema: Schema, Name: rapid.StringMatching(`([a-z][a-z0-9_-]{0,8})?`).Draw(t, "name")}
	f.Sources = drawTexts(t, "source")
	f.CannotKnow = drawTexts(t, "unknown")
	if rapid.Bool().Draw(t, "made") {
		f.Made = drawTime(t)
		f.Window = &Window{From: f.Made, To: f.Made.Add(time.Hour)}
	}
	for range rapid.IntRange(0, 4).Draw(t, "rules") {
		f.Rules = append(f.Rules, drawRule(t))
	}
	return f
}

func drawText(t *rapid.T, label string) string {
	s := rapid.OneOf(rapid.StringMatching(`[ -~]{0,12}`), rapid.SampledFrom([]string{
		"yes", "null", "0x10", "1_000", "- a", "a: b", "a #b", "*x", "&x", "!t", "äöü", "'", `\`, "{", "%", "2026-01-01", "~", "1e3", ".5", "0o7", "?", "a:", "é \"q\"",
	})).Draw(t, label)
	return s
}

func drawTexts(t *rapid.T, label string) (out []string) {
	for range rapid.IntRange(0, 3).Draw(t, label+"s") {
		out = append(out, drawText(t, label))
	}
	return out
}

func drawTime(t *rapid.T) time.Time {
	return time.Unix(rapid.Int64Range(1, 4e9).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
}

func drawRule(t *rapid.T) Rule {
	r := Rule{
		Name: drawText(t, "name"), Comment: drawText(t, "comment"), Service: drawText(t, "service"),
		Action: rapid.SampledFrom([]string{Permit, Deny, Ask}).Draw(t, "action"),
		Proto:  rapid.SampledFrom([]string{"tcp", "udp", "sctp", "any", "icmp", "icmp6", "47"}).Draw(t, "proto"),
		In:     rapid.SampledFrom([]string{"", "eth0", "wg*"}).Draw(t, "in"),
	}
	v6 := r.Proto == "icmp6" || r.Proto != "icmp" && rapid.Bool().Draw(t, "v6")
	r.From, r.To = drawAddrs(t, v6), drawAddrs(t, v6)
	n, _ := ParseProto(r.Proto)
	if hasPorts(n) {
		r.Ports, r.FromPorts = drawPorts(t), drawPorts(t)
	}
	if n == protoICMP || n == protoICMP6 {
		r.Types = rapid.SampledFrom([][]string{nil, {"8"}, {"3/4", "0"}}).Draw(t, "types")
	}
	if rapid.Bool().Draw(t, "evidence") {
		r.Evidence = &Evidence{Flows: rapid.Uint64Max(1<<62).Draw(t, "flows"), First: drawTime(t), Peers: drawTexts(t, "peer"),
			Clients: rapid.IntRange(0, 99).Draw(t, "clients"), Confidence: rapid.SampledFrom([]string{"", "low"}).Draw(t, "confidence")}
	}
	return r
}

func drawAddrs(t *rapid.T, v6 bool) (out []string) {
	for range rapid.IntRange(0, 3).Draw(t, "addresses") {
		b := [16]byte{0x20, 1, 0xd, 0xb8}
		b[15] = rapid.Byte().Draw(t, "host")
		a := netip.AddrFrom16(b)
		if !v6 {
			a = netip.AddrFrom4([4]byte{192, 0, 2, b[15]})
		}
		switch rapid.IntRange(0, 2).Draw(t, "form") {
		case 0:
			out = append(out, a.String())
		case 1:
			p, _ := a.Prefix(rapid.IntRange(0, a.BitLen()).Draw(t, "length"))
			out = append(out, p.String())
		case 2:
			out = append(out, a.String()+"-"+a.Next().String())
		}
	}
	return out
}

func drawPorts(t *rapid.T) (out []string) {
	for range rapid.IntRange(0, 3).Draw(t, "ports") {
		lo := rapid.Uint16().Draw(t, "port")
		out = append(out, PortRange{lo, lo + min(5, 65535-lo)}.String())
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFile(t)
		text := f.Text()
		got, err := Parse("", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		for i := range got.Rules {
			if got.Rules[i].Line == 0 {
				t.Fatal("a rule without a line")
			}
			got.Rules[i].Line = 0
		}
		if d := cmp.Diff(f, got); d != "" {
			t.Fatalf("%s\n%s", d, text)
		}
		if again := got.Text(); !bytes.Equal(again, text) {
			t.Fatalf("written anew:\n%s\n%s", text, again)
		}
	})
}

// A range is just the addresses of its prefixes.
func TestPrefixesOfRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo, n := rapid.Uint16().Draw(t, "lo"), rapid.Uint16Max(600).Draw(t, "n")
		hi := lo + min(n, 65535-lo)
		addr := func(v uint16) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, byte(v >> 8), byte(v)}) }
		next := addr(lo)
		for _, p := range (AddrRange{addr(lo), addr(hi)}).Prefixes() {
			if p.Addr() != next {
				t.Fatalf("%v begins at %v, want %v", p, p.Addr(), next)
			}
			next = RangeOf(p).Hi.Next()
		}
		if next != addr(hi).Next() {
			t.Fatalf("ends at %v", next)
		}
	})
	whole := AddrRange{netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("255.255.255.255")}
	if got := fmt.Sprint(whole.Prefixes(), whole); got != "[0.0.0.0/0] 0.0.0.0/0" {
		t.Error(got)
	}
}

// A large file is read in bounded time.
func TestManyRules(t *testing.T) {
	f := &File{Schema: Schema}
	for i := range 20_000 {
		f.Rules = append(f.Rules, Rule{Action: Permit, Proto: "tcp", To: []string{netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String()}, Ports: []string{"443"}})
	}
	got := mustParse(t, string(f.Text()))
	if len(got.Rules) != 20_000 || got.Rules[19_999].To[0] != "10.0.78.31" {
		t.Errorf("%d rules", len(got.Rules))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("schema: portreeve.rules/1\nrules:\n- {action: deny, proto: any}\n"))
	f.Add([]byte("rules: &a [*a]\n"))
	f.Add([]byte("? [a]\n: b\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Parse("x", b)
		if err != nil {
			var e *Error
			if got != nil || !errors.As(err, &e) || e.What == "" {
				t.Fatalf("%v with %v", err, got)
			}
			return
		}
		text := got.Text()
		again, err := Parse("x", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if _, err := again.RuleSet(); err != nil {
			t.Fatal(err)
		}
		if twice := again.Text(); !bytes.Equal(text, twice) {
			t.Fatalf("%s\n%s", text, twice)
		}
	})
}
