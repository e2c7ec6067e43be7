package cli

import (
	"context"
	"time"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host"
)

const (
	// observePace is how often the connection table is read while watching.
	observePace = 500 * time.Millisecond
	// maxConnections bounds what one look at the table keeps.
	maxConnections = 200_000
)

// traffic watches who uses the listeners: one look at the connection table, or
// for as long as --observe says the table and every packet. It runs before
// anything of ours is sent, so that no probe and no greeting of this audit is
// taken for a client.
func (g *gatherer) traffic(ctx context.Context) {
	if g.observe == 0 {
		from := time.Now()
		snap, gaps := g.look(ctx)
		g.in.Gaps = append(g.in.Gaps, gaps...)
		g.in.Traffic = audit.UsageOf(g.in.Self, []exposure.Snapshot{snap}, from.UTC(), time.Now().UTC())
		return
	}
	packets := g.watchPackets(ctx)
	from := time.Now()
	snaps := g.looks(ctx, from)
	to := time.Now()
	if packets != nil {
		packets.stop()
	}
	if again, err := g.snapshot(ctx); err == nil {
		g.in.Before, g.in.After = again, again
	}
	g.in.Traffic = audit.UsageOf(g.in.Self, snaps, from.UTC(), to.UTC())
	g.in.Traffic.Watched = to.Sub(from)
	g.in.Traffic.Cannot = []string{"clients that come more rarely than that"}
	if packets != nil {
		packets.tell(g)
	} else {
		g.in.Traffic.Cannot = append(g.in.Traffic.Cannot, "connections that lasted less than half a second, and clients of UDP servers")
	}
}

// looks reads the connection table until the time is over, at least once.
func (g *gatherer) looks(ctx context.Context, from time.Time) []exposure.Snapshot {
	bar := newProgress(g.s)
	defer bar.clear()
	var snaps []exposure.Snapshot
	for {
		snap, gaps := g.look(ctx)
		snaps = compact(append(snaps, snap))
		left := g.observe - time.Since(from)
		if left > 0 {
			bar.say("watching who connects: " + left.Round(time.Second).String() + " left")
		}
		if left <= 0 || !sleep(ctx, min(left, observePace)) {
			g.in.Gaps = append(g.in.Gaps, gaps...)
			return snaps
		}
	}
}

// look reads listeners and established connections of this namespace.
func (g *gatherer) look(ctx context.Context) (exposure.Snapshot, []exposure.Gap) {
	snap := exposure.Snapshot{Taken: time.Now().UTC()}
	full := false
	_, err := g.reader.Stream(ctx, host.Options{All: true, Traffic: true, NetNS: host.SelfNetNS}, func(s *exposure.Socket) error {
		switch {
		case s.State != exposure.Listen && s.State != exposure.Established:
		case len(snap.Sockets) >= maxConnections:
			full = true
		default:
			snap.Sockets = append(snap.Sockets, bare(s))
		}
		return nil
	})
	switch {
	case err != nil && ctx.Err() == nil:
		return snap, []exposure.Gap{{View: "traffic", Why: "the connection table could not be read: " + err.Error()}}
	case full:
		return snap, []exposure.Gap{{View: "traffic", Why: "more connections than are kept; clients beyond 200,000 connections were not counted"}}
	}
	return snap, nil
}

// bare keeps what the traffic view needs; the stream's slices do not outlive
// the call.
func bare(s *exposure.Socket) exposure.Socket {
	return exposure.Socket{Proto: s.Proto, State: s.State, Addr: s.Addr, Port: s.Port, PeerAddr: s.PeerAddr, PeerPort: s.PeerPort,
		Device: s.Device, NetNS: s.NetNS, SegsIn: s.SegsIn, SegsOut: s.SegsOut, LastRcv: s.LastRcv, DualStack: s.DualStack}
}

// compact merges looks whose connections are unchanged, so that watching for
// hours keeps one entry per connection, not one per look.
func compact(snaps []exposure.Snapshot) []exposure.Snapshot {
	if len(snaps) < 2 {
		return snaps
	}
	type key struct {
		addr, peer     exposure.Address
		port, peerPort uint16
		state          exposure.State
		proto          exposure.Proto
		device         string
	}
	merged := exposure.Snapshot{Taken: snaps[len(snaps)-1].Taken}
	at := map[key]int{}
	for _, snap := range snaps {
		for _, s := range snap.Sockets {
			s.LastRcv += merged.Taken.Sub(snap.Taken) // counted from the merged look's time
			k := key{s.Addr, s.PeerAddr, s.Port, s.PeerPort, s.State, s.Proto, s.Device}
			if i, ok := at[k]; ok {
				merged.Sockets[i] = s
				continue
			}
			if len(merged.Sockets) < maxConnections {
				at[k] = len(merged.Sockets)
				merged.Sockets = append(merged.Sockets, s)
			}
		}
	}
	return []exposure.Snapshot{merged}
}
