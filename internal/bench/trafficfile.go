package main

import (
	"bufio"
	"encoding/binary"
	"io"
)

// The long capture: every packet belongs to one of so many conversations,
// drawn evenly, which is the hardest order for a table of flows.
const (
	longPackets = 10_000_000
	longFlows   = 200_000
)

// conversation is one flow of the long capture.
type conversation struct {
	seq  [2]uint32
	sent uint32
}

// captureMaker writes a pcap file of conversations, always the same one for
// the same numbers.
type captureMaker struct {
	w      *bufio.Writer
	random uint64
	talks  []conversation
	frame  [1600]byte
	now    uint64 // microseconds
}

// writeCapture writes a microsecond Ethernet pcap file.
func writeCapture(w io.Writer, packets, flows int) error {
	m := captureMaker{w: bufio.NewWriterSize(w, 1<<20), random: 1, talks: make([]conversation, flows), now: 1_700_000_000_000_000}
	head := []uint32{0xa1b2c3d4, 2 | 4<<16, 0, 0, 262144, 1}
	if err := binary.Write(m.w, binary.LittleEndian, head); err != nil {
		return err
	}
	for i := range packets {
		n := i // at first each conversation begins
		if i >= flows {
			n = int(m.next() % uint64(flows))
		}
		if err := m.packet(n); err != nil {
			return err
		}
	}
	return m.w.Flush()
}

// next is splitmix64 (Steele, Lea, Flood 2014).
func (m *captureMaker) next() uint64 {
	m.random += 0x9e3779b97f4a7c15
	z := m.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (m *captureMaker) packet(n int) error {
	m.now += 30
	t := &m.talks[n]
	back := t.sent&1 == 1
	size := m.frameFor(n, t, back)
	t.sent++
	var rec [16]byte
	binary.LittleEndian.PutUint32(rec[0:], uint32(m.now/1e6))
	binary.LittleEndian.PutUint32(rec[4:], uint32(m.now%1e6))
	binary.LittleEndian.PutUint32(rec[8:], uint32(size))
	binary.LittleEndian.PutUint32(rec[12:], uint32(size))
	if _, err := m.w.Write(rec[:]); err != nil {
		return err
	}
	_, err := m.w.Write(m.frame[:size])
	return err
}

// payload sizes: most packets are small, some are full; some 120 bytes on average.
func (m *captureMaker) payload() int {
	r := m.next()
	switch pick := r % 20; {
	case pick < 12:
		return int(r >> 32 % 21)
	case pick < 19:
		return 100 + int(r>>32%201)
	}
	return 1200 + int(r>>32%201)
}

// frameFor builds the next frame of a conversation: four in five TCP, one in
// twenty IPv6.
func (m *captureMaker) frameFor(n int, t *conversation, back bool) int {
	f := m.frame[:]
	copy(f, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2})
	data := m.payload()
	isTCP := n%5 != 0
	if isTCP && t.sent < 2 {
		data = 0
	}
	l4 := 8
	if isTCP {
		l4 = 20
	}
	var at int
	if n%20 == 7 {
		at = frame6(f, n, back, l4+data, isTCP)
	} else {
		at = frame4(f, n, back, l4+data, isTCP, t.sent)
	}
	m.ports(f[at:], n, back)
	if isTCP {
		tcp(f[at:], t, back, data)
	} else {
		binary.BigEndian.PutUint16(f[at+4:], uint16(8+data))
		binary.BigEndian.PutUint16(f[at+6:], 0)
	}
	return max(at+l4+data, 60)
}

var serverPorts = [...]uint16{443, 80, 53, 22, 25, 3306, 5432, 6379, 8080, 389, 445, 123}

func (m *captureMaker) ports(l4 []byte, n int, back bool) {
	client, server := uint16(32768+n%28000), serverPorts[n%len(serverPorts)]
	if back {
		client, server = server, client
	}
	binary.BigEndian.PutUint16(l4[0:], client)
	binary.BigEndian.PutUint16(l4[2:], server)
}

func frame4(f []byte, n int, back bool, length int, isTCP bool, id uint32) int {
	binary.BigEndian.PutUint16(f[12:], 0x0800)
	ip := f[14:34]
	copy(ip, []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0})
	if isTCP {
		ip[9] = 6
	}
	binary.BigEndian.PutUint16(ip[2:], uint16(20+length))
	binary.BigEndian.PutUint16(ip[4:], uint16(id))
	client, server := 10<<24|uint32(n), 192<<24|168<<16|uint32(n%250+1)
	if back {
		client, server = server, client
	}
	binary.BigEndian.PutUint32(ip[12:], client)
	binary.BigEndian.PutUint32(ip[16:], server)
	return 34
}

func frame6(f []byte, n int, back bool, length int, isTCP bool) int {
	binary.BigEndian.PutUint16(f[12:], 0x86dd)
	ip := f[14:54]
	clear(ip)
	ip[0], ip[6], ip[7] = 0x60, 17, 64
	if isTCP {
		ip[6] = 6
	}
	binary.BigEndian.PutUint16(ip[4:], uint16(length))
	client, server := ip[8:24], ip[24:40]
	if back {
		client, server = server, client
	}
	copy(client, []byte{0x20, 1, 0xd, 0xb8})
	binary.BigEndian.PutUint32(client[12:], uint32(n))
	copy(server, []byte{0x20, 1, 0xd, 0xb8, 1})
	server[15] = byte(n%250 + 1)
	return 54
}

// tcp writes a segment: SYN, SYN-ACK, then data both ways.
func tcp(f []byte, t *conversation, back bool, data int) {
	side := 0
	if back {
		side = 1
	}
	binary.BigEndian.PutUint32(f[4:], t.seq[side])
	binary.BigEndian.PutUint32(f[8:], t.seq[1-side])
	f[12], f[13] = 5<<4, 0x18
	binary.BigEndian.PutUint16(f[14:], 64240)
	binary.BigEndian.PutUint32(f[16:], 0)
	t.seq[side] += uint32(data)
	switch {
	case t.sent == 0:
		f[13] = 0x02
		t.seq[side]++
	case t.sent == 1:
		f[13] = 0x12
		t.seq[side]++
	case data == 0:
		f[13] = 0x10
	}
}
