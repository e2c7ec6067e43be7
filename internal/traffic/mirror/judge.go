package mirror

import (
	"hash/maphash"
	"net/netip"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Bounds of memory.
const (
	maxConversations = 1 << 14
	maxStations      = 1 << 12
	recentSlots      = 1 << 12
)

// sameMoment is within what time the same packet is a duplicate, nanoseconds.
const sameMoment = 2e6

// answerTime is how soon the other direction must follow to be an answer,
// nanoseconds. A switch that forgets where stations are, again and again,
// floods one direction of a long conversation and later the other.
const answerTime = 1e9

// Judge counts packets.
type Judge struct {
	macs  map[[6]byte]bool
	addrs map[[16]byte]bool

	r           Result
	first, last int64

	talks              map[ends]talk
	vlans              map[uint16]uint64
	seconds            uint64 // in which there was foreign unicast
	second             int64  // the last of them
	senders, receivers map[[6]byte]uint64

	seed   maphash.Seed
	recent []sighting // by checksum
}

// ends are the two sides of a conversation, the smaller first.
type ends struct {
	a, b         [16]byte
	aPort, bPort uint16
	proto        uint16
}

// talk is what was seen of a conversation.
type talk struct {
	at     int64 // of the last packet, and which way it went
	way    uint8
	turns  uint8 // how often the other side answered within answerTime, up to 255
	stage  uint8 // of a TCP handshake
	opener uint8 // the way of its SYN
	tells  bool  // its directions can be told
}

// Stages of a handshake.
const (
	unopened = iota
	synSeen
	synAckSeen
	complete
)

// sighting is a packet that was seen.
type sighting struct {
	sum uint64
	at  int64
	ttl uint8
}

// New makes a judge for a host that has these addresses on the interface.
func New(own []netip.Addr, ownMACs [][6]byte) *Judge {
	j := &Judge{
		macs: map[[6]byte]bool{}, addrs: map[[16]byte]bool{}, talks: map[ends]talk{},
		vlans: map[uint16]uint64{}, senders: map[[6]byte]uint64{}, receivers: map[[6]byte]uint64{},
		seed: maphash.MakeSeed(), recent: make([]sighting, recentSlots), second: -1,
	}
	for _, a := range own {
		if a.IsValid() {
			j.addrs[a.As16()] = true
		}
	}
	for _, m := range ownMACs {
		j.macs[m] = true
	}
	return j
}

// side is whose a packet is.
type side uint8

const (
	foreign side = iota
	group
	own
	through
)

// Add counts one packet, as captured and as decoded. Both are only looked at.
func (j *Judge) Add(p *wire.Packet, c *capture.Packet) {
	j.r.Packets++
	j.r.Bytes += uint64(c.Wire)
	j.time(c.Time)
	j.tag(p, c)
	if p.Kind == wire.KindIP && j.seenBefore(p, c.Time) {
		return // a copy says nothing new about who talks
	}
	switch j.side(p, c) {
	case foreign:
		j.foreign(p, c)
	case group:
		j.r.Group++
	case own:
		j.r.Own++
	case through:
		j.r.Through++
	}
}

func (j *Judge) time(at int64) {
	if j.r.Packets == 1 || at < j.first {
		j.first = at
	}
	if j.r.Packets == 1 || at > j.last {
		j.last = at
	}
}

func (j *Judge) tag(p *wire.Packet, c *capture.Packet) {
	switch {
	case p.VLANCount > 0:
		j.vlans[p.VLANs[0]&0xfff]++
	case c.HasVLAN:
		j.vlans[c.VLANTCI&0xfff]++
	}
}

// side tells whose a packet is. Addresses count as well as MACs: a virtual
// router's MAC is on no interface.
func (j *Judge) side(p *wire.Packet, c *capture.Packet) side {
	if p.HasMAC && p.DstMAC[0]&1 != 0 {
		return j.ofGroup(p, c)
	}
	if isERSPAN(p) {
		j.r.Tunnelled++
		return foreign // sent to us, and a copy of what others say
	}
	ip := p.Kind == wire.KindIP
	mine := ip && (j.addrs[p.Src] || j.addrs[p.Dst] || p.Depth > 0 && (j.addrs[p.OuterSrc] || j.addrs[p.OuterDst]))
	switch {
	case mine, c.Direction == capture.Outbound, p.HasMAC && j.macs[p.SrcMAC]:
		return own
	case p.HasMAC && j.macs[p.DstMAC] && ip:
		return through
	case p.HasMAC && j.macs[p.DstMAC]:
		return own
	case !p.HasMAC && ip && isGroup(p.Dst):
		return group
	}
	return foreign
}

// ofGroup is own only when this host sent it.
func (j *Judge) ofGroup(p *wire.Packet, c *capture.Packet) side {
	if c.Direction == capture.Outbound || j.macs[p.SrcMAC] {
		return own
	}
	return group
}

func isERSPAN(p *wire.Packet) bool {
	for _, t := range p.Tunnels[:min(int(p.Depth), len(p.Tunnels))] {
		if t == wire.ERSPAN1 || t == wire.ERSPAN2 || t == wire.ERSPAN3 {
			return true
		}
	}
	return false
}

func isGroup(dst [16]byte) bool {
	a := wire.Addr(dst)
	return a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

func (j *Judge) foreign(p *wire.Packet, c *capture.Packet) {
	j.r.Foreign++
	if s := c.Time / 1e9; s != j.second {
		j.second = s
		j.seconds++
	}
	if p.HasMAC {
		remember(j.senders, p.SrcMAC)
		remember(j.receivers, p.DstMAC)
	}
	e, way := endsOf(p)
	t, known := j.talks[e]
	if !known && len(j.talks) >= maxConversations {
		j.r.Untracked++
		return
	}
	t.see(p, way, c.Time)
	j.talks[e] = t
}

func remember(counts map[[6]byte]uint64, mac [6]byte) {
	if n, known := counts[mac]; known || len(counts) < maxStations {
		counts[mac] = n + 1
	}
}

// endsOf gives the sides of a conversation, and which way this packet goes (1
// or 2). What is no IP is a conversation of two stations.
func endsOf(p *wire.Packet) (e ends, way uint8) {
	e = ends{a: p.Src, b: p.Dst, aPort: p.SrcPort, bPort: p.DstPort, proto: uint16(p.Proto)}
	if p.Kind != wire.KindIP {
		e = ends{proto: 256}
		copy(e.a[:], p.SrcMAC[:])
		copy(e.b[:], p.DstMAC[:])
	}
	if swapped := (ends{a: e.b, b: e.a, aPort: e.bPort, bPort: e.aPort, proto: e.proto}); swapped.less(&e) {
		return swapped, 2
	}
	return e, 1
}

func (e *ends) less(o *ends) bool {
	for i := range e.a {
		if e.a[i] != o.a[i] {
			return e.a[i] < o.a[i]
		}
	}
	return e.aPort < o.aPort
}

// TCP flags.
const (
	fin = 1
	syn = 2
	rst = 4
	ack = 16
)

func (t *talk) see(p *wire.Packet, way uint8, at int64) {
	if t.way != 0 && t.way != way && at-t.at <= answerTime && t.at-at <= answerTime {
		t.turns = min(t.turns, 254) + 1
		t.tells = true
	}
	t.at, t.way = at, way
	if p.Kind != wire.KindIP || p.Proto != 6 || !p.HasTCP {
		return
	}
	opening := p.Flags&(syn|ack) == syn
	t.tells = t.tells || !opening
	switch {
	case opening && t.stage == unopened:
		t.stage, t.opener = synSeen, way
	case t.stage == synSeen && p.Flags&(syn|ack) == syn|ack && way != t.opener:
		t.stage = synAckSeen
	case t.stage == synAckSeen && p.Flags&(syn|ack|rst) == ack && way == t.opener:
		t.stage = complete
	}
}

// seenBefore tells a copy, and counts it.
func (j *Judge) seenBefore(p *wire.Packet, at int64) bool {
	if !distinct(p) {
		return false
	}
	sum := j.sum(p)
	slot := &j.recent[sum%recentSlots]
	before := *slot
	*slot = sighting{sum, at, p.TTL}
	if before.sum != sum || before.at == 0 || at-before.at > sameMoment || before.at-at > sameMoment {
		return false
	}
	if before.ttl == p.TTL {
		j.r.Duplicates++
	} else {
		j.r.RoutedDuplicates++
	}
	return true
}

// distinct tells that a packet is not like others that its sender may send in
// the same moment.
func distinct(p *wire.Packet) bool {
	return p.Version == 4 && p.ID != 0 || len(p.Payload) > 0 || p.HasTCP && p.Flags&(syn|fin|rst) != 0
}

// image is what two copies of a packet have in common, whatever switches and
// routers did to them.
type image struct {
	ends
	way            uint8
	flags          uint16
	seq, ack, id   uint32
	length, offset uint32
	payload        uint64
}

func (j *Judge) sum(p *wire.Packet) uint64 {
	e, way := endsOf(p)
	payload := p.Payload[:min(len(p.Payload), 64)]
	return maphash.Comparable(j.seed, image{
		ends: e, way: way, flags: p.Flags, seq: p.Seq, ack: p.Ack, id: p.ID, length: p.IPLen,
		offset: uint32(p.FragOffset), payload: maphash.Bytes(j.seed, payload),
	})
}
