package inventory

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

//go:embed signatures.txt
var signatureText string

// Scores of a finding: by what the client says, by what the server says, and
// by a server that tells its version.
const (
	guessed = 1
	told    = 2
	exactly = 3
)

// heard is a conversation the way round that it is looked at.
type heard struct {
	proto          uint8
	port           uint16 // the server's
	server, client []byte
	cut            bool // the server said more than is there
}

// finding is what a conversation tells of the server.
type finding struct {
	service, product, version, detail string
	score                             int
	more                              bool // more bytes would tell more
}

// table is signatures.txt. It is not changed once read.
type table struct {
	ports          portBits // a server's rather than others
	server, client map[byte][]signature
	readers        []reader
}

// portBits is a set of port numbers.
type portBits [1 << 16 / 64]uint64

func (s *portBits) has(p uint16) bool { return s[p>>6]&(1<<(p&63)) != 0 }

// signature is one line: what a side begins with, and what is taken from it.
type signature struct {
	proto            uint8 // 0: both
	service, prefix  string
	ports            map[uint16]bool // nil: any
	pattern          *regexp.Regexp  // nil: the prefix alone
	product, version string
	detail           string
}

// loadTable reads the embedded table once; a test reads it too, so that an
// error cannot be shipped.
var loadTable = sync.OnceValue(func() *table {
	t, err := readTable(signatureText)
	if err != nil {
		return &table{}
	}
	return t
})

var errTable = errors.New("signature table")

func readTable(text string) (*table, error) {
	t := &table{server: map[byte][]signature{}, client: map[byte][]signature{}, readers: readers()}
	for n, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if err := t.read(strings.Split(line, "\t")); err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return t, nil
}

// read takes the fields of a line: see the table's head.
func (t *table) read(f []string) error {
	if f[0] == "ports" && len(f) == 2 {
		ports, err := portSet(f[1])
		for p := range ports {
			t.ports[p>>6] |= 1 << (p & 63)
		}
		return err
	}
	if len(f) < 6 || len(f) > 9 {
		return errTable
	}
	f = append(f, "", "", "")
	s := signature{service: f[2], product: f[6], version: f[7], detail: f[8]}
	var known bool
	if s.proto, known = map[string]uint8{"tcp": protoTCP, "udp": protoUDP, "any": 0}[f[1]]; !known {
		return errTable
	}
	var err error
	if s.ports, err = portSet(f[3]); err != nil {
		return err
	}
	if s.prefix, err = strconv.Unquote(f[4]); err != nil || s.prefix == "" {
		return errTable
	}
	if f[5] != "-" {
		if s.pattern, err = regexp.Compile(f[5]); err != nil {
			return err
		}
	}
	side, known := map[string]map[byte][]signature{"server": t.server, "client": t.client}[f[0]]
	if !known {
		return errTable
	}
	side[s.prefix[0]] = append(side[s.prefix[0]], s)
	return nil
}

// portSet reads ports between commas; "-" is nil, any.
func portSet(list string) (map[uint16]bool, error) {
	if list == "-" {
		return nil, nil
	}
	out := map[uint16]bool{}
	for p := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return nil, err
		}
		out[uint16(n)] = true
	}
	return out, nil
}

// recognise tells what a conversation is.
func (t *table) recognise(h *heard) finding {
	if f := t.match(t.server, h.server, h); f.score > 0 {
		if h.proto == protoTCP && !h.cut && halfLine(h.server) {
			return finding{service: f.service, score: guessed, more: true}
		}
		return refine(f, h)
	}
	for _, read := range t.readers {
		if f := read(h); f.score > 0 {
			return f
		}
	}
	if f := t.match(t.client, h.client, h); f.score > 0 {
		f.score = guessed
		return refine(f, h)
	}
	return finding{}
}

// halfLine reports text whose first line has no end yet: it may tell something
// else when it is whole.
func halfLine(b []byte) bool {
	return len(b) < maxSide && b[0] >= ' ' && b[0] <= '~' && bytes.IndexByte(b, 0) < 0 && bytes.IndexByte(b, '\n') < 0
}

// match looks for the first signature of a side.
func (t *table) match(by map[byte][]signature, said []byte, h *heard) finding {
	if len(said) == 0 {
		return finding{}
	}
	said = said[:min(len(said), maxSide)]
	for k := range by[said[0]] {
		s := &by[said[0]][k]
		if s.proto != 0 && s.proto != h.proto || s.ports != nil && !s.ports[h.port] {
			continue
		}
		if len(said) < len(s.prefix) || string(said[:len(s.prefix)]) != s.prefix {
			continue
		}
		if f := s.find(said); f.score > 0 {
			return f
		}
	}
	return finding{}
}

// find takes product, version and detail out of what was said.
func (s *signature) find(said []byte) finding {
	f := finding{service: s.service, score: told}
	if s.pattern == nil {
		f.product, f.version, f.detail = s.product, s.version, s.detail
		return f
	}
	text := latin(said)
	m := s.pattern.FindStringSubmatchIndex(text)
	if m == nil {
		return finding{}
	}
	fill := func(template string) string { return unlatin(s.pattern.ExpandString(nil, template, text, m)) }
	f.product, f.version, f.detail = fill(s.product), fill(s.version), fill(s.detail)
	if f.version != "" {
		f.score = exactly
	}
	return f
}

// latin gives bytes as characters of the same number, so that an expression's
// \xff is a byte.
func latin(b []byte) string {
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out)
}

// unlatin is the reverse.
func unlatin(text []byte) string {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		out = append(out, byte(r))
	}
	return string(out)
}

// maxText is the longest product, version or detail, bytes.
const maxText = 160

// clean makes what a stranger said valid UTF-8 of limited length.
func clean(s string) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}
