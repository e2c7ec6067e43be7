package inventory

import (
	"bytes"
	"container/list"
	"net/netip"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

const (
	// maxSide is how many bytes of one direction are looked at, maxKept how
	// many are kept, maxLong of a handshake of TLS (a certificate).
	maxSide = 512
	maxKept = 1 << 10
	maxLong = 8 << 10
	// maxPackets is how many packets of a conversation are looked at,
	// maxLonger while more of them would tell more.
	maxPackets = 12
	maxLonger  = 48
	// maxTries is how many conversations an endpoint has to tell what it is.
	maxTries = 4
)

// talk is the beginning of one conversation.
type talk struct {
	hash    uint64
	proto   uint8
	sides   [2]half // that of the first packet's sender first
	server  int     // which side is the server; -1: not known
	packets int
	place   *list.Element
}

// half is one side of a talk and what it said.
type half struct {
	at    endpoint
	said  []byte
	next  uint32 // TCP: the sequence number that is awaited
	began bool
	cut   bool // bytes are missing behind said
}

// talks are the conversations that are listened to, the oldest at the front.
type talks struct {
	max    int
	byHash map[uint64]*talk
	order  list.List
}

func newTalks(limit int) talks { return talks{max: limit, byHash: map[uint64]*talk{}} }

func (ts *talks) add(t *talk) {
	for len(ts.byHash) >= ts.max {
		ts.drop(ts.order.Front().Value.(*talk))
	}
	t.place = ts.order.PushBack(t)
	ts.byHash[t.hash] = t
}

func (ts *talks) drop(t *talk) {
	ts.order.Remove(t.place)
	delete(ts.byHash, t.hash)
}

// look takes a packet of a conversation that is not done with.
func (i *Inventory) look(p *wire.Packet, when int64, h uint64) {
	from, to := endpoint{p.Src, p.SrcPort, p.Proto}, endpoint{p.Dst, p.DstPort, p.Proto}
	t := i.talks.byHash[h]
	if t == nil {
		server := i.serverOf(&from, &to)
		if server == 0 && i.known(h, &from, &to, when) || server == 1 && i.known(h, &to, &from, when) {
			return
		}
		t = &talk{hash: h, proto: p.Proto, sides: [2]half{{at: from}, {at: to}}, server: server}
		i.talks.add(t)
	}
	side := 0
	if t.sides[0].at != from {
		side = 1
	}
	if t.sides[side].at != from {
		return // another conversation with the same hash
	}
	t.sides[side].hear(p)
	t.packets++
	i.judge(t, when, p.Flags&(fin|rst) != 0 && p.Proto == protoTCP)
}

// known reports a conversation with an endpoint that needs no more looking at.
func (i *Inventory) known(h uint64, server, client *endpoint, when int64) bool {
	n, ok := i.index[*server]
	if !ok || !i.kept[n].settled {
		return false
	}
	i.last[n] = max(i.last[n], when)
	i.met(n, client.addr)
	i.settle(h, n)
	return true
}

// hear keeps the first bytes of a side.
func (s *half) hear(p *wire.Packet) {
	if p.Proto == protoUDP {
		if len(s.said) == 0 {
			s.keep(p.Payload, 2*maxKept)
		}
		return
	}
	if s.began && p.Seq != s.next || s.cut {
		return // a repetition, or what is missing before it
	}
	s.began, s.next = true, p.Seq+p.PayloadLen
	limit := maxKept
	if len(s.said) > 0 && s.said[0] == recordHandshake || len(s.said) == 0 && p.Payload[0] == recordHandshake {
		limit = maxLong
	}
	s.keep(p.Payload, limit-len(s.said))
	s.cut = s.cut || int(p.PayloadLen) > len(p.Payload)
}

func (s *half) keep(b []byte, room int) {
	s.cut = s.cut || len(b) > room
	b = b[:min(len(b), room)]
	if s.said == nil {
		s.said = bytes.Clone(b)
		return
	}
	s.said = append(s.said, b...)
}

// serverOf guesses which side is the server: one that was seen accepting or
// answering, a group, or the one with the well-known port. -1 when nothing
// tells.
func (i *Inventory) serverOf(from, to *endpoint) int {
	a, b := i.rank(from.port), i.rank(to.port)
	known := i.answers(from)
	switch {
	case known != i.answers(to):
		return which(known)
	case a != b:
		return which(a > b)
	case a > 0 && from.port != to.port:
		return which(from.port < to.port)
	case isGroup(to.addr):
		return 1
	}
	return -1
}

func (i *Inventory) answers(e *endpoint) bool {
	n, ok := i.index[*e]
	return ok && i.kept[n].service.Answers
}

// rank is how much a port looks like a server's.
func (i *Inventory) rank(port uint16) int {
	const dhcpClient, dhcp6Client = 68, 546
	switch {
	case i.table.ports.has(port):
		return 2
	case port < 1024 && port != dhcpClient && port != dhcp6Client:
		return 1
	}
	return 0
}

func which(first bool) int {
	if first {
		return 0
	}
	return 1
}

// isGroup reports a multicast or broadcast address.
func isGroup(a [16]byte) bool {
	addr := netip.AddrFrom16(a).Unmap()
	return addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// judge looks at what was said so far, and ends the conversation when it told
// enough or will not.
func (i *Inventory) judge(t *talk, when int64, ended bool) {
	f, server := i.recognise(t)
	both := len(t.sides[0].said) > 0 && len(t.sides[1].said) > 0
	enough := len(t.sides[0].said) >= maxSide || len(t.sides[1].said) >= maxSide
	most := maxPackets
	if f.more {
		most = maxLonger
	}
	over := ended || t.packets >= most || !f.more && (f.score >= told || both && enough)
	if f.score == 0 && !over {
		return
	}
	if server < 0 {
		server = which(t.sides[0].at.port < t.sides[1].at.port)
	}
	n, ok := i.keep(t.sides[server].at, when, f.score > 0)
	if ok {
		i.note(n, t, server, f)
	}
	if over {
		i.finish(t, n, ok)
	}
}

// recognise looks at a conversation the way round that is known, or that
// makes more sense.
func (i *Inventory) recognise(t *talk) (finding, int) {
	if t.server >= 0 {
		return i.table.recognise(t.heard(t.server)), t.server
	}
	f, g := i.table.recognise(t.heard(1)), i.table.recognise(t.heard(0))
	switch {
	case f.service == g.service && f.score > 0: // either side could have said it
		if t.sides[0].at.port < t.sides[1].at.port {
			return g, 0
		}
		return f, 1
	case f.score > g.score:
		return f, 1
	case g.score > f.score:
		return g, 0
	}
	return f, -1
}

func (t *talk) heard(server int) *heard {
	s, c := &t.sides[server], &t.sides[1-server]
	return &heard{proto: t.proto, port: s.at.port, server: s.said, client: c.said, cut: s.cut}
}

// note writes what was found to an endpoint's record, unless better is known.
func (i *Inventory) note(n int32, t *talk, server int, f finding) {
	r := &i.kept[n]
	r.service.Answers = r.service.Answers || len(t.sides[server].said) > 0 && !isGroup(r.service.Addr)
	i.met(n, t.sides[1-server].at.addr)
	if f.score <= r.score && (f.score != r.score || f.service != r.service.Service || len(f.detail) <= len(r.service.Detail)) {
		return
	}
	if r.score == 0 {
		i.named++
	}
	r.score = f.score
	s := &r.service
	s.Service, s.Product, s.Version, s.Detail = f.service, clean(f.product), clean(f.version), clean(f.detail)
}

// finish ends a conversation. An endpoint that the server told about, or that
// had its tries, is settled.
func (i *Inventory) finish(t *talk, n int32, kept bool) {
	i.talks.drop(t)
	if !kept {
		return
	}
	r := &i.kept[n]
	r.tries++
	r.settled = r.settled || r.score >= told || r.tries >= maxTries
	i.settle(t.hash, n)
}
