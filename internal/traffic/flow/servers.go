package flow

import (
	"bytes"
	"cmp"
	"slices"
)

// ServerRow is all flows to one endpoint.
type ServerRow struct {
	Proto uint8
	Addr  [16]byte
	Port  uint16
	Counts
	// Clients are how many addresses there were, at least as many with
	// AtLeast.
	Clients uint64
	AtLeast bool
	Label   string // the flows' when all have the same
}

// maxServers bounds the rows.
const maxServers = 1 << 17

// Servers sums flows by server endpoint. The zero value is empty.
type Servers struct {
	at    map[serverKey]uint32
	rows  []ServerRow
	addrs distinct
	rest  Counts
}

type serverKey struct {
	addr  [16]byte
	port  uint16
	proto uint8
}

// Add counts a flow. Nothing of it is kept.
func (s *Servers) Add(f *Flow) {
	if s.at == nil {
		s.at = map[serverKey]uint32{}
	}
	k := serverKey{f.Server, f.ServerPort, f.Proto}
	n, ok := s.at[k]
	if !ok {
		if len(s.rows) >= maxServers {
			s.rest.add(f)
			return
		}
		n = uint32(len(s.rows))
		s.at[k] = n
		s.rows = append(s.rows, ServerRow{Proto: f.Proto, Addr: f.Server, Port: f.ServerPort, Label: f.Label})
	}
	row := &s.rows[n]
	row.Counts.add(f)
	if row.Label != f.Label {
		row.Label = ""
	}
	switch s.addrs.add(n, 0, &f.Client) {
	case novel:
		row.Clients++
	case untold:
		row.AtLeast = true
		row.Clients = max(row.Clients, 1)
	}
}

// Rows gives the rows with the most bytes first, then by address and port.
func (s *Servers) Rows() []ServerRow {
	out := slices.Clone(s.rows)
	slices.SortFunc(out, func(a, b ServerRow) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), bytes.Compare(a.Addr[:], b.Addr[:]), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port))
	})
	return out
}

// Rest is what was counted of servers for which there was no room.
func (s *Servers) Rest() Counts { return s.rest }
