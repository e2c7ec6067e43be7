package knowledge

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge/registry"
)

//go:embed data/registry.tab
var registryTable string

// Entry is one assignment of the registry. Name is empty for a port that is
// reserved or unassigned; Description says which.
type Entry struct {
	Proto       exposure.Proto `json:"proto"`
	Port        uint16         `json:"port"`
	Name        string         `json:"name"`
	Names       []string       `json:"names,omitempty"` // all of them, the preferred one first
	Description string         `json:"description"`
}

// Book answers questions about ports. The zero Book is not usable: Open one.
type Book struct {
	table  func() *registry.Table
	advice func() *adviceIndex
}

// Open gives a Book. It does no work until the first question.
func Open() *Book {
	return &Book{
		table:  sync.OnceValue(openRegistry),
		advice: sync.OnceValue(openAdvice),
	}
}

// openRegistry panics on a damaged table: it is part of the program, and the
// tests decode the very same bytes.
func openRegistry() *registry.Table {
	t, err := registry.Decode(registryTable)
	if err != nil {
		panic("knowledge: embedded " + err.Error())
	}
	return t
}

// Name is the registry's preferred name for a port, or "". UDP-Lite shares
// the assignments of UDP (RFC 3828).
func (b *Book) Name(p exposure.Proto, port uint16) string {
	t, ok := transportOf(p)
	if !ok {
		return ""
	}
	return b.table().Name(t, port)
}

// Entry is the registry's entry for a port. The second result is false where
// the registry says nothing at all.
func (b *Book) Entry(p exposure.Proto, port uint16) (Entry, bool) {
	t, ok := transportOf(p)
	if !ok {
		return Entry{}, false
	}
	e, ok := b.table().Find(t, port)
	if !ok {
		return Entry{}, false
	}
	return entryOf(e), true
}

// ByName gives the ports that go by a name, whatever its case: a registry
// name, or the id, alias or process name of an advice (whose own ports it
// gives then). Sorted by transport as tcp, udp, sctp, dccp, then by port.
func (b *Book) ByName(name string) []Entry {
	var out []Entry
	for _, e := range b.table().Named(strings.TrimSpace(name)) {
		out = append(out, entryOf(e))
	}
	if a := b.AdviceFor(name); a != nil {
		for _, r := range a.Ports {
			out = b.appendRange(out, a, r)
		}
	}
	slices.SortFunc(out, compareEntries)
	return slices.CompactFunc(out, func(a, b Entry) bool { return compareEntries(a, b) == 0 })
}

func (b *Book) appendRange(out []Entry, a *Advice, r PortRange) []Entry {
	for port := int(r.First); port <= int(r.Last); port++ {
		e, ok := b.Entry(r.Proto, uint16(port))
		if !ok {
			e = Entry{Proto: r.Proto, Port: uint16(port), Description: "not in the registry; used by " + a.ID}
		}
		out = append(out, e)
	}
	return out
}

func compareEntries(a, b Entry) int {
	ta, _ := transportOf(a.Proto)
	tb, _ := transportOf(b.Proto)
	if ta != tb {
		return int(ta) - int(tb)
	}
	return int(a.Port) - int(b.Port)
}

func transportOf(p exposure.Proto) (registry.Transport, bool) {
	if p == exposure.UDPLite {
		p = exposure.UDP
	}
	return registry.ParseTransport(string(p))
}

func entryOf(e registry.Entry) Entry {
	return Entry{
		Proto: exposure.Proto(e.Transport.String()), Port: e.Port,
		Name: e.Name(), Names: e.Names, Description: e.Description,
	}
}
