package file

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// readable is what FormatError names.
const readable = "pcap (a1b2c3d4, nanoseconds a1b23c4d, modified a1b2cd34, Ixia 1c0001ab and 1c0001ac, both byte orders) and pcapng (0a0d0d0a)"

// Open begins to read a capture. It reads as far as the kind of file can be
// told: a pcap's header, the first twelve bytes of a pcapng. Input that is no
// capture is a *capture.FormatError (capture.ErrNotCapture), and so is none at
// all; a capture that ends even before its header does is opened, and Next
// says so. Errors of r are returned wrapped.
func Open(r io.Reader) (*Source, error) {
	s := &Source{r: r}
	s.buffer = s.pool.take(bufferSize)
	first, err := s.peek(4)
	if err != nil {
		return nil, err
	}
	switch {
	case len(first) == 0 && s.readErr != io.EOF:
		s.cutHeader("compressed capture")
		return s, nil
	case len(first) == 0 || !begins(first):
		return nil, notCapture(s.buffer.bytes[:min(s.end, 16)])
	case bytes.HasPrefix([]byte(sectionMagic), first):
		err = s.openPcapng()
	default:
		err = s.openPcap()
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// peek reads until n bytes are there or the capture ends, and gives what there
// is of them.
func (s *Source) peek(n int) ([]byte, error) {
	for s.end < n && s.readErr == nil {
		s.read(n)
	}
	if s.end < n && !isEnd(s.readErr) {
		return nil, s.broken()
	}
	return s.buffer.bytes[:min(n, s.end)], nil
}

// begins reports a capture's beginning, or a piece of it.
func begins(first []byte) bool {
	if bytes.HasPrefix([]byte(sectionMagic), first) {
		return true
	}
	for _, m := range magics() {
		if bytes.HasPrefix(binary.BigEndian.AppendUint32(nil, m.number), first) || bytes.HasPrefix(binary.LittleEndian.AppendUint32(nil, m.number), first) {
			return true
		}
	}
	return false
}

// looks names what else a file may begin with.
func looks(first []byte) string {
	for _, other := range []struct{ begins, is string }{
		{"\x1f\x8b", "gzip: decompress it first"},
		{"\x28\xb5\x2f\xfd", "zstd: decompress it first"},
		{"BZh", "bzip2: decompress it first"},
		{"\xfd7zXZ", "xz: decompress it first"},
		{"\x04\x22\x4d\x18", "lz4: decompress it first"},
		{"PK\x03\x04", "a zip archive"},
		{"snoop\x00", "a snoop capture of Solaris"},
		{"RTSS", "a Microsoft Network Monitor 1 capture"},
		{"GMBU", "a Microsoft Network Monitor 2 capture"},
		{"XCP\x00", "a NetXRay capture"},
		{"\xa1\xb2\x34\xcd", "a reserved variant of pcap"},
		{"\xcd\x34\xb2\xa1", "a reserved variant of pcap"},
		{"\x7fELF", "a program"},
		{"{", "JSON text"},
		{"<", "XML or HTML text"},
	} {
		if bytes.HasPrefix(first, []byte(other.begins)) {
			return other.is
		}
	}
	if len(first) == 0 {
		return "there are none: the input is empty"
	}
	if isText(first) {
		return fmt.Sprintf("text: %q", first)
	}
	return ""
}

func isText(first []byte) bool {
	for _, c := range first {
		if (c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}

func notCapture(first []byte) error {
	return &capture.FormatError{First: bytes.Clone(first), Looks: looks(first), Reads: readable}
}
