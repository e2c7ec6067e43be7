package syn

import (
	"errors"
	"time"
)

// ErrUnsupported says that this system has no raw SYN sweep yet.
var ErrUnsupported = errors.New("a raw SYN sweep is made on Linux only; the connect transport asks instead")

// Defaults of a Transport.
const (
	DefaultGrace    = 150 * time.Millisecond
	DefaultRounds   = 3
	DefaultPatience = 20 * time.Second
)

// maxChunk is how many addresses share one session: it bounds descriptors
// and memory (64 KiB of answers per address).
const maxChunk = 16

// Transport asks ports by raw SYN. The zero value is ready to use.
type Transport struct {
	// Grace is how long each session listens after its last probe.
	Grace time.Duration
	// Rounds is how often a silent port is asked before it counts as
	// filtered.
	Rounds int
	// Every asks every port in every round, answered or not: the re-check.
	Every bool
	// Queues watches other programs' packet and raw sockets; nil does not
	// pace.
	Queues QueueWatch
	// Patience bounds the time a Sweep waits for slow queues in all.
	Patience time.Duration
	// Progress hears how many probes were sent since it was last called; nil
	// for none. Only first askings count.
	Progress func(n int)
}

func (t *Transport) grace() time.Duration    { return orDefault(t.Grace, DefaultGrace) }
func (t *Transport) rounds() int             { return orDefault(t.Rounds, DefaultRounds) }
func (t *Transport) patience() time.Duration { return orDefault(t.Patience, DefaultPatience) }

func orDefault[T int | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// Queue is the receive queue of another program's packet or raw socket.
type Queue struct {
	ID    uint64 // inode
	Name  string // who holds it, for people; may be empty
	Used  uint64 // bytes waiting (SK_MEMINFO_RMEM_ALLOC)
	Limit uint64 // bytes that fit (SK_MEMINFO_RCVBUF)
	Drops uint64 // packets lost since the socket was made (SK_MEMINFO_DROPS)
}

// QueueWatch lists the receive queues of the packet and raw sockets in the
// scanned namespace. It is asked once per batch of probes, so it should cost
// microseconds; never by two goroutines at once. The sweep's own sockets may be
// among them. The list may be overwritten by the next call.
type QueueWatch interface {
	Queues() ([]Queue, error)
}
