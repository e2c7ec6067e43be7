package sockdiag

import "context"

// transport is one netlink socket.
type transport interface {
	send(b []byte) error
	receive(b []byte) (int, error)
	close() error
}

// Conn is a netlink socket in one network namespace. Close it.
type Conn struct {
	t      transport
	portID uint32
	seq    uint32
	out    []byte
	in     []byte
	inet   Socket
	packet PacketSocket
}

// receiveLen is twice the largest datagram of a dump (the kernel grows its
// buffers up to 32 KiB for a reader that takes that much).
const receiveLen = 64 << 10

// Dial opens a netlink socket in the calling thread's network namespace.
func Dial() (*Conn, error) {
	t, portID, err := dial()
	if err != nil {
		return nil, err
	}
	return &Conn{t: t, portID: portID, in: make([]byte, receiveLen)}, nil
}

// Close frees the socket.
func (c *Conn) Close() error { return c.t.close() }

// Inet dumps sockets. fn sees each in turn; its error ends the dump and is
// returned. Answers may have been seen before an ErrInterrupted.
func (c *Conn) Inet(ctx context.Context, r Request, fn func(*Socket) error) error {
	c.seq++
	c.out = r.append(c.out[:0], c.seq)
	return c.dump(ctx, r.String(), func(payload []byte) error {
		if err := DecodeInet(payload, &c.inet); err != nil {
			return &OpError{Op: "dump " + r.String(), Kind: err}
		}
		return fn(&c.inet)
	})
}

// Packet dumps packet sockets with filter and memory; see Inet.
func (c *Conn) Packet(ctx context.Context, fn func(*PacketSocket) error) error {
	c.seq++
	c.out = appendPacketRequest(c.out[:0], c.seq)
	return c.dump(ctx, "packet sockets", func(payload []byte) error {
		if err := DecodePacket(payload, &c.packet); err != nil {
			return &OpError{Op: "dump packet sockets", Kind: err}
		}
		return fn(&c.packet)
	})
}

// dump sends the prepared request and feeds every answer to visit. When visit
// fails the rest is left in the socket: the next dump's sequence number tells
// its answers from these, and Linux refuses a second dump only until the
// first is read, so drain reads it.
func (c *Conn) dump(ctx context.Context, what string, visit func([]byte) error) error {
	if err := c.t.send(c.out); err != nil {
		return describe("dump "+what, err)
	}
	interrupted := false
	var failed error
	for {
		if failed == nil {
			failed = ctx.Err()
		}
		n, err := c.t.receive(c.in)
		if err != nil {
			return first(failed, describe("dump "+what, err))
		}
		end, intr, err := c.datagram(c.in[:n], what, failed, visit)
		interrupted = interrupted || intr
		failed = first(failed, err)
		if end {
			return c.finished(what, failed, interrupted)
		}
	}
}

func (c *Conn) finished(what string, failed error, interrupted bool) error {
	if failed == nil && interrupted {
		return &OpError{Op: "dump " + what, Kind: ErrInterrupted}
	}
	return failed
}

// datagram reads one datagram's messages; after a failure it only looks for
// the end of the dump.
func (c *Conn) datagram(b []byte, what string, failed error, visit func([]byte) error) (end, interrupted bool, err error) {
	for {
		m, rest, ok, err := nextMessage(b)
		if err != nil {
			// Nothing tells where the next message begins; the dump is over.
			return true, false, first(failed, &OpError{Op: "dump " + what, Kind: err})
		}
		if !ok {
			return false, interrupted, failed
		}
		b = rest
		if m.seq != c.seq || m.portID != c.portID || m.kind == typeNoop {
			continue // a late answer to another request
		}
		interrupted = interrupted || m.flags&flagDumpIntr != 0
		if m.kind == typeDone || m.kind == typeError {
			return true, interrupted, first(failed, kernelError("dump "+what, errno(m.payload)))
		}
		if failed == nil {
			failed = visit(m.payload)
		}
	}
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
