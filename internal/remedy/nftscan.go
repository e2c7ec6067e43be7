package remedy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// nftScan is what was found in a text for nft -f.
type nftScan struct {
	ours   bool // it declares our table
	header bool // the table has flags or a comment of its own
}

// scanNft refuses a text that could touch anything but our table. What is
// inside the braces of a block cannot leave them, so it is not looked into,
// but for include, which nft expands before it reads anything.
func scanNft(text []byte) (nftScan, error) {
	toks, err := nftTokens(text)
	if err != nil {
		return nftScan{}, err
	}
	var s nftScan
	for len(toks) > 0 {
		n := statementEnd(toks)
		if n < 0 {
			return s, toks[len(toks)-1].wrong("the braces do not match")
		}
		if err := s.statement(toks[:n]); err != nil {
			return s, err
		}
		toks = toks[n:]
	}
	return s, nil
}

// nftToken is a word, a quoted string (with its first quote), a brace or a
// mark that ends a statement (";", for a line end too).
type nftToken struct {
	text      string
	line, col int
}

func (t nftToken) wrong(what string) error {
	return fail(Invalid, fmt.Sprintf("line %d, column %d: %s", t.line, t.col, what), nil)
}

// nftTokens splits as nft's scanner does: a comment runs to the line's end, a
// string to the next quote, and a backslash joins lines.
func nftTokens(text []byte) (toks []nftToken, err error) {
	line, start := 1, 0
	for i := 0; i < len(text); {
		t := nftToken{line: line, col: i - start + 1}
		n := 1
		switch c := text[i]; {
		case c == 0:
			return nil, t.wrong("a NUL byte")
		case c == '\\' && bytes.HasPrefix(text[i:], []byte("\\\n")):
			n, line, start = 2, line+1, i+2
		case c == '\n':
			t.text = ";"
			line, start = line+1, i+1
		case c == ' ' || c == '\t' || c == '\r':
		case c == '#':
			n = lengthTo(text[i:], '\n')
		case c == '"':
			n = lengthTo(text[i+1:], '"') + 2
			if i+n > len(text) {
				return nil, t.wrong("a string that does not end")
			}
			t.text = string(text[i : i+n])
			if broken := strings.Count(t.text, "\n"); broken > 0 {
				line, start = line+broken, i+strings.LastIndexByte(t.text, '\n')+1
			}
		case c == '{' || c == '}' || c == ';':
			t.text = string(c)
		default:
			n = bytes.IndexAny(text[i:], " \t\r\n#\"{};\\\x00")
			if n < 0 {
				n = len(text) - i
			}
			n = max(n, 1)
			t.text = string(text[i : i+n])
		}
		if t.text == "include" {
			return nil, t.wrong("include: the text must hold all that is to be loaded")
		}
		if t.text != "" {
			toks = append(toks, t)
		}
		i += n
	}
	return toks, nil
}

// lengthTo counts the bytes before c, or all.
func lengthTo(b []byte, c byte) int {
	if n := bytes.IndexByte(b, c); n >= 0 {
		return n
	}
	return len(b)
}

// statementEnd counts the tokens of the first statement, to the mark that ends
// it outside of braces. -1: the braces do not match.
func statementEnd(toks []nftToken) int {
	depth := 0
	for i, t := range toks {
		switch t.text {
		case "{":
			depth++
		case "}":
			if depth--; depth < 0 {
				return -1
			}
		case ";":
			if depth == 0 {
				return i + 1
			}
		}
	}
	if depth > 0 {
		return -1
	}
	return len(toks)
}

// verbs and nouns of commands on what is inside a table (nft(8)).
var (
	nftVerbs = []string{"add", "create", "insert", "delete", "destroy", "flush", "replace", "reset"}
	nftNouns = []string{"table", "chain", "rule", "set", "map", "element", "flowtable", "counter", "quota", "limit", "secmark", "synproxy",
		"ct helper", "ct timeout", "ct expectation"}
)

// statement refuses what is no command on our table.
func (s *nftScan) statement(toks []nftToken) error {
	var words []string
	for _, t := range toks {
		if t.text == "{" || t.text == ";" {
			break
		}
		words = append(words, t.text)
	}
	if len(words) == 0 && toks[0].text == ";" {
		return nil
	}
	if len(words) > 0 && (words[0] == "define" || words[0] == "redefine") {
		return nil
	}
	if !onOurTable(words) {
		return toks[0].wrong(fmt.Sprintf("%q is not about table %s: only that table is ours to change", strings.Join(words, " "), ourTable))
	}
	if (words[0] == "table" || words[1] == "table") && afterBlock(toks) {
		return toks[0].wrong("something follows the table's closing brace")
	}
	s.ours = s.ours || !slices.Contains([]string{"delete", "destroy", "flush"}, words[0])
	s.header = s.header || words[0] == "table" && hasHeader(toks)
	return nil
}

func onOurTable(words []string) bool {
	if len(words) > 0 && slices.Contains(nftVerbs, words[0]) {
		words = words[1:]
	} else if len(words) == 0 || words[0] != "table" {
		return false
	}
	if len(words) > 0 && words[0] == "ct" && len(words) > 1 {
		words = append([]string{"ct " + words[1]}, words[2:]...)
	}
	return len(words) >= 3 && slices.Contains(nftNouns, words[0]) && words[1] == "inet" && words[2] == "portreeve" &&
		(words[0] != "table" || len(words) == 3)
}

// afterBlock reports tokens behind the brace that closes a block.
func afterBlock(toks []nftToken) bool {
	depth, closed := 0, false
	for _, t := range toks {
		if closed && t.text != ";" {
			return true
		}
		switch t.text {
		case "{":
			depth++
		case "}":
			depth--
			closed = depth == 0
		}
	}
	return false
}

// hasHeader reports flags or a comment of the table itself.
func hasHeader(toks []nftToken) bool {
	depth, first := 0, true
	for _, t := range toks {
		switch {
		case t.text == "{":
			depth++
			first = true
			continue
		case t.text == "}":
			depth--
			first = true
			continue
		case t.text == ";":
			first = true
			continue
		case depth == 1 && first && (t.text == "flags" || t.text == "comment"):
			return true
		}
		first = false
	}
	return false
}
