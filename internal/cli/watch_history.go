package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/watch"
)

// Paces and bounds of recording.
const (
	// recordPace is how long changes wait for others to be written with.
	recordPace = 250 * time.Millisecond
	// recordRoom is how many changes wait while the file cannot be written.
	recordRoom = 50_000
	// recordRetry is the pace while it cannot.
	recordRetry = 5 * time.Second
	watchedPace = time.Minute
)

// watchSource names this command's findings in the history.
const watchSource = "watch"

// watchHistory writes to the history beside the loop.
type watchHistory struct {
	store  *history.Store
	source string // of listener events
	say    func(string)

	mu       sync.Mutex
	waiting  []history.Event
	minutes  []history.Minute
	standing map[string]exposure.Finding
	changed  bool // standing differs from what is written
	lost     int
	full     bool // said that it cannot be written
	wake     chan struct{}

	since, usageSince time.Time
	usageSource       string
}

func openWatchHistory(ctx context.Context, dir string) (*watchHistory, error) {
	store, err := history.Open(ctx, filepath.Join(dir, history.FileName), history.Options{Clock: time.Now})
	if err != nil {
		return nil, err
	}
	return &watchHistory{store: store, standing: map[string]exposure.Finding{}, wake: make(chan struct{}, 1)}, nil
}

// start keeps the first listing, with what changed since the last one.
func (h *watchHistory) start(ctx context.Context, snap *exposure.Snapshot, view drift.View) error {
	h.since = time.Now()
	_, err := h.store.SaveSnapshot(ctx, "", &drift.Snapshot{Snapshot: *snap, View: view}, history.SaveOptions{Source: watchSource})
	return err
}

// put takes what is to be recorded; it never waits for the disk.
func (h *watchHistory) put(out *watch.Out) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range out.Changes {
		if len(h.waiting) >= recordRoom {
			h.lost++
			continue
		}
		h.waiting = append(h.waiting, history.Event{Change: out.Changes[i].Change, Source: out.Changes[i].Source})
	}
	for _, v := range out.Verdicts {
		key := v.Group + "/" + v.Finding.ID + "@" + v.Place.NetNS
		if v.Resolved {
			delete(h.standing, key)
		} else {
			h.standing[key] = v.Finding
		}
		h.changed = true
	}
	h.awake()
}

// awake has the writer look. It wakes nothing while nothing changes.
func (h *watchHistory) awake() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *watchHistory) addMinutes(list []history.Minute) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.minutes) < recordRoom {
		h.minutes = append(h.minutes, list...)
	}
	if len(h.minutes) > 0 {
		h.awake()
	}
}

// follow writes until ctx ends.
func (h *watchHistory) follow(ctx context.Context) {
	watched := time.NewTicker(watchedPace)
	defer watched.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-watched.C:
			h.noted(h.watched(ctx, time.Now()))
		case <-h.wake:
			if !sleep(ctx, recordPace) {
				return
			}
			h.noted(h.flush(ctx))
		}
		for h.troubled() {
			if !sleep(ctx, recordRetry) {
				return
			}
			h.noted(h.flush(ctx))
		}
	}
}

func (h *watchHistory) troubled() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.full
}

// noted says once that writing fails, and once that it works again.
func (h *watchHistory) noted(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err != nil && !h.full && !errors.Is(err, context.Canceled):
		h.full = true
		h.say("the history cannot be written; changes wait for it: " + err.Error())
	case err == nil && h.full:
		h.full = false
		text := "the history is written again"
		if h.lost > 0 {
			text += fmt.Sprintf("; %d changes were not kept", h.lost)
			h.lost = 0
		}
		h.say(text)
	}
}

// flush writes what waits; what could not be written waits on.
func (h *watchHistory) flush(ctx context.Context) error {
	h.mu.Lock()
	events, minutes, standing := h.waiting, h.minutes, h.standingList()
	h.waiting, h.minutes, h.changed = nil, nil, false
	h.mu.Unlock()
	if err := h.store.Record(ctx, events); err != nil {
		h.putBack(events, minutes, standing != nil)
		return err
	}
	if err := h.store.AddUsage(ctx, minutes); err != nil {
		h.putBack(nil, minutes, standing != nil)
		return err
	}
	if standing == nil {
		return nil
	}
	_, _, err := h.store.SetFindings(ctx, time.Now(), watchSource, standing)
	if err != nil {
		h.putBack(nil, nil, true)
	}
	return err
}

// standingList is nil when nothing changed. The lock is held.
func (h *watchHistory) standingList() []exposure.Finding {
	if !h.changed {
		return nil
	}
	out := make([]exposure.Finding, 0, len(h.standing))
	for _, f := range h.standing {
		out = append(out, f)
	}
	return out
}

func (h *watchHistory) putBack(events []history.Event, minutes []history.Minute, changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = append(events, h.waiting...)
	if over := len(h.waiting) - recordRoom; over > 0 {
		h.waiting = h.waiting[over:]
		h.lost += over
	}
	h.minutes = append(minutes, h.minutes...)
	h.minutes = h.minutes[max(0, len(h.minutes)-recordRoom):]
	h.changed = h.changed || changed
}

// watched notes the time in which nothing would have been missed.
func (h *watchHistory) watched(ctx context.Context, now time.Time) error {
	if !h.since.IsZero() {
		if err := h.store.Watch(ctx, history.Watched{From: h.since, To: now, What: history.WatchListeners, Source: h.source}); err != nil {
			return err
		}
		h.since = now
	}
	if h.usageSource == "" {
		return nil
	}
	err := h.store.Watch(ctx, history.Watched{From: h.usageSince, To: now, What: history.WatchUsage, Source: h.usageSource})
	if err == nil {
		h.usageSince = now
	}
	return err
}

// close writes what is left.
func (h *watchHistory) close(ctx context.Context) error {
	err := h.flush(ctx)
	if err == nil {
		err = h.watched(ctx, time.Now())
	}
	h.mu.Lock()
	lost := h.lost + len(h.waiting)
	h.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("%d changes are not in the history: %w", lost, err)
	}
	return errors.Join(err, h.store.Close())
}
