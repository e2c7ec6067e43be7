package cli

import (
	"context"
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/watch"
)

// usageSource is how use is known: the kernel's connection table.
const usageSource = "connections in the kernel's table"

// watchUsage counts who uses which port, by the minute. Connections that begin
// and end between two looks are missed, and so is what has no connections.
type watchUsage struct {
	reader  *host.Reader
	netns   string
	every   time.Duration
	history *watchHistory
	say     func(string)
	now     map[connection]counted
	minutes map[minuteKey]*history.Minute
}

// connection is one established connection of a listener.
type connection struct {
	proto      exposure.Proto
	local      netip.AddrPort
	peer       netip.AddrPort
	netns, dev string
}

type counted struct {
	packets uint64
	look    uint64
}

type minuteKey struct {
	at     time.Time
	local  exposure.Endpoint
	client netip.Addr
}

// openUsage switches the counting on, if configured and kept.
func (w *watcher) openUsage() {
	t := w.config.Traffic
	if t == nil || w.history == nil {
		return
	}
	every := t.Every
	if every == 0 {
		every = watch.DefaultTrafficPace
	}
	netns := w.f.netns
	if netns == host.AllNetNS {
		netns = host.SelfNetNS
	}
	w.usage = &watchUsage{reader: w.reader, netns: netns, every: every, history: w.history, say: w.says.say,
		now: map[connection]counted{}, minutes: map[minuteKey]*history.Minute{}}
	w.history.usageSource, w.history.usageSince = usageSource, time.Now()
}

// follow looks at the table until ctx ends.
func (u *watchUsage) follow(ctx context.Context) {
	pace := time.NewTicker(u.every)
	defer pace.Stop()
	for look := uint64(1); ; look++ {
		if err := u.look(ctx, look); err != nil && ctx.Err() == nil {
			u.say("who uses the ports is not known: " + err.Error())
		}
		u.hand(time.Now(), false)
		select {
		case <-ctx.Done():
			u.hand(time.Now(), true)
			return
		case <-pace.C:
		}
	}
}

// listens is a place where connections may arrive.
type listens struct {
	proto exposure.Proto
	port  uint16
	netns string
}

// look counts connections whose local end is a listener's.
func (u *watchUsage) look(ctx context.Context, look uint64) error {
	open := map[listens][]exposure.Address{}
	var conns []exposure.Socket
	_, err := u.reader.Stream(ctx, host.Options{All: true, Traffic: true, NetNS: u.netns}, func(s *exposure.Socket) error {
		switch {
		case s.State == exposure.Listen:
			k := listens{s.Proto, s.Port, s.NetNS.ID}
			open[k] = append(open[k], s.Addr)
		case s.State == exposure.Established && len(conns) < maxConnections:
			conns = append(conns, bare(s))
		}
		return nil
	})
	if err != nil {
		return err
	}
	at := time.Now().UTC().Truncate(time.Minute)
	for i := range conns {
		s := &conns[i]
		if addr, ok := served(open[listens{s.Proto, s.Port, s.NetNS.ID}], s.Addr); ok {
			u.count(s, addr, at, look)
		}
	}
	for c, n := range u.now {
		if n.look != look {
			delete(u.now, c)
		}
	}
	return nil
}

// served is the bound address at which a connection arrived: its own, else the
// one for all addresses.
func served(bound []exposure.Address, local exposure.Address) (exposure.Address, bool) {
	var any exposure.Address
	for _, b := range bound {
		if b.IP.Unmap() == local.IP.Unmap() {
			return b, true
		}
		if b.IP.IsUnspecified() {
			any = b
		}
	}
	return any, any.IP.IsValid()
}

func (u *watchUsage) count(s *exposure.Socket, bound exposure.Address, at time.Time, look uint64) {
	c := connection{s.Proto, netip.AddrPortFrom(s.Addr.IP, s.Port), netip.AddrPortFrom(s.PeerAddr.IP, s.PeerPort), s.NetNS.ID, s.Device}
	packets := s.SegsIn + s.SegsOut
	old, was := u.now[c]
	u.now[c] = counted{packets, look}
	if was && packets <= old.packets {
		return // idle
	}
	k := minuteKey{at, exposure.Endpoint{Proto: s.Proto, Addr: bound, Port: s.Port}, s.PeerAddr.IP.Unmap()}
	m := u.minutes[k]
	if m == nil {
		m = &history.Minute{At: at, Endpoint: k.local, Client: k.client}
		u.minutes[k] = m
	}
	m.Packets += packets - old.packets
	if !was {
		m.Connections++
	}
}

// hand gives minutes that are over to the history.
func (u *watchUsage) hand(now time.Time, all bool) {
	var list []history.Minute
	at := now.UTC().Truncate(time.Minute)
	for k, m := range u.minutes {
		if all || k.at.Before(at) || len(u.minutes) > recordRoom {
			list = append(list, *m)
			delete(u.minutes, k)
		}
	}
	u.history.addMinutes(list)
}
