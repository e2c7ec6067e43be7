package inventory

import (
	"encoding/binary"
	"hash/maphash"
	"iter"
	"math/bits"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Transport protocol numbers (IANA).
const (
	protoTCP = 6
	protoUDP = 17
)

// TCP flags.
const (
	fin = 0x01
	syn = 0x02
	rst = 0x04
	ack = 0x10
)

// Options limit what an Inventory keeps. Zero takes the default.
type Options struct {
	Max     int // endpoints; default 65,536. A quarter is kept for those that are recognised
	Hosts   int // hosts; default 16,384
	Talks   int // conversations that are listened to at once; default 1,024
	Clients int // clients told apart per endpoint; default 32
}

func (o Options) filled() Options {
	return Options{Max: or(o.Max, 64<<10), Hosts: or(o.Hosts, 16<<10), Talks: or(o.Talks, 1<<10), Clients: or(o.Clients, 32)}
}

func or(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

// Service is what is known of a server's endpoint.
type Service struct {
	Proto uint8
	Addr  [16]byte // IPv4 as ::ffff:a.b.c.d
	Port  uint16

	// Service is the protocol by the IANA registry's name where it has one
	// ("ssh", "http", "tls", "domain"); "" when it was not recognised.
	Service string
	// Product and Version are what the server says of itself; of TLS and SSH
	// without a product, Version is the protocol's.
	Product, Version string
	// Detail is more, in words: "host example.org", "sni example.org offers h2".
	Detail string
	// Answers: the server was seen answering (SYN-ACK, or any payload).
	Answers bool

	First, Last int64 // Unix nanoseconds
	// Clients counts client addresses up to Options.Clients; with More there
	// were more.
	Clients int
	More    bool
}

// Stats are what found no room.
type Stats struct {
	Endpoints, Hosts uint64 // packets of endpoints and hosts that are not kept
}

// Inventory learns services and hosts.
type Inventory struct {
	opt   Options
	table *table
	seed  uint64
	stats Stats

	done  []mark // conversations that need no more looking at, by hash
	index map[endpoint]int32
	kept  []record
	last  []int64 // of kept, Unix nanoseconds
	named int     // of kept, those with a service

	talks talks
	hosts hosts
}

// mark says that a conversation is done with, and whose it is.
type mark struct {
	tag    uint32 // the hash's upper half; 0: none
	record int32
}

// endpoint names one side.
type endpoint struct {
	addr  [16]byte
	port  uint16
	proto uint8
}

// record is an endpoint that is kept.
type record struct {
	service Service
	score   int
	tries   uint8
	settled bool
	clients []uint32 // hashes of addresses
}

// markBits: 2^16 conversations are remembered as done.
const markBits = 16

// New makes an Inventory.
func New(o Options) *Inventory {
	o = o.filled()
	return &Inventory{
		opt: o, table: loadTable(), seed: maphash.Bytes(maphash.MakeSeed(), nil) | 1,
		done: make([]mark, 1<<markBits), index: map[endpoint]int32{}, talks: newTalks(o.Talks), hosts: newHosts(o.Hosts),
	}
}

// Packet reads a packet, taken at when (Unix nanoseconds). Payload is not kept
// beyond the first bytes of a conversation.
func (i *Inventory) Packet(p *wire.Packet, when int64) {
	if p.Proto != protoTCP && p.Proto != protoUDP || !p.HasPorts {
		return
	}
	if len(p.Payload) == 0 {
		if p.Proto == protoTCP && p.Flags&(syn|ack) == syn|ack {
			i.accepted(p, when)
		}
		return
	}
	if p.Proto == protoUDP && tellsNames(p.DstPort) {
		i.hear(p, when)
	}
	h := i.hash(p)
	m := &i.done[h&(1<<markBits-1)]
	if m.tag == uint32(h>>32)|1 {
		i.last[m.record] = max(i.last[m.record], when)
		return
	}
	i.look(p, when, h)
}

// hash is the same for both directions of a conversation.
func (i *Inventory) hash(p *wire.Packet) uint64 {
	h := i.side(&p.Src, p.SrcPort) + i.side(&p.Dst, p.DstPort)
	hi, lo := bits.Mul64(h^uint64(p.Proto), 0x9e3779b97f4a7c15)
	return hi ^ lo
}

func (i *Inventory) side(a *[16]byte, port uint16) uint64 {
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(a[:8])^i.seed, binary.LittleEndian.Uint64(a[8:])^uint64(port)<<40^0xbf58476d1ce4e5b9)
	return hi ^ lo ^ uint64(port)*0x94d049bb133111eb
}

// settle marks a conversation as done with.
func (i *Inventory) settle(h uint64, record int32) {
	i.done[h&(1<<markBits-1)] = mark{uint32(h>>32) | 1, record}
}

// accepted notes a server that accepts connections.
func (i *Inventory) accepted(p *wire.Packet, when int64) {
	n, ok := i.keep(endpoint{p.Src, p.SrcPort, p.Proto}, when, false)
	if ok {
		i.kept[n].service.Answers = true
		i.met(n, p.Dst)
	}
}

// keep finds or makes the record of an endpoint; ok is false when there is no
// room. A recognised endpoint has room where others have none.
func (i *Inventory) keep(e endpoint, when int64, recognised bool) (n int32, ok bool) {
	if n, ok = i.index[e]; ok {
		i.last[n] = max(i.last[n], when)
		return n, true
	}
	unnamed := len(i.kept) - i.named
	if len(i.kept) >= i.opt.Max || !recognised && unnamed >= max(1, i.opt.Max/4*3) {
		i.stats.Endpoints++
		return 0, false
	}
	n = int32(len(i.kept))
	i.kept = append(i.kept, record{service: Service{Proto: e.proto, Addr: e.addr, Port: e.port, First: when}})
	i.last = append(i.last, when)
	i.index[e] = n
	return n, true
}

// met counts a client of an endpoint.
func (i *Inventory) met(n int32, client [16]byte) {
	r := &i.kept[n]
	h := uint32(i.side(&client, 0) >> 32)
	for _, c := range r.clients {
		if c == h {
			return
		}
	}
	if len(r.clients) >= i.opt.Clients {
		r.service.More = true
		return
	}
	r.clients = append(r.clients, h)
}

// Service tells what is known of a server's endpoint; ok is false where it was
// never seen as one.
func (i *Inventory) Service(proto uint8, addr [16]byte, port uint16) (s Service, ok bool) {
	n, ok := i.index[endpoint{addr, port, proto}]
	if !ok {
		return Service{}, false
	}
	return i.service(int(n)), true
}

func (i *Inventory) service(n int) Service {
	s := i.kept[n].service
	s.Last, s.Clients = i.last[n], len(i.kept[n].clients)
	return s
}

// Services are all endpoints, in the order in which they were first seen.
func (i *Inventory) Services() iter.Seq[Service] {
	return func(yield func(Service) bool) {
		for n := range i.kept {
			if !yield(i.service(n)) {
				return
			}
		}
	}
}

// Stats tells what found no room.
func (i *Inventory) Stats() Stats { return i.stats }
