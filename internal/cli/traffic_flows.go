package cli

import (
	"io"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/portreeve/portreeve/internal/traffic"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/inventory"
	"github.com/portreeve/portreeve/internal/traffic/negotiate"
)

// flowSink counts flows. A live view reads it meanwhile, hence the lock.
type flowSink struct {
	f     *trafficFlags
	book  *knowledge.Book
	watch *negotiate.Watcher

	mu          sync.Mutex
	items       traffic.Items // at hand
	table       *flow.Table
	ports       flow.Ports
	pairs       flow.Pairs
	servers     flow.Servers
	heard       *inventory.Inventory // --by server
	first, last int64
	notes       []string

	out   io.Writer // --by flow: where flows go as they leave the table
	lines report.FlowLines
	buf   []byte
	err   error
}

func newFlowSink(s *streams, f *trafficFlags, listeners *listenTable) *flowSink {
	k := &flowSink{f: f, book: knowledge.Open(), watch: negotiate.New(negotiate.Options{}), out: s.out}
	k.lines = report.FlowLines{Verbose: f.verbose, Service: k.service}
	o := flow.Options{MaxFlows: mostFlows, Registry: k.registered, Label: k.label, Emit: k.emit}
	if f.by == byServer {
		k.heard = inventory.New(inventory.Options{})
	}
	if listeners != nil {
		o.Listener = listeners.Listens
	}
	k.table = flow.NewTable(o)
	return k
}

// mostFlows bounds the flows that are kept at once: 140 MiB of them.
const mostFlows = 1 << 19

// ask has the reader do what can be done beside the counting.
func (k *flowSink) ask(o traffic.Options) traffic.Options {
	o.Table, o.Watch, o.Brief = k.table, k.watch, k.heard == nil
	return o
}

// Take counts packets.
func (k *flowSink) Take(items traffic.Items) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.items = items
	for i := range items.Looked {
		if items.Begins[i] || k.watch.Control(items.Looked[i].Ports()) {
			k.watch.Packet(k.items.Packet(i), items.Captured[i].Time)
		}
	}
	k.noteAll(items.Looked)
	if k.heard != nil {
		for i := range items.Decoded {
			k.heard.Packet(&items.Decoded[i], items.Captured[i].Time)
		}
	}
	k.table.AddLooked(&k.items, items.Looked)
	return k.err
}

// addTally counts a conversation that the kernel counted.
func (k *flowSink) addTally(c *flow.Tally) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.note(c.First)
	k.note(c.Last)
	k.table.AddTally(c)
}

// note widens the time that was seen.
func (k *flowSink) note(when int64) {
	if k.first == 0 && k.last == 0 {
		k.first, k.last = when, when
	}
	k.first, k.last = min(k.first, when), max(k.last, when)
}

func (k *flowSink) noteAll(looked []flow.Looked) {
	if len(looked) == 0 {
		return
	}
	first, last := looked[0].When(), looked[0].When()
	for i := range looked {
		when := looked[i].When()
		first, last = min(first, when), max(last, when)
	}
	k.note(first)
	k.note(last)
}

// emit takes a flow that leaves the table.
func (k *flowSink) emit(f *flow.Flow) {
	switch k.f.by {
	case byPair:
		k.pairs.Add(f)
	case byServer:
		k.servers.Add(f)
	case byFlow:
		k.print(f)
	default:
		k.ports.Add(f)
	}
}

func (k *flowSink) print(f *flow.Flow) {
	if k.f.json {
		k.buf = report.AppendFlowJSON(k.buf, f, k.service(f.Proto, f.ServerPort))
	} else {
		if k.buf == nil {
			k.buf = k.lines.AppendHead(make([]byte, 0, linePiece+lineSlack))
		}
		k.buf = k.lines.Append(k.buf, f)
	}
	if len(k.buf) >= linePiece {
		k.flush()
	}
}

func (k *flowSink) flush() {
	if k.err != nil || len(k.buf) == 0 {
		return
	}
	if _, err := k.out.Write(k.buf); err != nil {
		k.err = writeError(err)
	}
	k.buf = k.buf[:0]
}

// registered: ports above those that IANA registers are nobody's.
func (k *flowSink) registered(proto uint8, port uint16) bool {
	return port < firstDynamic && k.service(proto, port) != ""
}

// firstDynamic begins the dynamic ports (RFC 6335 6).
const firstDynamic = 49152

func (k *flowSink) service(proto uint8, port uint16) string {
	return k.book.Name(exposure.ProtoByNumber(proto), port)
}

func (k *flowSink) label(f *flow.Flow) string {
	a, ok := k.watch.Label(f.Proto, f.Client, f.ClientPort, f.Server, f.ServerPort, f.First)
	if !ok {
		return ""
	}
	return a.Name
}

// tell ends the table and prints what was asked for.
func (k *flowSink) tell(s *streams, src *source, gaps []exposure.Gap) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.table.Finish()
	if k.f.by == byFlow {
		if k.flush(); k.err != nil {
			return k.err
		}
		evidenceNote(s, k.table.Quality(), src.stats())
		return nil
	}
	t := k.document(src, gaps)
	if k.f.json {
		return report.TrafficJSON(s.out, t)
	}
	return report.TrafficText(s.out, t, s.style(k.f.verbose))
}

func (k *flowSink) document(src *source, gaps []exposure.Gap) *report.Traffic {
	t := &report.Traffic{
		Taken: time.Now().UTC(), Host: hostname(), Source: k.f.sourceName(), Quality: k.table.Quality(), Lost: src.stats(),
		Gaps: gaps, Notes: k.notes, By: k.f.by, Service: k.service,
	}
	if t.Quality.Packets > 0 {
		t.From, t.To = time.Unix(0, k.first).UTC(), time.Unix(0, k.last).UTC()
	}
	switch k.f.by {
	case byPair:
		t.Pairs, t.Rest = k.pairs.Rows(), k.pairs.Rest()
	case byServer:
		t.Servers, t.Rest, t.Heard = k.servers.Rows(), k.servers.Rest(), k.heard
	default:
		t.Ports = k.ports.Rows()
	}
	return t
}

// evidenceNote says on stderr what a stream of flows cannot say: how far it
// can be trusted.
func evidenceNote(s *streams, q flow.Quality, lost capture.Stats) {
	report.Evidence(s.err, q, lost, s.noteStyle())
}
