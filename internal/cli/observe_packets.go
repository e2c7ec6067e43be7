package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/traffic"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/capture/live"
	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// packetWatch counts who uses the listeners by the packets of every interface
// of this namespace, loopback included.
type packetWatch struct {
	items  traffic.Items // at hand
	src    *source
	use    *audit.FlowUsage
	table  *flow.Table
	cancel context.CancelFunc
	done   chan error
	err    error
	lost   capture.Stats
}

// watchPackets begins; nil, with a gap, where it cannot.
func (g *gatherer) watchPackets(ctx context.Context) *packetWatch {
	rings, err := live.Open(live.Options{Interfaces: []string{live.Any}})
	if err != nil {
		g.gap("traffic", cannotListen(err))
		return nil
	}
	w := &packetWatch{src: &source{live: true}, done: make(chan error, 1)}
	for _, r := range rings {
		w.src.rings = append(w.src.rings, r)
	}
	w.use = audit.NewFlowUsage(audit.UseOptions{Own: g.in.Addrs, AllKnown: true})
	w.use.Listen(g.in.Self, g.in.Before.Sockets)
	ctx, w.cancel = context.WithCancel(ctx)
	listeners := new(listenTable)
	listeners.look(ctx)
	go listeners.follow(ctx)
	w.table = flow.NewTable(flow.Options{Listener: listeners.Listens, Registry: registered(g.book.Name), Emit: w.use.Add})
	// What is tunnelled to this host is met again where it leaves the tunnel;
	// looking into tunnels would count it twice and the tunnel's port never.
	go func() {
		w.done <- traffic.Run(ctx, w.src.rings, traffic.Options{Outer: true, Table: w.table, Brief: true}, w)
	}()
	return w
}

func cannotListen(err error) string {
	why := "packets could not be watched, so who used the ports rests on the connection table alone"
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EPERM) {
		return why + ": that needs root or CAP_NET_RAW"
	}
	return fmt.Sprintf("%s: %v", why, err)
}

// registered is the flow table's question to the registry of ports.
func registered(name func(exposure.Proto, uint16) string) func(uint8, uint16) bool {
	return func(proto uint8, port uint16) bool {
		return port < firstDynamic && name(exposure.ProtoByNumber(proto), port) != ""
	}
}

// Take counts packets.
func (w *packetWatch) Take(items traffic.Items) error {
	w.items = items
	w.table.AddLooked(&w.items, items.Looked)
	return nil
}

// stop ends the watch, waits for what was captured before, and gives the
// packet socket back, so that the audit does not meet it.
func (w *packetWatch) stop() {
	w.cancel()
	w.err = <-w.done
	w.lost = w.src.stats()
	for _, r := range w.src.rings {
		_ = r.Close()
	}
}

// tell joins packets, listeners and connection table.
func (w *packetWatch) tell(g *gatherer) {
	w.use.Listen(g.in.Self, g.in.Before.Sockets)
	w.table.Finish()
	t := g.in.Traffic
	w.use.Connected(t.Usage)
	lost := w.lost
	t.Grade, t.Doubts = audit.JudgeCapture(w.table.Quality(), lost)
	t.Doubts = append(t.Doubts, w.use.Census().Doubts()...)
	t.Source, t.Usage = "packets seen and "+t.Source, w.use.Usage()
	t.Packets, t.Dropped = w.table.Quality().Packets, lost.Dropped+lost.IfDropped
	gaps, err := incomplete(w.err)
	if err != nil {
		gaps = append(gaps, exposure.Gap{View: "traffic", Why: "watching packets ended early: " + err.Error()})
	}
	if lost.Dropped > 0 {
		gaps = append(gaps, exposure.Gap{View: "traffic", Why: fmt.Sprintf("%d of %d packets were dropped before they could be looked at", lost.Dropped, lost.Dropped+t.Packets)})
	}
	for _, gap := range gaps {
		t.Doubts = append(t.Doubts, gap.Why)
	}
	g.in.Gaps = append(g.in.Gaps, gaps...)
}
