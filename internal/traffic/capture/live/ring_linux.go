package live

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// Ring is one packet socket and the memory that the kernel fills for it.
type Ring struct {
	target
	fd, wake    int
	promiscuous bool
	retire      time.Duration

	mem    []byte
	size   int // of a block
	blocks []block
	faces  faces

	// reading guards what Next alone uses.
	reading sync.Mutex
	head    int // the block that is filled next or was last
	ending  *ending

	closed, stopped atomic.Bool
	handed          atomic.Uint64 // packets given by Next

	mu       sync.Mutex // guards what follows
	refs     int        // one for being open, one for each call of Next and block that is out
	counters counters
}

// block is the reader's view of a block of the ring. While it is out, its
// status in the ring still says that it is the reader's.
type block struct {
	out  atomic.Bool
	free func()
}

// ending is why a ring ends, and since when that is known.
type ending struct {
	err   error
	since time.Time
}

// Next gives the packets of the next block, or an empty batch after about
// 100 ms without any. Errors: io.EOF after Close and Stop, *Error when the
// interface went down or disappeared.
func (r *Ring) Next(b *capture.Batch) error {
	b.Release()
	r.reading.Lock()
	defer r.reading.Unlock()
	if !r.hold() {
		return io.EOF
	}
	defer r.letGo()
	until := time.Now().Add(quiet)
	for !r.closed.Load() {
		if r.take(b) {
			return nil
		}
		if r.ending == nil && r.stopped.Load() {
			r.ending = &ending{io.EOF, time.Now()}
		}
		if r.ending != nil {
			if r.drained() {
				return r.ending.err
			}
			r.wait(5*time.Millisecond, false)
			continue
		}
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		r.await(left)
	}
	return io.EOF
}

// take puts the block at the head in b, when the kernel has handed it over.
func (r *Ring) take(b *capture.Batch) bool {
	for {
		blk := &r.blocks[r.head]
		mem := r.block(r.head)
		if blk.out.Load() || atomic.LoadUint32(status(mem))&unix.TP_STATUS_USER == 0 {
			return false
		}
		blk.out.Store(true)
		r.refer()
		r.head = (r.head + 1) % len(r.blocks)
		counted := r.walk(b, mem)
		r.handed.Add(counted)
		if len(b.Packets) > 0 {
			b.Free = blk.free
			return true
		}
		blk.free()
	}
}

func (r *Ring) block(i int) []byte { return r.mem[i*r.size:][:r.size:r.size] }

// giveBack lets the kernel fill a block again. The status goes first: who sees
// that the block is no longer out must not see it as the reader's.
func (r *Ring) giveBack(i int) {
	if !r.blocks[i].out.Load() {
		return
	}
	atomic.StoreUint32(status(r.block(i)), unix.TP_STATUS_KERNEL)
	r.blocks[i].out.Store(false)
	r.letGo()
}

// status is the word by which kernel and reader hand over a block.
func status(mem []byte) *uint32 { return (*uint32)(unsafe.Pointer(&mem[blockStatus])) }

// await waits for the kernel to hand over a block, or for Close or Stop. While
// the block before the head is out, the socket looks readable to poll all the
// time: then it is only looked at again and again.
func (r *Ring) await(most time.Duration) {
	before := (r.head + len(r.blocks) - 1) % len(r.blocks)
	if r.blocks[before].out.Load() {
		r.wait(min(most, 10*time.Millisecond), false)
		return
	}
	if !r.wait(most, true) {
		return
	}
	code, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		r.ending = &ending{&Error{Interface: r.name, Op: "capture", Err: unix.Errno(code)}, time.Now()}
	}
}

// wait sleeps until it is woken, or, where it looks at the socket, until a
// block is ready; true: the socket has an error.
func (r *Ring) wait(most time.Duration, socket bool) (failed bool) {
	fds := [2]unix.PollFd{{Fd: int32(r.wake), Events: unix.POLLIN}, {Fd: int32(r.fd), Events: unix.POLLIN | unix.POLLERR}}
	n := 1
	if socket {
		n = 2
	}
	most = max(most, time.Millisecond)
	if _, err := unix.Poll(fds[:n], int(most.Milliseconds())); err != nil {
		return false // interrupted: the caller looks again
	}
	if fds[0].Revents != 0 {
		var count [8]byte
		_, _ = unix.Read(r.wake, count[:])
	}
	return fds[1].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0
}

// drained tells that nothing more can come from the ring, and then makes the
// error of an interface say what became of it. The kernel hands over the last
// block after at most twice the retire time.
func (r *Ring) drained() bool {
	past := time.Since(r.ending.since)
	if past < 10*time.Millisecond {
		return false // a processor may still be in the middle of a packet
	}
	s := r.Stats()
	over := past > 4*r.retire
	empty := r.handed.Load() >= s.Received-s.Dropped
	var e *Error
	if !errors.As(r.ending.err, &e) {
		return over || empty
	}
	gone := !r.exists()
	if !over && !(gone && empty) {
		return false // what goes down may be about to disappear
	}
	e.explain(gone)
	return true
}

func (e *Error) explain(gone bool) {
	if gone {
		e.Op, e.Err = "the interface disappeared", unix.ENXIO
		e.Hint = "begin again when it is back; any goes on without it"
		return
	}
	e.Op = "the interface went down"
	e.Hint = "ip link set " + e.Interface + " up, and begin again"
}

// exists asks whether there is still an interface of this index.
func (r *Ring) exists() bool {
	_, err := nameOf(r.fd, r.index)
	return !errors.Is(err, unix.ENODEV)
}

// Stop takes no more packets. Next gives what was taken before and then
// io.EOF.
func (r *Ring) Stop() error {
	if !r.hold() {
		return nil
	}
	defer r.letGo()
	err := attach(r.fd, rejectAll)
	r.stopped.Store(true)
	r.rouse()
	return err
}

// Close ends the capture at once; a Next that waits returns io.EOF. Packets
// that are out stay valid until they are released.
func (r *Ring) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	// The socket lives as long as its memory is used: make it deaf, and the
	// interface as it was.
	err := attach(r.fd, rejectAll)
	if r.promiscuous {
		m := &unix.PacketMreq{Ifindex: int32(r.index), Type: unix.PACKET_MR_PROMISC}
		gone := unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_DROP_MEMBERSHIP, m)
		if gone != nil && !errors.Is(gone, unix.EADDRNOTAVAIL) {
			err = errors.Join(err, gone)
		}
	}
	r.rouse()
	r.letGo()
	return err
}

func (r *Ring) rouse() {
	_, _ = unix.Write(r.wake, binary.NativeEndian.AppendUint64(nil, 1))
}

// hold keeps memory and descriptors; false: the ring is closed.
func (r *Ring) hold() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed.Load() || r.refs == 0 {
		return false
	}
	r.refs++
	return true
}

// refer is hold for one who holds already.
func (r *Ring) refer() {
	r.mu.Lock()
	r.refs++
	r.mu.Unlock()
}

// letGo undoes one hold; the last one unmaps and closes.
func (r *Ring) letGo() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refs--; r.refs > 0 {
		return
	}
	r.count()
	r.closeCounters()
	if r.mem != nil {
		_ = unix.Munmap(r.mem)
		r.mem = nil
	}
	_, _ = unix.Close(r.fd), unix.Close(r.wake)
	r.fd, r.wake = -1, -1
}
