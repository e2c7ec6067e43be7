package file

import (
	"errors"
	"fmt"
	"io"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

const (
	// batchPackets bounds a batch: 64 KiB of Packet, which stays in the cache
	// of the one who works on it.
	batchPackets = 1024
	// minRead is the room below which a new buffer is begun.
	minRead = 16 << 10
	// emptyReads is after how many reads of nothing a reader counts as broken.
	emptyReads = 100
)

// framing finds packets in bytes.
type framing interface {
	// frame appends to b the packets that are complete in data, which begins
	// at offset in the file, until b is full. It returns how many bytes it is
	// done with, how many the next record needs in all as far as is known,
	// and what is wrong there: the end.
	frame(b *capture.Batch, data []byte, offset int64) (done, need int, wrong string)
	// name is the format's, for errors.
	name() string
	// damage is what was stepped over; nil where nothing was.
	damage() *capture.DamageError
}

// Source reads a capture; see Open. It implements capture.Source.
type Source struct {
	r       io.Reader
	readErr error // what ended reading; bytes read before may be left
	err     error // what ended the source
	frames  framing
	known   shared

	pool       pool
	buffer     *buffer
	start, end int   // what is read and not yet framed
	offset     int64 // of start in the file
	count      uint64
}

var _ capture.Source = (*Source)(nil)

// Next puts the next packets in b: those that are complete in what was read,
// after a read if there are none. It never gives packets and an error at once.
func (s *Source) Next(b *capture.Batch) error {
	b.Release()
	if cap(b.Packets) < batchPackets {
		b.Packets = make([]capture.Packet, 0, batchPackets)
	}
	for need := 0; s.err == nil; s.read(need) {
		need = s.frame(b)
		if len(b.Packets) > 0 {
			s.buffer.refs.Add(1)
			b.Free = s.buffer.release
			return nil
		}
		if s.err == nil && s.readErr != nil {
			s.err = s.ending()
		}
	}
	return s.err
}

// frame frames what is there and says how many bytes the next record needs.
func (s *Source) frame(b *capture.Batch) (need int) {
	if s.err != nil || s.start == s.end {
		return 0
	}
	done, need, wrong := s.frames.frame(b, s.buffer.bytes[s.start:s.end], s.offset)
	s.start += done
	s.offset += int64(done)
	s.count += uint64(len(b.Packets))
	if wrong != "" {
		s.err = s.damaged(capture.ErrDamaged, wrong, nil)
	}
	return need
}

// ending says how the capture ends when nothing more can be read and no
// complete record is left.
func (s *Source) ending() error {
	if !isEnd(s.readErr) { // a compressed file that is damaged, a disk that fails
		return s.damaged(capture.ErrDamaged, "it cannot be read further", s.readErr)
	}
	if s.readErr != io.EOF { // a compressed file that is cut off
		return s.damaged(capture.ErrCutOff, "it ends there", s.readErr)
	}
	if left := s.end - s.start; left > 0 {
		return s.damaged(capture.ErrCutOff, fmt.Sprintf("it ends there after %d bytes", left), nil)
	}
	if d := s.frames.damage(); d != nil {
		return d
	}
	return io.EOF
}

// isEnd reports the end of the input. Decompressors give ErrUnexpectedEOF for
// a file that is cut off.
func isEnd(err error) bool { return err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) }

// broken is the reader's own error.
func (s *Source) broken() error {
	return fmt.Errorf("reading a capture at byte %d: %w", s.offset+int64(s.end-s.start), s.readErr)
}

// notEOF is the reader's error unless that is the plain end.
func (s *Source) notEOF() error {
	if s.readErr == io.EOF {
		return nil
	}
	return s.readErr
}

// damaged describes the end of a capture. What was stepped over before it is
// its cause, where there is no other.
func (s *Source) damaged(kind error, detail string, cause error) error {
	e := &capture.DamageError{Kind: kind, Format: s.frames.name(), Offset: s.offset, Packet: s.count + 1, Detail: detail, Cause: cause}
	if earlier := s.frames.damage(); earlier != nil && cause == nil {
		e.Cause = earlier
	}
	return e
}

// read reads once, of what the reader has: it does not wait for more.
func (s *Source) read(need int) {
	if s.err != nil || s.readErr != nil {
		return
	}
	s.makeRoom(need)
	for range emptyReads {
		n, err := s.r.Read(s.buffer.bytes[s.end:])
		if n < 0 || n > len(s.buffer.bytes)-s.end {
			n, err = 0, errors.New("the reader returned an impossible count")
		}
		s.end += n
		s.readErr = err
		if n > 0 || err != nil {
			return
		}
	}
	s.readErr = io.ErrNoProgress
}

// makeRoom provides for a read behind the unframed bytes, in the same buffer
// while there is enough room for a worthwhile read and for the record.
func (s *Source) makeRoom(need int) {
	size, left := len(s.buffer.bytes), s.end-s.start
	switch {
	case size-s.end >= minRead && s.start+need <= size:
	case left == size:
		s.moveTo(s.pool.take(2 * size))
	case s.start == 0: // all of it is one record's beginning
	case s.buffer.only() && size == bufferSize:
		copy(s.buffer.bytes, s.buffer.bytes[s.start:s.end])
		s.start, s.end = 0, left
	case left >= bufferSize:
		s.moveTo(s.pool.take(size))
	default:
		s.moveTo(s.pool.take(bufferSize))
	}
}

func (s *Source) moveTo(b *buffer) {
	s.end = copy(b.bytes, s.buffer.bytes[s.start:s.end])
	s.start = 0
	s.buffer.release()
	s.buffer = b
}

// Interfaces are those that were described so far: in a pcap its one, in a
// pcapng more may come at any time. Interfaces of different sections that are
// described alike are one.
func (s *Source) Interfaces() []capture.Interface { return s.known.interfaces() }

// Stats are what the file itself says was lost, so far.
func (s *Source) Stats() capture.Stats { return s.known.statistics() }

// Close ends the source. It does not close the reader: that is the caller's,
// who may do so to end a read that waits.
func (s *Source) Close() error { return nil }
