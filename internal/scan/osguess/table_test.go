package osguess

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/osguess/synack"
)

// ownTable is the shipped table, read anew.
func ownTable(t testing.TB) *stacks {
	t.Helper()
	table, err := parseStacks(stackText)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// The shipped tables are sound: every signature has a source above it, every
// family that is named exists, and no banner's rule is dead.
func TestTablesAreSound(t *testing.T) {
	table := ownTable(t)
	for _, families := range []map[string]string{table.kin, invert(table.aliases)} {
		for family := range families {
			if _, known := table.families[family]; !known {
				t.Errorf("%q is no family", family)
			}
		}
	}
	comment := false
	for line := range strings.Lines(stackText) {
		if strings.HasPrefix(line, "sig ") && !comment {
			t.Errorf("no source above %s", line)
		}
		comment = strings.HasPrefix(line, "#") || comment && strings.HasPrefix(line, "sig ")
	}
	rules, err := parseBanners(bannerText)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules.rules {
		if r.accuracy < 50 || r.accuracy > 85 {
			t.Errorf("%s: accuracy %d", r.pattern, r.accuracy)
		}
	}
}

func invert(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[v] = k
	}
	return out
}

// A table with an error is refused with its line.
func TestTableErrors(t *testing.T) {
	for _, text := range []string{
		"weight opts many", "family", "stack x", `family "open`, "sig Nobody - - opts=M ttl=64",
		"weight opts 1\nfamily A\nsig A 1 2 opts=M", "weight opts 1\nfamily A\nsig A - - opts=M",
		"weight opts 1\nfamily A\nsig A - - shoe=M", "weight opts 1\nfamily A 1 2\nsig A 2 1 opts=M", "",
	} {
		if _, err := parseStacks(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	for _, text := range []string{"ssh 80 Linux x", "ssh much Linux x y", "ssh 80 Linux `(` y", ""} {
		if _, err := parseBanners(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// A range of versions is told as one; the whole range is the family's name.
func TestRangesOfVersions(t *testing.T) {
	table := ownTable(t)
	linux := table.families["Linux"]
	for _, c := range []struct {
		family, first, last, want string
	}{
		{"Linux", "4.x", "6.x", "Linux 4.x–6.x"},
		{"Linux", "2.6", "2.6", "Linux 2.6"},
		{"Linux", linux[0], linux[len(linux)-1], "Linux"},
		{"Windows", "10/Server 2016", "11/Server 2025", "Windows 10/Server 2016 – 11/Server 2025"},
		{"OpenBSD", "-", "-", "OpenBSD"},
	} {
		versions := table.families[c.family]
		got := table.name(c.family, slices.Index(versions, c.first), slices.Index(versions, c.last))
		if got != c.want {
			t.Errorf("%s %s to %s is %q, want %q", c.family, c.first, c.last, got, c.want)
		}
	}
	for name, want := range map[string]string{"Linux 4.X–6.X": "Linux", "IOS 12.X": "Cisco IOS", "iOS 11.X": "macOS or iOS",
		"Windows 7 or 8": "Windows", "Mac OS X 10.x": "macOS or iOS", "Toaster 3": "", "": ""} {
		if got := table.familyOf(name); got != want {
			t.Errorf("familyOf(%q) = %q, want %q", name, got, want)
		}
	}
}

// linuxAnswer is what a kernel of today answers.
func linuxAnswer() synack.Print {
	addr := netip.MustParseAddr("192.0.2.1")
	a := synack.Answer{Src: addr, Flags: 0x52, TTL: 57, DF: true, Window: 65160, MSS: 1460, Scale: 7, Layout: "MSTNW", TSVal: 5}
	return synack.Print{Addr: addr, SYNACK: &a, Echo: 57, ECNAsked: true}
}

// An answer that several systems give in the same way gets their common name,
// and one that nobody gives gets none.
func TestAlikeSharesABroaderName(t *testing.T) {
	table := ownTable(t)
	p := linuxAnswer()
	if got := table.guess(p); len(got) != 1 || got[0].Name != "Linux 4.x–6.x" || got[0].Accuracy != stackLimit {
		t.Errorf("Linux: %v", got)
	}
	p.SYNACK.Window = 65535
	if got := table.guess(p); len(got) != 1 || got[0].Name != "Linux or Android" {
		t.Errorf("Linux with a large buffer or Android: %v", got)
	}
	p.SYNACK.Window = 28960 - 1448*3
	if got := table.guess(p); len(got) != 1 || got[0].Name != "Linux 2.6–6.x" {
		t.Errorf("Linux with another number of segments: %v", got)
	}
	p.SYNACK.Layout = "WSTM"
	if got := table.guess(p); got != nil {
		t.Errorf("nobody's order: %v", got)
	}
	if got := table.guess(synack.Print{Addr: p.Addr}); got != nil {
		t.Errorf("silence: %v", got)
	}
}

// A closed port that another stack answers for makes the guess less certain.
func TestTwoStacksForOneAddress(t *testing.T) {
	table := ownTable(t)
	p := linuxAnswer()
	sure := table.guess(p)[0].Accuracy
	p.RST = &synack.Answer{TTL: 120, DF: true}
	if got := table.guess(p); len(got) != 1 || got[0].Accuracy >= sure-10 {
		t.Errorf("%v, was %d", got, sure)
	}
}

// What is told is bounded, sorted and made of the tables' own words, whatever
// a host answers and its services say.
func TestGuessesAreBounded(t *testing.T) {
	table := ownTable(t)
	rules, err := parseBanners(bannerText)
	if err != nil {
		t.Fatal(err)
	}
	pieces := []string{"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3", "Microsoft-IIS/10.0", "\x1b[2J", "Ubuntu-3ubuntu0.10",
		"Linux \u202e host 6.1", "FreeBSD/amd64", "nginx", "\xff\xfe", "cpe:/o:apple:"}
	rapid.Check(t, func(t *rapid.T) {
		a := synack.Answer{Src: netip.MustParseAddr("192.0.2.1"), TTL: rapid.Byte().Draw(t, "ttl"), DF: rapid.Bool().Draw(t, "df"),
			ID: rapid.Uint16().Draw(t, "id"), Window: rapid.Uint16().Draw(t, "window"), MSS: rapid.Uint16().Draw(t, "mss"),
			Scale: rapid.IntRange(-1, 255).Draw(t, "scale"), Layout: rapid.StringMatching("[MNWSTE?]{0,9}").Draw(t, "layout")}
		p := synack.Print{Addr: a.Src, SYNACK: &a, Echo: rapid.Byte().Draw(t, "echo"), ECNAsked: rapid.Bool().Draw(t, "ecn")}
		var services []exposure.Service
		for _, banner := range rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 6).Draw(t, "banners") {
			services = append(services, exposure.Service{Name: rapid.SampledFrom([]string{"ssh", "http", "snmp"}).Draw(t, "name"), Banner: banner})
		}
		got := table.combine(append(table.judge(p, nil), claims(rules.read(services))...))
		if len(got) > maxGuesses || !slices.IsSortedFunc(got, func(a, b exposure.OSGuess) int { return b.Accuracy - a.Accuracy }) {
			t.Fatalf("%v", got)
		}
		for _, g := range got {
			if g.Accuracy < 1 || g.Accuracy > certain || g.Name == "" || !utf8.ValidString(g.Name) || strings.ContainsAny(g.Name, "\x1b\u202e") {
				t.Fatalf("%+v", g)
			}
		}
	})
}

// Every word that a signature uses is one that its feature can have.
func TestSignatureValues(t *testing.T) {
	table := ownTable(t)
	words := map[string][]string{"df": {"yes", "no"}, "rstdf": {"yes", "no"}, "ecn": {"yes", "no"}, "id": {"zero", "count", "nonzero"}, "tsval": {"zero", "set"}}
	for _, s := range table.signatures {
		for _, feature := range slices.Sorted(maps.Keys(s.features)) {
			for _, v := range s.features[feature] {
				if list, fixed := words[feature]; fixed && !slices.Contains(list, v.text) {
					t.Errorf("%s: %s=%s", s.family, feature, v.text)
				}
				if feature == "opts" && strings.Trim(v.text, "MNWSTE") != "" {
					t.Errorf("%s: opts=%s", s.family, v.text)
				}
			}
		}
	}
}
