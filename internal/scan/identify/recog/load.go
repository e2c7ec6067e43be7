package recog

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/scan/identify/bytepattern"
)

// ErrFolder says that a folder holds no fingerprints.
var ErrFolder = errors.New("no recog fingerprints")

// Bounds on what is read.
const (
	maxFiles = 1_000
	maxFile  = 16 << 20 // bytes of one file
)

// Note is something in the files that was left out.
type Note struct {
	File string
	Line int // 0 where the whole file is meant
	Why  string
}

func (n Note) String() string { return fmt.Sprintf("%s:%d: %s", n.File, n.Line, n.Why) }

// fileXML is the head of a file (fingerprints.xsd of recog).
type fileXML struct {
	Matches    string `xml:"matches,attr"`
	Protocol   string `xml:"protocol,attr"`
	Preference string `xml:"preference,attr"`
}

// printXML is one fingerprint; its examples are not read.
type printXML struct {
	Pattern     string `xml:"pattern,attr"`
	Flags       string `xml:"flags,attr"`
	Certainty   string `xml:"certainty,attr"`
	Description string `xml:"description"`
	Params      []struct {
		Pos   int    `xml:"pos,attr"`
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	} `xml:"param"`
}

// Load reads every XML file of a folder and of the folders in it. Fingerprints
// that are wrong, and files that are none, are left out and noted; a folder
// without any is an error that wraps ErrFolder.
func Load(folder fs.FS) (*DB, []Note, error) {
	l := &loader{db: &DB{sets: map[string]*set{}, shelf: &bytepattern.Shelf{Room: maxKept}, time: maxTime}}
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read recog folder: %w", err)
		}
		if d.IsDir() || path.Ext(name) != ".xml" {
			return nil
		}
		if l.files++; l.files > maxFiles {
			return fmt.Errorf("%w: more than %d files; is this recog's xml folder?", ErrFolder, maxFiles)
		}
		l.file(folder, name)
		return nil
	})
	if err != nil {
		return nil, l.notes, err
	}
	if len(l.db.sets) == 0 {
		return nil, l.notes, fmt.Errorf("%w in %d XML files", ErrFolder, l.files)
	}
	return l.db, l.notes, nil
}

// loader is one Load.
type loader struct {
	db    *DB
	files int
	notes []Note
}

func (l *loader) note(file string, line int, why string) {
	l.notes = append(l.notes, Note{File: file, Line: line, Why: why})
}

// file reads one file; what was read before an error stays.
func (l *loader) file(folder fs.FS, name string) {
	f, err := folder.Open(name)
	if err != nil {
		l.note(name, 0, err.Error())
		return
	}
	defer func() { _ = f.Close() }()
	if err := l.read(xml.NewDecoder(io.LimitReader(f, maxFile)), name); err != nil {
		l.note(name, 0, err.Error())
	}
}

// read takes the elements of one file.
func (l *loader) read(d *xml.Decoder, name string) error {
	var s *set
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		start, ok := token.(xml.StartElement)
		switch {
		case !ok:
		case start.Name.Local == "fingerprints":
			s = l.db.set(head(start), name)
		case start.Name.Local == "fingerprint" && s != nil:
			line, _ := d.InputPos()
			var p printXML
			if err := d.DecodeElement(&p, &start); err != nil {
				return err
			}
			l.fingerprint(s, p, name, line)
		default: // another element, or the root of another kind of file
			if err := d.Skip(); err != nil {
				return err
			}
		}
	}
}

func head(start xml.StartElement) fileXML {
	var h fileXML
	for _, a := range start.Attr {
		switch a.Name.Local {
		case "matches":
			h.Matches = a.Value
		case "protocol":
			h.Protocol = strings.ToLower(a.Value)
		case "preference":
			h.Preference = a.Value
		}
	}
	return h
}

// set is the fingerprints of a key, new or with those of an earlier file.
func (db *DB) set(h fileXML, file string) *set {
	key := h.Matches
	if key == "" {
		key = strings.TrimSuffix(path.Base(file), ".xml")
	}
	if db.sets[key] == nil {
		preference, err := strconv.ParseFloat(h.Preference, 64)
		if err != nil {
			preference = 0
		}
		db.sets[key] = &set{key: key, protocol: h.Protocol, preference: preference}
	}
	return db.sets[key]
}

// fingerprint keeps one fingerprint.
func (l *loader) fingerprint(s *set, p printXML, file string, line int) {
	flags, err := parseFlags(p.Flags)
	if err != nil {
		l.note(file, line, err.Error())
		return
	}
	certainty, err := strconv.ParseFloat(p.Certainty, 64)
	if err != nil {
		certainty = 1 // the schema's own value where none stands
	}
	f := &fingerprint{file: file, line: line, certainty: certainty, description: strings.Join(strings.Fields(p.Description), " ")}
	f.pattern = bytepattern.New(p.Pattern, bytepattern.Ruby, flags, l.db.shelf)
	for _, given := range p.Params {
		if given.Name == "" || given.Pos < 0 {
			l.note(file, line, fmt.Sprintf("a param with name %.40q and pos %d", given.Name, given.Pos))
			continue
		}
		f.params = append(f.params, param{name: given.Name, pos: given.Pos, value: given.Value})
	}
	s.prints = append(s.prints, f)
}

// parseFlags reads the names that recog has used for its options.
func parseFlags(list string) (f bytepattern.Flags, err error) {
	for name := range strings.SplitSeq(list, ",") {
		switch strings.TrimSpace(name) {
		case "":
		case "REG_ICASE", "IGNORECASE":
			f.IgnoreCase = true
		case "REG_DOT_NEWLINE", "REG_MULTILINE", "REG_LINE_ANY_CRLF":
			f.DotAll = true
		default:
			return f, fmt.Errorf("flag %.40q is not known", name)
		}
	}
	return f, nil
}
