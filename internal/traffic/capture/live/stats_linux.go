package live

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// counters are what the kernel has counted, read so far.
type counters struct {
	received, dropped uint64
	// device is the open table of interface counters of the ring's network
	// namespace; nil where another ring tells them, or there is none.
	device *os.File
	begun  map[string]uint64 // by interface: dropped when the ring was opened
	lost   uint64
}

// Stats tell what the kernel counted for this ring. Received is every packet
// that passed the filter, Dropped those of them that found no free block; the
// others are given by Next, unless Close came before. IfDropped is what the
// interface (for Any: all) dropped on receiving since the ring was opened,
// told by the first ring of an interface only.
func (r *Ring) Stats() capture.Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refs > 0 {
		r.count()
	}
	c := &r.counters
	return capture.Stats{Received: c.received, Dropped: c.dropped, IfDropped: c.lost, Known: true}
}

// count adds what the kernel counted since it was last asked (packet(7),
// PACKET_STATISTICS: reading sets it to zero). The caller holds r.mu.
func (r *Ring) count() {
	c := &r.counters
	if s, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		c.received += uint64(s.Packets)
		c.dropped += uint64(s.Drops)
	}
	if c.device == nil {
		return
	}
	var lost uint64
	for name, n := range r.deviceDrops() {
		if before := c.begun[name]; n > before {
			lost += n - before
		}
	}
	c.lost = max(c.lost, lost) // an interface that is gone takes its counters along
}

// openCounters keeps the table open: a later open would be of another
// thread's namespace. Without /proc, IfDropped stays 0.
func (r *Ring) openCounters() {
	f, err := os.Open("/proc/thread-self/net/dev")
	if err != nil {
		return
	}
	r.counters.device = f
	r.counters.begun = r.deviceDrops()
}

func (r *Ring) closeCounters() {
	if r.counters.device != nil {
		_ = r.counters.device.Close()
		r.counters.device = nil
	}
}

// deviceDrops reads rx_dropped + rx_missed_errors of the ring's interfaces
// (proc_net(5), net/dev: the fourth number of the receiving half).
func (r *Ring) deviceDrops() map[string]uint64 {
	text, err := io.ReadAll(io.NewSectionReader(r.counters.device, 0, 1<<20))
	if err != nil {
		return nil
	}
	out := map[string]uint64{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, numbers, ok := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		if f := strings.Fields(numbers); ok && len(f) > 3 && (r.index == 0 || name == r.name) {
			out[name], _ = strconv.ParseUint(f[3], 10, 64)
		}
	}
	return out
}
