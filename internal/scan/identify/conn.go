package identify

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// talk is one conversation with an endpoint: one connection at a time.
type talk struct {
	*greeter
	ctx      context.Context
	endpoint exposure.Endpoint

	conn   net.Conn            // nil: none open
	wire   net.Conn            // what conn goes over: conn itself, or below TLS
	fresh  bool                // conn is open and nothing was said on it
	secure bool                // conn is inside TLS
	unhook func() bool         // ends the watch of ctx over conn
	detail *exposure.TLSDetail // of the last handshake
	dialed time.Duration       // that the last connection took to open
}

func (t *talk) hangUp() {
	if t.conn != nil {
		t.unhook()
		_ = t.wire.Close() // not conn: a TLS goodbye may block for seconds
		t.conn, t.wire = nil, nil
	}
	t.fresh, t.secure = false, false
}

// dial opens a connection with an absolute deadline.
func (t *talk) dial() error {
	t.hangUp()
	start := time.Now()
	conn, err := t.lim.Dial(t.ctx, "tcp", exposure.HostPort(t.endpoint.Addr, t.endpoint.Port))
	if err != nil {
		return err
	}
	t.dialed = time.Since(start)
	if toSelf(conn) {
		t.queue.isOwn(t.endpoint)
	}
	t.hold(conn)
	return nil
}

// hold makes conn the talk's connection; the end of ctx ends every wait on it.
func (t *talk) hold(conn net.Conn) {
	if end, ok := t.ctx.Deadline(); ok {
		_ = conn.SetDeadline(end)
	}
	t.conn, t.wire, t.fresh = conn, conn, true
	t.unhook = context.AfterFunc(t.ctx, func() { _ = conn.SetDeadline(past()) })
}

// past is a deadline that has gone by.
func past() time.Time { return time.Unix(1, 0) }

// release gives the connection away unused, if it is.
func (t *talk) release() net.Conn {
	conn := t.conn
	if conn == nil || !t.unhook() {
		return nil
	}
	t.conn, t.fresh = nil, false
	return conn
}

// until sets a deadline, unless ctx has ended.
func (t *talk) until(set func(time.Time) error, end time.Time) {
	if limit, ok := t.ctx.Deadline(); ok && limit.Before(end) {
		end = limit
	}
	_ = set(end)
	if t.ctx.Err() != nil {
		_ = set(past())
	}
}

// toSelf reports a connection whose two ends have one address: the endpoint is
// this machine's own.
func toSelf(c net.Conn) bool {
	local, ok := c.LocalAddr().(*net.TCPAddr)
	remote, ok2 := c.RemoteAddr().(*net.TCPAddr)
	return ok && ok2 && local.IP.Equal(remote.IP)
}

// hear reads until the answer to p is whole, the wait is over, the bound is
// reached or the server hangs up. ended tells the last. After something is
// recognised it waits no longer than a moment of silence.
func (t *talk) hear(p *probe, wait time.Duration) (heard []byte, ended bool) {
	end := time.Now().Add(wait + min(2*t.dialed, time.Second)) // far hosts answer later
	t.until(t.conn.SetReadDeadline, end)
	buf := make([]byte, t.lim.Bytes*p.bound())
	known := false
	for n, looks := 0, 0; n < len(buf); looks++ {
		k, err := t.conn.Read(buf[n:])
		n += k
		heard = buf[:n]
		if k > 0 && looks < maxLooks && p.complete(heard) {
			return heard, false
		}
		if err != nil {
			return heard, !errors.Is(err, os.ErrDeadlineExceeded)
		}
		if known = known || looks < maxLooks && t.knows(p, heard); known {
			t.settle(end)
		}
	}
	return heard, false
}

// maxLooks is how often an answer that trickles in is looked at before its end.
const maxLooks = 32

// longLimit is how many times Limits.Bytes a long answer may have.
const longLimit = 16

func (p *probe) bound() int {
	if p.long {
		return longLimit
	}
	return 1
}

// knows reports an answer that some pattern recognises already.
func (t *talk) knows(p *probe, heard []byte) bool {
	if _, ok := p.match(heard); ok {
		return true
	}
	_, ok := t.table.greeting.match(heard)
	return ok
}

// settle shortens the wait to a moment, but not beyond end.
func (t *talk) settle(end time.Time) {
	if soon := time.Now().Add(t.lim.Wait / 8); soon.Before(end) {
		t.until(t.conn.SetReadDeadline, soon)
	}
}

// say sends a message.
func (t *talk) say(message string) bool {
	t.fresh = false
	t.until(t.conn.SetWriteDeadline, time.Now().Add(t.lim.Wait))
	_, err := t.conn.Write([]byte(message))
	return err == nil
}

// bounding limits what is read from a connection and keeps its first bytes.
type bounding struct {
	net.Conn
	left  int
	first []byte
}

var errTooMuch = errors.New("the server sent more than a conversation takes")

func (b *bounding) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	if room := 8 - len(b.first); room > 0 {
		b.first = append(b.first, p[:min(n, room)]...)
	}
	return n, err
}
