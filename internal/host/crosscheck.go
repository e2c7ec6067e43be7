package host

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Sources that CrossCheck compares, as they are named in Disagreement.Says.
const (
	SourceDiag = "sock_diag"
	SourceProc = "/proc/net"
	SourceBPF  = "BPF iterator"
	SourceBind = "bind"
)

// Disagreement is an endpoint about which the kernel's own sources do not
// agree, again and again.
type Disagreement struct {
	// Endpoint's address is "*" where only the port is known.
	Endpoint exposure.Endpoint
	// Says tells, for each source that was asked and can know, whether it
	// says that the endpoint is in use.
	Says map[string]bool
	Why  string
}

// CrossCheck compares what the kernel's sources say of the calling thread's
// network namespace: sock_diag, /proc/net and the BPF iterators about TCP
// listeners and UDP sockets, and a trial bind of every TCP and UDP port, IPv4
// and IPv6, about ports in use that no source lists. A source contradicts
// another only for a socket that the other lists both before and after it was
// asked; a trial bind only where sock_diag lists no socket of any state on the
// port (time-wait, bound and not listening, another address, IPv6-only) before
// and after it. What remains is asked again twice, and only what comes out the
// same each time is given. A source that cannot be asked is a gap, and never
// evidence.
//
// A port is bound for some microseconds each; nothing listens and nothing is
// sent.
func (r *Reader) CrossCheck(ctx context.Context) ([]Disagreement, []exposure.Gap, error) {
	return r.crossCheck(ctx)
}

// socketID is a socket as two sources can both name it.
type socketID struct {
	proto exposure.Proto
	addr  netip.Addr // invalid: the source does not tell
	port  uint16
	inode uint64
}

// reading is what one source listed at one moment: listening TCP sockets and
// unconnected UDP ones.
type reading struct {
	source  string
	sockets map[socketID]bool
	// inodes are those of every socket that the source can list, in any state.
	inodes map[uint64]bool
}

func newReading(source string) reading {
	return reading{source: source, sockets: map[socketID]bool{}, inodes: map[uint64]bool{}}
}

func (g reading) add(proto exposure.Proto, addr netip.Addr, port uint16, inode uint64, listens bool) {
	g.inodes[inode] = true
	if listens {
		g.sockets[socketID{proto, addr, port, inode}] = true
	}
}

// doubt is one contradiction of one round.
type doubt struct {
	id     socketID
	has    string // source that lists it
	denies string // source that does not
}

// contradictions are the sockets that one source lists before and after
// another, which does not list them, was asked. readings are in the order in
// which they were taken.
func contradictions(readings []reading) map[doubt]bool {
	out := map[doubt]bool{}
	for i, before := range readings {
		for j := i + 1; j < len(readings); j++ {
			for k := j + 1; k < len(readings); k++ {
				if readings[k].source == before.source && readings[j].source != before.source {
					denied(before, readings[j], readings[k], out)
				}
			}
		}
	}
	return out
}

func denied(before, middle, after reading, out map[doubt]bool) {
	for id := range before.sockets {
		if id.inode != 0 && after.sockets[id] && !middle.inodes[id.inode] {
			out[doubt{id, before.source, middle.source}] = true
		}
	}
}

// both are the doubts of two rounds.
func both(a, b map[doubt]bool) map[doubt]bool {
	out := map[doubt]bool{}
	for d := range a {
		if b[d] {
			out[d] = true
		}
	}
	return out
}

// disagreements makes one answer an endpoint of what was doubted each time.
func disagreements(doubts map[doubt]bool) []Disagreement {
	byID := map[socketID]map[string]bool{}
	for d := range doubts {
		id := d.id
		if says := byID[id]; says == nil {
			byID[id] = map[string]bool{}
		}
		byID[id][d.has], byID[id][d.denies] = true, false
	}
	mergeByInode(byID)
	var out []Disagreement
	for id, says := range byID {
		out = append(out, Disagreement{Endpoint: id.endpoint(), Says: says, Why: whySources(says)})
	}
	return sorted(out)
}

// mergeByInode joins what a source that tells no address says of a socket with
// what the others say of it.
func mergeByInode(byID map[socketID]map[string]bool) {
	for id, says := range byID {
		if id.addr.IsValid() {
			continue
		}
		for other, more := range byID {
			if other.addr.IsValid() && other.inode == id.inode {
				for source, has := range says {
					more[source] = has || more[source]
				}
				delete(byID, id)
				break
			}
		}
	}
}

func (id socketID) endpoint() exposure.Endpoint {
	addr := exposure.Address{Text: "*"}
	if id.addr.IsValid() {
		addr = exposure.IPAddress(id.addr)
	}
	return exposure.Endpoint{Proto: id.proto, Addr: addr, Port: id.port}
}

func whySources(says map[string]bool) string {
	var yes, no []string
	for source, has := range says {
		if has {
			yes = append(yes, source)
		} else {
			no = append(no, source)
		}
	}
	slices.Sort(yes)
	slices.Sort(no)
	return strings.Join(yes, " and ") + " list(s) the socket before and after, " + strings.Join(no, " and ") + " do(es) not, three times in a row"
}

func sorted(list []Disagreement) []Disagreement {
	slices.SortFunc(list, func(a, b Disagreement) int {
		return cmp.Or(cmp.Compare(a.Endpoint.Proto, b.Endpoint.Proto), cmp.Compare(a.Endpoint.Port, b.Endpoint.Port),
			cmp.Compare(a.Endpoint.Addr.String(), b.Endpoint.Addr.String()))
	})
	return list
}

// bindDoubt is a port whose trial bind contradicts the listings.
type bindDoubt struct {
	proto exposure.Proto
	port  uint16
	// free: the bind succeeded although a listener is listed; else it failed
	// as in use although no socket is listed.
	free bool
	ipv6 bool // in use on IPv6 alone
}

func (d bindDoubt) disagreement(listed string) Disagreement {
	out := Disagreement{
		Endpoint: exposure.Endpoint{Proto: d.proto, Addr: exposure.Address{Text: "*"}, Port: d.port},
		Says:     map[string]bool{SourceBind: !d.free, listed: d.free},
	}
	if d.free {
		out.Why = "a listener is listed, yet the port could be bound on every address, three times in a row"
		return out
	}
	out.Why = "the kernel says that the port is in use, and lists no socket of any state on it, three times in a row"
	if d.ipv6 {
		out.Endpoint.Addr.Text = "::"
		out.Why = "over IPv6: " + out.Why
	}
	return out
}
