package flow

import (
	"bytes"
	"cmp"
	"slices"
)

// PairRow is all flows between a client and a server.
type PairRow struct {
	Client, Server [16]byte
	Counts
	// Ports are the server's ports, in the order in which they were seen;
	// MorePorts tells that there were others.
	Ports     []PortOf
	MorePorts bool
}

// PortOf is a port of a protocol; 0 where the protocol has none.
type PortOf struct {
	Proto uint8
	Port  uint16
}

const (
	// maxPairs bounds the rows, pairPorts the ports of each.
	maxPairs  = 1 << 17
	pairPorts = 16
)

// Pairs sums flows by client and server. The zero value is empty.
type Pairs struct {
	rows map[[32]byte]*PairRow
	rest Counts
}

// Add counts a flow. Nothing of it is kept.
func (p *Pairs) Add(f *Flow) {
	if p.rows == nil {
		p.rows = map[[32]byte]*PairRow{}
	}
	var at [32]byte
	copy(at[:], f.Client[:])
	copy(at[16:], f.Server[:])
	row := p.rows[at]
	if row == nil && len(p.rows) >= maxPairs {
		p.rest.add(f)
		return
	}
	if row == nil {
		row = &PairRow{Client: f.Client, Server: f.Server}
		p.rows[at] = row
	}
	row.Counts.add(f)
	row.port(PortOf{f.Proto, f.ServerPort})
}

func (r *PairRow) port(port PortOf) {
	switch {
	case r.MorePorts || slices.Contains(r.Ports, port):
	case len(r.Ports) == pairPorts:
		r.MorePorts = true
	default:
		r.Ports = append(r.Ports, port)
	}
}

// Rows gives the rows with the most bytes first, then by addresses.
func (p *Pairs) Rows() []PairRow {
	out := make([]PairRow, 0, len(p.rows))
	for _, r := range p.rows {
		row := *r
		row.Ports = slices.Clone(r.Ports)
		out = append(out, row)
	}
	slices.SortFunc(out, func(a, b PairRow) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), bytes.Compare(a.Client[:], b.Client[:]),
			bytes.Compare(a.Server[:], b.Server[:]))
	})
	return out
}

// Rest is what was counted of pairs for which there was no room; its Flows is
// 0 when there was room for all.
func (p *Pairs) Rest() Counts { return p.rest }

// Clone gives an independent copy.
func (p *Pairs) Clone() *Pairs {
	out := &Pairs{rows: make(map[[32]byte]*PairRow, len(p.rows)), rest: p.rest}
	for at, r := range p.rows {
		row := *r
		row.Ports = slices.Clone(r.Ports)
		out.rows[at] = &row
	}
	return out
}
