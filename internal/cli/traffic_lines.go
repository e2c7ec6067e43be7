package cli

import (
	"io"

	"github.com/portreeve/portreeve/internal/report"
	"github.com/portreeve/portreeve/internal/traffic"
)

// lineSink prints each packet.
type lineSink struct {
	out   io.Writer
	json  bool
	live  bool // flush after each piece: what writes may be slow
	lines report.PacketLines
	buf   []byte
}

const (
	linePiece = 128 << 10 // bytes that are written at once
	lineSlack = 4 << 10   // more than one line
)

func newLineSink(out io.Writer, f *trafficFlags, live bool) *lineSink {
	return &lineSink{out: out, json: f.json, live: live, lines: report.PacketLines{Verbose: f.verbose}, buf: make([]byte, 0, linePiece+lineSlack)}
}

func (l *lineSink) Take(items traffic.Items) error {
	for i := range items.Captured {
		c, p := &items.Captured[i], &items.Decoded[i]
		if l.json {
			l.buf = report.AppendPacketJSON(l.buf, c, p)
		} else {
			l.buf = l.lines.Append(l.buf, c, p)
		}
		if len(l.buf) < linePiece {
			continue
		}
		if err := l.flush(); err != nil {
			return err
		}
	}
	if l.live {
		return l.flush()
	}
	return nil
}

func (l *lineSink) flush() error {
	if len(l.buf) == 0 {
		return nil
	}
	_, err := l.out.Write(l.buf)
	l.buf = l.buf[:0]
	if err != nil {
		return writeError(err)
	}
	return nil
}
