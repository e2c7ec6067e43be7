package live

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// Ring is one packet socket and the memory that the kernel fills for it.
type Ring struct {
	target
	fd          int
	file        *os.File // the same
	conn        syscall.RawConn
	wait        func(uintptr) bool
	promiscuous bool
	retire      time.Duration

	mem    []byte
	size   int // of a block
	blocks []block
	faces  faces

	// reading guards what Next alone uses.
	reading sync.Mutex
	head    int    // the block at hand, or that comes next
	at      uint64 // where its next packet stands
	left    uint32 // how many there still are
	waited  bool   // see woken
	ending  *ending

	closed, stopped atomic.Bool
	handed          atomic.Uint64 // packets of the blocks that Next has opened

	mu       sync.Mutex // guards what follows
	refs     int        // one for being open, one for each call of Next and block in use
	counters counters
}

// block is the reader's view of a block of the ring.
type block struct {
	users atomic.Int32 // batches that are out, and one while it is walked
	free  func()
}

// quiet is how long Next waits before it gives an empty batch.
const quiet = 100 * time.Millisecond

// ending is why a ring ends, and since when that is known.
type ending struct {
	err   error
	since time.Time
}

// Next gives the next packets of a block, or an empty batch after about
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
		switch {
		case r.ending == nil:
			if !r.await(until) {
				return nil
			}
		case r.drained():
			return r.ending.err
		default:
			time.Sleep(5 * time.Millisecond)
		}
	}
	return io.EOF
}

// take puts packets of the block at hand in b, or of the next one that the
// kernel has handed over.
func (r *Ring) take(b *capture.Batch) bool {
	for r.left > 0 || r.openBlock() {
		blk := &r.blocks[r.head]
		blk.users.Add(1)
		r.walk(b, r.block(r.head))
		if r.left == 0 {
			r.head = (r.head + 1) % len(r.blocks)
			blk.free()
		}
		if len(b.Packets) > 0 {
			b.Free = blk.free
			return true
		}
		blk.free()
	}
	return false
}

// openBlock begins with the block at the head. While a block is in use, its
// status in the ring still says that it is the reader's.
func (r *Ring) openBlock() bool {
	blk, mem := &r.blocks[r.head], r.block(r.head)
	if blk.users.Load() > 0 || atomic.LoadUint32(status(mem))&unix.TP_STATUS_USER == 0 {
		return false
	}
	blk.users.Store(1)
	r.refer()
	r.left = binary.NativeEndian.Uint32(mem[blockPackets:])
	r.at = uint64(binary.NativeEndian.Uint32(mem[blockFirst:]))
	r.handed.Add(uint64(r.left))
	return true
}

func (r *Ring) block(i int) []byte { return r.mem[i*r.size:][:r.size:r.size] }

// letBlockGo ends one use of a block; the last one lets the kernel fill it
// again. The status goes first: who sees that the block is not in use must not
// see it as the reader's.
func (r *Ring) letBlockGo(i int) {
	users := &r.blocks[i].users
	for {
		n := users.Load()
		switch {
		case n <= 0:
			return // released twice
		case n == 1:
			atomic.StoreUint32(status(r.block(i)), unix.TP_STATUS_KERNEL)
		}
		if users.CompareAndSwap(n, n-1) {
			if n == 1 {
				r.letGo()
			}
			return
		}
	}
}

// status is the word by which kernel and reader hand over a block.
func status(mem []byte) *uint32 { return (*uint32)(unsafe.Pointer(&mem[blockStatus])) }

// await waits for the kernel to hand over a block, for Stop or Close, or for a
// moment; false: that moment has come. It waits in the runtime's poller and
// not in a system call of its own: after each of those the runtime would look
// after its processors every 20 µs for a while, which cost as much as reading
// the packets.
func (r *Ring) await(until time.Time) bool {
	if err := r.file.SetReadDeadline(until); err != nil {
		return !r.closed.Load()
	}
	if r.closed.Load() || r.stopped.Load() {
		return true // they moved the deadline before it was set here
	}
	r.waited = false
	err := r.conn.Read(r.wait)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return r.closed.Load() || r.stopped.Load()
	}
	if err == nil && r.ready() {
		return true // a system call here would wake the runtime's monitor, too
	}
	if code, bad := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR); bad == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err != nil {
		r.ending = &ending{&Error{Interface: r.name, Op: "capture", Err: err}, time.Now()}
	}
	return true
}

// woken is asked by the poller whether it need not wait: before the first
// time when a block is ready, and after it, whatever it was that came.
func (r *Ring) woken(uintptr) bool {
	if r.waited {
		return true
	}
	r.waited = true
	return r.ready()
}

// ready tells that the kernel has handed over the next block.
func (r *Ring) ready() bool {
	return r.blocks[r.head].users.Load() == 0 && atomic.LoadUint32(status(r.block(r.head)))&unix.TP_STATUS_USER != 0
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

// rouse ends the waiting of a Next.
func (r *Ring) rouse() { _ = r.file.SetReadDeadline(time.Unix(1, 0)) }

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
	_ = r.file.Close()
	r.fd = -1
}
