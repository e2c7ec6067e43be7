package remedy

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNftTextIsOursAlone(t *testing.T) {
	for text, want := range map[string]string{
		"table inet portreeve {\n}\n": "",
		"#!/usr/sbin/nft -f\n# words: flush ruleset\ntable inet portreeve\ndelete table inet portreeve\ntable inet portreeve {\n chain a { }\n}": "",
		"add table inet portreeve; add chain inet portreeve a\nadd rule inet portreeve a tcp dport { 22, 80 } accept":                            "",
		"add ct helper inet portreeve ftp { type \"ftp\" protocol tcp; }":                                                                        "",
		"define x = { 22, 80 }\ntable inet portreeve {\n set s { type inet_service; elements = $x }\n}":                                          "",
		"table inet portreeve {\n chain a { log prefix \"} table ip x {\"\n }\n}":                                                                "",
		"table \\\n inet portreeve { }":                                    "",
		"flush ruleset\ntable inet portreeve {\n}":                         "line 1, column 1",
		"table inet portreeve {\n}\ntable ip portreeve {\n}":               "line 3, column 1",
		"table inet portreeve {\n}\n  add rule ip filter INPUT drop":       "line 3, column 3",
		"table inet portreeve {\n include \"/etc/x\"\n}":                   "line 2, column 2",
		"include \"/etc/nftables.conf\"":                                   "line 1, column 1",
		"table inet portreeve {\n chain a {\n}\n":                          "the braces do not match",
		"table inet portreeve {\n}\n}\ntable ip x {\n":                     "the braces do not match",
		"table inet portreeve { } table ip x { }":                          "closing brace",
		"table inet portreeve {\n chain a { log prefix \"x }\n}":           "line 2, column 23: a string that does not end",
		"table inet portreeve2 {\n}":                                       "line 1",
		"table portreeve {\n}":                                             "line 1",
		"delete table inet portreeve":                                      "no table",
		"table inet portreeve {\n\x00}":                                    "line 2, column 1: a NUL byte",
		"":                                                                 "no table",
		"monitor":                                                          "line 1",
		"add rule inet filter input accept; add table inet portreeve":      "line 1",
		"table inet portreeve { }; reset counters":                         "line 1, column 27",
		"rename chain inet portreeve a b":                                  "line 1",
		"add element ip filter s { 192.0.2.1 }\ntable inet portreeve { }":  "line 1",
		"table inet portreeve { chain a { } }; import vm json":             "import",
		"add ct helper ip filter inet portreeve\ntable inet portreeve { }": "line 1",
	} {
		_, err := nft{}.Accept([]byte(text))
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", text, err)
		case want != "" && (err == nil || ReasonOf(err) != Invalid || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestSaveTextIsOursAlone(t *testing.T) {
	for text, want := range map[string]string{
		webSave: "",
		"*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:portreeve - [0:0]\n:portreeve-r1s - [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -j portreeve\n-A portreeve -j ACCEPT\nCOMMIT\n": "",
		"*filter\n:PORTREEVE-INPUT - [0:0]\n[3:4] -A PORTREEVE-INPUT -j ACCEPT\n-I INPUT 1 -j X\nCOMMIT\n":                                                                                                     "line 4",
		"*filter\n:PORTREEVE-INPUT - [0:0]\n-F INPUT\nCOMMIT\n":                           "line 3",
		"*filter\n:PORTREEVE-INPUT - [0:0]\n-A OTHER -j DROP\nCOMMIT\n":                   "line 3",
		"*filter\n:PORTREEVE-INPUT - [0:0]\n":                                             "COMMIT",
		"*filter\n:PORTREEVE-INPUT - [0:0]\nCOMMIT\n*filter\nCOMMIT\n":                    "line 4",
		"*filter\n:PORTREEVE-INPUT - [0:0]\nCOMMIT\n-A PORTREEVE-INPUT -j DROP\n":         "outside",
		"-A PORTREEVE-INPUT -j DROP\n":                                                    "outside",
		"*filter\n:PORTREEVE-" + strings.Repeat("X", 19) + " - [0:0]\nCOMMIT\n":           "28 characters",
		"*filter\n:\nCOMMIT\n":                                                            "without a name",
		"*filter\n:PORTREEVE-INPUT - [0:0]\n[3:4 -A PORTREEVE-INPUT -j DROP\nCOMMIT\n":    "do not end",
		"*filter\n:PORTREEVE-INPUT - [0:0]\n-A PORTREEVE-INPUT -j \x00DROP\nCOMMIT\n":     "NUL",
		"*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n":                                          "no chain",
		"*filter\n:PORTREEVE-INPUT - [0:0]\n-A PORTREEVE-INPUT -j DROP\n-t nat\nCOMMIT\n": "line 4",
	} {
		_, err := newIptables("iptables", "/proc").Accept([]byte(text))
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", text, err)
		case want != "" && (err == nil || ReasonOf(err) != Invalid || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// A text that fills the built-in chains is moved into ours.
func TestBuiltInChainsAreMoved(t *testing.T) {
	s, err := acceptSave([]byte("*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:portreeve - [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -j portreeve\n-A FORWARD -j portreeve\n-A portreeve -p tcp --dport 22 -j ACCEPT\nCOMMIT\n"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `*filter
:PORTREEVE-INPUT - [0:0]
:portreeve - [0:0]
:PORTREEVE-FORWARD - [0:0]
-D INPUT -j PORTREEVE-INPUT
-F portreeve-old
-X portreeve-old
-A PORTREEVE-INPUT -i lo -j ACCEPT
-A PORTREEVE-INPUT -j portreeve
-A PORTREEVE-FORWARD -j portreeve
-A portreeve -p tcp --dport 22 -j ACCEPT
-A PORTREEVE-INPUT -j DROP
-I INPUT 1 -j PORTREEVE-INPUT
-I FORWARD 1 -j PORTREEVE-FORWARD
COMMIT
`
	have := &ipSaved{Chains: []string{"PORTREEVE-INPUT", "portreeve-old"}, Jumps: []ipJump{{"INPUT", 3, "-A INPUT -j PORTREEVE-INPUT"}}}
	if got := string(change(have, s)); got != want {
		t.Errorf("%s", got)
	}
}

// FuzzNftText wants every accepted text to hold only commands on our table:
// a second, simpler look at it finds no other.
func FuzzNftText(f *testing.F) {
	f.Add([]byte(web))
	f.Add([]byte("add table inet portreeve; flush ruleset"))
	f.Add([]byte("table inet portreeve { \"\n} #\n\\\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		saved, err := nft{}.Accept(text)
		if err != nil {
			if ReasonOf(err) != Invalid {
				t.Errorf("%v", err)
			}
			return
		}
		depth, quoted, comment := 0, false, false
		var outside bytes.Buffer
		for _, c := range bytes.ReplaceAll(saved, []byte("\\\n"), []byte("  ")) {
			switch {
			case comment:
				comment = c != '\n'
			case quoted:
				quoted = c != '"'
			case c == '"':
				quoted = true
			case c == '#':
				comment = true
			case c == '{':
				depth++
			case c == '}':
				depth--
			}
			if depth == 0 && !quoted && !comment && c != '}' && c != '"' && c != '#' || c == '\n' {
				outside.WriteByte(c)
			}
		}
		for _, s := range strings.FieldsFunc(outside.String(), func(r rune) bool { return r == ';' || r == '\n' }) {
			if w := strings.Fields(s); len(w) > 0 && (w[0] == "flush" && w[1] == "ruleset" || w[0] == "table" && strings.Join(w, " ") != "table inet portreeve") {
				t.Errorf("%q in %q", s, text)
			}
		}
	})
}

func FuzzSaveText(f *testing.F) {
	f.Add([]byte(webSave))
	f.Add([]byte("*filter\n:INPUT DROP [0:0]\n-A INPUT -j portreeve\nCOMMIT"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := acceptSave(text)
		if err != nil {
			if ReasonOf(err) != Invalid {
				t.Errorf("%v", err)
			}
			return
		}
		for line := range strings.Lines(string(change(&ipSaved{}, s))) {
			w := strings.Fields(line)
			switch {
			case strings.HasPrefix(line, ":"), w[0] == "*filter", w[0] == "COMMIT":
			case strings.HasPrefix(w[0], "[") || w[0] == "-A":
			case w[0] == "-I" && w[2] == "1" && w[3] == "-j" && strings.EqualFold(w[4], ourPrefix+w[1]):
			default:
				t.Errorf("%q from %q", line, text)
			}
		}
		for _, r := range s.Rules {
			_, rule, ok := strings.Cut(r, "-A ")
			if chain, _, _ := strings.Cut(rule, " "); !ok || !isOurs(strings.TrimSpace(chain)) {
				t.Errorf("%q from %q", r, text)
			}
		}
	})
}

// A difference holds both texts, and no shorter one does (by the naive
// count of what can stay).
func TestDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", ""}), 0, 8)
		a, b := lines.Draw(t, "a"), lines.Draw(t, "b")
		before, after := strings.Join(append(a, "end"), "\n"), strings.Join(append(b, "end"), "\n")
		var was, is []string
		kept := 0
		for _, l := range difference([]byte(before), []byte(after)) {
			if l.Op != '+' {
				was = append(was, l.Text)
			}
			if l.Op != '-' {
				is = append(is, l.Text)
			}
			if l.Op == ' ' {
				kept++
			}
		}
		if strings.Join(was, "\n") != before || strings.Join(is, "\n") != after {
			t.Fatalf("%q %q: %q %q", before, after, was, is)
		}
		if most := common(append(a, "end"), append(b, "end")); kept != most {
			t.Fatalf("kept %d of %d", kept, most)
		}
	})
	if got := difference(bytes.Repeat([]byte("a\n"), 3000), bytes.Repeat([]byte("b\n"), 3000)); len(got) != 6000 {
		t.Errorf("%d lines", len(got))
	}
}

// common is the length of a longest common subsequence, by its definition.
func common(a, b []string) int {
	switch {
	case len(a) == 0 || len(b) == 0:
		return 0
	case a[0] == b[0]:
		return 1 + common(a[1:], b[1:])
	}
	return max(common(a[1:], b), common(a, b[1:]))
}

func TestSteadyDropsWhatMoves(t *testing.T) {
	const listing = "table inet portreeve {\n\tset a {\n\t\ttype ipv4_addr\n\t\tflags dynamic,timeout\n\t\telements = { 192.0.2.1 timeout 1h expires 59m,\n\t\t\t     192.0.2.2 timeout 1h expires 59m }\n\t}\n\n\tset b {\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.1 }\n\t}\n}\n"
	const want = "table inet portreeve {\n\tset a {\n\t\ttype ipv4_addr\n\t\tflags dynamic,timeout\n\t}\n\n\tset b {\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.1 }\n\t}\n}\n"
	if got := string(steady([]byte(listing))); got != want {
		t.Errorf("%s", got)
	}
}
