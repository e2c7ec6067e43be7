package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// A week of a busy host.
const (
	weekDays      = 7
	weekPorts     = 50
	weekClients   = 4
	weekListeners = 200
	weekRestarts  = 20 // a day, of each hundredth listener and of the others less
	pastRuns      = 20
)

// weekOfHistory asks the history of a week about one port.
func weekOfHistory(ctx context.Context, o options) (result, error) {
	state, err := os.MkdirTemp("", "portreeve-history")
	if err != nil {
		return result{}, err
	}
	defer func() { _ = os.RemoveAll(state) }()
	path := filepath.Join(state, "portreeve", "history.db")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return result{}, err
	}
	if err := writeWeek(ctx, path); err != nil {
		return result{}, fmt.Errorf("write a week of history: %w", err)
	}
	st, err := os.Stat(path)
	if err != nil {
		return result{}, err
	}
	var ask []time.Duration
	asked := tool{shown: "portreeve history 1000 --json", argv: []string{"env", "XDG_STATE_HOME=" + state, o.bin, "history", "1000", "--json"}}
	for range pastRuns {
		took, err := asked.time(ctx)
		if err != nil {
			return result{}, err
		}
		ask = append(ask, took)
	}
	mid := median(ask)
	g := grid{head: []string{"asked", "", "time, median of " + fmt.Sprint(pastRuns), "the file"},
		rows: [][]string{{asked.shown, "", fmt.Sprintf("%d ms", mid.Milliseconds()), memory(st.Size() >> 10)}}}
	return result{situation: fmt.Sprintf("A week: %d listeners, %s changes, %d ports used by %d clients each, in every minute. The time is that of the whole process.",
		weekListeners, thousands(weekDays*weekRestarts*weekListeners), weekPorts, weekClients), grids: []grid{g},
		goals: []reached{{fmt.Sprintf("a port's week within 100 ms: %d ms", mid.Milliseconds()), mid < 100*time.Millisecond}}}, nil
}

func writeWeek(ctx context.Context, path string) error {
	now := time.Now().UTC().Truncate(time.Minute)
	begin := now.Add(-weekDays * 24 * time.Hour)
	clock := begin
	s, err := history.Open(ctx, path, history.Options{Clock: func() time.Time { return clock }})
	if err != nil {
		return err
	}
	err = s.Record(ctx, openings(begin))
	for hour := range weekDays * 24 {
		clock = begin.Add(time.Duration(hour+1) * time.Hour)
		from := clock.Add(-time.Hour)
		err = errors.Join(err, s.Record(ctx, restarts(from, hour)), s.AddUsage(ctx, hourOfUse(from)),
			s.Watch(ctx, history.Watched{From: from, To: clock, What: history.WatchUsage, Source: "packets"}),
			s.Watch(ctx, history.Watched{From: from, To: clock, What: history.WatchListeners, Source: "bpf"}))
		if err != nil {
			break
		}
	}
	return errors.Join(err, s.Close())
}

// weekSocket is one of the week's listeners, at its nth start.
func weekSocket(i, start int) *exposure.Socket {
	return &exposure.Socket{
		Proto: exposure.TCP, State: exposure.Listen, Addr: exposure.IPAddress(netip.IPv4Unspecified()), Port: uint16(1000 + i), Scope: exposure.ScopeAny, Sockets: 1,
		Processes: []exposure.Process{{PID: 1000 + 200*start + i, Name: fmt.Sprintf("server%d", i), Exe: fmt.Sprintf("/usr/sbin/server%d", i), User: "www-data", UID: 33}},
		Unit:      fmt.Sprintf("server%d.service", i),
	}
}

func openings(at time.Time) (out []history.Event) {
	for i := range weekListeners {
		s := weekSocket(i, 0)
		out = append(out, history.Event{Source: "bpf", Change: drift.Change{Kind: drift.Opened, Endpoint: s.Endpoint(), After: s, At: at}})
	}
	return out
}

func restarts(from time.Time, hour int) (out []history.Event) {
	for i := range weekListeners * weekRestarts / 24 {
		which := (hour*7 + i) % weekListeners
		before, after := weekSocket(which, hour), weekSocket(which, hour+1)
		out = append(out, history.Event{Source: "bpf", Change: drift.Change{Kind: drift.Replaced, Endpoint: after.Endpoint(), Before: before, After: after, At: from.Add(time.Duration(i) * 15 * time.Second)}})
	}
	return out
}

func hourOfUse(from time.Time) (out []history.Minute) {
	for minute := range 60 {
		for port := range weekPorts {
			for client := range weekClients {
				out = append(out, history.Minute{At: from.Add(time.Duration(minute) * time.Minute), Endpoint: weekSocket(port, 0).Endpoint(),
					Client: netip.AddrFrom4([4]byte{10, 0, byte(port), byte(client + 1)}), Packets: 100, Bytes: 50_000, Connections: 3})
			}
		}
	}
	return out
}
