package history

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// Bounds of a Story.
const (
	maxLives    = 100
	maxEvents   = 200
	maxFindings = 100
)

func sortFindings(list []FindingLife) {
	slices.SortFunc(list, func(a, b FindingLife) int { return cmp.Or(b.Opened.Compare(a.Opened), cmp.Compare(a.ID, b.ID)) })
}

// Port tells all that is known of one port since a moment (zero: ever). now
// ends the window.
func (s *Store) Port(ctx context.Context, proto exposure.Proto, port uint16, since, now time.Time) (Story, error) {
	st := Story{Proto: proto, Port: port, Since: since}
	err := s.look(ctx, "read", func(t *tx) error {
		for _, read := range []func(*tx, time.Time) error{st.readLives, st.readEvents, st.readClients, st.readFindings, st.readSnapshots} {
			if err := read(t, now); err != nil {
				return err
			}
		}
		return nil
	})
	return st, err
}

func (st *Story) place() []any { return []any{int64(st.Port), string(st.Proto), stamp(st.Since)} }

const livesOfPort = `SELECT l.proto, l.addr, l.port, l.netns, l.device, l.opened, l.exact, l.seen, coalesce(l.closed, 0), l.ended, l.source, l.end_source, s.hash, s.body
	FROM life l JOIN socket s ON s.id = l.socket WHERE l.port = ?1 AND l.proto = ?2 AND (l.closed IS NULL OR l.closed >= ?3)
	ORDER BY l.opened DESC, l.id DESC LIMIT ?4`

func (st *Story) readLives(t *tx, _ time.Time) error {
	return t.each(livesOfPort, append(st.place(), maxLives), func(scan func(...any) error) error {
		l, err := scanLife(scan)
		st.Lives = append(st.Lives, l)
		return err
	})
}

func scanLife(scan func(...any) error) (l Life, err error) {
	var proto, addr, netns, device, ended string
	var port, opened, seen, closed int64
	var hash, body []byte
	if err := scan(&proto, &addr, &port, &netns, &device, &opened, &l.Exact, &seen, &closed, &ended, &l.Source, &l.EndSource, &hash, &body); err != nil {
		return l, err
	}
	l.Endpoint, l.Ended = endpoint(proto, addr, port, netns, device), drift.Kind(ended)
	l.Opened, l.Seen, l.Closed = moment(opened), moment(seen), moment(closed)
	sock, err := readSocket(hash, body)
	if err == nil {
		l.Socket = *sock
	}
	return l, err
}

const eventsOfPort = "e.port = ?1 AND e.proto = ?2 AND e.at >= ?3"

func (st *Story) readEvents(t *tx, _ time.Time) (err error) {
	if err := t.one("SELECT count(*) FROM event e WHERE "+eventsOfPort, st.place(), &st.EventCount); err != nil {
		return err
	}
	st.Events, err = t.events(eventsOfPort, st.place(), maxEvents)
	return err
}

func (st *Story) readClients(t *tx, now time.Time) (err error) {
	byAddr := map[string]int{}
	err = t.eachClient(st.Proto, st.Port, st.Since, func(_ string, clients int, c *Client) {
		if !c.Addr.IsValid() {
			st.OtherClients = max(st.OtherClients, clients)
			return
		}
		i, ok := byAddr[c.Addr.String()]
		if !ok {
			byAddr[c.Addr.String()] = len(st.Clients)
			st.Clients = append(st.Clients, *c)
			return
		}
		st.Clients[i].merge(c)
	})
	if err != nil {
		return err
	}
	slices.SortFunc(st.Clients, func(a, b Client) int { return cmp.Or(b.Last.Compare(a.Last), a.Addr.Compare(b.Addr)) })
	st.ClientCount = len(st.Clients)
	st.Clients = st.Clients[:min(len(st.Clients), maxClients)]
	if st.Usage, err = t.coverage(WatchUsage, st.Since, now); err != nil {
		return err
	}
	st.Listeners, err = t.coverage(WatchListeners, st.Since, now)
	return err
}

func (c *Client) merge(d *Client) {
	if d.First.Before(c.First) {
		c.First = d.First
	}
	if d.Last.After(c.Last) {
		c.Last = d.Last
	}
	c.Packets, c.Bytes, c.Connections = c.Packets+d.Packets, c.Bytes+d.Bytes, c.Connections+d.Connections
}

func (st *Story) readFindings(t *tx, _ time.Time) (err error) {
	st.Findings, err = t.findings("port = ?1 AND proto = ?2 AND (resolved IS NULL OR resolved >= ?3)", st.place(), maxFindings)
	return err
}

// readSnapshots: how often somebody looked, and since when anything is known.
func (st *Story) readSnapshots(t *tx, _ time.Time) error {
	var first, last, from int64
	err := t.one("SELECT count(*), coalesce(min(taken), 0), coalesce(max(taken), 0) FROM snapshot WHERE taken >= ?", []any{stamp(st.Since)},
		&st.Snapshots, &first, &last)
	if err != nil {
		return err
	}
	st.FirstSnapshot, st.LastSnapshot = moment(first), moment(last)
	err = t.one(`SELECT coalesce(min(at), 0) FROM (SELECT min(taken) AS at FROM snapshot UNION ALL SELECT min(at) FROM event
		UNION ALL SELECT min(start) FROM watched)`, nil, &from)
	st.From = moment(from)
	return err
}
