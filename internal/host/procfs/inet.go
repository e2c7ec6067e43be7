package procfs

import (
	"encoding/binary"
	"io"
	"math/bits"
	"net/netip"
)

// Entry is one line of net/{tcp,udp,udplite,raw,icmp} or its IPv6 twin.
type Entry struct {
	Local, Remote netip.AddrPort // raw and icmp: Local's port is protocol or identifier
	State         uint8          // net/tcp_states.h; UDP and raw: 7 without a peer, 1 with one
	TxQueue       uint32
	RxQueue       uint32
	UID           uint32
	Inode         uint64
	Drops         uint64 // datagram tables; means nothing in tcp's
}

// ParseInet reads a table of internet sockets and calls fn for each entry.
// order is the byte order of the machine that printed it. fn's error ends the
// reading and is returned.
func ParseInet(r io.Reader, order binary.ByteOrder, fn func(*Entry) error) (Skipped, error) {
	var e Entry
	little := order.Uint16([]byte{1, 0}) == 1
	return eachLine(r, true, func(line []byte) error {
		if err := e.parse(line, little); err != nil {
			return err
		}
		return fn(&e)
	})
}

func (e *Entry) parse(line []byte, little bool) error {
	f := fields{line}
	*e = Entry{}
	var ok bool
	if slot := f.next(); len(slot) < 2 || slot[len(slot)-1] != ':' {
		return badLine("no slot number")
	}
	if e.Local, ok = addrPort(f.next(), little); !ok {
		return badLine("no local address")
	}
	if e.Remote, ok = addrPort(f.next(), little); !ok || e.Remote.Addr().BitLen() != e.Local.Addr().BitLen() {
		return badLine("no remote address")
	}
	state, ok := hex(f.next())
	if !ok || state > 0xff {
		return badLine("no state")
	}
	e.State = uint8(state)
	if e.TxQueue, e.RxQueue, ok = queues(f.next()); !ok {
		return badLine("no queues")
	}
	f.skip(2) // timer, retransmits
	uid, ok := decimal(f.next())
	if !ok || uid > 1<<32-1 {
		return badLine("no uid")
	}
	e.UID = uint32(uid)
	f.skip(1) // timeout
	if e.Inode, ok = decimal(f.next()); !ok {
		return badLine("no inode")
	}
	f.skip(2) // reference count, kernel address
	e.Drops, _ = decimal(f.next())
	return nil
}

// addrPort reads ADDRESS:PORT: 8 or 32 digits, 32-bit words in the printing
// machine's order, and a port of 4 digits.
func addrPort(b []byte, little bool) (netip.AddrPort, bool) {
	var raw [16]byte
	n := len(b) - 5
	if (n != 8 && n != 32) || b[n] != ':' {
		return netip.AddrPort{}, false
	}
	for i := 0; i < n; i += 8 {
		word, ok := hex(b[i : i+8])
		if !ok {
			return netip.AddrPort{}, false
		}
		v := uint32(word)
		if little {
			v = bits.ReverseBytes32(v)
		}
		binary.BigEndian.PutUint32(raw[i/2:], v)
	}
	port, ok := hex(b[n+1:])
	if !ok {
		return netip.AddrPort{}, false
	}
	ip := netip.AddrFrom16(raw)
	if n == 8 {
		ip = netip.AddrFrom4([4]byte(raw[:4]))
	}
	return netip.AddrPortFrom(ip, uint16(port)), true
}

func queues(b []byte) (tx, rx uint32, ok bool) {
	if len(b) != 17 || b[8] != ':' {
		return 0, 0, false
	}
	t, okT := hex(b[:8])
	r, okR := hex(b[9:])
	return uint32(t), uint32(r), okT && okR
}

// PacketEntry is one line of net/packet.
type PacketEntry struct {
	Type      uint8
	EtherType uint16
	Interface uint32
	Running   bool
	Rmem      uint32
	UID       uint32
	Inode     uint64
}

// ParsePacket reads net/packet; see ParseInet.
func ParsePacket(r io.Reader, fn func(*PacketEntry) error) (Skipped, error) {
	var e PacketEntry
	return eachLine(r, true, func(line []byte) error {
		if err := e.parse(line); err != nil {
			return err
		}
		return fn(&e)
	})
}

func (e *PacketEntry) parse(line []byte) error {
	f := fields{line}
	f.skip(2) // kernel address, reference count
	var n [7]uint64
	for i := range n {
		read, limit := decimal, uint64(1<<32-1)
		switch i {
		case 0:
			limit = 0xff
		case 1:
			read, limit = hex, 0xffff
		case 6:
			limit = 1<<64 - 1
		}
		v, ok := read(f.next())
		if !ok || v > limit {
			return badLine("a field is missing or no number")
		}
		n[i] = v
	}
	*e = PacketEntry{Type: uint8(n[0]), EtherType: uint16(n[1]), Interface: uint32(n[2]),
		Running: n[3] != 0, Rmem: uint32(n[4]), UID: uint32(n[5]), Inode: n[6]}
	return nil
}
