package inventory

import (
	"bytes"
	"container/list"
	"iter"
	"net/netip"
	"strings"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Host is what an address said of itself.
type Host struct {
	Addr [16]byte // IPv4 as ::ffff:a.b.c.d
	// MAC holds with HasMAC: of DHCP, or of packets that no router forwards.
	MAC    [6]byte
	HasMAC bool
	// DHCPName, MDNSName and NetBIOSName are names by where they were heard:
	// valid UTF-8, at most 160 bytes, not escaped.
	DHCPName, MDNSName, NetBIOSName string
	First, Last                     int64 // Unix nanoseconds
}

// hosts are the hosts, and names that wait for their address.
type hosts struct {
	max    int
	byAddr map[[16]byte]*Host
	order  [][16]byte
	leases map[[6]byte]*list.Element // what a DHCP client called itself
	queue  list.List
}

// lease is a DHCP client's name.
type lease struct {
	mac  [6]byte
	name string
}

// maxLeases is how many DHCP clients' names wait for an address.
const maxLeases = 1024

func newHosts(limit int) hosts {
	return hosts{max: limit, byAddr: map[[16]byte]*Host{}, leases: map[[6]byte]*list.Element{}}
}

// tellsNames reports the ports of DHCP, NetBIOS, SSDP, mDNS and LLMNR.
func tellsNames(port uint16) bool {
	return port == 5353 || port == 67 || port == 68 || port == 137 || port == 1900 || port == 5355
}

// hear reads what hosts say of themselves.
func (i *Inventory) hear(p *wire.Packet, when int64) {
	if p.HasMAC && p.Depth == 0 && staysLocal(p.Dst) {
		if h := i.host(p.Src, when); h != nil {
			h.MAC, h.HasMAC = p.SrcMAC, true
		}
	}
	switch p.DstPort {
	case 5353:
		i.mdns(p, when)
	case 67:
		i.dhcpAsks(p.Payload)
	case 68:
		i.dhcpTells(p.Payload, when)
	case 137:
		i.netbios(p, when)
	}
}

// staysLocal reports addresses to which no router forwards: link-local
// multicast (RFC 5771 section 4, RFC 4291 section 2.7) and broadcast.
func staysLocal(a [16]byte) bool {
	addr := netip.AddrFrom16(a).Unmap()
	return addr.IsLinkLocalMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// host finds or makes a host; nil for what is none, and where there is no
// room.
func (i *Inventory) host(a [16]byte, when int64) *Host {
	h := i.hosts.byAddr[a]
	switch addr := netip.AddrFrom16(a).Unmap(); {
	case h != nil:
		h.Last = max(h.Last, when)
		return h
	case addr.IsUnspecified() || isGroup(a):
		return nil
	case len(i.hosts.order) >= i.hosts.max:
		i.stats.Hosts++
		return nil
	}
	h = &Host{Addr: a, First: when, Last: when}
	i.hosts.byAddr[a] = h
	i.hosts.order = append(i.hosts.order, a)
	return h
}

// Hosts are all hosts that told something of themselves, in the order in which
// they were first seen.
func (i *Inventory) Hosts() iter.Seq[Host] {
	return func(yield func(Host) bool) {
		for _, a := range i.hosts.order {
			if !yield(*i.hosts.byAddr[a]) {
				return
			}
		}
	}
}

// Host tells what an address said of itself.
func (i *Inventory) Host(addr [16]byte) (Host, bool) {
	if h := i.hosts.byAddr[addr]; h != nil {
		return *h, true
	}
	return Host{}, false
}

// isDHCP reports a BOOTP message with DHCP's cookie: RFC 2131 section 2.
func isDHCP(b []byte) bool {
	return len(b) >= 240 && (b[0] == 1 || b[0] == 2) && string(b[236:240]) == "\x63\x82\x53\x63"
}

// dhcpOption finds an option: RFC 2132 section 2.
func dhcpOption(b []byte, code byte) []byte {
	if !isDHCP(b) {
		return nil
	}
	for b = b[240:]; len(b) >= 2 && b[0] != 255; {
		if b[0] == 0 {
			b = b[1:]
			continue
		}
		n := int(b[1])
		if len(b) < 2+n {
			return nil
		}
		if b[0] == code {
			return b[2 : 2+n]
		}
		b = b[2+n:]
	}
	return nil
}

// dhcpAsks keeps what a client calls itself.
func (i *Inventory) dhcpAsks(b []byte) {
	const hostName = 12
	name := dhcpOption(b, hostName)
	if len(name) == 0 || b[0] != 1 || b[1] != 1 || b[2] != 6 {
		return
	}
	i.hosts.called([6]byte(b[28:34]), clean(string(bytes.TrimRight(name, "\x00"))))
}

func (h *hosts) called(mac [6]byte, name string) {
	if e := h.leases[mac]; e != nil {
		e.Value.(*lease).name = name
		h.queue.MoveToBack(e)
		return
	}
	for len(h.leases) >= maxLeases {
		old := h.queue.Front()
		delete(h.leases, old.Value.(*lease).mac)
		h.queue.Remove(old)
	}
	h.leases[mac] = h.queue.PushBack(&lease{mac, name})
}

// dhcpTells notes the address that a server acknowledges.
func (i *Inventory) dhcpTells(b []byte, when int64) {
	const messageType, acknowledge = 53, 5
	kind := dhcpOption(b, messageType)
	if len(kind) != 1 || kind[0] != acknowledge || b[0] != 2 || b[1] != 1 || b[2] != 6 {
		return
	}
	addr := [4]byte(b[16:20]) // yours
	if addr == [4]byte{} {
		addr = [4]byte(b[12:16]) // the client's, after an inform
	}
	h := i.host(netip.AddrFrom4(addr).As16(), when)
	if h == nil {
		return
	}
	h.MAC, h.HasMAC = [6]byte(b[28:34]), true
	if e := i.hosts.leases[h.MAC]; e != nil {
		h.DHCPName = e.Value.(*lease).name
	}
}

// mdns reads a host's own addresses out of an answer (RFC 6762): those of the
// name that has the sender's address.
func (i *Inventory) mdns(p *wire.Packet, when int64) {
	if response, ok := dnsHead(p.Payload); !ok || !response {
		return
	}
	own := ""
	addresses(p.Payload, func(name string, addr [16]byte) {
		if addr == p.Src {
			own = name
		}
	})
	addresses(p.Payload, func(name string, addr [16]byte) {
		if name != own || own == "" {
			return
		}
		if h := i.host(addr, when); h != nil {
			h.MDNSName = clean(name)
		}
	})
}

// addresses gives the address records of a DNS message.
func addresses(b []byte, each func(name string, addr [16]byte)) {
	const a, aaaa = 1, 28
	records(b, func(name string, kind int, data []byte) {
		if kind == a && len(data) == 4 || kind == aaaa && len(data) == 16 {
			addr, _ := netip.AddrFromSlice(data)
			each(name, addr.As16())
		}
	})
}

// records gives the resource records of a DNS message: RFC 1035 section 4.1.3.
func records(b []byte, each func(name string, kind int, data []byte)) {
	const most = 128
	rest, ok := b[12:], true
	for range be16(b[4:]) {
		if _, rest, ok = dnsName(b, rest); !ok || len(rest) < 4 {
			return
		}
		rest = rest[4:]
	}
	for range min(most, be16(b[6:])+be16(b[8:])+be16(b[10:])) {
		var name string
		if name, rest, ok = dnsName(b, rest); !ok || len(rest) < 10 {
			return
		}
		kind, n := be16(rest), be16(rest[8:])
		if rest = rest[10:]; len(rest) < n {
			return
		}
		each(name, kind, rest[:n])
		rest = rest[n:]
	}
}

// dnsName reads a name of a message, with compression: RFC 1035 section
// 4.1.4. rest is what follows it where it stands.
func dnsName(message, b []byte) (name string, rest []byte, ok bool) {
	const mostJumps = 16
	var labels []string
	jumps, size := 0, 0
	for len(b) > 0 {
		n := int(b[0])
		switch {
		case n == 0:
			if jumps == 0 {
				rest = b[1:]
			}
			return strings.Join(labels, "."), rest, true
		case n>>6 == 3:
			if len(b) < 2 || jumps >= mostJumps {
				return "", nil, false
			}
			if jumps == 0 {
				rest = b[2:]
			}
			jumps++
			b = message[min(len(message), be16(b)&0x3fff):]
		case n > 63 || len(b) < 1+n || size+n > 254:
			return "", nil, false
		default:
			labels = append(labels, string(b[1:1+n]))
			size += n + 1
			b = b[1+n:]
		}
	}
	return "", nil, false
}

// netbios reads the name that a host registers, or answers for: RFC 1002
// sections 4.2.2 and 4.2.13. Only its own unique workstation name counts.
func (i *Inventory) netbios(p *wire.Packet, when int64) {
	b := p.Payload
	const header, registration = 12, 5
	if len(b) < header+34 || b[2]>>3&15 != registration || b[2]&0x80 != 0 || b[header] != 32 {
		return
	}
	name, suffix, ok := netbiosName(b[header+1 : header+33])
	if !ok || suffix != 0 || b[len(b)-6]&0x80 != 0 {
		return // a service's or a group's name
	}
	if h := i.host(p.Src, when); h != nil {
		h.NetBIOSName = clean(name)
	}
}

// netbiosName undoes the first-level encoding: RFC 1001 section 14.1.
func netbiosName(b []byte) (name string, suffix byte, ok bool) {
	out := make([]byte, 0, 16)
	for k := 0; k < 32; k += 2 {
		high, low := b[k]-'A', b[k+1]-'A'
		if high > 15 || low > 15 {
			return "", 0, false
		}
		out = append(out, high<<4|low)
	}
	return strings.TrimRight(string(out[:15]), " \x00"), out[15], true
}
