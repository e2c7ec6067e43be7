package learn

import (
	"iter"
	"net/netip"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// Learn makes a rule file of flows.
func Learn(flows iter.Seq[*exposure.Flow], o Options) (*rulefile.File, *Report, error) {
	l := New(o)
	for f := range flows {
		l.Add(f)
	}
	return l.Finish()
}

// Learner takes flows one by one. It belongs to one goroutine.
type Learner struct {
	opt Options

	ids   map[netip.Addr]uint32
	hosts []netip.Addr
	svcs  map[service]uint32
	list  []service
	pairs map[pairKey]uint32 // number in slab
	slab  [][]pair           // slabSize each, so that none of them moves

	total       tally
	first, last int64 // Unix nanoseconds; 0: none told
	hours       [24 * 7]bool
	overflow    uint64
	untimed     uint64
}

// service is what a rule's proto and ports are about. ICMP has its type for
// port. Protocols without ports have port 0.
type service struct {
	proto uint8
	port  uint16
	// hi above port makes a range, kind says of which dynamic protocol.
	hi   uint16
	kind string
	// from is a source port that belongs to it (20 of active FTP), 0: any.
	from uint16
}

// last is the highest port.
func (s service) last() uint16 { return max(s.port, s.hi) }

type pairKey struct{ svc, client, server uint32 }

// pair is everything seen between one client and one server in one service.
type pair struct {
	ok      uint64 // connections that were answered, or permitted by a log
	failed  uint64 // unanswered, refused, denied
	denied  uint64 // of failed: denied by a firewall
	packets uint64
	bytes   uint64
	first   int64
	last    int64
	days    uint64 // one bit for each day, modulo 64
	badDays uint64
	// media: the traffic itself was seen to be of this dynamic protocol.
	media media
}

// tally counts flows by what became of them.
type tally struct{ flows, ok, failed, denied, local, odd, turned uint64 }

// New makes a Learner.
func New(o Options) *Learner {
	if o.MaxPairs <= 0 {
		o.MaxPairs = DefaultMaxPairs
	}
	return &Learner{opt: o, ids: map[netip.Addr]uint32{}, svcs: map[service]uint32{}, pairs: map[pairKey]uint32{}}
}

// Add takes a flow; it is not kept.
func (l *Learner) Add(f *exposure.Flow) {
	n := max(f.Count, 1)
	l.total.flows += n
	proto, ok := rulefile.ProtoNumber(f.Proto)
	client, server := f.Client.Unmap().WithZone(""), f.Server.Unmap().WithZone("")
	if !ok || !client.IsValid() || !server.IsValid() || client.Is4() != server.Is4() {
		l.total.odd += n
		return
	}
	svc, turned := l.service(f, proto)
	if turned {
		client, server = server, client
		l.total.turned += n
	}
	if local(client, server) && !l.opt.LocalLink {
		l.total.local += n
		return
	}
	p := l.pair(svc, client, server)
	if p == nil {
		l.overflow += n
		return
	}
	l.count(p, f, n, turned)
}

// service is what the flow is of, and whether its two ends stand the wrong
// way round.
func (l *Learner) service(f *exposure.Flow, proto uint8) (service, bool) {
	switch {
	case proto == icmp || proto == icmp6:
		return service{proto: proto, port: f.ClientPort & 255}, false
	case !hasPorts(proto):
		return service{proto: proto}, false
	case proto == tcp && f.ClientPort == 20 && f.ServerPort >= 1024:
		return service{proto: proto, port: 1024, hi: 65535, kind: "ftp", from: 20}, false
	case turned(f, proto):
		return service{proto: proto, port: f.ClientPort}, true
	}
	return service{proto: proto, port: f.ServerPort}, false
}

// turned reports an answer taken for a beginning: it comes from a port
// that only servers have and goes to one that systems hand out to clients.
func turned(f *exposure.Flow, proto uint8) bool {
	const handedOut = 32768 // Linux hands out ports from here, RFC 6335 from 49152
	if !hasPorts(proto) || f.ClientPort >= 1024 || f.ServerPort < handedOut || certain(f) {
		return false
	}
	return answersFrom(proto, f.ClientPort)
}

// certain reports flows whose beginning was seen.
func certain(f *exposure.Flow) bool {
	if f.OrientedBy == "syn" || f.OrientedBy == "listener" || f.OrientedBy == "conntrack" {
		return true
	}
	switch f.State {
	case "S0", "S1", "S2", "S3", "SF", "REJ", "RSTO", "RSTR", "SH", "RSTOS0":
		return f.Proto == exposure.TCP // Zeek saw the SYN
	}
	return false
}

func (l *Learner) id(a netip.Addr) uint32 {
	id, ok := l.ids[a]
	if !ok {
		id = uint32(len(l.hosts))
		l.ids[a] = id
		l.hosts = append(l.hosts, a)
	}
	return id
}

func (l *Learner) svcID(s service) uint32 {
	id, ok := l.svcs[s]
	if !ok {
		id = uint32(len(l.list))
		l.svcs[s] = id
		l.list = append(l.list, s)
	}
	return id
}

// pair finds the counters; nil when there is no room for new ones.
func (l *Learner) pair(s service, client, server netip.Addr) *pair {
	c, okC := l.ids[client]
	v, okV := l.ids[server]
	full := len(l.pairs) >= l.opt.MaxPairs
	if full && !(okC && okV) {
		return nil
	}
	if !okC {
		c = l.id(client)
	}
	if !okV {
		v = l.id(server)
	}
	k := pairKey{l.svcID(s), c, v}
	n, ok := l.pairs[k]
	if !ok && full {
		return nil
	}
	if !ok {
		n = uint32(len(l.pairs))
		if n%slabSize == 0 {
			l.slab = append(l.slab, make([]pair, slabSize))
		}
		l.pairs[k] = n
	}
	return &l.slab[n/slabSize][n%slabSize]
}

// slabSize is how many pairs' counters are made at once: without pointers in
// them or to them, a million cost the garbage collector nothing.
const slabSize = 1024

// each goes through all pairs, in no order.
func (l *Learner) each(yield func(pairKey, *pair) bool) {
	for k, n := range l.pairs {
		if !yield(k, &l.slab[n/slabSize][n%slabSize]) {
			return
		}
	}
}

const day = int64(24 * time.Hour)

func (l *Learner) count(p *pair, f *exposure.Flow, n uint64, turned bool) {
	var first, last int64
	if !f.First.IsZero() {
		first = f.First.UnixNano()
		last = max(first, f.Last.UnixNano())
		l.time(first, last, f.First)
	} else {
		l.untimed += n
	}
	p.packets += f.PacketsToServer + f.PacketsToClient
	p.bytes += f.BytesToServer + f.BytesToClient
	if first != 0 && (p.first == 0 || first < p.first) {
		p.first = first
	}
	p.last = max(p.last, last)
	bit := uint64(1) << uint(max(first/day, 0)%64)
	if first == 0 {
		bit = 0
	}
	if m := mediaOf(f.Service); m != noMedia {
		p.media = m
	}
	switch {
	case f.Action == "deny":
		p.denied, p.failed, p.badDays = p.denied+n, p.failed+n, p.badDays|bit
		l.total.denied += n
	case !turned && (f.Answered == exposure.FlowUnanswered || f.Answered == exposure.FlowRefused):
		p.failed, p.badDays = p.failed+n, p.badDays|bit
		l.total.failed += n
	default:
		p.ok, p.days = p.ok+n, p.days|bit
		l.total.ok += n
	}
}

func (l *Learner) time(first, last int64, t time.Time) {
	if l.first == 0 || first < l.first {
		l.first = first
	}
	l.last = max(l.last, last)
	t = t.UTC()
	l.hours[int(t.Weekday())*24+t.Hour()] = true
}

// mediaOf reads what the traffic was seen to be where that is a connection
// agreed in band.
func mediaOf(service string) media {
	for _, s := range strings.Split(service, ",") {
		switch s {
		case "ftp-data":
			return 1
		case "tftp-data":
			return 2
		case "rtp", "rtcp", "sip-media":
			return 3
		case "rtsp-media":
			return 4
		}
	}
	return noMedia
}

// media is a dynamic protocol that traffic was seen to be of: a number in
// mediaKinds.
type media uint8

const noMedia media = 0

var mediaKinds = [...]string{"", "ftp", "tftp", "sip", "rtsp"}

func (m media) kind() string { return mediaKinds[m] }
