package event

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host"
)

const (
	// censusEvery is how often new namespaces are looked for.
	censusEvery = 10 * time.Second
	// censusSteady is the same for tests.
	censusSteady = 200 * time.Millisecond
	// share is the part of the time that listing may take: 1/share.
	share = 300
	// slowest bounds the stretching of the interval.
	slowest = 10 * time.Second
)

// listing knows by listing again and again.
type listing struct {
	o      Options
	reader host.Reader
	spaces map[string]*space // by namespace
	census time.Time         // when namespaces were last looked for
	known  map[uint64]Event  // what was told as opened, by inode
	// destroyed brings the cookies of ended sockets (SourceDestroy); nil
	// without.
	destroyed chan destroyed
	cookies   map[uint64]uint64 // inodes of known, by cookie
	past      recent            // cookies of those told as closed
	drops     counter
	label     string
}

func newListing(o Options, label string) *listing {
	return &listing{o: o, label: label, spaces: map[string]*space{}, known: map[uint64]Event{}, cookies: map[uint64]uint64{}}
}

func openListing(ctx context.Context, o Options) (source, []exposure.Gap, error) {
	l := newListing(o, SourceListing)
	gaps, err := l.start(ctx)
	if err != nil {
		return nil, nil, err
	}
	return l, append(gaps, gap("listeners are known by listing every %v: one that lives shorter may not be seen", o.Interval)), nil
}

// start enters the namespaces and takes note of what is there already.
func (l *listing) start(ctx context.Context) ([]exposure.Gap, error) {
	unseen, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	var gaps []exposure.Gap
	if unseen > 0 {
		gaps = append(gaps, gap("network namespaces of %d process(es) are not followed: needs CAP_SYS_PTRACE and CAP_SYS_ADMIN (run as root)", unseen))
	}
	gaps = append(gaps, l.refused()...)
	err = l.look(ctx, func(Event) error { return nil })
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return gaps, nil
}

// refused says which namespaces could not be entered, all in one.
func (l *listing) refused() []exposure.Gap {
	var ids []string
	var reason error
	for id, s := range l.spaces {
		if s.refusal != nil {
			ids, reason = append(ids, id), s.refusal
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	if errors.Is(reason, os.ErrPermission) {
		reason = fmt.Errorf("needs CAP_SYS_ADMIN (run as root): %w", reason)
	}
	return []exposure.Gap{gap("%d network namespace(s) are not followed (%s): %v", len(ids), strings.Join(ids[:min(len(ids), 5)], ", "), reason)}
}

// enter opens the namespaces that are not open yet and closes those that
// nothing else keeps: an open netlink socket alone keeps a namespace alive.
func (l *listing) enter(ctx context.Context) (unseen int, err error) {
	found, unseen, err := l.reader.Spaces(ctx, l.o.NetNS)
	if errors.Is(err, host.ErrNoNamespace) && !l.census.IsZero() {
		found, err = nil, nil // it has ended, and its listeners with it
	}
	if err != nil {
		return 0, fmt.Errorf("find network namespaces: %w", err)
	}
	l.census = time.Now()
	if l.o.NetNS != "" && l.o.NetNS != host.AllNetNS && len(found) > 0 {
		l.o.NetNS = found[0].ID // it may lose its name
	}
	ids := map[string]bool{}
	for _, f := range found {
		ids[f.ID] = true
		if l.spaces[f.ID] == nil {
			l.spaces[f.ID] = l.dial(f)
		}
	}
	for id, s := range l.spaces {
		if !ids[id] {
			s.close()
			delete(l.spaces, id)
		}
	}
	return unseen, nil
}

func (l *listing) name() string { return l.label }
func (l *listing) lost() uint64 { return l.drops.load() }

func (l *listing) capabilities() []string {
	return []string{"CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"}
}

func (l *listing) close() error {
	for id, s := range l.spaces {
		s.close()
		delete(l.spaces, id)
	}
	return nil
}

func (l *listing) run(ctx context.Context, fn func(Event) error) error {
	timer := time.NewTimer(l.o.Interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case d := <-l.destroyed:
			if err := l.ended(d, fn); err != nil {
				return err
			}
		case <-timer.C:
			took, err := l.tick(ctx, fn)
			if err != nil {
				return err
			}
			timer.Reset(l.pause(took))
		}
	}
}

// pause is the time to the next listing.
func (l *listing) pause(took time.Duration) time.Duration {
	if l.o.steady {
		return l.o.Interval
	}
	return min(max(l.o.Interval, took*share), max(slowest, l.o.Interval))
}

// tick lists once. The time that it took is that of the plain listing: what
// is done about changes is no idle cost.
func (l *listing) tick(ctx context.Context, fn func(Event) error) (time.Duration, error) {
	if since := time.Since(l.census); since > censusEvery || l.o.steady && since > censusSteady {
		if _, err := l.enter(ctx); err != nil {
			return 0, err
		}
	}
	begun := time.Now()
	opened := l.list(ctx)
	took := time.Since(begun)
	if err := ctx.Err(); err != nil {
		return took, err
	}
	return took, l.tell(ctx, opened, fn)
}

func (l *listing) look(ctx context.Context, fn func(Event) error) error {
	_, err := l.tick(ctx, fn)
	return err
}

// list reads every namespace and returns the sockets that are there now.
func (l *listing) list(ctx context.Context) map[uint64]entry {
	now := map[uint64]entry{}
	for _, s := range l.spaces {
		s.list(ctx, now)
	}
	return now
}

// tell compares what is there with what was told. Closing comes first: the
// socket that took over an endpoint is told after the one that left it.
func (l *listing) tell(ctx context.Context, now map[uint64]entry, fn func(Event) error) error {
	var gone, fresh []uint64
	for inode := range l.known {
		if _, ok := now[inode]; !ok {
			gone = append(gone, inode)
		}
	}
	for inode := range now {
		if _, ok := l.known[inode]; !ok {
			fresh = append(fresh, inode)
		}
	}
	slices.Sort(gone)
	slices.Sort(fresh)
	for _, inode := range gone {
		if err := l.closed(inode, fn); err != nil {
			return err
		}
	}
	return l.opened(ctx, now, fresh, fn)
}

func (l *listing) closed(inode uint64, fn func(Event) error) error {
	e := l.known[inode]
	delete(l.known, inode)
	delete(l.cookies, e.Cookie)
	l.past.add(e.Cookie)
	e.Kind, e.At, e.Source = Closed, time.Now().UTC(), l.label
	return fn(e)
}

// opened tells of new sockets with their owners, which one listing by
// internal/host finds for all of them.
func (l *listing) opened(ctx context.Context, now map[uint64]entry, fresh []uint64, fn func(Event) error) error {
	if len(fresh) == 0 {
		return nil
	}
	rows, err := l.rows(ctx)
	if err != nil {
		return err
	}
	for _, inode := range fresh {
		n := now[inode]
		e := Event{Kind: Opened, At: time.Now().UTC(), Source: l.label, Cookie: n.cookie, Socket: n.socket}
		row, ok := rows[inode]
		switch {
		case ok:
			e.Socket = row
			e.Socket.Sockets, e.Socket.Inodes = 1, []uint64{inode}
		case n.doubtful:
			continue // the listing took it for a client's
		default:
			e.Socket.OwnerUnknown = "it ended before its holder could be looked up"
		}
		l.known[inode], l.cookies[e.Cookie] = e, inode
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) rows(ctx context.Context) (map[uint64]exposure.Socket, error) {
	snapshot, err := l.reader.Snapshot(ctx, host.Options{NetNS: l.o.NetNS})
	if errors.Is(err, host.ErrNoNamespace) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rows := map[uint64]exposure.Socket{}
	for i := range snapshot.Sockets {
		for _, inode := range snapshot.Sockets[i].Inodes {
			rows[inode] = snapshot.Sockets[i]
		}
	}
	return rows, nil
}
