package traffic

import (
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// reader is one source's half of the work: selecting and decoding. Pieces
// and batches come back to it.
type reader struct {
	run     *run
	chunks  chan *chunk
	batches chan *capture.Batch
	decoder wire.Decoder
	seen    wire.Brief // the packet at hand
	judges  bool       // copies are looked for here, which are in one source
	spent   []*chunk   // on their way back; the sink's

	link    wire.LinkType
	known   bool
	matcher Matcher
}

func newReader(r *run) *reader {
	rd := &reader{run: r, judges: r.o.Table != nil && len(r.sources) == 1, chunks: make(chan *chunk, ahead), batches: make(chan *capture.Batch, ahead), decoder: wire.Decoder{Outer: r.o.Outer}}
	for range ahead {
		rd.chunks <- &chunk{from: rd}
		rd.batches <- new(capture.Batch)
	}
	return rd
}

func (rd *reader) refill() {
	for _, c := range rd.spent {
		rd.chunks <- c
	}
	rd.spent = rd.spent[:0]
}

// hand decodes a batch piece by piece. The last piece carries it, so that its
// storage is given back when all were taken.
func (rd *reader) hand(b *capture.Batch) error {
	refused := rd.pick(b)
	rest := b.Packets
	for {
		c := <-rd.chunks
		n := min(len(rest), piece)
		rd.decode(c, rest[:n])
		if rest = rest[n:]; len(rest) == 0 {
			c.batch = b
			rd.run.full <- c
			return refused
		}
		rd.run.full <- c
	}
}

// pick leaves the selected packets in the batch.
func (rd *reader) pick(b *capture.Batch) error {
	if rd.run.o.Matcher == nil {
		return nil
	}
	kept := 0
	for i := range b.Packets {
		ok, err := rd.selects(&b.Packets[i])
		if err != nil {
			b.Packets = b.Packets[:kept]
			return err
		}
		if ok {
			if kept < i {
				b.Packets[kept] = b.Packets[i]
			}
			kept++
		}
	}
	b.Packets = b.Packets[:kept]
	return nil
}

// decode fills a piece.
func (rd *reader) decode(c *chunk, packets []capture.Packet) {
	c.captured, c.n = packets, len(packets)
	for i := range packets {
		p := &packets[i]
		if !rd.brief(c, i, p) {
			rd.full(c, i, p)
		}
		if rd.judges {
			rd.run.o.Table.Judge(&c.looked[i])
		}
	}
}

// brief looks at a packet in brief where that is enough.
func (rd *reader) brief(c *chunk, i int, p *capture.Packet) bool {
	o := &rd.run.o
	if !o.Brief || o.Table == nil || p.Link != wire.LinkEthernet || p.HasVLAN {
		return false
	}
	b := &rd.seen
	if !b.Read(p.Data, p.Wire) || !o.Table.LookBrief(b, flow.Seen{When: p.Time, Wire: p.Wire, Stored: stored(p)}, &c.looked[i]) {
		return false
	}
	if o.Watch != nil {
		c.begins[i] = o.Watch.Begins(b.Payload)
	}
	return true
}

func (rd *reader) full(c *chunk, i int, p *capture.Packet) {
	w := &c.decoded[i]
	rd.decoder.Decode(p.Link, p.Data, p.Wire, w)
	if p.HasVLAN {
		w.AddVLAN(p.VLANTCI)
	}
	if t := rd.run.o.Table; t != nil {
		t.Look(w, flow.Seen{When: p.Time, Wire: p.Wire, Stored: stored(p)}, &c.looked[i])
	}
	if o := rd.run.o.Watch; o != nil {
		c.begins[i] = o.Begins(w.Payload)
	}
}

func (rd *reader) selects(p *capture.Packet) (bool, error) {
	if !rd.known || p.Link != rd.link {
		m, err := rd.run.o.Matcher(p.Link)
		if err != nil {
			return false, err
		}
		rd.link, rd.matcher, rd.known = p.Link, m, true
	}
	return rd.matcher.Match(p), nil
}

// stored is how much of a frame is there, with the tag that is in its metadata.
func stored(p *capture.Packet) uint32 {
	if p.Truncated() {
		return uint32(len(p.Data))
	}
	return max(uint32(len(p.Data)), p.Wire)
}
