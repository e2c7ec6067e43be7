package identify

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
)

// conversation is one case of testdata/conversations.txt.
type conversation struct {
	name   string
	port   uint16
	greets string
	rules  []string // beginning of a message, answer
	want   exposure.Service
	fields map[string]string
}

func conversations(t testing.TB) []*conversation {
	t.Helper()
	text, err := os.ReadFile("testdata/conversations.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []*conversation
	for n, line := range strings.Split(string(text), "\n") {
		words, err := split(line)
		if err != nil {
			t.Fatalf("line %d: %v", n+1, err)
		}
		if len(words) == 0 {
			continue
		}
		if words[0] == "case" {
			port, _ := strconv.ParseUint(words[2], 10, 16)
			all = append(all, &conversation{name: words[1], port: uint16(port)})
			continue
		}
		if err := all[len(all)-1].line(words); err != nil {
			t.Fatalf("line %d: %v", n+1, err)
		}
	}
	return all
}

func (c *conversation) line(words []string) error {
	switch {
	case words[0] == "greets":
		c.greets = words[1]
	case words[0] == "hears" && words[2] == "says":
		c.rules = append(c.rules, words[1], words[3])
	case words[0] == "want":
		c.want.Name = strings.TrimPrefix(words[1], "-")
		c.fields = map[string]string{}
		for pair := range slices.Chunk(words[2:], 2) {
			c.fields[pair[0]] = pair[1]
		}
	default:
		return fmt.Errorf("%q", words[0])
	}
	return nil
}

// serve plays the server's part; what it does not know it hangs up on.
func (c *conversation) serve(conn net.Conn) {
	if c.greets != "" {
		if _, err := conn.Write([]byte(c.greets)); err != nil {
			return
		}
		if len(c.rules) == 0 {
			sink(conn)
			return
		}
	}
	replies(c.rules...)(conn)
}

func (c *conversation) check(got exposure.Service) error {
	for _, f := range []struct {
		name, got string
		always    bool
	}{{"product", got.Product, true}, {"version", got.Version, true}, {"auth", got.Auth, true}, {"info", got.Info, false}, {"cpe", got.CPE, false}} {
		if want, ok := c.fields[f.name]; (ok || f.always) && f.got != want {
			return fmt.Errorf("%s %q, not %q", f.name, f.got, want)
		}
	}
	if got.Name != c.want.Name {
		return fmt.Errorf("name %q, not %q", got.Name, c.want.Name)
	}
	return nil
}

// Every protocol is recognised by what its documents say that servers answer.
func TestConversations(t *testing.T) {
	for _, c := range conversations(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, ok := greetOne(t, c.serve, c.port)
			if !ok {
				t.Fatal("nothing was recognised")
			}
			if err := c.check(got); err != nil {
				t.Errorf("%v\n%+v", err, got)
			}
		})
	}
}

// Every name that the tables know has a conversation, and there are many.
func TestEveryNameIsTested(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range conversations(t) {
		tested[c.want.Name] = true
	}
	for _, name := range Names() {
		if !tested[name] {
			t.Errorf("no conversation with %s", name)
		}
	}
	if n := len(Names()); n < 60 {
		t.Errorf("only %d protocols", n)
	}
	t.Logf("%d protocols: %s", len(Names()), strings.Join(Names(), " "))
}

// A greeting is recognised however it is cut into segments.
func TestSlowSegments(t *testing.T) {
	for _, c := range conversations(t) {
		if c.greets == "" || len(c.rules) > 0 || c.want.Name == "" {
			continue
		}
		slow := func(conn net.Conn) {
			for part := range slices.Chunk([]byte(c.greets), max(1, len(c.greets)/3)) {
				if _, err := conn.Write(bytes.Clone(part)); err != nil {
					return
				}
			}
			sink(conn)
		}
		got, _ := greetOne(t, slow, c.port)
		if err := c.check(got); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Protocol's words are those of the knowledge room's vocabulary, and every
// name whose word is another is translated.
func TestProtocolWords(t *testing.T) {
	text, err := os.ReadFile("../../knowledge/data/protocols.tsv")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		word, _, _ := strings.Cut(line, "\t")
		known[word] = true
	}
	for name, word := range loadTable().spoken {
		if !slices.Contains(Names(), name) || !known[word] || known[name] || Protocol(name) != word {
			t.Errorf("%s spoken %s", name, word)
		}
	}
	if Protocol("ssh") != "ssh" {
		t.Error("ssh")
	}
}
