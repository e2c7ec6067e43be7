package cisco

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/problem"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Platform is the system that a text is of.
type Platform uint8

// Platforms. Auto tells them apart by what the text says.
const (
	Auto Platform = iota
	IOS
	XR
	NXOS
	ASA
	EOS
)

// Options say what is read.
type Options struct {
	Platform Platform
}

// ErrFormat is returned for a text without a single access list.
var ErrFormat = errors.New("no access list of Cisco's kind")

const mostLine = 1 << 20

// Read reads a configuration or the output of a show command.
func Read(in io.Reader, o Options) (*ruleset.RuleSet, []problem.Problem, error) {
	names, err := readNames()
	if err != nil {
		return nil, nil, err
	}
	r := &reader{platform: o.Platform, names: names, lists: map[listKey]*list{}, groups: map[string]*group{},
		hosts: map[string]string{}, bindings: map[listKey][]ruleset.Binding{}}
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, mostLine)
	for sc.Scan() {
		r.line++
		r.readLine(sc.Text())
	}
	if sc.Err() != nil {
		return nil, r.problems.All(), fmt.Errorf("access lists, line %d: %w", r.line+1, sc.Err())
	}
	if len(r.order) == 0 {
		return nil, r.problems.All(), ErrFormat
	}
	return r.ruleSet(), r.problems.All(), nil
}

// reader holds what a text declares; entries are translated at the end, since
// they may name groups that follow.
type reader struct {
	platform Platform
	names    *nameTables
	line     int
	lists    map[listKey]*list
	order    []*list
	groups   map[string]*group
	hosts    map[string]string // "name 192.0.2.1 web" of ASA
	problems problem.List
	bindings map[listKey][]ruleset.Binding
	globals  []string // lists of "access-group NAME global"
	nameifs  []string // ASA's names of interfaces
	section  section
	list     *list
	group    *group
	device   string
}

// section is what indented lines belong to.
type section uint8

const (
	noSection section = iota
	listSection
	groupSection
	interfaceSection
	otherSection // a list that is none of IP
)

// listKey names a list: IPv4 and IPv6 lists have names of their own on IOS.
type listKey struct {
	v6   bool
	name string
}

// list is one access list.
type list struct {
	listKey
	families ruleset.Families
	standard bool
	asa      bool
	entries  []entry
	line     int
	// elements is how many a listing says there are, -1 when it does not.
	elements, shown int
}

// entry is one line of a list.
type entry struct {
	line     int
	seq      int
	text     string
	words    []word // from permit or deny on
	packets  *uint64
	element  bool // the expansion of the entry before it
	expanded bool // its elements follow
	unknown  string
}

func (r *reader) readLine(text string) {
	text = strings.TrimRight(text, " \t\r")
	ws := words(text)
	if len(ws) == 0 || ws[0].text[0] == '!' || ws[0].text == ":" {
		return
	}
	indented := isSpace(text[0])
	if r.section == listSection && r.listLine(ws, indented) {
		return
	}
	if r.section == groupSection && r.groupLine(ws, indented) {
		return
	}
	if r.section == interfaceSection && indented {
		r.interfaceLine(ws)
		return
	}
	if r.section == otherSection && (indented || isNumber(ws[0].text)) {
		return
	}
	r.topLine(ws, text)
}

// topLine reads a command that begins a section, or stands alone.
func (r *reader) topLine(ws []word, text string) {
	was := r.section
	r.section = noSection
	c := &cursor{words: ws}
	if r.shown(ws) {
		return
	}
	switch first := c.peek(); first {
	case "access-list":
		c.at++
		r.accessList(c, text)
	case "ip", "ipv4", "ipv6":
		c.at++
		r.ipCommand(first, c)
	case "mac", "arp":
		r.section = otherSection
	case "object", "object-group":
		r.openGroup(first, c)
	case "interface":
		c.at++
		r.section, r.device = interfaceSection, c.next()
	case "access-group":
		c.at++
		r.accessGroup(c)
	case "name":
		if len(ws) >= 3 {
			r.hosts[ws[2].text] = ws[1].text
		}
	case "no", "clear":
		r.remove(c)
	case "permit", "deny":
		r.problems.Add(r.line, ws[0].col, text, "an entry outside of a list")
	case "asa", "pix", "fwsm", ":":
		r.platform = ASA
	default:
		if was == interfaceSection && len(ws) > 1 && c.peek() != "exit" && c.peek() != "end" {
			return
		}
	}
}

// accessList reads "access-list NAME …" of IOS (numbered) and ASA.
func (r *reader) accessList(c *cursor, text string) {
	name := strings.TrimSuffix(c.next(), ";")
	if strings.HasSuffix(c.words[c.at-1].text, ";") || name == "cached" || name == "" {
		r.elementCount(name, c)
		return
	}
	lineNo := 0
	if c.accept("line") {
		lineNo, _ = strconv.Atoi(c.next())
	}
	l := r.numbered(name, c, lineNo > 0)
	if l == nil || c.done() {
		return
	}
	if c.accept("remark") {
		return
	}
	r.addEntry(l, c, entry{line: r.line, seq: lineNo, text: joined(c.words[c.at:])}, isSpace(text[0]) && lineNo > 0)
}

// numbered finds the list of "access-list NAME" and its kind.
func (r *reader) numbered(name string, c *cursor, asa bool) *list {
	kind := c.peek()
	n, err := strconv.Atoi(name)
	switch {
	case kind == "extended" || kind == "standard":
		c.at++
		r.platform = ASA
		l := r.open(listKey{name: name}, both)
		l.asa, l.standard = true, kind == "standard"
		return l
	case kind == "webtype" || kind == "ethertype" || kind == "mode" || kind == "compiled" || kind == "rate-limit":
		return nil
	case asa || r.platform == ASA || err != nil:
		l := r.open(listKey{name: name}, both)
		l.asa = true
		return l
	case n >= 1 && n <= 99 || n >= 1300 && n <= 1999:
		l := r.open(listKey{name: name}, ruleset.IPv4)
		l.standard = true
		return l
	case n >= 100 && n <= 199 || n >= 2000 && n <= 2699:
		return r.open(listKey{name: name}, ruleset.IPv4)
	}
	return nil // lists of other protocols
}

const both = ruleset.IPv4 | ruleset.IPv6

// open finds or makes a list.
func (r *reader) open(key listKey, f ruleset.Families) *list {
	l := r.lists[key]
	if l == nil {
		l = &list{listKey: key, families: f, line: r.line, elements: -1}
		r.lists[key] = l
		r.order = append(r.order, l)
	}
	return l
}

// ipCommand reads "ip access-list …" and what applies a list.
func (r *reader) ipCommand(family string, c *cursor) {
	if c.peek() == "access-group" || c.peek() == "traffic-filter" {
		r.apply(family == "ipv6", c)
		return
	}
	if !c.accept("access-list") {
		return
	}
	standard := false
	switch c.peek() {
	case "standard":
		standard = true
		c.at++
	case "extended":
		c.at++
	case "resequence", "logging", "log-update", "persistent", "helper", "match-local-traffic":
		return
	case "role-based":
		r.section = otherSection
		return
	}
	name := c.next()
	if name == "" {
		r.problems.Add(r.line, 0, joined(c.words), "an access list without a name")
		return
	}
	f := ruleset.IPv4
	if family == "ipv6" {
		f = ruleset.IPv6
	}
	if family == "ipv4" && r.platform == Auto {
		r.platform = XR
	}
	r.list = r.open(listKey{family == "ipv6", name}, f)
	r.list.standard = standard
	r.section = listSection
	if c.peek() == "permit" || c.peek() == "deny" { // in one line
		r.listLine(c.words[c.at:], true)
	}
}

// listLine reads a line inside a named list; false ends the list.
func (r *reader) listLine(ws []word, indented bool) bool {
	c := &cursor{words: ws}
	seq := 0
	if isNumber(c.peek()) && len(ws) > 1 {
		seq, _ = strconv.Atoi(c.next())
	}
	if c.peek() == "sequence" && len(ws) > 2 && isNumber(ws[1].text) { // IPv6 of IOS
		seq, _ = strconv.Atoi(ws[1].text)
		c.at = 2
	}
	switch c.peek() {
	case "permit", "deny", "evaluate", "dynamic":
		r.addEntry(r.list, c, entry{line: r.line, seq: seq, text: joined(ws)}, false)
	case "remark", "statistics", "fragments", "counters", "description", "hardware", "ignore":
	case "no":
		c.at++
		r.removeEntry(c)
	default:
		if !indented && seq == 0 || r.shown(ws) {
			return false
		}
		r.problems.Add(r.line, c.column(), joined(ws), "not an entry that is understood")
		r.list.entries = append(r.list.entries, entry{line: r.line, seq: seq, text: joined(ws), unknown: "an entry that is not understood: " + joined(ws)})
	}
	return true
}

// addEntry adds a line that begins with permit or deny.
func (r *reader) addEntry(l *list, c *cursor, e entry, indented bool) {
	ws, packets, inactive := counter(c.words[c.at:])
	e.words, e.packets = withoutHash(ws), packets
	if n := len(l.entries); indented && l.asa && n > 0 {
		e.element = true
		for i := n - 1; i >= 0 && !l.entries[i].expanded; i-- {
			if !l.entries[i].element {
				l.entries[i].expanded = l.entries[i].seq == e.seq
				break
			}
		}
	}
	if l.asa && (e.element || !hasGroup(e.words)) {
		l.shown++
	}
	if inactive {
		return
	}
	if i := indexOf(e.words, "sequence"); i >= 0 && i+1 < len(e.words) {
		e.seq, _ = strconv.Atoi(e.words[i+1].text)
		e.words = e.words[:i]
	}
	l.entries = append(l.entries, e)
}

func indexOf(ws []word, s string) int {
	for i, w := range ws {
		if strings.EqualFold(w.text, s) {
			return i
		}
	}
	return -1
}

// withoutHash takes off what a listing of ASA ends its lines with.
func withoutHash(ws []word) []word {
	if n := len(ws); n > 0 && strings.HasPrefix(ws[n-1].text, "0x") && len(ws[n-1].text) == 10 {
		return ws[:n-1]
	}
	return ws
}

func hasGroup(ws []word) bool { return indexOf(ws, "object-group") >= 0 || indexOf(ws, "object") >= 0 }

// elementCount reads "access-list NAME; 51 elements; name hash: 0x…".
func (r *reader) elementCount(name string, c *cursor) {
	n, err := strconv.Atoi(c.next())
	if err != nil || !strings.HasPrefix(c.peek(), "element") {
		return
	}
	r.platform = ASA
	l := r.open(listKey{name: name}, both)
	l.asa, l.elements = true, n
}

// shown reads the headings of show commands.
func (r *reader) shown(ws []word) bool {
	text := strings.ToLower(joined(ws))
	kind, name, ok := strings.Cut(text, " access list ")
	if !ok {
		return r.shownGroup(ws, text)
	}
	if i := indexOf(ws, "list"); i+1 < len(ws) {
		name = ws[i+1].text
	}
	switch kind {
	case "standard ip", "extended ip", "ip", "ipv4", "reflexive ip":
		r.list = r.open(listKey{name: name}, ruleset.IPv4)
		r.list.standard = kind == "standard ip"
	case "ipv6":
		r.list = r.open(listKey{v6: true, name: name}, ruleset.IPv6)
	case "mac", "arp", "role-based ip", "role-based ipv4", "type code", "bridge address":
		r.section = otherSection
		return true
	default:
		return false
	}
	r.section = listSection
	return true
}

// remove reads "no access-list X", "no ip access-list extended X" and "clear
// configure access-list X", which generated files begin with.
func (r *reader) remove(c *cursor) {
	c.at++
	c.accept("configure")
	v6 := false
	switch c.peek() {
	case "ip", "ipv4", "ipv6":
		v6 = c.peek() == "ipv6"
		c.at++
	}
	if !c.accept("access-list") {
		return
	}
	for c.peek() == "extended" || c.peek() == "standard" {
		c.at++
	}
	name := c.next()
	if !c.done() {
		r.problems.Add(r.line, c.column(), joined(c.words), "a single entry is taken away, which is not followed")
		if l := r.lists[listKey{v6, name}]; l != nil {
			l.entries = append([]entry{{line: r.line, unknown: "an entry that was taken away"}}, l.entries...)
		}
		return
	}
	if l := r.lists[listKey{v6, name}]; l != nil {
		l.entries = nil
	}
}

// removeEntry reads "no 10" inside a list.
func (r *reader) removeEntry(c *cursor) {
	n, err := strconv.Atoi(c.next())
	for i, e := range r.list.entries {
		if err == nil && e.seq == n {
			r.list.entries = append(r.list.entries[:i], r.list.entries[i+1:]...)
			return
		}
	}
	r.problems.Add(r.line, 0, joined(c.words), "no such entry to take away")
}
