package wide

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/scan/rawsock"
)

// Geometry of a ring: 8 MiB, handed over in blocks of 32 KiB or after a
// millisecond.
const (
	blockSize   = 32 << 10
	blockCount  = 256
	retireAfter = 1
	blockDelay  = 4 * time.Millisecond // retireAfter, in ticks of the kernel's clock
)

// Layout of a block and of a packet in it (linux/if_packet.h: struct
// tpacket_block_desc and tpacket3_hdr), in native byte order.
const (
	blockStatus  = 8
	blockPackets = 12
	blockFirst   = 16
	packetNext   = 0
	packetSec    = 4
	packetNsec   = 8
	packetSnap   = 12
	packetNet    = 26
	packetHeader = 48
)

// ring is a packet socket whose packets the kernel writes into shared memory.
type ring struct {
	fd    int
	mem   []byte
	block int
}

// newRing opens the socket. No protocol yet: nothing is queued before the
// filter is set.
func newRing() (*ring, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	return &ring{fd: fd}, nil
}

// setUp listens to one protocol on all interfaces through a filter. Such a
// socket does not hear what this host sends. The kernel waits here for all
// processors (synchronize_net), so rings are set up side by side.
func (r *ring) setUp(etherType uint16, filter []bpf.Instruction) error {
	if err := rawsock.Attach(r.fd, filter); err != nil {
		return fmt.Errorf("set the filter of a packet socket: %w", err)
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("ask for TPACKET_V3: %w", err)
	}
	req := unix.TpacketReq3{Block_size: blockSize, Block_nr: blockCount, Frame_size: 2048,
		Frame_nr: blockSize / 2048 * blockCount, Retire_blk_tov: retireAfter}
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("make a receive ring of %d MiB: %w", blockSize*blockCount>>20, err)
	}
	mem, err := unix.Mmap(r.fd, 0, blockSize*blockCount, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map a receive ring: %w", err)
	}
	r.mem = mem
	var proto [2]byte
	binary.BigEndian.PutUint16(proto[:], etherType)
	if err := unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(proto[:])}); err != nil {
		return fmt.Errorf("bind a packet socket: %w", err)
	}
	return nil
}

func (r *ring) close() {
	if r.mem != nil {
		_ = unix.Munmap(r.mem)
	}
	_ = unix.Close(r.fd)
}

// take gives every packet of the next finished block; false means that none
// is finished.
func (r *ring) take(each func(ip []byte, at time.Time)) bool {
	block := r.mem[r.block*blockSize:][:blockSize]
	status := (*uint32)(unsafe.Pointer(&block[blockStatus]))
	if atomic.LoadUint32(status)&unix.TP_STATUS_USER == 0 {
		return false
	}
	n := binary.NativeEndian.Uint32(block[blockPackets:])
	at := binary.NativeEndian.Uint32(block[blockFirst:])
	for range n {
		if int(at)+packetHeader > blockSize {
			break
		}
		p := block[at:]
		length, net := binary.NativeEndian.Uint32(p[packetSnap:]), binary.NativeEndian.Uint16(p[packetNet:])
		if end := int(net) + int(length); end <= len(p) {
			each(p[net:end], time.Unix(int64(binary.NativeEndian.Uint32(p[packetSec:])), int64(binary.NativeEndian.Uint32(p[packetNsec:]))))
		}
		at += binary.NativeEndian.Uint32(p[packetNext:])
	}
	atomic.StoreUint32(status, unix.TP_STATUS_KERNEL)
	r.block = (r.block + 1) % blockCount
	return true
}

// dropped is how many packets found the ring full since it was last asked.
func (r *ring) dropped() int64 {
	stats, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0
	}
	return int64(stats.Drops)
}
