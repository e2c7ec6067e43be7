package identify

import (
	"bufio"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed probes/*.txt
var probeFiles embed.FS

// loadTable reads the embedded tables once; a test reads them all, so that an
// error cannot be shipped.
var loadTable = sync.OnceValue(func() *table {
	t, err := readTables(probeFiles)
	if err != nil {
		return newTable()
	}
	return t
})

// table is probes/*.txt. It is not changed once read.
type table struct {
	greeting *probe
	http     *probe
	probes   []*probe          // without the greeting
	byName   map[string]*probe // all of them
	follow   map[string]*probe // what is asked on, by key
	upgrades map[string]*upgrade
	silent   map[uint16]bool   // ports that are never sent anything
	inside   map[uint16]string // TLS port → probe for what is inside
	spoken   map[string]string // name → the protocol's usual word
	messages []message         // in the tables' order, for the documents

	last *probe // that match and until lines belong to, while reading
}

// rank says at which ports a probe is asked.
type rank int

// Ranks, in the order of asking.
const (
	own    rank = iota // its own ports only
	always             // and then at every port
	late               // and at every port after those
)

// message is what a probe or question sends.
type message struct {
	name, ports, bytes, meaning string
}

// probe is one message with the patterns of its answers.
type probe struct {
	name    string
	message string
	tls     bool
	again   bool // on a new connection
	long    bool // the answer may be longLimit times as long as others
	rank    rank
	ports   map[uint16]bool
	matches []match
	until   *regexp.Regexp // an answer that is whole; nil: silence says so
}

// upgrade turns a cleartext conversation into TLS.
type upgrade struct {
	offered, agreed *regexp.Regexp // agreed is nil where no word of it comes
	message         string
}

func newTable() *table {
	return &table{greeting: &probe{}, http: &probe{}, byName: map[string]*probe{}, follow: map[string]*probe{},
		upgrades: map[string]*upgrade{}, silent: map[uint16]bool{}, inside: map[uint16]string{}, spoken: map[string]string{}}
}

// order lists the probes for a port: those of the port, then those for every
// port, then the less likely, each in the tables' order. owned counts the
// first kind.
func (t *table) order(port uint16) (probes []*probe, owned int) {
	var of [3][]*probe
	for _, p := range t.probes {
		switch {
		case p.ports[port]:
			of[own] = append(of[own], p)
		case p.rank != own:
			of[p.rank] = append(of[p.rank], p)
		}
	}
	return slices.Concat(of[:]...), len(of[own])
}

// names are the services that any pattern names.
func (t *table) names() []string {
	set := map[string]bool{}
	for _, p := range slices.Concat(slices.Collect(maps.Values(t.byName)), slices.Collect(maps.Values(t.follow))) {
		for _, m := range p.matches {
			set[m.service] = true
		}
	}
	delete(set, ambiguous220)
	return slices.Sorted(maps.Keys(set))
}

var errTable = errors.New("probe table")

// readTables reads every file of a folder, by name: the order in which probes
// are tried.
func readTables(files fs.FS) (*table, error) {
	t := newTable()
	names, err := fs.Glob(files, "probes/*.txt")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err == nil {
			err = t.read(string(text))
		}
		if err != nil {
			return nil, fmt.Errorf("%w %s: %w", errTable, name, err)
		}
	}
	return t, t.finish()
}

// read takes lines of words and Go string literals; adjacent literals of a
// message are one. PORTS are numbers, ranges, commas, or "-".
//
//	silent PORTS                                      never sent anything
//	spoken NAME WORD                                  see Protocol
//	probe NAME PORTS [always|late] "message"… means "text"
//	tls PORTS [NAME]                                  inside TLS: that probe
//	match SERVICE "pattern" [field "template"]…       of the line above
//	until "pattern"                                   the answer is whole
//	of NAME                                           the next match and until
//	                                                  lines are of that probe
//	then KEY [again] [long] "message"… means "text"   asked when a match says
//	                                                  so, or is of service KEY
//	starttls SERVICE "offered" ["message"… means "text" [agreed "pattern"]]
func (t *table) read(text string) error {
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		words, err := split(lines.Text())
		if err == nil && len(words) > 0 {
			err = t.line(words)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}

// finish checks that what belongs together is there.
func (t *table) finish() error {
	if t.byName["greeting"] == nil || t.byName["http"] == nil {
		return fmt.Errorf("%w: no greeting or no http", errTable)
	}
	t.greeting, t.http = t.byName["greeting"], t.byName["http"]
	t.probes = slices.DeleteFunc(t.probes, func(p *probe) bool { return p == t.greeting })
	for _, name := range t.inside {
		if t.byName[name] == nil {
			return fmt.Errorf("%w: no probe %s to ask inside TLS", errTable, name)
		}
	}
	return nil
}

// split cuts a line into words and the values of literals.
func split(line string) ([]string, error) {
	var words []string
	for line = strings.TrimSpace(line); line != "" && line[0] != '#'; line = strings.TrimSpace(line) {
		if line[0] == '"' || line[0] == '`' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("%.40s: %w", line, err)
			}
			value, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			words, line = append(words, value), line[len(quoted):]
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		words, line = append(words, word), rest
	}
	return words, nil
}

// portSet adds "80,8000-8010" to a set; "-" is none.
func portSet(text string, set map[uint16]bool) error {
	if text == "-" {
		return nil
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.ParseUint(first, 10, 16)
		b, errB := strconv.ParseUint(last, 10, 16)
		if errA != nil || errB != nil || b < a {
			return fmt.Errorf("%q is no port or range", part)
		}
		for p := a; p <= b; p++ {
			set[uint16(p)] = true
		}
	}
	return nil
}
