package history

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

const minuteSpan, hourSpan, daySpan = 60, 3600, 86400

// others is the client that stands for those that were too many.
const others = ""

// AddUsage adds what clients did. Several entries of one minute add up; of
// more clients than Retention.Clients at one endpoint in one minute, those
// that did least are kept as a number.
func (s *Store) AddUsage(ctx context.Context, minutes []Minute) error {
	if len(minutes) == 0 {
		return nil
	}
	entries := s.folded(minutes)
	err := s.change(ctx, "add usage to", func(t *tx) error {
		for i := range entries {
			if err := t.addUse(&entries[i]); err != nil {
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

// use is one row of the table usage.
type use struct {
	port                                 int64
	proto, addr                          string
	span, at                             int64
	client                               string
	clients, packets, bytes, connections int64
}

// folded makes rows of minutes, with no more clients than are kept.
func (s *Store) folded(minutes []Minute) []use {
	type key struct {
		port        int64
		proto, addr string
		at          int64
	}
	byPlace := map[key][]use{}
	var order []key
	for _, m := range minutes {
		u := useOf(m)
		k := key{u.port, u.proto, u.addr, u.at}
		if byPlace[k] == nil {
			order = append(order, k)
		}
		byPlace[k] = append(byPlace[k], u)
	}
	var out []use
	for _, k := range order {
		out = append(out, fewer(summed(byPlace[k]), s.o.Keep.Clients)...)
	}
	return out
}

func useOf(m Minute) use {
	client := others
	if m.Client.IsValid() {
		client = m.Client.Unmap().String()
	}
	return use{port: int64(m.Endpoint.Port), proto: string(m.Endpoint.Proto), addr: m.Endpoint.Addr.String(), span: minuteSpan,
		at: stamp(m.At.UTC().Truncate(time.Minute)), client: client, clients: 1,
		packets: int64(m.Packets), bytes: int64(m.Bytes), connections: int64(m.Connections)}
}

// summed has one entry a client.
func summed(list []use) []use {
	at := map[string]int{}
	var out []use
	for _, u := range list {
		i, ok := at[u.client]
		if !ok {
			at[u.client] = len(out)
			out = append(out, u)
			continue
		}
		out[i].add(&u)
	}
	return out
}

func (u *use) add(v *use) {
	u.packets, u.bytes, u.connections = u.packets+v.packets, u.bytes+v.bytes, u.connections+v.connections
}

// fewer keeps the clients that did most, and the others as one entry.
func fewer(list []use, most int) []use {
	if len(list) <= most {
		return list
	}
	slices.SortStableFunc(list, func(a, b use) int {
		return cmp.Or(cmp.Compare(b.packets, a.packets), cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.client, b.client))
	})
	rest := list[most]
	rest.client = others
	for i := range list[most+1:] {
		rest.add(&list[most+1+i])
		rest.clients += list[most+1+i].clients
	}
	return append(list[:most:most], rest)
}

const addUse = `INSERT INTO usage(port, proto, addr, span, at, client, clients, packets, bytes, connections)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT DO UPDATE SET packets = packets + excluded.packets, bytes = bytes + excluded.bytes,
		connections = connections + excluded.connections, clients = max(clients, excluded.clients)`

func (t *tx) addUse(u *use) error {
	return t.do(addUse, u.port, u.proto, u.addr, u.span, u.at, u.client, u.clients, u.packets, u.bytes, u.connections)
}

// Watch notes a span in which every use, or every listener, would have been
// seen. Spans that touch become one.
func (s *Store) Watch(ctx context.Context, w Watched) error {
	if !w.From.Before(w.To) {
		return nil
	}
	return s.change(ctx, "note the time watched in", func(t *tx) error {
		res, err := t.run(`UPDATE watched SET stop = max(stop, ?4) WHERE id = (SELECT id FROM watched WHERE what = ?1 AND source = ?2
			AND stop >= ?3 AND start <= ?4 ORDER BY stop DESC LIMIT 1) AND start <= ?3`, w.What, w.Source, stamp(w.From), stamp(w.To))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return t.do("INSERT INTO watched(what, source, start, stop) VALUES (?, ?, ?, ?)", w.What, w.Source, stamp(w.From), stamp(w.To))
	})
}

// coverage joins the spans of a window.
func (t *tx) coverage(what string, since, until time.Time) (Coverage, error) {
	var c Coverage
	var end int64
	err := t.each("SELECT source, max(start, ?2), min(stop, ?3) FROM watched WHERE what = ?1 AND stop > ?2 AND start < ?3 ORDER BY 2", []any{what, stamp(since), stamp(until)},
		func(scan func(...any) error) error {
			var source string
			var from, to int64
			if err := scan(&source, &from, &to); err != nil {
				return err
			}
			if !slices.Contains(c.Sources, source) {
				c.Sources = append(c.Sources, source)
			}
			if c.From.IsZero() {
				c.From, end = moment(from), from
			}
			if to > end {
				c.Watched += time.Duration(to - max(from, end))
				end = to
			}
			return nil
		})
	if end != 0 {
		c.To = moment(end)
	}
	return c, err
}

// maxClients bounds how many clients are named.
const maxClients = 256

// LastUse says who used endpoints since a moment, until now, and how much of
// that time was watched. An endpoint that is bound to all addresses has the use
// of every address, and one of an address what was counted for all.
func (s *Store) LastUse(ctx context.Context, endpoints []exposure.Endpoint, since, now time.Time) ([]Use, Coverage, error) {
	var out []Use
	var cover Coverage
	err := s.look(ctx, "read the usage of", func(t *tx) (err error) {
		if cover, err = t.coverage(WatchUsage, since, now); err != nil {
			return err
		}
		for _, ep := range endpoints {
			u, err := t.useOf(ep, since)
			if err != nil {
				return err
			}
			out = append(out, u)
		}
		return nil
	})
	return out, cover, err
}

// usageSince reads one port's clients; spans that end after since count.
const usageSince = `SELECT addr, client, max(clients), min(at), max(at), max(span), sum(packets), sum(bytes), sum(connections) FROM usage
	WHERE port = ? AND proto = ? AND at > ? - 86400000000000 AND at + span * 1000000000 > ? GROUP BY addr, client`

func (t *tx) useOf(ep exposure.Endpoint, since time.Time) (Use, error) {
	u := Use{Endpoint: ep}
	err := t.eachClient(ep.Proto, ep.Port, since, func(addr string, clients int, c *Client) {
		if !overlaps(ep.Addr, exposure.ParseAddress(addr)) {
			return
		}
		u.Packets += c.Packets
		if c.Last.After(u.Last) {
			u.Last = c.Last
		}
		switch {
		case !c.Addr.IsValid():
			u.AtLeast = true
			u.Count = max(u.Count, clients)
		case !slices.Contains(u.Clients, c.Addr):
			u.Count++
			if len(u.Clients) < maxClients {
				u.Clients = append(u.Clients, c.Addr)
			}
		}
	})
	return u, err
}

// overlaps: a packet may reach both.
func overlaps(a, b exposure.Address) bool {
	wild := func(x exposure.Address) bool { return !x.IP.IsValid() || x.IP.IsUnspecified() }
	return wild(a) || wild(b) || a.IP.Unmap().WithZone("") == b.IP.Unmap().WithZone("")
}

func (t *tx) eachClient(proto exposure.Proto, port uint16, since time.Time, yield func(addr string, clients int, c *Client)) error {
	return t.each(usageSince, []any{int64(port), string(proto), stamp(since), stamp(since)}, func(scan func(...any) error) error {
		var addr, client string
		var clients int
		var first, last, span, packets, bytes, connections int64
		if err := scan(&addr, &client, &clients, &first, &last, &span, &packets, &bytes, &connections); err != nil {
			return err
		}
		c := Client{First: moment(first), Last: moment(last), Packets: uint64(packets), Bytes: uint64(bytes), Connections: uint64(connections)}
		if client != others {
			ip, err := netip.ParseAddr(client)
			if err != nil {
				return err
			}
			c.Addr = ip
		}
		yield(addr, clients, &c)
		return nil
	})
}
