package flow

// orient tells which side of a flow is the client, and by what.
func (t *Table) orient(r *record) (client int, by Orientation) {
	if c, by, ok := t.orientByHandshake(r); ok {
		return c, by
	}
	if !hasPorts(r.proto) || r.has(bitGroup) {
		return 0, ByFirstPacket
	}
	if server := t.listener(r); server >= 0 {
		return 1 - server, ByListener
	}
	if server, ok := t.famous(r); ok {
		return 1 - server, ByRegistry
	}
	return 0, ByFirstPacket
}

func (t *Table) orientByHandshake(r *record) (client int, by Orientation, ok bool) {
	switch r.bits & bothSYN {
	case bitSYN0:
		return 0, BySYN, true
	case bitSYN1:
		return 1, BySYN, true
	case bothSYN:
		return r.originator(), BySYN, true
	}
	server := 0
	switch r.bits & bothSYNACK {
	case bitSYNACK0:
	case bitSYNACK1:
		server = 1
	default:
		return 0, 0, false
	}
	if t.listener(r) == 1-server {
		return server, ByListener, true
	}
	return 1 - server, BySYNACK, true
}

// listener gives the side that listens by the LISTEN table when the other does
// not, else -1.
func (t *Table) listener(r *record) int {
	if t.opt.Listener == nil {
		return -1
	}
	zero, _ := t.opt.Listener(r.proto, r.addr[0], r.port[0])
	one, _ := t.opt.Listener(r.proto, r.addr[1], r.port[1])
	switch {
	case zero && !one:
		return 0
	case one && !zero:
		return 1
	}
	return -1
}

// Ranks of a port as a server's.
const (
	rankNone = iota
	rankRegistered
	rankSystem
	rankLikely
)

func (t *Table) rank(proto uint8, port uint16) int {
	switch {
	case Likely(proto, port):
		return rankLikely
	case port < 1024 && port != 0:
		return rankSystem
	case t.opt.Registry != nil && t.opt.Registry(proto, port):
		return rankRegistered
	}
	return rankNone
}

// famous gives the side whose port is the better known as a server's.
//
// A registered port above the system ports is weak evidence, for a client's
// ephemeral port is often one that somebody registered. It turns no datagram
// flow round, whose first packet was the client's unless the capture began in
// its midst; it decides for TCP, whose SYN would have been seen.
func (t *Table) famous(r *record) (server int, ok bool) {
	zero, one := t.rank(r.proto, r.port[0]), t.rank(r.proto, r.port[1])
	switch {
	case one > zero:
		return 1, true
	case zero > one:
		return 0, zero > rankRegistered || r.proto == protoTCP
	case zero == rankNone || r.proto != protoTCP || r.port[0] == r.port[1]:
		return 0, false
	case r.port[0] < r.port[1]:
		return 0, true
	}
	return 1, true
}
