package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host"
)

// maxListenersFile bounds a listing that is read.
const maxListenersFile = 64 << 20

// A live run looks for new TCP listeners often, which costs a millisecond,
// and lists everything anew now and then, which costs what portreeve host does.
const (
	listenPace = 5 * time.Second
	listenAnew = 30 * time.Second
)

// listenTable answers who listens, for telling servers from clients. It may
// be asked while it is renewed.
type listenTable struct{ now atomic.Pointer[listenSet] }

// listenSet is what one listing says. own are the addresses of the host that
// it describes; without any, a wildcard listener may be at any address.
type listenSet struct {
	at  map[listenKey]bool // bound to one address
	any map[listenKey]bool // bound to every address
	own map[[16]byte]bool
}

type listenKey struct {
	addr  [16]byte
	port  uint16
	proto uint8
}

// Listens reports whether somebody listens there, and whether the listing can
// tell at all.
func (t *listenTable) Listens(proto uint8, addr [16]byte, port uint16) (listens, known bool) {
	s := t.now.Load()
	if s == nil {
		return false, false
	}
	if s.at[listenKey{addr, port, proto}] {
		return true, true
	}
	wild := s.any[listenKey{port: port, proto: proto}]
	if len(s.own) == 0 {
		return wild, wild
	}
	return wild && s.own[addr], s.own[addr]
}

func newListenSet(sockets []exposure.Socket, own map[netip.Addr]bool) *listenSet {
	s := &listenSet{at: map[listenKey]bool{}, any: map[listenKey]bool{}, own: map[[16]byte]bool{}}
	for a := range own {
		s.own[a.As16()] = true
	}
	for i := range sockets {
		s.add(&sockets[i])
	}
	return s
}

func (s *listenSet) add(sock *exposure.Socket) {
	proto, ok := protoNumbers()[sock.Proto]
	if !ok || !sock.IsListener() || sock.Port == 0 {
		return
	}
	if sock.Addr.Text == "*" || sock.Addr.IP.IsUnspecified() {
		s.any[listenKey{port: sock.Port, proto: proto}] = true
		return
	}
	if sock.Addr.IP.IsValid() {
		s.at[listenKey{sock.Addr.IP.As16(), sock.Port, proto}] = true
	}
}

// protoNumbers are the protocols that have ports (IANA protocol numbers).
func protoNumbers() map[exposure.Proto]uint8 {
	return map[exposure.Proto]uint8{exposure.TCP: 6, exposure.UDP: 17, exposure.DCCP: 33, exposure.SCTP: 132, exposure.UDPLite: 136}
}

// listeners is who listens on the host that a run is about: the document
// given, else this host when it listens live. nil: nobody can say.
func (f *trafficFlags) listenersOf(ctx context.Context, s *streams, live bool) (*listenTable, error) {
	t := new(listenTable)
	switch {
	case f.listeners != "":
		set, err := readListeners(s, f.listeners)
		if err != nil {
			return nil, err
		}
		t.now.Store(set)
	case live:
		t.look(ctx)
		go t.follow(ctx)
	default:
		return nil, nil
	}
	return t, nil
}

// look reads this host's listeners. What cannot be read leaves what was known.
func (t *listenTable) look(ctx context.Context) {
	snap, err := new(host.Reader).Snapshot(ctx, host.Options{NetNS: host.SelfNetNS, NoOwners: true})
	if err != nil {
		return
	}
	t.now.Store(newListenSet(snap.Sockets, ownAddresses(ctx)))
}

func (t *listenTable) follow(ctx context.Context) {
	last := time.Now()
	for sleep(ctx, listenPace) {
		if time.Since(last) >= listenAnew {
			t.look(ctx)
			last = time.Now()
			continue
		}
		t.more(ctx)
	}
}

// more adds TCP listeners that came since the last look.
func (t *listenTable) more(ctx context.Context) {
	old := t.now.Load()
	found, err := host.Listening(ctx)
	if err != nil || old == nil {
		return
	}
	set := &listenSet{at: maps.Clone(old.at), any: maps.Clone(old.any), own: old.own}
	for _, e := range found {
		set.add(&exposure.Socket{Proto: e.Proto, State: exposure.Listen, Addr: e.Addr, Port: e.Port})
	}
	t.now.Store(set)
}

// readListeners reads a portreeve host document. Its addresses are those that
// something is bound to.
func readListeners(s *streams, name string) (*listenSet, error) {
	b, err := readInput(s, name, maxListenersFile)
	if err != nil {
		return nil, usage("make one there with: portreeve host --json", "read --listeners %s: %w", name, err)
	}
	var doc struct {
		Schema  string            `json:"schema"`
		Sockets []exposure.Socket `json:"sockets"`
	}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&doc); err != nil {
		return nil, usage("make one there with: portreeve host --json", "read --listeners %s: %w", name, err)
	}
	if doc.Schema != "portreeve.host/1" {
		return nil, usage("make one there with: portreeve host --json", "--listeners %s is no portreeve host document: its schema is %q", name, doc.Schema)
	}
	return newListenSet(doc.Sockets, nil), nil
}
