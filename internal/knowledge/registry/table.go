package registry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"sort"
	"strings"
)

// Transport is a transport that the registry assigns ports for.
type Transport int

// Transports, in the order of the table.
const (
	TCP Transport = iota
	UDP
	SCTP
	DCCP
	transports
)

// String is the transport's name as the registry writes it.
func (t Transport) String() string {
	if t < 0 || t >= transports {
		return ""
	}
	return [transports]string{"tcp", "udp", "sctp", "dccp"}[t]
}

// ParseTransport reads a transport's name.
func ParseTransport(s string) (Transport, bool) {
	for t := TCP; t < transports; t++ {
		if t.String() == s {
			return t, true
		}
	}
	return 0, false
}

// Entry is one assignment. Names is empty for a port that is reserved or
// unassigned; the description says which.
type Entry struct {
	Transport   Transport
	Port        uint16
	Names       []string
	Description string
}

// Name is the preferred name, or "".
func (e Entry) Name() string {
	if len(e.Names) == 0 {
		return ""
	}
	return e.Names[0]
}

const (
	magic      = "ptregis1"
	headerSize = len(magic) + 4*(1+int(transports))
	entrySize  = 4
	offsetSize = 4
)

// ErrDamaged is what Decode wraps for bytes that are no table.
var ErrDamaged = errors.New("damaged port registry table")

// Table answers from the encoded bytes.
type Table struct {
	entries [transports]string
	offsets string
	text    string
	records int
}

// Decode checks the bytes and gives the table in them. It keeps data.
func Decode(data string) (*Table, error) {
	if len(data) < headerSize || data[:len(magic)] != magic {
		return nil, fmt.Errorf("%w: no header", ErrDamaged)
	}
	t := &Table{records: int(u32(data, len(magic)))}
	rest := data[headerSize:]
	for i := range t.entries {
		size := int64(u32(data, len(magic)+4*(i+1))) * entrySize
		if size > int64(len(rest)) {
			return nil, fmt.Errorf("%w: %s entries cut short", ErrDamaged, Transport(i))
		}
		t.entries[i], rest = rest[:size], rest[size:]
	}
	size := (int64(t.records) + 1) * offsetSize
	if size > int64(len(rest)) {
		return nil, fmt.Errorf("%w: offsets cut short", ErrDamaged)
	}
	t.offsets, t.text = rest[:size], rest[size:]
	return t, t.check()
}

// check proves once what every look-up relies on.
func (t *Table) check() error {
	last := uint32(0)
	for i := range t.records + 1 {
		off := u32(t.offsets, i*offsetSize)
		if off < last || int64(off) > int64(len(t.text)) {
			return fmt.Errorf("%w: offset of record %d", ErrDamaged, i)
		}
		last = off
	}
	for i := range t.entries {
		if err := t.checkEntries(Transport(i)); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) checkEntries(tr Transport) error {
	last := -1
	for i := range t.Len(tr) {
		port, record := t.at(tr, i)
		if int(port) <= last || record >= t.records {
			return fmt.Errorf("%w: %s entry %d", ErrDamaged, tr, i)
		}
		last = int(port)
	}
	return nil
}

// Len is how many entries a transport has.
func (t *Table) Len(tr Transport) int {
	if tr < 0 || tr >= transports {
		return 0
	}
	return len(t.entries[tr]) / entrySize
}

// Find gives the entry of a port.
func (t *Table) Find(tr Transport, port uint16) (Entry, bool) {
	n := t.Len(tr)
	i := sort.Search(n, func(i int) bool {
		p, _ := t.at(tr, i)
		return p >= port
	})
	if i == n {
		return Entry{}, false
	}
	p, record := t.at(tr, i)
	if p != port {
		return Entry{}, false
	}
	return t.entry(tr, p, record), true
}

// Name gives the preferred name of a port without allocating, or "".
func (t *Table) Name(tr Transport, port uint16) string {
	n := t.Len(tr)
	i := sort.Search(n, func(i int) bool {
		p, _ := t.at(tr, i)
		return p >= port
	})
	if i == n {
		return ""
	}
	p, record := t.at(tr, i)
	if p != port {
		return ""
	}
	names, _, _ := strings.Cut(t.record(record), "\x00")
	name, _, _ := strings.Cut(names, " ")
	return name
}

// Named gives the entries that carry a name, preferred or not, whatever its
// case: by transport, then by port.
func (t *Table) Named(name string) []Entry {
	var out []Entry
	for e := range t.All() {
		for _, n := range e.Names {
			if strings.EqualFold(n, name) {
				out = append(out, e)
				break
			}
		}
	}
	return out
}

// All gives every entry, by transport, then by port.
func (t *Table) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for tr := TCP; tr < transports; tr++ {
			for i := range t.Len(tr) {
				port, record := t.at(tr, i)
				if !yield(t.entry(tr, port, record)) {
					return
				}
			}
		}
	}
}

func (t *Table) at(tr Transport, i int) (port uint16, record int) {
	s := t.entries[tr][i*entrySize:]
	return uint16(s[0])<<8 | uint16(s[1]), int(s[2])<<8 | int(s[3])
}

func (t *Table) record(i int) string {
	return t.text[u32(t.offsets, i*offsetSize):u32(t.offsets, (i+1)*offsetSize)]
}

func (t *Table) entry(tr Transport, port uint16, record int) Entry {
	names, description, _ := strings.Cut(t.record(record), "\x00")
	return Entry{Transport: tr, Port: port, Names: strings.Fields(names), Description: description}
}

// u32 reads big-endian from a string without copying it.
func u32(s string, at int) uint32 {
	s = s[at : at+4]
	return binary.BigEndian.Uint32([]byte{s[0], s[1], s[2], s[3]})
}
