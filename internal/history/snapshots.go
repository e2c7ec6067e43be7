package history

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// SaveOptions say what a snapshot is for.
type SaveOptions struct {
	// Baseline: a person saved it. It becomes what is compared with, and is
	// never pruned.
	Baseline bool
	// Replace gives the name to the new snapshot when another has it.
	Replace bool
	// Source is who took it ("baseline", "audit", "watch"): the source of the
	// changes since the snapshot before, which are recorded with it.
	Source string
}

// SaveSnapshot keeps a snapshot, the lives that it shows, and what changed
// since the one before. A name that is "" is made of the time. The answer to a
// name that is taken is ErrNameTaken.
func (s *Store) SaveSnapshot(ctx context.Context, name string, snap *drift.Snapshot, o SaveOptions) (Snapshot, error) {
	var out Snapshot
	err := s.change(ctx, "save a snapshot in", func(t *tx) error {
		id, err := t.saveSnapshot(name, snap, o)
		if err != nil {
			return err
		}
		out, err = t.snapshotByID(id)
		return err
	})
	if err != nil {
		return Snapshot{}, err
	}
	return out, s.pruneWhenDue(ctx)
}

func (t *tx) saveSnapshot(name string, snap *drift.Snapshot, o SaveOptions) (int64, error) {
	name, err := t.freeName(name, snap.Taken, o.Replace)
	if err != nil {
		return 0, err
	}
	if err := t.changesSince(snap, cmp.Or(o.Source, "snapshot")); err != nil {
		return 0, err
	}
	ids, listing, err := t.keepListing(snap.Sockets)
	if err != nil {
		return 0, err
	}
	if err := t.seenIn(snap, ids, cmp.Or(o.Source, "snapshot")); err != nil {
		return 0, err
	}
	if o.Baseline {
		if err := t.do("UPDATE snapshot SET chosen = 0 WHERE chosen = 1"); err != nil {
			return 0, err
		}
	}
	return t.insertSnapshot(name, snap, listing, o)
}

func (t *tx) insertSnapshot(name string, snap *drift.Snapshot, listing int64, o SaveOptions) (int64, error) {
	view := snap.View
	view.Incidental = !o.Baseline
	self, err1 := json.Marshal(snap.Self)
	eyes, err2 := json.Marshal(view)
	gaps, err3 := json.Marshal(snap.Gaps)
	if err := errors.Join(err1, err2, err3); err != nil {
		return 0, err
	}
	res, err := t.run(`INSERT INTO snapshot(name, taken, host, self, view, gaps, gap_count, rows, listing, baseline, chosen, source)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		name, stamp(snap.Taken), snap.Host, string(self), string(eyes), string(gaps), len(snap.Gaps), len(snap.Sockets), listing, o.Baseline, o.Baseline, o.Source)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// nameFormat names a snapshot by its time, so that names sort as it passes.
const nameFormat = "2006-01-02T15:04:05Z"

// freeName is the name, or one by the time; a second one of the same second
// has a number.
func (t *tx) freeName(name string, taken time.Time, replace bool) (string, error) {
	if name == "" {
		base := taken.UTC().Format(nameFormat)
		name = base
		for n := 2; ; n++ {
			if taken, err := t.hasName(name); err != nil || !taken {
				return name, err
			}
			name = fmt.Sprintf("%s-%d", base, n)
		}
	}
	has, err := t.hasName(name)
	switch {
	case err != nil || !has:
		return name, err
	case !replace:
		return "", ErrNameTaken
	}
	return name, t.do("DELETE FROM snapshot WHERE name = ?", name)
}

func (t *tx) hasName(name string) (bool, error) {
	var n int
	err := t.one("SELECT count(*) FROM snapshot WHERE name = ?", []any{name}, &n)
	return n > 0, err
}

// keepListing keeps rows and their order once.
func (t *tx) keepListing(socks []exposure.Socket) (ids []int64, listing int64, err error) {
	all := sha256.New()
	for i := range socks {
		id, hash, err := t.keepSocket(&socks[i])
		if err != nil {
			return nil, 0, err
		}
		ids = append(ids, id)
		all.Write(hash[:])
	}
	sum := all.Sum(nil)
	err = t.one("SELECT id FROM listing WHERE hash = ?", []any{sum}, &listing)
	if !errors.Is(err, sql.ErrNoRows) {
		return ids, listing, err
	}
	res, err := t.run("INSERT INTO listing(hash) VALUES (?)", sum)
	if err != nil {
		return nil, 0, err
	}
	if listing, err = res.LastInsertId(); err != nil {
		return nil, 0, err
	}
	for i, id := range ids {
		if err := t.do("INSERT INTO listed(listing, position, socket) VALUES (?, ?, ?)", listing, i, id); err != nil {
			return nil, 0, err
		}
	}
	return ids, listing, nil
}

const snapshotColumns = "id, name, taken, host, view, rows, gap_count, chosen, baseline, source"

func scanSnapshot(scan func(...any) error) (s Snapshot, id int64, err error) {
	var taken int64
	var view string
	if err := scan(&id, &s.Name, &taken, &s.Host, &view, &s.Sockets, &s.Gaps, &s.Default, &s.Baseline, &s.Source); err != nil {
		return s, 0, err
	}
	s.Taken = moment(taken)
	if err := json.Unmarshal([]byte(view), &s.View); err != nil {
		return s, 0, fmt.Errorf("%w: the view of snapshot %q: %v", ErrCorrupt, s.Name, err)
	}
	return s, id, nil
}

func (t *tx) snapshotByID(id int64) (Snapshot, error) {
	var out Snapshot
	err := t.each("SELECT "+snapshotColumns+" FROM snapshot WHERE id = ?", []any{id}, func(scan func(...any) error) (err error) {
		out, _, err = scanSnapshot(scan)
		return err
	})
	return out, err
}

// Snapshots lists what is kept, oldest first.
func (s *Store) Snapshots(ctx context.Context) ([]Snapshot, error) {
	var out []Snapshot
	err := s.look(ctx, "read the snapshots of", func(t *tx) error {
		return t.each("SELECT "+snapshotColumns+" FROM snapshot ORDER BY taken, id", nil, func(scan func(...any) error) error {
			one, _, err := scanSnapshot(scan)
			out = append(out, one)
			return err
		})
	})
	return out, err
}

// Snapshot reads one snapshot: by its name, or with "" the default baseline.
// The answer is ErrNoSnapshot where there is none.
func (s *Store) Snapshot(ctx context.Context, name string) (Snapshot, *drift.Snapshot, error) {
	if name == "" {
		return s.snapshot(ctx, "chosen = 1", nil)
	}
	return s.snapshot(ctx, "name = ?", []any{name})
}

// SnapshotAt reads the last snapshot taken at or before a moment, or where
// there is none the first one after it.
func (s *Store) SnapshotAt(ctx context.Context, at time.Time) (Snapshot, *drift.Snapshot, error) {
	info, snap, err := s.snapshot(ctx, "taken <= ? ORDER BY taken DESC, id DESC LIMIT 1", []any{stamp(at)})
	if errors.Is(err, ErrNoSnapshot) {
		return s.snapshot(ctx, "taken > ? ORDER BY taken, id LIMIT 1", []any{stamp(at)})
	}
	return info, snap, err
}

func (s *Store) snapshot(ctx context.Context, where string, args []any) (info Snapshot, snap *drift.Snapshot, err error) {
	err = s.look(ctx, "read a snapshot of", func(t *tx) error {
		info, snap, err = t.readSnapshot(where, args)
		return err
	})
	return info, snap, err
}

func (t *tx) readSnapshot(where string, args []any) (info Snapshot, snap *drift.Snapshot, err error) {
	var id, listing int64
	err = t.each("SELECT "+snapshotColumns+" FROM snapshot WHERE "+where, args, func(scan func(...any) error) error {
		info, id, err = scanSnapshot(scan)
		return err
	})
	if err != nil || id == 0 {
		return info, nil, cmp.Or(err, ErrNoSnapshot)
	}
	var self, gaps string
	if err := t.one("SELECT self, gaps, listing FROM snapshot WHERE id = ?", []any{id}, &self, &gaps, &listing); err != nil {
		return info, nil, err
	}
	snap = &drift.Snapshot{View: info.View}
	snap.Taken, snap.Host = info.Taken, info.Host
	if err := errors.Join(json.Unmarshal([]byte(self), &snap.Self), json.Unmarshal([]byte(gaps), &snap.Gaps)); err != nil {
		return info, nil, fmt.Errorf("%w: snapshot %q: %v", ErrCorrupt, info.Name, err)
	}
	snap.Sockets, err = t.listed(listing)
	if err == nil && len(snap.Sockets) != info.Sockets {
		err = fmt.Errorf("%w: snapshot %q has %d rows of %d", ErrCorrupt, info.Name, len(snap.Sockets), info.Sockets)
	}
	return info, snap, err
}

func (t *tx) listed(listing int64) ([]exposure.Socket, error) {
	out := []exposure.Socket{}
	err := t.each("SELECT s.hash, s.body FROM listed l JOIN socket s ON s.id = l.socket WHERE l.listing = ? ORDER BY l.position", []any{listing},
		func(scan func(...any) error) error {
			var hash, body []byte
			if err := scan(&hash, &body); err != nil {
				return err
			}
			sock, err := readSocket(hash, body)
			if err == nil {
				out = append(out, *sock)
			}
			return err
		})
	return out, err
}

// Choose makes a snapshot the default to compare with.
func (s *Store) Choose(ctx context.Context, name string) error {
	return s.change(ctx, "choose a snapshot in", func(t *tx) error {
		if has, err := t.hasName(name); err != nil || !has {
			return cmp.Or(err, ErrNoSnapshot)
		}
		return t.do("UPDATE snapshot SET chosen = (name = ?1), baseline = max(baseline, name = ?1)", name)
	})
}

// Delete forgets a snapshot. When it was the default, the newest baseline
// that is left becomes it.
func (s *Store) Delete(ctx context.Context, name string) error {
	return s.change(ctx, "delete a snapshot of", func(t *tx) error {
		res, err := t.run("DELETE FROM snapshot WHERE name = ?", name)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, ErrNoSnapshot)
		}
		if err := t.do(`UPDATE snapshot SET chosen = 1 WHERE NOT EXISTS (SELECT 1 FROM snapshot WHERE chosen = 1)
			AND id = (SELECT id FROM snapshot WHERE baseline = 1 ORDER BY taken DESC, id DESC LIMIT 1)`); err != nil {
			return err
		}
		return t.dropUnheld()
	})
}
