package rpcbind

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Service is one registration.
type Service struct {
	Program, Version uint32
	NetID            string // "udp", "tcp", "udp6", "tcp6", "local"
	Port             uint16 // 0 for "local"
	Owner            string // user that registered it: "superuser", a uid, "unknown"
}

// ErrMalformed: an answer that is no RPCBPROC_DUMP reply.
var ErrMalformed = errors.New("rpcbind: malformed answer")

// Bounds of an answer.
const (
	maxReply  = 1 << 20
	maxString = 1 << 10
)

// RPC numbers (RFC 5531, RFC 1833).
const (
	rpcVersion    = 2
	program       = 100000
	version       = 3
	procedureDump = 4
	messageReply  = 1
	lastFragment  = 1 << 31
)

// request writes a call with null credentials in one record.
func request(xid uint32) []byte {
	words := []uint32{xid, 0, rpcVersion, program, version, procedureDump, 0, 0, 0, 0}
	b := binary.BigEndian.AppendUint32(nil, lastFragment|uint32(4*len(words)))
	for _, w := range words {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}

// readRecord joins a record's fragments (RFC 5531, section 11).
func readRecord(r io.Reader) ([]byte, error) {
	var record []byte
	for {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil, err
		}
		mark := binary.BigEndian.Uint32(head[:])
		n := int(mark &^ lastFragment)
		if n > maxReply-len(record) || n == 0 && mark&lastFragment == 0 {
			return nil, ErrMalformed
		}
		fragment := make([]byte, n)
		if _, err := io.ReadFull(r, fragment); err != nil {
			return nil, err
		}
		record = append(record, fragment...)
		if mark&lastFragment != 0 {
			return record, nil
		}
	}
}

// decoder reads XDR (RFC 4506); after the first fault it gives zeros.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) u32() uint32 {
	if len(d.b) < 4 {
		d.bad = true
		return 0
	}
	v := binary.BigEndian.Uint32(d.b)
	d.b = d.b[4:]
	return v
}

func (d *decoder) text() string {
	n := int(d.u32())
	padded := (n + 3) &^ 3
	if d.bad || n > maxString || padded > len(d.b) {
		d.bad = true
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[padded:]
	return s
}

// decode reads a reply to request.
func decode(record []byte, xid uint32) ([]Service, error) {
	d := &decoder{b: record}
	if d.u32() != xid || d.u32() != messageReply || d.u32() != 0 || d.bad {
		return nil, fmt.Errorf("%w: the call was not accepted", ErrMalformed)
	}
	d.u32() // verifier's flavour
	_ = d.text()
	if status := d.u32(); status != 0 || d.bad {
		return nil, fmt.Errorf("%w: the call failed with status %d", ErrMalformed, status)
	}
	var out []Service
	for d.u32() == 1 && !d.bad {
		s := Service{Program: d.u32(), Version: d.u32(), NetID: d.text()}
		s.Port = portOf(d.text())
		s.Owner = d.text()
		if !d.bad {
			out = append(out, s)
		}
	}
	if d.bad {
		return nil, ErrMalformed
	}
	return out, nil
}

// portOf reads a universal address's last two numbers; 0 for anything else.
func portOf(address string) uint16 {
	parts := strings.Split(address, ".")
	if len(parts) < 3 {
		return 0
	}
	hi, errHi := strconv.ParseUint(parts[len(parts)-2], 10, 8)
	lo, errLo := strconv.ParseUint(parts[len(parts)-1], 10, 8)
	if errHi != nil || errLo != nil {
		return 0
	}
	return uint16(hi<<8 | lo)
}

// Dump asks over an open stream to the port mapper.
func Dump(rw io.ReadWriter) ([]Service, error) {
	const xid = 0x706f7274
	if _, err := rw.Write(request(xid)); err != nil {
		return nil, fmt.Errorf("rpcbind: ask: %w", err)
	}
	record, err := readRecord(rw)
	if err != nil {
		return nil, fmt.Errorf("rpcbind: read the answer: %w", err)
	}
	return decode(record, xid)
}
