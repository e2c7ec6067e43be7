package target

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
)

func file(content string) File { return File{Name: "list.txt", Reader: strings.NewReader(content)} }

func parseFile(t *testing.T, content string) (Targets, error) {
	t.Helper()
	return Parse(t.Context(), Request{Files: []File{file(content)}}, names)
}

func TestFilesHoldSpecsBetweenWhiteSpace(t *testing.T) {
	for content, want := range map[string]string{
		"10.0.0.1\n10.0.0.2\r\n":                          "10.0.0.1-10.0.0.2",
		"10.0.0.1 10.0.0.3\t10.0.0.5":                     "10.0.0.1 10.0.0.3 10.0.0.5",
		"# a list\n10.0.0.1 # web\n#10.0.0.2\n10.0.0.3#x": "10.0.0.1 10.0.0.3",
		"\ufeff  \n10.0.0.1\n":                            "10.0.0.1",
		"db1.example\n":                                   "192.0.2.5",
		"#" + strings.Repeat("x", 1<<20) + "\n10.0.0.1":   "10.0.0.1",
	} {
		got, err := parseFile(t, content)
		if err != nil || text(got.Set) != want {
			t.Errorf("%.40q: %v, %v, want %s", content, got.Set, err, want)
		}
	}
	for _, empty := range []string{"", "\n\n", "# nothing\n", "\ufeff"} {
		if _, err := parseFile(t, empty); !errors.Is(err, ErrNoTarget) {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

func TestFileErrorsNameTheLine(t *testing.T) {
	for _, c := range []struct {
		content string
		line    int
		want    string
	}{
		{"10.0.0.1\n# two\n10.0.0.256\n", 3, `"10.0.0.256" (list.txt, line 3)`},
		{"\n\n10.0.0.256 10.0.0.1\n", 3, "line 3"},
		{"10.0.0.1\n" + strings.Repeat("a", MaxSpec+1), 2, "1024"},
		{"1\x000\x00.\x00", 1, "UTF-16"},
		{"<?xml version=\"1.0\"?><nmaprun/>", 0, "XML"},
		{"nobody\n", 1, "(list.txt, line 1): it does not resolve"},
		{strings.Repeat(" ", maxBlank+1), 0, "white space"},
	} {
		_, err := parseFile(t, c.content)
		var e *Error
		if !errors.As(err, &e) || e.File != "list.txt" || e.Line != c.line || e.Hint == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: %v, want line %d and %q", c.content, err, c.line, c.want)
		}
	}
}

func TestAFileThatCannotBeReadIsAnError(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, head := range []string{"", "10.0.0.1\n", "# comment", `{"schema":`} {
		r := io.MultiReader(strings.NewReader(head), iotest.ErrReader(broken))
		_, err := Parse(t.Context(), Request{Files: []File{{"list.txt", r}}}, names)
		if !errors.Is(err, broken) {
			t.Errorf("%q: %v", head, err)
		}
	}
}

// endless gives the same text for ever.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.text[e.at]
		e.at = (e.at + 1) % len(e.text)
	}
	return len(p), nil
}

// What never ends is refused at a bound, whatever it is made of.
func TestEndlessFilesEnd(t *testing.T) {
	for _, body := range []string{"10.0.0.1\n", "#", "# x\n", "\n", "x", "\x01"} {
		w := words{r: bufio.NewReader(&endless{text: body}), file: "list.txt", line: 1, left: 1 << 16}
		var e *Error
		if err := w.each(&collector{kind: "target", req: &Request{}}); !errors.As(err, &e) {
			t.Errorf("%q: %v", body, err)
		}
	}
	for _, head := range []string{`{"schema":"portreeve.scan/1","hosts":[{"addr":"10.0.0.1"}`, `{"x":[1`, `{"x":"`} {
		for _, body := range []string{`,{"addr":"10.0.0.2"}`, ",[", "a", " "} {
			r := io.MultiReader(strings.NewReader(head), &endless{text: body})
			if _, err := readEvidence(r, 1<<16); err == nil || err.Hint == "" {
				t.Errorf("%q with %q for ever: %v", head, body, err)
			}
		}
	}
}

const (
	scanDoc = `{"schema":"portreeve.scan/1","taken":"2026-01-02T03:04:05Z","host":"probe","incomplete":[],
"hosts":[{"addr":"10.0.0.9","name":"nine","up":true,"ports":[{"port":22,"proto":"tcp","state":"open"}]},
{"addr":"2001:db8::9","up":false},{"addr":"10.0.0.9"},{"addr":"::ffff:10.0.0.8"}],"stats":{"sent":1}}`
	hostDoc = `{"schema":"portreeve.host/1","sockets":[{"proto":"tcp","addr":"0.0.0.0","port":22},{"addr":"*"},{"port":1},
{"addr":"127.0.0.53","port":53},{"addr":"::","port":80},{"addr":"192.0.2.1","port":80,"peer_addr":"8.8.8.8"},{"addr":"224.0.0.251"},
{"addr":"fe80::5%eth0","port":546},{"addr":"localhost"},{"addr":"::ffff:192.0.2.2"},{"addr":"::1"}]}`
	auditDoc = `{"endpoints":[{"addr":"10.1.1.1","views":{"host":"listening"}},{"addr":"::"}],"findings":[{"endpoint":"tcp/8.8.8.8:1"}],
"schema":"portreeve.audit/1","hosts":[{"addr":"1.1.1.1"}]}`
)

func TestEvidenceIsASourceOfTargets(t *testing.T) {
	for doc, want := range map[string]string{
		scanDoc:               "10.0.0.8-10.0.0.9 2001:db8::9",
		hostDoc:               "192.0.2.1-192.0.2.2 fe80::5%eth0",
		"\ufeff\n" + auditDoc: "10.1.1.1",
	} {
		got, err := parseFile(t, doc)
		if err != nil || text(got.Set) != want || len(got.Gaps) != 0 {
			t.Errorf("%.30q: %v %v %v, want %s", doc, got.Set, got.Gaps, err, want)
		}
	}
}

func TestEvidenceMayExclude(t *testing.T) {
	got, err := Parse(t.Context(), Request{Specs: []string{"10.0.0.0/28"}, ExcludeFiles: []File{file(scanDoc)}}, names)
	if err != nil || text(got.Set) != "10.0.0.0-10.0.0.7 10.0.0.10-10.0.0.15" {
		t.Error(got.Set, err)
	}
}

// What evidence names and nobody can ask is a gap: nobody typed it.
func TestEvidenceThatCannotBeAskedIsAGap(t *testing.T) {
	got, err := parseFile(t, `{"schema":"portreeve.scan/1","hosts":[{"addr":"fe80::1"},{"addr":"224.0.0.1"},{"addr":"10.0.0.1"}]}`)
	if err != nil || text(got.Set) != "10.0.0.1" || len(got.Gaps) != 1 || !strings.Contains(got.Gaps[0].Why, "2 of the addresses in list.txt") {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = Parse(t.Context(), Request{Specs: []string{"10.0.0.1"},
		Files: []File{file(`{"schema":"portreeve.host/1","sockets":[{"addr":"0.0.0.0"}]}`)}}, names)
	if err != nil || len(got.Gaps) != 1 || !strings.Contains(got.Gaps[0].Why, "name the host itself") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestEvidenceErrors(t *testing.T) {
	for doc, want := range map[string]string{
		`{"hosts":[{"addr":"10.0.0.1"}]}`:  "schema",
		`{"schema":"portreeve.traffic/1"}`: "portreeve.traffic/1",
		`{"schema":7}`:                     "cannot be read",
		`{"schema":"portreeve.scan/1","hosts":[{"addr":"db1.example"}]}`: "db1.example",
		`{"schema":"portreeve.scan/1","hosts":[{"name":"x"}]}`:           "address",
		`{"schema":"portreeve.scan/1","hosts":{"addr":"10.0.0.1"}}`:      "no list",
		`{"schema":"portreeve.scan/1","hosts":[{"addr":"10.0.0.1"}`:      "cannot be read",
		`{"schema":"portreeve.scan/1","hosts":[{"addr":"10.0.0.1"}]} {}`: "second",
		`{"schema":"portreeve.scan/1","hosts":[7]}`:                      "cannot be read",
		`{10.0.0.1}`: "cannot be read",
	} {
		_, err := parseFile(t, doc)
		var e *Error
		if !errors.As(err, &e) || e.File != "list.txt" || e.Hint == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", doc, err, want)
		}
	}
	if _, err := parseFile(t, `{"schema":"portreeve.scan/1","hosts":null}`); !errors.Is(err, ErrNoTarget) {
		t.Error(err)
	}
}

// Many ranges that never merge reach the bound, many doubles do not.
func TestScrapsAreBoundedAndDoublesAreNot(t *testing.T) {
	var p pile
	a := netip.MustParseAddr("10.0.0.0")
	for i := range uint64(1 << 16) {
		if err := p.add(Single(advance(a, i%100*2))); err != nil {
			t.Fatal(i, err)
		}
	}
	if cap(p.list) > 1<<14 {
		t.Errorf("doubles are kept: %d", cap(p.list))
	}
	var err error
	for i := uint64(0); err == nil && i < 4*MaxRanges; i++ {
		err = p.add(Single(advance(a, i*2)))
	}
	if !errors.Is(err, ErrScraps) {
		t.Error(err)
	}
}

// Lists are bounded by their length and, as overlapping octet lists cost time
// before they merge, by the ranges that they make.
func TestTooLongListsAreRefused(t *testing.T) {
	for _, c := range []*collector{{specs: MaxSpecs}, {pieces: maxPieces - 255}} {
		c.kind, c.req = "target", &Request{}
		var e *Error
		if err := c.spec("10.0.*.1", "list.txt", 7); !errors.As(err, &e) || e.Line != 7 {
			t.Error(err)
		}
	}
}

func TestTooManyZonesAreRefused(t *testing.T) {
	var req Request
	for i := range maxZones + 1 {
		req.Specs = append(req.Specs, fmt.Sprintf("fe80::1%%v%d", i))
	}
	var e *Error
	if _, err := Parse(t.Context(), req, names); !errors.As(err, &e) {
		t.Error(err)
	}
}
