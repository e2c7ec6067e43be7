package history

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// Record keeps changes as they were seen, in their order, and what they mean
// for the lives of listeners. All of them are kept, or none.
func (s *Store) Record(ctx context.Context, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	err := s.change(ctx, "record changes in", func(t *tx) error {
		for i := range events {
			if err := t.record(&events[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.pruneWhenDue(ctx)
}

func (t *tx) record(e *Event) error {
	was, err := t.maybeSocket(e.Before)
	if err != nil {
		return err
	}
	became, err := t.maybeSocket(e.After)
	if err != nil {
		return err
	}
	if twice, err := t.toldTwice(e, was, became); err != nil || twice {
		return err
	}
	args := append([]any{stamp(e.At), string(e.Kind)}, endpointArgs(e.Endpoint)...)
	if err := t.do("INSERT INTO event(at, kind, proto, addr, port, netns, device, was, became, source) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		append(args, was, became, e.Source)...); err != nil {
		return err
	}
	if e.Before != nil && was.Valid {
		if err := t.ends(e, e.Before, was.Int64); err != nil {
			return err
		}
	}
	if e.After != nil && became.Valid {
		return t.begins(e, e.After, became.Int64)
	}
	return nil
}

// sameMoment is how far the clocks and paces of two watches may be apart.
const sameMoment = 2 * time.Second

// toldTwice: another watch that writes to this file recorded the same change.
// Rows hold their sockets' inodes, so the same rows are the same sockets. What
// closed has none any more: it is the same if nothing was open that it could
// have ended. Otherwise a row without inodes tells too little.
func (t *tx) toldTwice(e *Event, was, became sql.NullInt64) (bool, error) {
	if e.Kind == drift.Closed {
		if ended, err := t.couldEnd(e); err != nil || ended {
			return false, err
		}
	} else if !hasInodes(e.Before) || !hasInodes(e.After) {
		return false, nil
	}
	var n int
	err := t.one(`SELECT count(*) FROM event WHERE port = ?3 AND proto = ?1 AND addr = ?2 AND netns = ?4 AND device = ?5
		AND at BETWEEN ?6 AND ?7 AND kind = ?8 AND was IS ?9 AND became IS ?10`,
		append(endpointArgs(e.Endpoint), stamp(e.At.Add(-sameMoment)), stamp(e.At.Add(sameMoment)), string(e.Kind), was, became), &n)
	return n > 0, err
}

// couldEnd: a life is open at the endpoint that began before this ending.
func (t *tx) couldEnd(e *Event) (bool, error) {
	var n int
	err := t.one(`SELECT count(*) FROM life WHERE port = ?3 AND proto = ?1 AND addr = ?2 AND netns = ?4 AND device = ?5
		AND closed IS NULL AND opened <= ?6`, append(endpointArgs(e.Endpoint), stamp(e.At)), &n)
	return n > 0, err
}

// hasInodes holds for no row at all too.
func hasInodes(s *exposure.Socket) bool { return s == nil || len(s.Inodes) > 0 }

// openLife is the life of an endpoint that has not ended; 0: none.
func (t *tx) openLife(ep exposure.Endpoint) (id int64, err error) {
	err = t.one(`SELECT id FROM life WHERE port = ?3 AND proto = ?1 AND addr = ?2 AND netns = ?4 AND device = ?5 AND closed IS NULL
		ORDER BY opened DESC LIMIT 1`, endpointArgs(ep), &id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

// ends closes the life of what was before. One that was never seen to open
// has at least an end.
func (t *tx) ends(e *Event, s *exposure.Socket, socket int64) error {
	id, err := t.openLife(s.Endpoint())
	if err != nil {
		return err
	}
	if id == 0 {
		if id, err = t.newLife(s.Endpoint(), socket, e.At, false, e.Source); err != nil {
			return err
		}
	}
	return t.do("UPDATE life SET closed = ?, seen = max(seen, ?), ended = ?, socket = ?, end_source = ? WHERE id = ?",
		stamp(e.At), stamp(e.At), string(e.Kind), socket, e.Source, id)
}

// begins opens a life, unless one is open: then it was found before it was
// seen to open.
func (t *tx) begins(e *Event, s *exposure.Socket, socket int64) error {
	id, err := t.openLife(s.Endpoint())
	if err != nil {
		return err
	}
	if id != 0 {
		return t.do("UPDATE life SET seen = max(seen, ?), socket = ? WHERE id = ?", stamp(e.At), socket, id)
	}
	_, err = t.newLife(s.Endpoint(), socket, e.At, Live(e.Source), e.Source)
	return err
}

// Live reports a source that sees a change at the moment it happens; others
// find it later.
func Live(source string) bool { return source == "bpf" || source == "sock_diag" }

func (t *tx) newLife(ep exposure.Endpoint, socket int64, at time.Time, exact bool, source string) (int64, error) {
	res, err := t.run(`INSERT INTO life(proto, addr, port, netns, device, socket, opened, exact, seen, closed, ended, source)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, '', ?)`,
		append(endpointArgs(ep), socket, stamp(at), exact, stamp(at), source)...)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// changesSince records what changed since the last snapshot, as far as the two
// can be compared, and as far as nobody recorded it meanwhile.
func (t *tx) changesSince(snap *drift.Snapshot, source string) error {
	_, last, err := t.readSnapshot("taken <= ? ORDER BY taken DESC, id DESC LIMIT 1", []any{stamp(snap.Taken)})
	if errors.Is(err, ErrNoSnapshot) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, ch := range drift.Compare(last, snap).Changes {
		e := &Event{Change: ch, Source: source}
		known, err := t.recorded(e, last.Taken)
		if err == nil && !known {
			err = t.record(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// recorded: the endpoint changed since then in a way that was recorded; that
// somebody finds the same by comparing is no news.
func (t *tx) recorded(e *Event, since time.Time) (bool, error) {
	var n int
	err := t.one(`SELECT count(*) FROM event WHERE port = ?3 AND proto = ?1 AND addr = ?2 AND netns = ?4 AND device = ?5 AND at > ?6`,
		append(endpointArgs(e.Endpoint), stamp(since)), &n)
	return n > 0, err
}

// seenIn notes that the listeners of a snapshot were open when it was taken.
func (t *tx) seenIn(snap *drift.Snapshot, ids []int64, source string) error {
	for i := range snap.Sockets {
		s := &snap.Sockets[i]
		if !s.IsListener() || s.Port == 0 {
			continue
		}
		id, err := t.openLife(s.Endpoint())
		if err != nil {
			return err
		}
		if id == 0 {
			_, err = t.newLife(s.Endpoint(), ids[i], snap.Taken, false, source)
		} else {
			err = t.do("UPDATE life SET seen = max(seen, ?), socket = ? WHERE id = ?", stamp(snap.Taken), ids[i], id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Events reads what changed since a moment, oldest first, at most limit of
// the newest.
func (s *Store) Events(ctx context.Context, since time.Time, limit int) ([]Event, error) {
	var out []Event
	err := s.look(ctx, "read the changes of", func(t *tx) (err error) {
		out, err = t.events("e.at >= ?", []any{stamp(since)}, limit)
		return err
	})
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out, err
}

// events are the newest first.
func (t *tx) events(where string, args []any, limit int) ([]Event, error) {
	var out []Event
	err := t.each(`SELECT e.at, e.kind, e.proto, e.addr, e.port, e.netns, e.device, e.source, w.hash, w.body, b.hash, b.body
		FROM event e LEFT JOIN socket w ON w.id = e.was LEFT JOIN socket b ON b.id = e.became
		WHERE `+where+` ORDER BY e.at DESC, e.id DESC LIMIT ?`, append(args, limit), func(scan func(...any) error) error {
		e, err := scanEvent(scan)
		out = append(out, e)
		return err
	})
	return out, err
}

func scanEvent(scan func(...any) error) (e Event, err error) {
	var at, port int64
	var kind, proto, addr, netns, device string
	var wasHash, was, becameHash, became []byte
	if err := scan(&at, &kind, &proto, &addr, &port, &netns, &device, &e.Source, &wasHash, &was, &becameHash, &became); err != nil {
		return e, err
	}
	e.At, e.Kind, e.Endpoint = moment(at), drift.Kind(kind), endpoint(proto, addr, port, netns, device)
	if wasHash != nil {
		if e.Before, err = readSocket(wasHash, was); err != nil {
			return e, err
		}
	}
	if becameHash != nil {
		e.After, err = readSocket(becameHash, became)
	}
	return e, err
}
