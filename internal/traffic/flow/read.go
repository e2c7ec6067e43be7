package flow

import "github.com/portreeve/portreeve/internal/traffic/wire"

// Each gives the flows that are in the table, ended ones too, by their first
// packet, until yield tells to stop. The Flow is used again for the next. It
// changes nothing and may be called between Adds; yield must not call the
// table.
func (t *Table) Each(yield func(*Flow) bool) {
	for number := t.head; number != none; number = t.rest(number).next {
		t.read(number, t.record(number))
		if !yield(&t.flow) {
			return
		}
	}
}

// Finish emits all that is left, by first packet, and empties the table. What
// Quality says stays.
func (t *Table) Finish() {
	t.fragments.drain(&t.quality)
	if t.opt.Emit != nil {
		t.Each(func(f *Flow) bool {
			t.opt.Emit(f)
			return true
		})
	}
	t.index, t.slabs, t.made = newIndex(), nil, 0
	t.head, t.tail, t.last, t.hand = none, none, none, 0
	t.long = map[uint32][]byte{}
}

// read makes t.flow what is known of a record.
func (t *Table) read(number uint32, r *record) {
	c, by := t.orient(r)
	s := 1 - c
	f, more := &t.flow, t.rest(number)
	*f = Flow{
		Proto: r.proto, IPv6: r.has(bitIPv6),
		Client: r.addr[c], Server: r.addr[s], ClientPort: r.port[c], ServerPort: r.port[s],
		PacketsToServer: r.packets[c], PacketsToClient: r.packets[s],
		BytesToServer: r.bytes[c], BytesToClient: r.bytes[s],
		First: r.first, Last: r.last,
		History: t.readHistory(number, c), OrientedBy: by,
		HasVLAN: r.has(bitVLAN), VLAN: r.vlan, Depth: r.depth,
		Refused: more.refused, RefusedType: r.refusedType, RefusedCode: r.refusedCode,
	}
	for i, tunnel := range more.tunnels {
		f.Tunnels[i] = wire.Tunnel(tunnel)
	}
	f.State = r.state(more, c, f.History)
	if t.opt.Label != nil {
		f.Label = t.opt.Label(f)
	}
}

// state is Zeek's conn_state with the given client side.
func (r *record) state(more *rest, client int, history string) State {
	switch r.proto {
	case protoTCP:
		return r.connState(more, client, history)
	case protoUDP, protoUDPLite:
		return datagramState(r.packets[client] > 0, r.packets[1-client] > 0)
	}
	return OTH
}

func turnedState(s endState) endState {
	if s == synACKSent {
		return established
	}
	return s
}

func datagramState(client, server bool) State {
	switch {
	case client && server:
		return SF
	case client:
		return S0
	case server:
		return SHR
	}
	return OTH
}
