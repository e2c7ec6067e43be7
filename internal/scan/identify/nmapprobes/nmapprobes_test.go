package nmapprobes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/exposure"
)

func load(t testing.TB, text string) (*DB, []Note) {
	t.Helper()
	db, notes, err := Load(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return db, notes
}

func features(t testing.TB) *DB {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "features.txt"))
	if err != nil {
		t.Fatal(err)
	}
	db, notes := load(t, string(text))
	if len(notes) != 0 {
		t.Fatal(notes)
	}
	db.time, db.shelf.Timeout = time.Minute, time.Minute // what is found may not depend on how busy the machine is
	return db
}

// Every feature of the format, one answer each.
func TestMatchFeatures(t *testing.T) {
	db := features(t)
	for name, c := range map[string]struct {
		probe, answer string
		want          Result
	}{
		"all fields": {"NULL", "ALPHA 1.2 (today)\r\n", Result{Name: "alpha", Product: "Alpha Daemon", Version: "1.2", Info: "built today", Host: "alpha.example", OS: "Linux", Device: "router",
			CPE: []string{"cpe:/a:example:alpha:1.2", "cpe:/o:linux:linux_kernel"}, Line: 6}},
		"delimiters and i": {"NULL", "AlPhA Big|2.0", Result{Name: "alpha", Product: "Alpha/Big", Version: "2.0", CPE: []string{"cpe:/a:example:alpha/big:2.0"}, Line: 7}},
		"soft alone":       {"NULL", "* BETA", Result{Name: "beta", Soft: true, Line: 8}},
		"soft, then its own service; $SUBST and $P": {"NULL", "* BETA gamma BETA 1_2_3 f\x00o\x00o\x00", Result{Name: "beta", Product: "Beta", Version: "1.2.3", Info: "foo", Line: 10}},
		"without soft another service":              {"NULL", "BETA gamma", Result{Name: "gamma", Product: "Gamma", Line: 9}},
		"numbers, one too long":                     {"NULL", "N\x01\x02\x04\x03\x02\x01123456789", Result{Name: "num", Product: "Num", Version: "258", Info: "16909060", Line: 11}},
		"backreference":                             {"NULL", "cow says cow", Result{Name: "twice", Product: "cow", Line: 12}},
		"lookahead and newline at the end":          {"NULL", "look x\n", Result{Name: "look", Product: "Look x", Line: 13}},
		"bytes":                                     {"NULL", "\xff\xfe\x00\x80\x9f", Result{Name: "bytes", Product: "Bytes", Line: 14}},
		"dot with s":                                {"NULL", "dot\nall", Result{Name: "dotall", Product: "DotAll", Line: 15}},
		"dot without s":                             {"NULL", "dot all!", Result{Name: "nodot", Product: "NoDot", Line: 16}},
		"ssl service":                               {"NULL", "OMEGA", Result{Name: "omega", TLS: true, Line: 17}},
		"own line":                                  {"Ask", "DELTA", Result{Name: "delta", Product: "Delta", Line: 24}},
		"fallback":                                  {"Ask", "EPSILON", Result{Name: "epsilon", Product: "Epsilon", Line: 28}},
		"fallback to NULL":                          {"Ask", "OMEGA", Result{Name: "omega", TLS: true, Line: 17}},
		"NULL falls back to nothing":                {"NULL", "DELTA", Result{}},
		"nothing":                                   {"NULL", "looking x", Result{}},
		"unsupported":                               {"NULL", "broken", Result{}},
	} {
		got, ok := db.Match(t.Context(), "tcp", c.probe, []byte(c.answer))
		if ok != (c.want.Name != "") || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v\nwant %+v", name, got, c.want)
		}
	}
	if got, _ := db.Match(t.Context(), "udp", "Datagram", []byte("OMEGA")); got.Name != "" {
		t.Errorf("UDP fell back to NULL: %+v", got)
	}
	if h := db.Health(); h.Lines != 16 || h.Unusable != 1 || h.Stopped+h.Hurried != 0 {
		t.Errorf("%+v", h)
	}
	if notes, heavy := db.Check(); len(notes) != 1 || notes[0].Line != 18 || heavy != 2 {
		t.Errorf("%v, %d backtrack", notes, heavy)
	}
}

func TestProbes(t *testing.T) {
	db := features(t)
	names := func(probes []*Probe) string {
		var all []string
		for _, p := range probes {
			all = append(all, p.Name)
		}
		return strings.Join(all, " ")
	}
	for _, c := range []struct{ got, want string }{
		{names(db.Probes("tcp", 81, 7)), "NULL Other Ask"},
		{names(db.Probes("tcp", 8005, 7)), "NULL Ask"},
		{names(db.Probes("tcp", 1, 2)), "NULL"},
		{names(db.Probes("tcp", 1, 9)), "NULL Ask Other"},
		{names(db.Probes("tcp", 9101, 9)), ""},
		{names(db.Probes("tcp", 7, 9)), ""},
		{names(db.Probes("udp", 9101, 9)), "Datagram"},
		{names(db.Probes("udp", 19, 9)), ""},
		{names(db.TLSProbes(443, 1)), "NULL Ask"},
		{db.Probe("tcp", "Ask").Payload, "ask\r\n\x00\x7f\\\t"},
		{db.Probe("tcp", "Other").Payload, "x|y"},
		{db.Probe("udp", "Datagram").Payload, "\x01\x009"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	null, ask := db.Probe("tcp", "NULL"), db.Probe("tcp", "Ask")
	if null.Wait != 6*time.Second || null.WrappedWait != 3*time.Second || ask.Rarity != 3 || ask.Wait != defaultWait || ask.NoPayload || ask.Matches() != 1 {
		t.Errorf("%+v\n%+v", null, ask)
	}
	if !db.Probe("udp", "Datagram").NoPayload || db.Probe("udp", "Ask") != nil {
		t.Error("no-payload, or a probe of another protocol")
	}
}

// A recognised name restricts the lines and is kept; an unknown one accepts
// telling lines of any probe.
func TestSignature(t *testing.T) {
	db := features(t)
	for _, c := range []struct {
		service, answer string
		want            exposure.Service
	}{
		{"alpha", "ALPHA 1.2 (x)\r\n", exposure.Service{Name: "alpha", Product: "Alpha Daemon", Version: "1.2", Info: "built x", CPE: "cpe:/a:example:alpha:1.2", Via: Via}},
		{"", "DELTA", exposure.Service{Name: "delta", Product: "Delta", Via: Via}},
		{"alpha", "DELTA", exposure.Service{}},
		{"", "", exposure.Service{}},
	} {
		if got, ok := db.Signature(t.Context(), "tcp", c.service, []byte(c.answer)); got != c.want || ok != (c.want.Name != "") {
			t.Errorf("%q as %q: %+v", c.answer, c.service, got)
		}
	}
	aliased, _ := load(t, "Probe TCP NULL q||\nmatch vnc m|^RFB| p/V/\nmatch X11 m|^x11| p/X/\n")
	for ours, answer := range map[string]string{"rfb": "RFB", "x11": "x11"} {
		if got, _ := aliased.Signature(t.Context(), "tcp", ours, []byte(answer)); got.Name != ours || got.Product == "" {
			t.Errorf("%s: %+v", ours, got)
		}
	}
}

// Wrong lines are noted by number and cost nothing else.
func TestWrongLines(t *testing.T) {
	wrong := []string{
		"nonsense", "match x m|a|", "Exclude T:99999", "Probe SCTP a q||", "Probe TCP a x", "Probe TCP a q|open", `Probe TCP a q|\xzz|`, `Probe TCP a q|\|`,
	}
	inside := []string{
		"match", "match x", "match x m", "match x m|open", "match x m|a|q", "match x m|a| z/1/", "match x m|a| p/open", "match x m|a| cpe:", "rarity 12", "ports 5-1", "ports x",
		"totalwaitms soon", "whatever 5", "Probe TCP good q||", "match long m|" + strings.Repeat("a", maxLine) + "|",
	}
	text := strings.Join(wrong, "\n") + "\nProbe TCP good q||\nmatch y m|^y|\n" + strings.Join(inside, "\n") + "\n"
	_, notes := load(t, text)
	if len(notes) != len(wrong)+len(inside) {
		t.Errorf("%d notes of %d: %v", len(notes), len(wrong)+len(inside), notes)
	}
	for _, n := range notes[:len(wrong)] {
		if n.Line < 1 || n.Line > len(wrong) {
			t.Error(n)
		}
	}
	if _, notes := load(t, "Probe TCP a q||\nfallback nobody\n"); len(notes) != 1 {
		t.Error(notes)
	}
	for _, empty := range []string{"", "# nothing\n", "match x m|a|\n"} {
		if _, _, err := Load(strings.NewReader(empty)); !errors.Is(err, ErrFile) {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

// endless never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestFileIsBounded(t *testing.T) {
	if _, _, err := Load(endless{}); !errors.Is(err, ErrFile) {
		t.Error(err)
	}
}

// A pattern that backtracks without end is stopped, and the answer's whole
// time is bounded.
func TestHostileAnswer(t *testing.T) {
	text := "Probe TCP NULL q||\n" + strings.Repeat("match slow m%^(?=a)(a*)*(b|c)\\1$%\n", 100)
	db, _ := load(t, text)
	start := time.Now()
	_, ok := db.Match(t.Context(), "tcp", "NULL", []byte(strings.Repeat("a", 100_000)))
	if took := time.Since(start); ok || took > 30*time.Second {
		t.Errorf("%v after %v", ok, took)
	}
	if h := db.Health(); h.Stopped == 0 || h.Hurried != 1 {
		t.Errorf("%+v", h)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := db.Match(ctx, "tcp", "NULL", []byte("a")); ok || db.Health().Hurried != 2 {
		t.Errorf("a done context: %v %+v", ok, db.Health())
	}
}

// Many goroutines use one DB.
func TestConcurrentUse(t *testing.T) {
	db := features(t)
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for range 50 {
				if r, _ := db.Match(t.Context(), "tcp", "Ask", []byte("cow says cow")); r.Product != "cow" {
					t.Fatal(r)
				}
			}
		})
	}
}

func TestFind(t *testing.T) {
	env := map[string]string{"HOME": "/home/me", "ProgramFiles(x86)": `C:\Program Files (x86)`}
	look := func(there string) Look {
		return Look{Getenv: func(name string) string { return env[name] }, IsFile: func(path string) bool { return path == there }}
	}
	for _, there := range []string{"/home/me/.nmap/nmap-service-probes", "/usr/share/nmap/nmap-service-probes", "/opt/homebrew/share/nmap/nmap-service-probes", `C:\Program Files (x86)\Nmap\nmap-service-probes`} {
		if path, ok := Find(look(there)); !ok || path != there {
			t.Errorf("%q, %v; want %q", path, ok, there)
		}
	}
	for _, elsewhere := range []string{"nmap-service-probes", "/nmap-service-probes", "./nmap-service-probes"} {
		if path, ok := Find(look(elsewhere)); ok {
			t.Errorf("found %q", path)
		}
	}
}

// What is filled in is bounded, valid UTF-8, and a CPE holds nothing but its
// own alphabet.
func TestFieldsAreTidy(t *testing.T) {
	db, _ := load(t, "Probe TCP NULL q||\nmatch x m|^x(.*)$|s p/$1/ cpe:/a:v:p:$1/\n")
	rapid.Check(t, func(t *rapid.T) {
		answer := "x" + string(rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "answer"))
		r, ok := db.Match(context.Background(), "tcp", "NULL", []byte(answer))
		if !ok || !utf8.ValidString(r.Product) || len(r.Product) > maxField {
			t.Fatalf("%v %q", ok, r.Product)
		}
		if name := r.CPE[0]; !regexp.MustCompile(`^cpe:/a:v:p[a-z0-9:%A-F._~-]*$`).MatchString(name) || len(name) > maxField {
			t.Fatalf("%q", name)
		}
	})
}

func FuzzLoad(f *testing.F) {
	text, err := os.ReadFile(filepath.Join("testdata", "features.txt"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text), []byte("ALPHA 1.2 (today)\r\n"))
	f.Add("Probe TCP NULL q||\nmatch x m|(?<=a)b(?>c+)\\1|si p/$SUBST(1,\"\",\"\")$P($I(/ cpe:/:/a", []byte("abcc"))
	f.Add("Exclude ,T:\nProbe UDP a q|\\|\nmatch x m||", []byte{})
	f.Fuzz(func(t *testing.T, file string, answer []byte) {
		db, _, err := Load(strings.NewReader(file))
		if err != nil {
			return
		}
		for _, p := range db.probes {
			if r, ok := db.Match(t.Context(), p.Proto, p.Name, answer); ok && !utf8.ValidString(r.Product+r.Name+r.Version) {
				t.Errorf("%+v", r)
			}
		}
		db.Signature(t.Context(), "tcp", "", answer)
	})
}

// The whole installed file meets arbitrary answers.
func FuzzMatch(f *testing.F) {
	for _, s := range []string{"SSH-2.0-OpenSSH_9.2p1\r\n", "HTTP/1.0 200 OK\r\nServer: \xff\r\n\r\n", "\x00\x01", "+OK <a@b>\r\n", strings.Repeat("220 ", 999)} {
		f.Add([]byte(s))
	}
	db := features(f)
	f.Fuzz(func(t *testing.T, answer []byte) {
		if r, ok := db.Recognise(t.Context(), "tcp", "", answer); ok && (r.Name == "" || len(r.Info) > maxField) {
			t.Errorf("%+v", r)
		}
	})
}
