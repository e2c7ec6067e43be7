package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// pruneEvery is how often a store that is written to is pruned.
const pruneEvery = time.Hour

// pruneWhenDue prunes once in a while; without a clock never.
func (s *Store) pruneWhenDue(ctx context.Context) error {
	if s.o.Clock == nil {
		return nil
	}
	now := s.o.Clock()
	due := false
	err := s.change(ctx, "prune", func(t *tx) error {
		var last string
		err := t.one("SELECT value FROM note WHERE key = 'pruned'", nil, &last)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		at, _ := strconv.ParseInt(last, 10, 64)
		if due = now.Sub(moment(at)).Abs() >= pruneEvery; !due {
			return nil
		}
		return t.do("INSERT INTO note(key, value) VALUES ('pruned', ?) ON CONFLICT DO UPDATE SET value = excluded.value", strconv.FormatInt(stamp(now), 10))
	})
	if err != nil || !due {
		return err
	}
	return s.Prune(ctx, now)
}

// Prune rolls up usage that has aged and forgets what is older than is kept.
func (s *Store) Prune(ctx context.Context, now time.Time) error {
	k := s.o.Keep
	for _, roll := range []struct {
		from, to int64
		age      time.Duration
	}{{minuteSpan, hourSpan, k.Minutes}, {hourSpan, daySpan, k.Hours}} {
		if err := s.rollUp(ctx, roll.from, roll.to, now.Add(-roll.age)); err != nil {
			return err
		}
	}
	return s.change(ctx, "prune", func(t *tx) error { return t.forget(k, now) })
}

// rollUp adds spans that ended before a moment up to longer ones, one of those
// in each transaction, so that others are not kept waiting.
func (s *Store) rollUp(ctx context.Context, from, to int64, before time.Time) error {
	limit := stamp(before.UTC().Truncate(time.Duration(to) * time.Second))
	for {
		more := false
		err := s.change(ctx, "prune", func(t *tx) (err error) {
			more, err = t.rollSome(from, to, limit, s.o.Keep.Clients)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
}

func (t *tx) rollSome(from, to, limit int64, clients int) (more bool, err error) {
	var oldest int64
	if err := t.one("SELECT coalesce(min(at), 0) FROM usage WHERE span = ?", []any{from}, &oldest); err != nil || oldest == 0 || oldest >= limit {
		return false, err
	}
	size := to * int64(time.Second)
	start := oldest - oldest%size
	list, err := t.spans(from, start, start+size)
	if err != nil {
		return false, err
	}
	for _, place := range byPlace(list) {
		for i := range place {
			place[i].span, place[i].at = to, start
		}
		for _, u := range fewer(summed(place), clients) {
			if err := t.addUse(&u); err != nil {
				return false, err
			}
		}
	}
	return true, t.do("DELETE FROM usage WHERE span = ? AND at >= ? AND at < ?", from, start, start+size)
}

func (t *tx) spans(span, from, to int64) ([]use, error) {
	var out []use
	err := t.each("SELECT port, proto, addr, client, clients, packets, bytes, connections FROM usage WHERE span = ? AND at >= ? AND at < ?", []any{span, from, to},
		func(scan func(...any) error) error {
			var u use
			err := scan(&u.port, &u.proto, &u.addr, &u.client, &u.clients, &u.packets, &u.bytes, &u.connections)
			out = append(out, u)
			return err
		})
	return out, err
}

// byPlace cuts a list into those of one endpoint, in the order met.
func byPlace(list []use) [][]use {
	type key struct {
		port        int64
		proto, addr string
	}
	at := map[key]int{}
	var out [][]use
	for _, u := range list {
		k := key{u.port, u.proto, u.addr}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], u)
	}
	return out
}

// forget deletes what is too old or too much.
func (t *tx) forget(k Retention, now time.Time) error {
	past := stamp(now.Add(-k.Past))
	for _, step := range []struct {
		query string
		args  []any
	}{
		{"DELETE FROM usage WHERE span = ? AND at < ?", []any{daySpan, stamp(now.Add(-k.Days))}},
		{"DELETE FROM watched WHERE stop < ?", []any{past}},
		{"DELETE FROM event WHERE at < ?", []any{past}},
		{"DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?", []any{k.Rows}},
		{"DELETE FROM life WHERE closed < ?", []any{past}},
		{"DELETE FROM life WHERE closed IS NOT NULL AND id <= (SELECT max(id) FROM life) - ?", []any{k.Rows}},
		{"DELETE FROM finding WHERE resolved < ?", []any{past}},
		{"DELETE FROM finding WHERE resolved IS NOT NULL AND id <= (SELECT max(id) FROM finding) - ?", []any{k.Rows}},
		{"DELETE FROM snapshot WHERE baseline = 0 AND taken < ?", []any{past}},
		{"DELETE FROM snapshot WHERE baseline = 0 AND id NOT IN (SELECT id FROM snapshot WHERE baseline = 0 ORDER BY taken DESC, id DESC LIMIT ?)", []any{k.Snapshots}},
	} {
		if err := t.do(step.query, step.args...); err != nil {
			return fmt.Errorf("%s: %w", step.query, err)
		}
	}
	return t.dropUnheld()
}

// dropUnheld deletes listings that no snapshot has, and rows that nothing
// names.
func (t *tx) dropUnheld() error {
	if err := t.do("DELETE FROM listing WHERE NOT EXISTS (SELECT 1 FROM snapshot WHERE listing = listing.id)"); err != nil {
		return err
	}
	return t.do(`DELETE FROM socket WHERE NOT EXISTS (SELECT 1 FROM listed WHERE listed.socket = socket.id)
		AND NOT EXISTS (SELECT 1 FROM life WHERE life.socket = socket.id)
		AND NOT EXISTS (SELECT 1 FROM event WHERE event.was = socket.id)
		AND NOT EXISTS (SELECT 1 FROM event WHERE event.became = socket.id)`)
}
