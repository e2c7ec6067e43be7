package sink

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
)

// position: everything before it is delivered.
type position struct {
	seg uint64
	off int64
}

// before reports that a record that ends there is not done.
func (p position) before(seg uint64, end int64) bool {
	return seg > p.seg || seg == p.seg && end > p.off
}

// from is where reading a segment begins.
func (p position) from(seg uint64) int64 {
	switch {
	case seg < p.seg:
		return 1 << 62
	case seg == p.seg:
		return p.off
	}
	return 0
}

// ledger is an append-only file of positions: segment (8 bytes), offset (8),
// CRC-32C (4). The last sound one counts.
type ledger struct {
	mu   sync.Mutex
	path string
	file *os.File
	size int64
	at   position
}

const (
	ledgerEntry = 20
	ledgerMost  = 64 << 10 // then it is written anew
)

func openLedger(path string) (*ledger, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the spool's ledger: %w", err)
	}
	l := &ledger{path: path, file: f}
	b := make([]byte, 2*ledgerMost)
	n, _ := f.ReadAt(b, 0)
	l.at = lastEntry(b[:n])
	l.size = int64(n - n%ledgerEntry) // a torn entry is overwritten
	return l, nil
}

func lastEntry(b []byte) (p position) {
	for i := len(b)/ledgerEntry - 1; i >= 0; i-- {
		e := b[i*ledgerEntry : (i+1)*ledgerEntry]
		off := binary.BigEndian.Uint64(e[8:])
		if entrySum(e) == binary.BigEndian.Uint32(e[16:]) && off < 1<<62 {
			return position{binary.BigEndian.Uint64(e), int64(off)}
		}
	}
	return p
}

func entrySum(e []byte) uint32 {
	return crc32.Checksum(e[:16], crc32.MakeTable(crc32.Castagnoli))
}

// set writes a new position.
func (l *ledger) set(p position) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size >= ledgerMost {
		if err := l.anew(); err != nil {
			return err
		}
	}
	if err := l.write(l.file, p, l.size); err != nil {
		return err
	}
	l.size += ledgerEntry
	l.at = p
	return nil
}

func (l *ledger) write(f *os.File, p position, at int64) error {
	e := binary.BigEndian.AppendUint64(make([]byte, 0, ledgerEntry), p.seg)
	e = binary.BigEndian.AppendUint64(e, uint64(p.off))
	e = binary.BigEndian.AppendUint32(e, entrySum(append(e, 0, 0, 0, 0)))
	if _, err := f.WriteAt(e, at); err != nil {
		return fmt.Errorf("write the spool's ledger: %w", err)
	}
	return nil
}

// anew writes the present position alone into a file that takes the place.
func (l *ledger) anew() error {
	f, err := os.OpenFile(l.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("renew the spool's ledger: %w", err)
	}
	err = l.write(f, l.at, 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(l.path+".new", l.path)
	}
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("renew the spool's ledger: %w", err)
	}
	_ = l.file.Close()
	l.file, l.size = f, ledgerEntry
	return nil
}

func (l *ledger) sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("bring the spool's ledger to the disk: %w", err)
	}
	return nil
}

func (l *ledger) close() error { return l.file.Close() }
