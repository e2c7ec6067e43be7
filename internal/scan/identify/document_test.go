package identify

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var (
	update = flag.Bool("update", false, "write the table of docs/recognition.md anew")
	full   = flag.Bool("full", false, "let nmap look at odd ports and heavy daemons too; with -v, list what recog says otherwise")
)

const (
	document   = "../../../docs/recognition.md"
	tableBegin = "<!-- what is sent: begin; go test ./internal/scan/identify -update -->\n"
	tableEnd   = "<!-- what is sent: end -->\n"
)

// sent writes every message of the tables as a table of Markdown.
func sent() string {
	var b strings.Builder
	b.WriteString("| name | ports tried first | bytes | meaning |\n| --- | --- | --- | --- |\n")
	for _, m := range loadTable().messages {
		ports := strings.ReplaceAll(strings.ReplaceAll(m.ports, " ", ""), ",", ", ")
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s |\n", m.name, ports, escaped(m.bytes), m.meaning)
	}
	return b.String()
}

// escaped writes bytes as a C string does.
func escaped(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\\' || c == '|' || c == '`' || c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// What docs/recognition.md lists is what is sent, byte for byte.
func TestDocumentListsEveryByte(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), tableBegin)
	old, tail, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatal("no table between its marks")
	}
	if *update {
		if err := os.WriteFile(document, []byte(head+tableBegin+"\n"+sent()+"\n"+tableEnd+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if strings.TrimSpace(old) != strings.TrimSpace(sent()) {
		t.Error("the table differs from what is sent: go test ./internal/scan/identify -run Document -update")
	}
	for _, name := range Names() {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("%s is not named", name)
		}
	}
}
