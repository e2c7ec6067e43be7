package recog

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/portreeve/portreeve/internal/exposure"
)

// sample holds every feature of the format; its fingerprints were written for
// these tests.
const sample = `<?xml version="1.0"?>
<!-- a comment -->
<fingerprints matches="ssh.banner" protocol="SSH" database_type="service" preference="0.9">
  <fingerprint pattern="^Alpha_([\d.]+)(?: (\S+))?$" certainty="0.7">
    <description>
      Alpha   server</description>
    <example service.version="1.2">Alpha_1.2</example>
    <param pos="0" name="service.vendor" value="Example"/>
    <param pos="0" name="service.product" value="Alpha"/>
    <param pos="1" name="service.version"/>
    <param pos="2" name="os.version"/>
    <param pos="1" name="_tmp.seen"/>
    <param pos="0" name="os.product" value="ExOS"/>
    <param pos="0" name="service.cpe23" value="cpe:/a:example:alpha:{service.version}"/>
    <param pos="0" name="os.cpe23" value="cpe:/o:example:exos:{os.version}"/>
    <param pos="0" name="note" value="{_tmp.seen} {missing} {open"/>
  </fingerprint>
  <fingerprint pattern="^beta(?=!)." flags="REG_ICASE"><description>b</description><param pos="0" name="service.product" value="Beta"/></fingerprint>
  <fingerprint pattern="^(?m)gamma.x$" flags="REG_DOT_NEWLINE,IGNORECASE"><description>g</description><param pos="0" name="service.protocol" value="gamma"/><param pos="0" name="os.family" value="GOS"/></fingerprint>
  <fingerprint pattern="^\h\h\Z"><description>hex</description><param pos="0" name="service.product" value="Hex"/></fingerprint>
  <fingerprint pattern="^second line$"><description>every line has a beginning</description><param pos="0" name="service.product" value="Lines"/></fingerprint>
  <fingerprint pattern="x" flags="REG_STRANGE"><description>left out</description></fingerprint>
  <fingerprint pattern="(?(1)never)"><description>cannot be run</description></fingerprint>
</fingerprints>`

func loadSample(t testing.TB) *DB {
	t.Helper()
	db, notes, err := Load(fstest.MapFS{"deep/ssh.xml": {Data: []byte(sample)}, "README": {Data: []byte("no XML")}})
	if err != nil || len(notes) != 1 || notes[0].Line != 22 {
		t.Fatal(err, notes)
	}
	db.time, db.shelf.Timeout = time.Minute, time.Minute // what is found may not depend on how busy the machine is
	return db
}

func TestMatchFeatures(t *testing.T) {
	db := loadSample(t)
	r, ok := db.Match(t.Context(), "ssh.banner", "Alpha_1.2 7")
	if !ok || r.Name != "ssh" || r.Product != "Alpha" || r.Vendor != "Example" || r.Version != "1.2" || r.OS != "ExOS 7" ||
		r.CPE != "cpe:/a:example:alpha:1.2" || r.OSCPE != "cpe:/o:example:exos:7" || r.Certainty != 0.7 || r.Description != "Alpha server" || r.Key != "ssh.banner" {
		t.Errorf("%+v", r)
	}
	if _, kept := r.Params["_tmp.seen"]; kept || r.Params["note"] != "1.2  {open" {
		t.Errorf("%+v", r.Params)
	}
	r, _ = db.Match(t.Context(), "ssh.banner", "Alpha_1.2")
	if _, there := r.Params["os.version"]; there || r.OSCPE != "cpe:/o:example:exos:-" {
		t.Errorf("an unknown version: %+v", r)
	}
	for banner, want := range map[string]string{"BETA!": "Beta", "beta": "", "fF": "Hex", "fF\n": "Hex", "fg": "", "first\nsecond line\nthird": "Lines", "x": ""} {
		if r, ok := db.Match(t.Context(), "ssh.banner", banner); r.Product != want || ok != (want != "") {
			t.Errorf("%q: %+v", banner, r)
		}
	}
	if r, _ := db.Match(t.Context(), "ssh.banner", "GAMMA\nX"); r.Name != "gamma" || r.OS != "GOS" {
		t.Errorf("%+v", r)
	}
	if _, ok := db.Match(t.Context(), "no.such", "x"); ok {
		t.Error("a key that is not there")
	}
	if notes := db.Check(); len(notes) != 1 || notes[0].Line != 23 || db.Health().Unusable != 1 || db.Health().Fingerprints != 6 {
		t.Error(notes, db.Health())
	}
}

// What cannot be read is noted, and what stands before it is kept.
func TestWrongFiles(t *testing.T) {
	broken := strings.Replace(sample, "</fingerprints>", "<fingerprint", 1)
	db, notes, err := Load(fstest.MapFS{
		"a.xml":     {Data: []byte(broken)},
		"named.xml": {Data: []byte(`<fingerprints><fingerprint pattern="^a$"><param pos="-1" name="x"/><param pos="1"/></fingerprint></fingerprints>`)},
		"other.xml": {Data: []byte(`<project><fingerprint pattern="x"/></project>`)},
		"pos.xml":   {Data: []byte(`<fingerprints><fingerprint pattern="x"><param pos="one" name="x"/></fingerprint></fingerprints>`)},
	})
	if err != nil || len(notes) != 5 {
		t.Error(err, notes)
	}
	if keys := db.Keys(); !slices.Equal(keys, []string{"named", "pos", "ssh.banner"}) {
		t.Error(keys)
	}
	for _, folder := range []fs.FS{fstest.MapFS{}, fstest.MapFS{"other.xml": {Data: []byte("<project/>")}}} {
		if _, _, err := Load(folder); !errors.Is(err, ErrFolder) {
			t.Error(err)
		}
	}
	many := fstest.MapFS{}
	for i := range maxFiles + 1 {
		many[strings.Repeat("x", i+1)+".xml"] = &fstest.MapFile{Data: []byte("<a/>")}
	}
	if _, _, err := Load(many); !errors.Is(err, ErrFolder) {
		t.Error(err)
	}
}

// The part of an answer that is recog's field.
func TestTake(t *testing.T) {
	http := "HTTP/1.1 200 OK\r\nserver: A\r\nX: y\r\nSERVER:B \r\n\r\nServer: body\r\n<TITLE lang=en>\u212a Hi </Title>"
	for _, c := range []struct {
		answer, form, arg string
		want              []string
	}{
		{"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", "ssh", "", []string{"OpenSSH_9.2p1 Debian"}},
		{"hello\r\nSSH-1.99-x-y\n", "ssh", "", []string{"x-y"}},
		{"220 one\r\n", "reply", "", []string{"one"}},
		{"220-one\r\n220 two\r\n", "reply", "", []string{"one\r\ntwo", "one", "two"}},
		{"+OK hi\r\n", "after", "+OK", []string{"hi"}},
		{"-ERR\r\n", "after", "+OK", nil},
		{"\xff\xfd\x18\xff\xfa\x18\x01\xff\xf0\xff\xfflogin: ", "text", "", []string{"\xfflogin:"}},
		{"\x4a\x00\x00\x00\x0a8.0.36\x00rest", "mysql-version", "", []string{"8.0.36"}},
		{"\x4a\x00\x00\x00\xff\x6a\x04Host 'x' is not allowed", "mysql-error", "", []string{"Host 'x' is not allowed"}},
		{http, "header", "Server", []string{"A", "B"}},
		{http, "title", "", []string{"\u212a Hi"}},
		{"\r\n\r\n<title", "title", "", nil},
		{"\r\n\r\n<title>open", "title", "", nil},
	} {
		if got := take(c.answer, c.form, c.arg); !slices.Equal(got, c.want) {
			t.Errorf("%q as %s %s: %q", c.answer, c.form, c.arg, got)
		}
	}
}

// Well-known answers, named by recog's own files.
func TestSignature(t *testing.T) {
	db, _, err := Load(fixtures(t))
	if err != nil {
		t.Fatal(err)
	}
	db.time = time.Minute
	for answer, want := range map[string]exposure.Service{
		"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n":                     {Name: "ssh", Product: "OpenSSH", Version: "9.2p1"},
		"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\r\n":                {Name: "http", Product: "nginx", Version: "1.22.1"},
		"HTTP/1.0 200 OK\r\nServer: Apache/2.4.57 (Debian)\r\n\r\n":      {Name: "http", Product: "Apache HTTPD", Version: "2.4.57"},
		"220 (vsFTPd 3.0.5)\r\n":                                         {Name: "ftp", Product: "vsFTPd", Version: "3.0.5"},
		"220 mail.example.net ESMTP Postfix\r\n":                         {Name: "smtp", Product: "Postfix"},
		"+OK Dovecot (Debian) ready.\r\n":                                {Name: "pop3", Product: "Dovecot"},
		"\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00abcdefgh\x00\xff": {Name: "mysql", Product: "MySQL", Version: "8.0.36"},
	} {
		got, ok := db.Signature(t.Context(), "tcp", "", []byte(answer))
		if !ok || got.Name != want.Name || !strings.Contains(got.Product, want.Product) || got.Version != want.Version || got.Via != Via || got.CPE == "" {
			t.Errorf("%q: %+v", answer, got)
		}
		t.Logf("%.40q: %+v", answer, got)
	}
	for _, nothing := range []string{"", "HTTP/1.1 200 OK\r\n\r\n", "hello"} {
		if got, ok := db.Signature(t.Context(), "tcp", "", []byte(nothing)); ok {
			t.Errorf("%q: %+v", nothing, got)
		}
	}
}

// Time is bounded, and a context that is done ends a search.
func TestHostileField(t *testing.T) {
	slow := `<fingerprints matches="slow">` + strings.Repeat(`<fingerprint pattern="\A(?=a)(a*)*(b|c)\1\z"/>`, 100) + `</fingerprints>`
	db, _, err := Load(fstest.MapFS{"s.xml": {Data: []byte(slow)}})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, ok := db.Match(t.Context(), "slow", strings.Repeat("a", 100_000)); ok || time.Since(start) > 30*time.Second || db.Health().Stopped == 0 || db.Health().Hurried != 1 {
		t.Error(time.Since(start), db.Health())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := db.Match(ctx, "slow", "a"); ok || db.Health().Hurried != 2 {
		t.Error(db.Health())
	}
}

func TestFind(t *testing.T) {
	look := Look{
		Getenv: func(name string) string { return map[string]string{"HOME": "/home/me"}[name] },
		Glob: func(pattern string) []string {
			if pattern == "/var/lib/gems/*/gems/recog-*/recog/xml" {
				return []string{"/var/lib/gems/3.1.0/gems/recog-3.9.1/recog/xml", "/var/lib/gems/3.1.0/gems/recog-3.10.0/recog/xml"}
			}
			return nil
		},
	}
	if path, ok := Find(look); !ok || path != "/var/lib/gems/3.1.0/gems/recog-3.10.0/recog/xml" {
		t.Error(path, ok)
	}
	none := Look{Getenv: look.Getenv, Glob: func(string) []string { return nil }}
	if path, ok := Find(none); ok {
		t.Error(path)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(sample), "Alpha_1.2 7")
	f.Add([]byte(`<fingerprints matches="ssh.banner"><fingerprint pattern="(?&lt;a>x)\k&lt;a>(?i)[^\x80-\xff]{,3}"/></fingerprints>`), "xx\xff")
	f.Fuzz(func(t *testing.T, file []byte, banner string) {
		db, _, err := Load(fstest.MapFS{"f.xml": {Data: file}})
		if err != nil {
			return
		}
		for _, key := range db.Keys() {
			if r, ok := db.Match(t.Context(), key, banner); ok {
				for _, value := range r.Params {
					if len(value) > 100_000 {
						t.Errorf("%d bytes", len(value))
					}
				}
			}
		}
	})
}

func FuzzTake(f *testing.F) {
	for _, s := range []string{"SSH-2.0-x\r\n", "220-a\r\n220 b", "\xff\xfa\xff", "\x01\x00\x00\x00\x0aa\x00", "\x01\x00\x00\x00\xff##", "HTTP/1.0 200\r\nServer:\r\n\r\n<title\xff>\xfe</title"} {
		f.Add(s)
	}
	db := loadSample(f)
	f.Fuzz(func(t *testing.T, answer string) {
		for line := range strings.Lines(keysText) {
			if c := strings.Fields(line); len(c) > 2 {
				if parts := take(answer, c[2], strings.Join(c[3:], " ")); len(parts) > maxParts+1 {
					t.Errorf("%d parts", len(parts))
				}
			}
		}
		if s, ok := db.Signature(t.Context(), "tcp", "", []byte(answer)); ok && !utf8.ValidString(s.Product+s.Version) {
			t.Errorf("%+v", s)
		}
	})
}
