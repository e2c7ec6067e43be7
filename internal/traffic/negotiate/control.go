package negotiate

import (
	"bytes"
	"container/list"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// TCP flags.
const (
	fin = 0x01
	syn = 0x02
	rst = 0x04
	ack = 0x10
)

// connKey names a connection: the lesser endpoint first.
type connKey struct{ a, b Endpoint }

func keyOf(s, d Endpoint) connKey {
	if n := bytes.Compare(s.Addr[:], d.Addr[:]); n > 0 || n == 0 && s.Port > d.Port {
		s, d = d, s
	}
	return connKey{s, d}
}

// conn is one TCP control connection.
type conn struct {
	key            connKey
	kind           kind
	server, client Endpoint
	up, down       stream // of the client, of the server
	learned        uint16 // the port that is watched because of it
	deaf           bool   // nothing more can be read (encrypted, or of no use)
	life           life
	place          *list.Element
}

// life is whether that in which something was agreed has ended, and when.
type life struct {
	ended bool
	end   int64 // Unix nanoseconds
}

func (l *life) finish(when int64) {
	if !l.ended {
		l.ended, l.end = true, when
	}
}

// conns are the connections, the longest silent at the front.
type conns struct {
	max, maxBytes int
	bytes         int // kept in the streams of all of them
	byKey         map[connKey]*conn
	order         list.List
}

func newConns(limit, bytes int) conns {
	return conns{max: limit, maxBytes: bytes, byKey: map[connKey]*conn{}}
}

func (w *Watcher) dropConn(c *conn) {
	w.conns.bytes -= c.up.size() + c.down.size()
	w.conns.order.Remove(c.place)
	delete(w.conns.byKey, c.key)
	if c.learned == 0 {
		return
	}
	if w.learned[c.learned]--; w.learned[c.learned] <= 0 {
		delete(w.learned, c.learned)
		w.control.remove(c.learned)
	}
}

// segment reads a TCP packet with a port of the tables.
func (w *Watcher) segment(p *wire.Packet, when int64) {
	s, d := Endpoint{p.Src, p.SrcPort}, Endpoint{p.Dst, p.DstPort}
	c := w.conns.byKey[keyOf(s, d)]
	switch {
	case c == nil && p.Flags&(fin|rst) != 0 && len(p.Payload) == 0:
		return
	case c != nil && p.Flags&(syn|ack) == syn && c.life.ended:
		w.dropConn(c) // the ports are used again
		c = nil
	}
	if c == nil {
		if c = w.open(p, s, d); c == nil {
			w.stray(p, when)
			return
		}
	}
	w.conns.order.MoveToBack(c.place)
	w.feed(c, p, s == c.server, when)
}

// stray reads a packet of no known connection: on a learned port.
func (w *Watcher) stray(p *wire.Packet, when int64) {
	if len(p.Payload) >= 8 {
		w.word(p, when)
	}
}

// open begins a connection for a packet with a port of the tables; nil when
// neither port is in them.
func (w *Watcher) open(p *wire.Packet, s, d Endpoint) *conn {
	toServer, fromServer := w.tables.kind(protoTCP, d.Port), w.tables.kind(protoTCP, s.Port)
	switch {
	case toServer != noKind && (fromServer == noKind || p.Flags&(syn|ack) != syn|ack):
		return w.newConn(toServer, d, s)
	case fromServer != noKind:
		return w.newConn(fromServer, s, d)
	}
	return nil
}

func (w *Watcher) newConn(k kind, server, client Endpoint) *conn {
	for len(w.conns.byKey) >= w.conns.max {
		w.dropConn(w.conns.order.Front().Value.(*conn))
	}
	c := &conn{key: keyOf(server, client), kind: k, server: server, client: client}
	c.place = w.conns.order.PushBack(c)
	w.conns.byKey[c.key] = c
	return c
}

// adopt begins to watch a connection on other ports, by a message that only
// its protocol begins with.
func (w *Watcher) adopt(p *wire.Packet, k kind, when int64) {
	s, d := Endpoint{p.Src, p.SrcPort}, Endpoint{p.Dst, p.DstPort}
	server, client := d, s
	if w.tables.words.answers(p.Payload) {
		server, client = s, d
	}
	c := w.conns.byKey[keyOf(s, d)]
	if c == nil {
		c = w.newConn(k, server, client)
		w.learn(c)
	}
	w.feed(c, p, s == c.server, when)
}

// learn watches a connection's port.
func (w *Watcher) learn(c *conn) {
	port := c.server.Port
	if w.tables.ports.has(port) {
		return
	}
	c.learned = port
	w.learned[port]++
	w.control.add(port)
}

// feed gives a packet to its direction's stream.
func (w *Watcher) feed(c *conn, p *wire.Packet, fromServer bool, when int64) {
	here, there := &c.up, &c.down
	if fromServer {
		here, there = there, here
	}
	x := exchange{w: w, conn: c, life: &c.life, server: c.server, client: c.client, fromServer: fromServer, when: when, proto: protoTCP}
	before := c.up.size() + c.down.size()
	if !c.deaf {
		here.push(p, x.consume)
		if p.Flags&ack != 0 {
			back := x
			back.fromServer = !fromServer
			there.acked(p.Ack, back.consume)
		}
	}
	if c.deaf {
		c.up.forget()
		c.down.forget()
	}
	if p.Flags&(fin|rst) != 0 {
		c.life.finish(when)
	}
	w.conns.bytes += c.up.size() + c.down.size() - before
	w.trim()
}

// trim lets the longest silent connections go while too many bytes are kept.
func (w *Watcher) trim() {
	for w.conns.bytes > w.conns.maxBytes {
		w.dropConn(w.conns.order.Front().Value.(*conn))
	}
}

// consume reads from the front of what came and tells how many bytes are done
// with: 0 when more must come, more than there are when what follows is to be
// passed over unread.
func (x *exchange) consume(s *stream, b []byte) int {
	if x.conn.deaf {
		return len(b)
	}
	switch x.conn.kind {
	case ftp:
		return x.line(s, b, (*exchange).ftpLine)
	case irc:
		return x.line(s, b, (*exchange).ircLine)
	case rpcbind:
		return x.rpcRecord(b)
	case epmap:
		return x.dcerpc(s, b)
	case sip:
		return x.sipStream(b)
	case rtsp:
		return x.rtspStream(b)
	case pptp:
		return x.pptp(b)
	case tns:
		return x.tns(b)
	case turn:
		return x.stunStream(b)
	}
	return len(b)
}
