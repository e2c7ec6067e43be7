package flow

import (
	"cmp"
	"slices"
)

// Counts are what flows add up to.
type Counts struct {
	Packets, Bytes         uint64
	PacketsTo, PacketsFrom uint64 // to and from the server
	BytesTo, BytesFrom     uint64
	Flows                  uint64
	First, Last            int64 // Unix nanoseconds
}

func (c *Counts) add(f *Flow) {
	if c.Flows == 0 {
		c.First, c.Last = f.First, f.Last
	}
	c.First, c.Last = min(c.First, f.First), max(c.Last, f.Last)
	c.Flows++
	c.PacketsTo += f.PacketsToServer
	c.PacketsFrom += f.PacketsToClient
	c.BytesTo += f.BytesToServer
	c.BytesFrom += f.BytesToClient
	c.Packets = c.PacketsTo + c.PacketsFrom
	c.Bytes = c.BytesTo + c.BytesFrom
}

// PortRow is all flows to one server port of one protocol.
type PortRow struct {
	Proto uint8
	Port  uint16
	Counts
	// Clients and Servers are how many addresses were there; AtLeast tells
	// that there may have been more, because too many were to be remembered.
	Clients, Servers uint64
	AtLeast          bool
	// Label is the flows' when all have the same.
	Label string
}

// Ports sums flows by protocol and server port. Its rows are exact; only how
// many addresses they had is bounded by memory. The zero value is empty.
type Ports struct {
	rows  map[uint32]*PortRow
	addrs distinct
}

// Add counts a flow. Nothing of it is kept.
func (p *Ports) Add(f *Flow) {
	if p.rows == nil {
		p.rows = map[uint32]*PortRow{}
	}
	at := uint32(f.Proto)<<16 | uint32(f.ServerPort)
	row := p.rows[at]
	if row == nil {
		row = &PortRow{Proto: f.Proto, Port: f.ServerPort, Label: f.Label}
		p.rows[at] = row
	}
	row.Counts.add(f)
	if row.Label != f.Label {
		row.Label = ""
	}
	row.note(p.addrs.add(at, 0, &f.Client), &row.Clients)
	row.note(p.addrs.add(at, 1, &f.Server), &row.Servers)
}

func (r *PortRow) note(s novelty, count *uint64) {
	switch s {
	case novel:
		*count++
	case untold:
		r.AtLeast = true
		// What one counted flow had, there was at least once.
		*count = max(*count, 1)
	}
}

// Rows gives the rows with the most bytes first, then by protocol and port.
func (p *Ports) Rows() []PortRow {
	out := make([]PortRow, 0, len(p.rows))
	for _, r := range p.rows {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b PortRow) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port))
	})
	return out
}

// Clone gives an independent copy: for a view of what has gone through Emit
// together with what is still in the table.
func (p *Ports) Clone() *Ports {
	out := &Ports{rows: make(map[uint32]*PortRow, len(p.rows)), addrs: p.addrs.clone()}
	for at, r := range p.rows {
		row := *r
		out.rows[at] = &row
	}
	return out
}
