package tui

import (
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// maxTerms bounds a filter's words.
const maxTerms = 8

// term is one word of a filter, in lower case.
type term struct {
	text    string
	port    uint16
	isPort  bool // digits alone: a port
	address bool // might be a part of an address
	looked  *[memos]memo
}

// memos is how many addresses' answers are at hand; a power of two.
const memos = 1 << 12

// memo is whether a term is in an address.
type memo struct {
	addr      [16]byte
	known, in bool
}

// matcher decides which rows a filter takes: those where each word is found
// in one of the port, protocol, service, addresses, process or label. Digits
// alone mean a port, and so do not match the middle of an address.
type matcher struct {
	terms   []term
	service func(proto uint8, port uint16) string
	owner   func(rowID) string
	names   map[rowID]portNames
}

// portNames is what is known of a port: its service, and which terms its text
// satisfies.
type portNames struct {
	service string
	takes   uint8
}

func newMatcher(filter string, service func(uint8, uint16) string, owner func(rowID) string) *matcher {
	m := &matcher{service: service, owner: owner, names: map[rowID]portNames{}}
	for word := range strings.FieldsSeq(strings.ToLower(filter)) {
		if len(m.terms) < maxTerms {
			m.terms = append(m.terms, newTerm(word))
		}
	}
	return m
}

func newTerm(word string) term {
	t := term{text: word}
	if n, err := strconv.ParseUint(word, 10, 16); err == nil {
		t.port, t.isPort = uint16(n), true
	}
	if t.address = !t.isPort && strings.Trim(word, "0123456789abcdef.:") == ""; t.address {
		t.looked = new([memos]memo)
	}
	return t
}

func (m *matcher) narrows() bool { return len(m.terms) > 0 }

// port looks a port's names up, once for each.
func (m *matcher) port(id rowID) portNames {
	n, ok := m.names[id]
	if !ok {
		n.service = clean(m.service(id.proto, id.port))
		for i, t := range m.terms {
			if t.namesPort(id, n.service) {
				n.takes |= 1 << i
			}
		}
		m.names[id] = n
	}
	return n
}

func (m *matcher) serviceOf(id rowID) string { return m.port(id).service }

func (t *term) namesPort(id rowID, service string) bool {
	if t.isPort {
		return hasPorts(id.proto) && id.port == t.port
	}
	return protoName(id.proto) == t.text || portText(id) == t.text || strings.Contains(strings.ToLower(service), t.text)
}

// takesFlow reports a flow that each term is found in.
func (m *matcher) takesFlow(f *flow.Flow) bool {
	if !m.narrows() {
		return true
	}
	names := m.port(portID(f))
	owner, asked := "", false
	for i := range m.terms {
		t := &m.terms[i]
		if names.takes&(1<<i) != 0 || t.inFlow(f) {
			continue
		}
		if !asked {
			owner, asked = strings.ToLower(m.owner(flowID(f))), true
		}
		if !strings.Contains(owner, t.text) {
			return false
		}
	}
	return true
}

func (t *term) inFlow(f *flow.Flow) bool {
	if t.isPort && hasPorts(f.Proto) && f.ClientPort == t.port {
		return true
	}
	if f.Label != "" && strings.Contains(strings.ToLower(f.Label), t.text) {
		return true
	}
	return t.inAddress(&f.Client) || t.inAddress(&f.Server)
}

func (t *term) inAddress(a *[16]byte) bool {
	if !t.address {
		return false
	}
	m := &t.looked[(uint(a[14])<<8|uint(a[15])^uint(a[13])<<4)%memos]
	if !m.known || m.addr != *a {
		var room [48]byte
		*m = memo{*a, true, strings.Contains(string(wire.Addr(*a).AppendTo(room[:0])), t.text)}
	}
	return m.in
}

// takesRow reports a port or a pair that each term is found in.
func (m *matcher) takesRow(id rowID, service string) bool {
	for i := range m.terms {
		t := &m.terms[i]
		if !(id.hasProto && t.namesPort(id, service)) && !(id.hasAddress && (t.inAddress(&id.client) || t.inAddress(&id.server))) {
			return false
		}
	}
	return true
}
