package recog

import (
	"encoding/base64"
	"encoding/xml"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fixtures are recog's own files, with their examples.
func fixtures(t testing.TB) fs.FS {
	t.Helper()
	root := filepath.Join("..", "..", "..", "..", "..", "shared", "fixtures", "banners", "recog", "xml")
	if _, err := os.Stat(root); err != nil {
		t.Skipf("missing: the shared fixtures of recog: %v", err)
	}
	return os.DirFS(root)
}

// exampleXML is one example; its attributes are the params it expects.
type exampleXML struct {
	Attrs []xml.Attr `xml:",any,attr"`
	Text  string     `xml:",chardata"`
}

// content is what the example holds; false where it cannot be read.
func (e exampleXML) content(folder fs.FS, file string) (string, bool) {
	text := e.Text
	for _, a := range e.Attrs {
		switch a.Name.Local {
		case "_encoding":
			raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
			return string(raw), err == nil && a.Value == "base64"
		case "_filename":
			raw, err := fs.ReadFile(folder, path.Join(strings.TrimSuffix(file, ".xml"), a.Value))
			return string(raw), err == nil
		}
	}
	return text, true
}

// wrong says which stated param the result does not have.
func (e exampleXML) wrong(got map[string]string) string {
	for _, a := range e.Attrs {
		if a.Name.Local[0] != '_' && got[a.Name.Local] != a.Value {
			return a.Name.Local + " is " + got[a.Name.Local] + ", not " + a.Value
		}
	}
	return ""
}

// Every example in recog's files matches its own fingerprint with the params
// it states, and is found by its key. The files are read a second time here,
// by another reader than Load.
func TestExamples(t *testing.T) {
	folder := fixtures(t)
	db, notes, err := Load(folder)
	if err != nil || len(notes) > 0 {
		t.Fatal(err, notes)
	}
	db.time, db.shelf.Room = time.Minute, 1<<20 // all of them are to be tried, however busy the machine
	if notes := db.Check(); len(notes) > 0 {
		t.Error(notes)
	}
	files, err := fs.Glob(folder, "*.xml")
	if err != nil {
		t.Fatal(err)
	}
	total, own, found := 0, 0, 0
	for _, file := range files {
		raw, err := fs.ReadFile(folder, file)
		if err != nil {
			t.Fatal(err)
		}
		var parsed struct {
			Matches string `xml:"matches,attr"`
			Prints  []struct {
				Pattern  string       `xml:"pattern,attr"`
				Examples []exampleXML `xml:"example"`
			} `xml:"fingerprint"`
		}
		if err := xml.Unmarshal(raw, &parsed); err != nil {
			t.Fatal(file, err)
		}
		key := parsed.Matches
		if key == "" {
			key = strings.TrimSuffix(file, ".xml")
		}
		for i, print := range parsed.Prints {
			alone := &DB{sets: map[string]*set{key: {key: key, protocol: db.sets[key].protocol, prints: db.sets[key].prints[i : i+1]}}, shelf: db.shelf, time: db.time}
			for _, example := range print.Examples {
				text, ok := example.content(folder, file)
				if !ok {
					t.Errorf("%s: an example of %q cannot be read", file, print.Pattern)
					continue
				}
				total++
				r, ok := alone.Match(t.Context(), key, text)
				if wrong := example.wrong(r.Params); ok && wrong == "" {
					own++
				} else {
					t.Errorf("%s: %q does not match %q: %s", file, print.Pattern, text, wrong)
				}
				if _, ok := db.Match(t.Context(), key, text); ok {
					found++
				}
			}
		}
	}
	t.Logf("%d examples: %d match their own fingerprint with its params, %d are found by key", total, own, found)
	if total < 5000 || found < own {
		t.Errorf("%d examples, %d found", total, found)
	}
}

// An answer meets few patterns, whatever their number. Times are logged, not
// judged: they are the machine's.
func TestFixturesAreCheap(t *testing.T) {
	folder := fixtures(t)
	start := time.Now()
	db, _, err := Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	loaded := time.Since(start)
	db.time = time.Minute
	answer := "HTTP/1.1 200 OK\r\nServer: nobody-knows/1.0\r\nX-Powered-By: nothing\r\n\r\n<title>nothing known</title>" + strings.Repeat("x", 1000)
	all := func() { db.Recognise(t.Context(), "http", answer) }
	all()
	start = time.Now()
	all()
	took := time.Since(start)
	allocs := testing.AllocsPerRun(5, all)
	t.Logf("loaded in %v; an HTTP answer through all its fields in %v with %v allocations and %d patterns compiled", loaded, took, allocs, db.shelf.Kept())
	if allocs > 300 || db.shelf.Kept() > 400 {
		t.Errorf("%v allocations, %d patterns compiled", allocs, db.shelf.Kept())
	}
}
