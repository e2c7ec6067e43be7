package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/traffic"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// captureSink counts the flows of one capture. What was tunnelled counts as it
// is inside, and once more as the tunnel, for whoever listens for that.
type captureSink struct {
	table, tunnels *flow.Table
	outer          wire.Decoder
	packet         wire.Packet
	items          traffic.Items // at hand
	span           watchSpan
}

// Take counts packets.
func (k *captureSink) Take(items traffic.Items) error {
	for i := range items.Captured {
		c := &items.Captured[i]
		if when := c.Time; when != 0 {
			if k.span.from == 0 {
				k.span = watchSpan{when, when}
			}
			k.span = watchSpan{min(k.span.from, when), max(k.span.to, when)}
		}
		if items.Decoded[i].Depth > 0 {
			k.outer.Decode(c.Link, c.Data, c.Wire, &k.packet)
			k.tunnels.Add(&k.packet, c.Time, c.Wire, uint32(len(c.Data)))
		}
	}
	k.items = items
	k.table.AddLooked(&k.items, items.Looked)
	return nil
}

func (e *evidence) flowOptions() flow.Options {
	o := flow.Options{Registry: registered(e.book.Name), Emit: e.use.Add}
	if e.in.HostUnknown {
		return o
	}
	own := map[netip.Addr]bool{}
	for _, a := range e.in.Addrs {
		own[a.IP.WithZone("")] = true
	}
	if len(own) > 0 {
		own[netip.AddrFrom4([4]byte{127, 0, 0, 1})], own[netip.IPv6Loopback()] = true, true
	}
	var mine []exposure.Socket
	for i := range e.in.After.Sockets {
		if e.in.After.Sockets[i].NetNS.ID == e.in.Self.ID {
			mine = append(mine, e.in.After.Sockets[i])
		}
	}
	t := new(listenTable)
	t.now.Store(newListenSet(mine, own))
	o.Listener = t.Listens
	return o
}

// readCapture joins one capture. What is wrong with it is a gap; the error is
// for one that cannot be read at all.
func (e *evidence) readCapture(ctx context.Context, l laterFile) error {
	o := e.flowOptions()
	k := &captureSink{table: flow.NewTable(o), tunnels: flow.NewTable(o), outer: wire.Decoder{Outer: true}}
	gaps, err := incomplete(traffic.Run(ctx, l.src.rings, traffic.Options{Table: k.table}, k))
	if err != nil {
		return refused(l.name, err)
	}
	k.table.Finish()
	k.tunnels.Finish()
	lost := l.src.stats()
	t := e.watch()
	grade, doubts := audit.JudgeCapture(k.table.Quality(), lost)
	t.Grade = max(t.Grade, grade)
	t.Packets += k.table.Quality().Packets
	t.Dropped += lost.Dropped + lost.IfDropped
	for _, d := range doubts {
		t.Doubts = append(t.Doubts, inputName(l.name)+": "+d)
	}
	for _, g := range gaps {
		e.doubtful(inputName(l.name) + ": " + g.Why)
	}
	e.saw(k.span, "packets of "+inputName(l.name))
	return nil
}

// watch is the traffic view, begun by the first file that has traffic.
func (e *evidence) watch() *exposure.Traffic {
	if e.in.Traffic == nil {
		e.in.Traffic = &exposure.Traffic{Cannot: []string{"clients that come more rarely than that"}}
	}
	return e.in.Traffic
}

// doubtful is a gap that forbids to conclude that nobody came.
func (e *evidence) doubtful(why string) {
	e.gap("traffic", why)
	t := e.watch()
	t.Doubts = append(t.Doubts, why)
}

func (e *evidence) saw(s watchSpan, source string) {
	e.sources = append(e.sources, source)
	if s.to != 0 {
		e.windows = append(e.windows, s)
	}
}

// flowLine is one line of portreeve traffic --by flow --json.
type flowLine struct {
	Proto           string     `json:"proto"`
	Client          netip.Addr `json:"client"`
	Server          netip.Addr `json:"server"`
	ClientPort      uint16     `json:"client_port"`
	ServerPort      uint16     `json:"server_port"`
	PacketsToServer uint64     `json:"packets_to_server"`
	PacketsToClient uint64     `json:"packets_to_client"`
	First           time.Time  `json:"first"`
	Last            time.Time  `json:"last"`
	History         string     `json:"history"`
	State           string     `json:"state"`
	Refused         uint32     `json:"refused"`
}

var errFlowEnds = errors.New("a flow needs client, server, first and last")

func (f *flowLine) flow() (*flow.Flow, error) {
	if !f.Client.IsValid() || !f.Server.IsValid() || f.First.Unix() <= 0 || f.Last.Before(f.First) {
		return nil, errFlowEnds
	}
	out := &flow.Flow{Proto: protoNumbers()[exposure.Proto(f.Proto)],
		Client: f.Client.As16(), Server: f.Server.As16(), ClientPort: f.ClientPort, ServerPort: f.ServerPort,
		PacketsToServer: f.PacketsToServer, PacketsToClient: f.PacketsToClient,
		First: f.First.UnixNano(), Last: f.Last.UnixNano(), History: f.History, Refused: f.Refused}
	for s := flow.OTH; s <= flow.SHR; s++ {
		if s.String() == f.State {
			out.State = s
		}
	}
	return out, nil
}

// readFlows joins flow lines.
func (e *evidence) readFlows(ctx context.Context, l laterFile) error {
	d := json.NewDecoder(l.in)
	var seen watchSpan
	for n := 1; ctx.Err() == nil; n++ {
		var line flowLine
		err := d.Decode(&line)
		switch {
		case err == io.EOF:
			e.saw(seen, "flows of "+inputName(l.name))
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			e.doubtful(fmt.Sprintf("%s ends inside flow %d", inputName(l.name), n))
			e.saw(seen, "flows of "+inputName(l.name))
			return nil
		}
		var f *flow.Flow
		if err == nil {
			f, err = line.flow()
		}
		if err != nil {
			return refused(l.name, fmt.Errorf("flow %d: %w", n, err))
		}
		if seen.from == 0 {
			seen = watchSpan{f.First, f.Last}
		}
		seen = watchSpan{min(seen.from, f.First), max(seen.to, f.Last)}
		e.watch()
		e.use.Add(f)
	}
	return nil
}

// trafficDocument is portreeve.traffic/1. It does not tell whose port it was
// (--by port) nor which ports answered (--by pair), so a port that it has may
// have been used, and one that it has not was not.
type trafficDocument struct {
	name    string
	First   time.Time      `json:"first"`
	Last    time.Time      `json:"last"`
	Gaps    []exposure.Gap `json:"incomplete"`
	Ports   []tablePort    `json:"ports"`
	Servers []tablePort    `json:"servers"`
	Pairs   []struct {
		Ports []string `json:"ports"`
		More  bool     `json:"more_ports"`
	} `json:"pairs"`
	Quality struct {
		Packets, Dropped uint64
		Grade            string
		Because          []string
	} `json:"quality"`
}

type tablePort struct {
	Proto exposure.Proto `json:"proto"`
	Port  uint16         `json:"port"`
}

func (e *evidence) addTable(name string, b []byte) error {
	d := trafficDocument{name: inputName(name)}
	if err := json.Unmarshal(b, &d); err != nil {
		return refused(name, fmt.Errorf("a traffic document that does not keep to its schema: %w", err))
	}
	if d.Ports == nil && d.Pairs == nil && d.Servers == nil {
		return refused(name, errors.New("a traffic document without ports, pairs or servers"))
	}
	e.note(name, kindTraffic, "a table of ports, pairs or servers")
	e.tables = append(e.tables, d)
	return nil
}

// settleTable joins one table.
func (e *evidence) settleTable(d *trafficDocument) {
	t := e.watch()
	t.Packets += d.Quality.Packets
	t.Dropped += d.Quality.Dropped
	t.Grade = max(t.Grade, d.Quality.Grade)
	if d.Quality.Dropped > 0 || d.Quality.Grade >= "C" {
		t.Doubts = append(t.Doubts, d.name+": "+strings.Join(d.Quality.Because, "; "))
	}
	for _, g := range d.Gaps {
		e.doubtful(d.name + ": " + g.Why)
	}
	for _, p := range slices.Concat(d.Ports, d.Servers) {
		e.use.Unclear(p.Proto, p.Port)
	}
	for _, p := range d.Pairs {
		if p.More {
			t.Doubts = append(t.Doubts, d.name+": it does not name all ports of a pair")
		}
		for _, text := range p.Ports {
			proto, number, _ := strings.Cut(text, "/")
			if port, err := strconv.ParseUint(number, 10, 16); err == nil {
				e.use.Unclear(exposure.Proto(proto), uint16(port))
			}
		}
	}
	e.inform("%s tells which ports were used on some host, not who used this one's; give flows (portreeve traffic --by flow --json) or the capture", d.name)
	if !d.First.IsZero() {
		e.saw(watchSpan{d.First.UnixNano(), d.Last.UnixNano()}, "the table "+d.name)
	}
}

// settleTraffic says what all captures and flows together show.
func (e *evidence) settleTraffic() {
	for i := range e.tables {
		e.settleTable(&e.tables[i])
	}
	t := e.in.Traffic
	if t == nil {
		return
	}
	t.Usage = e.use.Usage()
	t.Source = strings.Join(e.sources, " and ")
	if len(e.sources) > 3 {
		t.Source = fmt.Sprintf("%d captures and lists of flows", len(e.sources))
	}
	if len(e.windows) > 0 {
		t.Watched = max(1, watched(e.windows))
		all := e.windows[0]
		for _, s := range e.windows {
			all = watchSpan{min(all.from, s.from), max(all.to, s.to)}
		}
		t.From, t.To = time.Unix(0, all.from).UTC(), time.Unix(0, all.to).UTC()
	}
	e.doubtCensus(t)
	e.tellAddresses()
}

// doubtCensus looks for whole kinds of clients that the files cannot show.
func (e *evidence) doubtCensus(t *exposure.Traffic) {
	c := e.use.Census()
	t.Doubts = append(t.Doubts, c.Doubts()...)
	if len(e.later) == 0 {
		return
	}
	if c.Outside == 0 {
		t.Doubts = append(t.Doubts, "no packet of another host is among them, so they may come from loopback alone")
	}
	if c.Local == 0 {
		t.Cannot = append(t.Cannot, "clients on the host itself: no packet between its own addresses is among them")
	}
}

// tellAddresses says which addresses were taken for the host's, or left out.
func (e *evidence) tellAddresses() {
	if taken := e.use.Taken(); len(taken) > 0 {
		for _, a := range taken {
			e.in.Addrs = addAddress(e.in.Addrs, exposure.OwnAddress{IP: a})
		}
		e.inform("no file tells the host's addresses; servers at %s were taken for it (--host ADDR says which are)", someAddrs(taken))
		if len(taken) == 1 && e.in.Host == "" {
			e.in.Host = taken[0].String()
		}
		if len(taken) > 1 {
			e.in.Traffic.Doubts = append(e.in.Traffic.Doubts, "which of the servers' addresses are this host's is not known")
		}
	}
	if strange := e.use.Strange(); len(strange) > 0 {
		e.inform("ports of listeners were also used at %s, which may or may not be this host (--host ADDR[,ADDR] says what is)", someAddrs(strange))
	}
}

// someAddrs names a few.
func someAddrs(list []netip.Addr) string {
	var out []string
	for _, a := range list[:min(4, len(list))] {
		out = append(out, a.String())
	}
	if more := len(list) - len(out); more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return strings.Join(out, ", ")
}
