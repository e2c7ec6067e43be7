package filter

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestMarks: the refused part is named and marked, and there is a hint where
// people go wrong.
func TestMarks(t *testing.T) {
	for _, c := range []struct{ expr, mark, hint string }{
		{"192.0.2.1", "^^^^^^^^^", "host"},
		{"tcp port 80,443", "           ^", "or"},
		{"net 10/8", "    ^^^", "dots"},
		{"tcp prt 80", "    ^^^", "and"},
		{"host 300.1.1.1", "     ^^^^^^^^^", ""},
		{"net 192.0.2.1/24", "^^^^^^^^^^^^^^^^", "192.0.2.0"},
		{"net 2001:db8::1/64", "^^^^^^^^^^^^^^^^^^", "2001:db8::"},
		{"tcp and", "       ^", ""},
		{"(tcp or udp", "^", ""},
		{"tcp[0:3] = 1", "      ^", ""},
		{"ip[0]", "^^^^^", "compare"},
		{"port 70000", "     ^^^^^", ""},
		{"port 80-90", "     ^^^^^", "portrange"},
		{"host \x1b[31m", `     ^^^^`, ""},
		{"日本 and \x1b", "^^", ""},
		{"tcp and 日本", "        ^^", ""},
		{"tcp \u202e and", "    ^^^^^^", ""},
		{"tcp and \xff\xfe", "        ^^^^", ""},
		{"vlan 5000", "     ^^^^", ""},
		{"ether proto \\nosuch", "            ^^^^^^^", "0x"},
	} {
		_, err := Compile(c.expr, Options{Link: linkEthernet})
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", c.expr, err)
			continue
		}
		lines := strings.Split(e.Mark(), "\n")
		if len(lines) != 2 || lines[1] != c.mark {
			t.Errorf("%q is marked\n%s", c.expr, e.Mark())
		}
		if !strings.Contains(e.Hint, c.hint) || c.hint != "" && e.Hint == "" {
			t.Errorf("%q: the hint is %q", c.expr, e.Hint)
		}
		checkPrintable(t, e)
	}
}

func checkPrintable(t *testing.T, e *Error) {
	t.Helper()
	if e.Pos < 0 || e.Pos > e.End || e.End > len(e.Expr) {
		t.Errorf("%q: position %d to %d", e.Expr, e.Pos, e.End)
	}
	for _, s := range []string{e.Error(), strings.Replace(e.Mark(), "\n", "", 1)} {
		if strings.ContainsAny(s, "\x00\x07\x1b\n\r\t\u202e\u2028") || !utf8.ValidString(s) {
			t.Errorf("%q is printed as %q", e.Expr, s)
		}
	}
}

// TestMarkOfLongExpression shows the surroundings only.
func TestMarkOfLongExpression(t *testing.T) {
	expr := strings.Repeat("tcp or ", 500) + "nosuch" + strings.Repeat(" or udp", 500)
	_, err := Compile(expr, Options{Link: linkEthernet})
	var e *Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	lines := strings.Split(e.Mark(), "\n")
	at := strings.Index(lines[1], "^")
	if len([]rune(lines[0])) > 200 || string([]rune(lines[0])[at:at+6]) != "nosuch" || strings.Count(lines[1], "^") != 6 {
		t.Errorf("marked\n%s", e.Mark())
	}
}
