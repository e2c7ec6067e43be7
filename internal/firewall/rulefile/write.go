package rulefile

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Write writes the canonical text of a file: keys in their order, lists of
// tokens on one line, texts quoted where YAML would read something else.
func (f *File) Write(w io.Writer) error {
	_, err := w.Write(f.Text())
	return err
}

// Text is the canonical text of a file. Parse reads it back to an equal File
// when the file's rules are sound (Resolve has no error) and its texts are of
// printable characters; other characters are written as spaces.
func (f *File) Text() []byte {
	w := &writer{}
	w.text("", "schema", f.schemaName())
	w.text("", "name", f.Name)
	w.time("", "made", f.Made)
	w.texts("", "sources", f.Sources)
	if f.Window != nil {
		w.line("", "window:")
		w.time("  ", "from", f.Window.From)
		w.time("  ", "to", f.Window.To)
		if f.Window.From.IsZero() && f.Window.To.IsZero() {
			w.cutLine()
		}
	}
	w.texts("", "cannot_know", f.CannotKnow)
	w.rules(f.Rules)
	return w.b.Bytes()
}

func (f *File) schemaName() string {
	if f.Schema == "" {
		return Schema
	}
	return f.Schema
}

type writer struct{ b bytes.Buffer }

func (w *writer) line(indent, text string) { w.b.WriteString(indent + text + "\n") }

// cutLine takes the last line back.
func (w *writer) cutLine() {
	b := bytes.TrimSuffix(w.b.Bytes(), []byte("\n"))
	w.b.Truncate(bytes.LastIndexByte(b, '\n') + 1)
}

func (w *writer) text(indent, key, s string) {
	if s != "" {
		w.line(indent, key+": "+scalar(s))
	}
}

func (w *writer) time(indent, key string, t time.Time) {
	if !t.IsZero() {
		w.line(indent, key+": "+stamp(t))
	}
}

func (w *writer) count(indent, key string, n uint64) {
	if n != 0 {
		w.line(indent, key+": "+strconv.FormatUint(n, 10))
	}
}

// texts writes free texts, one on a line.
func (w *writer) texts(indent, key string, list []string) {
	if len(list) == 0 {
		return
	}
	w.line(indent, key+":")
	for _, s := range list {
		w.line(indent+"  ", "- "+scalar(s))
	}
}

// values writes tokens on one line, many of them in lines of about 100.
func (w *writer) values(indent, key string, list []string) {
	if len(list) == 0 {
		return
	}
	quoted := make([]string, len(list))
	for i := range list {
		quoted[i] = scalar(list[i])
	}
	if one := strings.Join(quoted, ", "); len(one) < 100 {
		w.line(indent, key+": ["+one+"]")
		return
	}
	w.line(indent, key+":")
	for _, s := range quoted {
		w.line(indent+"  ", "- "+s)
	}
}

func (w *writer) rules(rules []Rule) {
	if len(rules) == 0 {
		w.line("", "rules: []")
		return
	}
	w.line("", "rules:")
	for i := range rules {
		at := w.b.Len()
		w.rule("    ", &rules[i])
		if w.b.Len() == at {
			w.line("    ", "{}")
		}
		copy(w.b.Bytes()[at:], "  - ") // the first key stands behind the dash
	}
}

func (w *writer) rule(in string, r *Rule) {
	w.text(in, "name", r.Name)
	w.text(in, "action", r.Action)
	w.text(in, "proto", r.Proto)
	w.values(in, "from", r.From)
	w.values(in, "to", r.To)
	w.values(in, "ports", r.Ports)
	w.values(in, "from_ports", r.FromPorts)
	w.values(in, "types", r.Types)
	w.text(in, "in", r.In)
	w.text(in, "out", r.Out)
	w.text(in, "service", r.Service)
	w.text(in, "dynamic", r.Dynamic)
	w.text(in, "comment", r.Comment)
	w.text(in, "protected", r.Protected)
	if r.Evidence != nil {
		w.evidence(in, r.Evidence)
	}
}

func (w *writer) evidence(in string, e *Evidence) {
	w.line(in, "evidence:")
	in += "  "
	w.line(in, "flows: "+strconv.FormatUint(e.Flows, 10))
	w.count(in, "denied", e.Denied)
	w.count(in, "packets", e.Packets)
	w.count(in, "bytes", e.Bytes)
	w.count(in, "clients", uint64(max(e.Clients, 0)))
	w.count(in, "servers", uint64(max(e.Servers, 0)))
	w.time(in, "first", e.First)
	w.time(in, "last", e.Last)
	w.count(in, "days", uint64(max(e.Days, 0)))
	w.texts(in, "peers", e.Peers)
	w.text(in, "confidence", e.Confidence)
	w.text(in, "why", e.Why)
}

// scalar writes a text so that YAML reads just this text.
func scalar(s string) string {
	s = strings.ToValidUTF8(s, "�")
	if unfit(s) != "" {
		s = strings.Map(printable, s)
	}
	if plainWord(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if r == '"' || r == '\\' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String() + `"`
}

func printable(r rune) rune {
	if unfit(string(r)) != "" {
		return ' '
	}
	return r
}

// plainWord reports texts that stand without quotes: words of letters, digits
// and a few signs that begin with a letter or digit, hold no ": " and no " #",
// and that no YAML version reads as a boolean or null.
func plainWord(s string) bool {
	if s == "" || strings.HasSuffix(s, " ") || strings.HasSuffix(s, ":") || strings.Contains(s, ": ") {
		return false
	}
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf":
		return false
	}
	for i, r := range s {
		word := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !word && (i == 0 || !strings.ContainsRune(" ./-_:+()=>", r)) {
			return false
		}
	}
	return true
}

// String is a rule on one line, for people.
func (r *Rule) String() string {
	s := r.Action + " " + r.Proto
	for _, p := range []struct{ word, text string }{
		{"from", strings.Join(r.From, ",")}, {"port", strings.Join(r.FromPorts, ",")},
		{"to", strings.Join(r.To, ",")}, {"port", strings.Join(r.Ports, ",")},
		{"type", strings.Join(r.Types, ",")}, {"in", r.In}, {"out", r.Out},
	} {
		if p.text != "" {
			s += fmt.Sprintf(" %s %s", p.word, p.text)
		}
	}
	return s
}
