package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/flowfile"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/traffic"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/capture/file"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/negotiate"
)

// flowSource reads flows of every kind of file: captures, and what package
// flowfile reads.
type flowSource struct {
	s      *streams
	format string
	book   *knowledge.Book

	gaps    []exposure.Gap
	notes   []string // what to know of the files
	sources []string
	sampled bool
}

// each gives the flows of one file.
func (r *flowSource) each(ctx context.Context, name string, give func(*exposure.Flow) error) error {
	in, err := openInput(r.s.stoppableInput(ctx), name)
	if err != nil {
		return usage("give a file of flows, a capture or a log", "read %s: %w", inputName(name), err)
	}
	defer in.Close()
	r.sources = append(r.sources, inputName(name))
	br := bufio.NewReaderSize(in, 64<<10)
	head, _ := br.Peek(4)
	if isCapture(head) {
		return r.capture(ctx, name, &input{Reader: br, close: in}, give)
	}
	return r.lines(ctx, name, br, give)
}

// isCapture knows pcap (both byte orders, micro- and nanoseconds, modified)
// and pcapng by their first bytes.
func isCapture(head []byte) bool {
	for _, magic := range []string{"\xa1\xb2\xc3\xd4", "\xd4\xc3\xb2\xa1", "\xa1\xb2\x3c\x4d", "\x4d\x3c\xb2\xa1", "\xa1\xb2\xcd\x34", "\x34\xcd\xb2\xa1", "\x0a\x0d\x0d\x0a"} {
		if bytes.Equal(head, []byte(magic)) {
			return true
		}
	}
	return false
}

func (r *flowSource) lines(ctx context.Context, name string, in io.Reader, give func(*exposure.Flow) error) error {
	o := flowfile.Options{Name: inputName(name), Format: r.format, Now: time.Now(), Zone: time.Local, Serves: func(p exposure.Proto, port uint16) bool { return port < firstDynamic && r.book.Name(p, port) != "" }}
	n := 0
	info, problems, err := flowfile.ReadWith(in, o, func(f *exposure.Flow) error {
		if n++; n&1023 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		return give(f)
	})
	for _, p := range problems[:min(len(problems), mostProblems)] {
		r.gap(name, p.String())
	}
	if rest := int(info.Unread) - mostProblems; rest > 0 {
		r.gap(name, fmt.Sprintf("%d more lines could not be read", rest))
	}
	for _, note := range info.Notes {
		r.notes = append(r.notes, inputName(name)+": "+note)
	}
	r.sampled = r.sampled || info.Limited
	switch {
	case err == nil && info.Flows == 0 && info.Lines > 0 && info.Ignored == 0:
		return usage("flows are portreeve's own JSON Lines, Zeek's conn.log, conntrack's output, nfdump's CSV, flow and firewall logs, captures", "%s: no line of it is a flow", inputName(name))
	case err != nil && info.Flows > 0 && ctx.Err() == nil:
		r.gap(name, err.Error())
		return nil
	}
	return err
}

func (r *flowSource) gap(name, why string) {
	r.gaps = append(r.gaps, exposure.Gap{View: "traffic", Why: inputName(name) + ": " + why})
}

// flowGiver hands a table's flows on.
type flowGiver struct {
	table *flow.Table
	items traffic.Items
	watch *negotiate.Watcher
	err   error
}

// Take counts packets.
func (g *flowGiver) Take(items traffic.Items) error {
	g.items = items
	for i := range items.Looked {
		if items.Begins[i] || g.watch.Control(items.Looked[i].Ports()) {
			g.watch.Packet(g.items.Packet(i), items.Captured[i].Time)
		}
	}
	g.table.AddLooked(&g.items, items.Looked)
	return g.err
}

func (r *flowSource) capture(ctx context.Context, name string, in io.ReadCloser, give func(*exposure.Flow) error) error {
	src, err := file.Open(in)
	if err != nil {
		return badCapture(name, err)
	}
	g := &flowGiver{watch: negotiate.New(negotiate.Options{})}
	g.table = flow.NewTable(flow.Options{
		MaxFlows: mostFlows, Registry: registered(r.book.Name),
		Label: func(f *flow.Flow) string {
			a, _ := g.watch.Label(f.Proto, f.Client, f.ClientPort, f.Server, f.ServerPort, f.First)
			return a.Name
		},
		Emit: func(f *flow.Flow) {
			if g.err == nil {
				seen := seenFlow(f)
				g.err = give(&seen)
			}
		},
	})
	one := &source{rings: []capture.Source{src}, name: inputName(name)}
	gaps, err := incomplete(traffic.Run(ctx, one.rings, traffic.Options{Table: g.table, Watch: g.watch, Brief: true}, g))
	if err != nil {
		return badCapture(name, err)
	}
	g.table.Finish()
	for _, gap := range gaps {
		r.gap(name, gap.Why)
	}
	if grade := flow.Judge(g.table.Quality(), one.stats()); len(grade.Because) > 0 {
		for i, why := range grade.Because {
			r.notes = append(r.notes, inputName(name)+": "+why+": "+grade.Means[i])
		}
	}
	return errors.Join(g.err, ctx.Err())
}

func badCapture(name string, err error) error {
	return usage("give a capture that tcpdump or Wireshark reads", "read %s: %w", inputName(name), err)
}

// seenFlow says what a captured flow shows.
func seenFlow(f *flow.Flow) exposure.Flow {
	out := exposure.Flow{
		Proto: exposure.ProtoByNumber(f.Proto), Client: netip.AddrFrom16(f.Client).Unmap(), ClientPort: f.ClientPort, Server: netip.AddrFrom16(f.Server).Unmap(), ServerPort: f.ServerPort,
		PacketsToServer: f.PacketsToServer, PacketsToClient: f.PacketsToClient, BytesToServer: f.BytesToServer, BytesToClient: f.BytesToClient,
		First: time.Unix(0, f.First).UTC(), Last: time.Unix(0, f.Last).UTC(), State: f.State.String(), Service: f.Label, OrientedBy: f.OrientedBy.String(),
	}
	out.Answered = flowfile.AnsweredBy(&out)
	if f.Refused > 0 && f.PacketsToClient == 0 {
		out.Answered = exposure.FlowRefused
	}
	return out
}
