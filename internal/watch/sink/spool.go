package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// spool keeps notices on disk until they are delivered: numbered segments that
// are only appended to, and a ledger of what is done. One process at a time
// has it. Records are written with one write each and are then safe from the
// death of the process; sync makes them safe from that of the machine.
type spool struct {
	dir  string
	most int64 // bytes of all segments
	seg  int64 // bytes of one, about

	mu      sync.Mutex
	segs    []segment // oldest first; the last is written to
	file    *os.File  // the last segment
	ledger  *ledger
	lock    *os.File
	dirty   bool
	pending int // records that are not done
	wake    chan struct{}
}

type segment struct {
	n    uint64
	size int64 // of sound records and damage between them
}

// repairs is what opening found broken.
type repairs struct {
	Torn    int64 // bytes at the end: a notice that was being written
	Damaged int64 // bytes between sound records
}

const segmentSuffix = ".spool"

// openSpool opens or makes the folder. An error wraps ErrSpoolTaken when another
// process has it.
func openSpool(dir string, most int64) (s *spool, rep repairs, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, rep, fmt.Errorf("make the spool: %w", err)
	}
	s = &spool{dir: dir, most: most, seg: min(max(most/16, 64<<10), 4<<20), wake: make(chan struct{}, 1)}
	if s.lock, err = lockFile(filepath.Join(dir, "lock")); err != nil {
		return nil, rep, err
	}
	if err = s.load(&rep); err != nil {
		s.giveBack()
		return nil, rep, err
	}
	s.signal()
	return s, rep, nil
}

func (s *spool) giveBack() {
	if s.file != nil {
		_ = s.file.Close()
	}
	if s.ledger != nil {
		_ = s.ledger.close()
	}
	unlockFile(s.lock)
}

// load reads the ledger and counts what waits.
func (s *spool) load(rep *repairs) (err error) {
	if s.ledger, err = openLedger(filepath.Join(s.dir, "done")); err != nil {
		return err
	}
	numbers, err := s.numbers()
	if err != nil {
		return err
	}
	for i, n := range numbers {
		if err := s.loadSegment(n, i == len(numbers)-1, rep); err != nil {
			return err
		}
	}
	s.forget()
	if len(s.segs) == 0 {
		return s.begin(s.ledger.at.seg + 1)
	}
	last := s.segs[len(s.segs)-1]
	if !s.ledger.at.before(last.n, last.size+1) {
		// The machine died and kept more of the ledger than of the segment:
		// what is written there now must not be taken for delivered.
		return s.begin(max(s.ledger.at.seg, last.n) + 1)
	}
	if s.file, err = os.OpenFile(s.path(last.n), os.O_RDWR, 0o600); err != nil {
		return fmt.Errorf("open the spool: %w", err)
	}
	return nil
}

func (s *spool) loadSegment(n uint64, last bool, rep *repairs) error {
	b, err := os.ReadFile(s.path(n))
	if err != nil {
		return fmt.Errorf("read the spool: %w", err)
	}
	good, damaged := scan(b, func(_ record, end int64) {
		if s.ledger.at.before(n, end) {
			s.pending++
		}
	})
	rep.Damaged += damaged
	if tail := int64(len(b)) - good; tail > 0 {
		rep.Torn += tail
		if last {
			if err := os.Truncate(s.path(n), good); err != nil {
				return fmt.Errorf("cut a torn notice off the spool: %w", err)
			}
		}
	}
	s.segs = append(s.segs, segment{n, good})
	return nil
}

// numbers of the segments there are, in order.
func (s *spool) numbers() (out []uint64, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if n, err := strconv.ParseUint(base, 10, 64); ok && err == nil && e.Type().IsRegular() {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (s *spool) path(n uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%012d%s", n, segmentSuffix))
}

// begin starts a segment.
func (s *spool) begin(n uint64) error {
	f, err := os.OpenFile(s.path(n), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("begin a segment of the spool: %w", err)
	}
	if s.file != nil {
		_ = s.file.Sync()
		_ = s.file.Close()
	}
	s.file = f
	s.segs = append(s.segs, segment{n: n})
	return syncDir(s.dir)
}

// append writes one notice. ErrSpoolFull when there is no room; any other
// error leaves the spool as it was and may be tried again.
func (s *spool) append(id string, body []byte) error {
	b, err := appendRecord(nil, id, body)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes()+int64(len(b)) > s.most {
		return ErrSpoolFull
	}
	last := &s.segs[len(s.segs)-1]
	if last.size > 0 && last.size+int64(len(b)) > s.seg {
		if err := s.begin(last.n + 1); err != nil {
			return err
		}
		last = &s.segs[len(s.segs)-1]
	}
	if _, err := s.file.WriteAt(b, last.size); err != nil {
		// What was written of it is beyond the end: the next one overwrites
		// it, and opening cuts it off.
		_ = s.file.Truncate(last.size)
		return fmt.Errorf("write to the spool: %w", err)
	}
	last.size += int64(len(b))
	s.dirty = true
	s.pending++
	s.signal()
	return nil
}

func (s *spool) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *spool) bytes() (sum int64) {
	for _, g := range s.segs {
		sum += g.size
	}
	return sum
}

// usage is how many notices wait, and the bytes on disk.
func (s *spool) usage() (pending int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending, s.bytes()
}

// What one look reads of a segment: a little, or, behind damage or for a large
// notice, as much as a segment may have.
const (
	peekLittle = 256 << 10
	peekAll    = 4<<20 + maxRecord + recordHead
)

// peek returns up to most notices that are not done, oldest first, all of one
// segment. Damage is passed over.
func (s *spool) peek(most int) ([]record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segs {
		from := s.ledger.at.from(g.n)
		if from >= g.size {
			continue
		}
		out, err := s.read(g, from, most)
		if err != nil || len(out) > 0 {
			return out, err
		}
	}
	return nil, nil
}

func (s *spool) read(g segment, from int64, most int) (out []record, err error) {
	f, err := os.Open(s.path(g.n))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // somebody removed it: nothing to deliver
	}
	if err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	defer f.Close()
	b := make([]byte, min(g.size-from, peekLittle))
	n, err := f.ReadAt(b, from)
	for at := 0; at < n && len(out) < most; {
		r, size, ok := parseRecord(b[at:n])
		if !ok {
			break
		}
		at += size
		r.seg, r.end = g.n, from+int64(at)
		out = append(out, r)
	}
	if len(out) > 0 || n == 0 && err != nil { // shorter than it was: somebody cut it
		return out, nil
	}
	b = make([]byte, min(g.size-from, peekAll))
	n, _ = f.ReadAt(b, from)
	scan(b[:n], func(r record, end int64) {
		if len(out) < most {
			r.seg, r.end = g.n, from+end
			out = append(out, r)
		}
	})
	return out, nil
}

// done marks everything up to r as delivered, and removes segments that are
// over. n is how many notices that are.
func (s *spool) done(r *record, n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ledger.set(position{r.seg, r.end}); err != nil {
		return err
	}
	s.dirty = true
	s.pending = max(0, s.pending-n)
	last := s.segs[len(s.segs)-1]
	if s.ledger.at == (position{last.n, last.size}) && last.size > s.seg/2 {
		// Only to give space back: it is tried again with the next one.
		_ = s.begin(last.n + 1)
	}
	s.forget()
	return nil
}

// forget removes segments of which nothing is left to deliver, but never the
// one that is written to.
func (s *spool) forget() {
	for len(s.segs) > 0 {
		g := s.segs[0]
		isLast := s.file != nil && len(s.segs) == 1
		if isLast || s.ledger.at.from(g.n) < g.size {
			return
		}
		_ = os.Remove(s.path(g.n)) // what stays is found done again at the next start
		s.segs = s.segs[1:]
	}
}

// sync brings to the disk what was written since the last time.
func (s *spool) sync() error {
	s.mu.Lock()
	file, dirty := s.file, s.dirty
	s.dirty = false
	s.mu.Unlock()
	if !dirty {
		return nil
	}
	// Without the lock: others go on writing. The file may have been closed
	// for the next segment, after it was synced.
	if err := file.Sync(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("bring the spool to the disk: %w", err)
	}
	return s.ledger.sync()
}

func (s *spool) close() error {
	err := s.sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveBack()
	return err
}
