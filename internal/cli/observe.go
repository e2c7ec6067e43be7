package cli

import (
	"context"
	"sync"
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

// startTraffic begins to watch who uses the listeners. The returned function
// waits for the end of the watch (at least one look) and hands it over.
func (g *gatherer) startTraffic(ctx context.Context) func(*audit.Input) {
	from := time.Now()
	var snaps []exposure.Snapshot
	var gaps []exposure.Gap
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			snap, gap := g.look(ctx)
			snaps, gaps = append(snaps, snap), gap
			if time.Since(from)+observePace > g.observe || !sleep(ctx, observePace) {
				return
			}
			snaps = compact(snaps)
		}
	})
	return func(in *audit.Input) {
		watch.Wait()
		in.Gaps = append(in.Gaps, gaps...)
		in.Traffic = audit.UsageOf(in.Self, snaps, from.UTC(), time.Now().UTC())
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
