package audit

import (
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// maxClients bounds how many client addresses a usage keeps; Count goes on.
const maxClients = 256

// UsageOf reads who uses which listener out of the host's own connection
// table, looked at one or more times between from and to: each snapshot holds
// established sockets beside the listeners. Packets are segments as tcp_info
// counts them, of the connections seen.
func UsageOf(self exposure.NetNS, snaps []exposure.Snapshot, from, to time.Time) *exposure.Traffic {
	t := &exposure.Traffic{From: from, To: to, Source: "connections in the kernel's table"}
	if len(snaps) == 0 {
		return t
	}
	u := usage{at: map[exposure.Endpoint]int{}, conns: map[connKey]uint64{}, seen: map[clientKey]bool{}, t: t}
	for i := range snaps {
		u.listeners(self, &snaps[i])
	}
	for i := range snaps {
		u.connections(self, &snaps[i])
	}
	return t
}

type connKey struct {
	local, peer netip.AddrPort
	proto       exposure.Proto
}

type clientKey struct {
	at     exposure.Endpoint
	client netip.Addr
}

type usage struct {
	t     *exposure.Traffic
	at    map[exposure.Endpoint]int // listener → index in t.Usage
	conns map[connKey]uint64        // segments already counted
	seen  map[clientKey]bool
}

// listeners makes an empty usage for each TCP listener: UDP servers keep no
// connections, so of them nothing is known.
func (u *usage) listeners(self exposure.NetNS, snap *exposure.Snapshot) {
	for i := range snap.Sockets {
		s := &snap.Sockets[i]
		if s.NetNS.ID != self.ID || s.State != exposure.Listen {
			continue
		}
		ep := exposure.Endpoint{Proto: s.Proto, Addr: s.Addr, Port: s.Port, Device: s.Device}
		if _, ok := u.at[ep]; !ok {
			u.at[ep] = len(u.t.Usage)
			u.t.Usage = append(u.t.Usage, exposure.Usage{Endpoint: ep})
		}
	}
}

func (u *usage) connections(self exposure.NetNS, snap *exposure.Snapshot) {
	for i := range snap.Sockets {
		s := &snap.Sockets[i]
		if s.NetNS.ID != self.ID || s.State != exposure.Established {
			continue
		}
		if to := u.listenerOf(snap, s); to != nil {
			u.count(to, s, snap.Taken)
		}
	}
}

// listenerOf finds the listener that accepted a connection: the one bound
// closest to the connection's local address.
func (u *usage) listenerOf(snap *exposure.Snapshot, conn *exposure.Socket) *exposure.Usage {
	var best *exposure.Usage
	for i := range u.t.Usage {
		l := &u.t.Usage[i]
		if l.Endpoint.Proto != conn.Proto || l.Endpoint.Port != conn.Port || !reaches(l.Endpoint.Addr.IP, true, conn.Addr.IP) {
			continue
		}
		if best == nil || best.Endpoint.Addr.IP.IsUnspecified() && (!l.Endpoint.Addr.IP.IsUnspecified() || sameBits(l, conn)) {
			best = l
		}
	}
	return best
}

func sameBits(l *exposure.Usage, conn *exposure.Socket) bool {
	return l.Endpoint.Addr.IP.Is4() == conn.Addr.IP.Is4()
}

func (u *usage) count(to *exposure.Usage, s *exposure.Socket, now time.Time) {
	peer := s.PeerAddr.IP.Unmap()
	key := connKey{netip.AddrPortFrom(s.Addr.IP, s.Port), netip.AddrPortFrom(s.PeerAddr.IP, s.PeerPort), s.Proto}
	segs := s.SegsIn + s.SegsOut
	if old := u.conns[key]; segs > old {
		to.Packets += segs - old
		u.conns[key] = segs
	}
	if last := now.Add(-s.LastRcv); last.After(to.Last) {
		to.Last = last
	}
	if u.seen[clientKey{to.Endpoint, peer}] {
		return
	}
	u.seen[clientKey{to.Endpoint, peer}] = true
	if len(to.Clients) < maxClients {
		to.Clients = append(to.Clients, peer)
	}
	to.Count++
}
