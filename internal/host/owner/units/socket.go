package units

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

// Socket is one socket unit.
type Socket struct {
	Name    string
	Service string // the unit it starts; a template ("foo@.service") with Accept=yes
	Accept  bool
	Enabled bool // something pulls it in at boot, or a generator wrote it
	Listen  []Listen
	// Source is the unit's file.
	Source string
}

// Listen is one address that a socket unit listens on. An invalid Addr is
// every address of either family, as a bare port number asks for.
type Listen struct {
	Proto exposure.Proto
	Addr  netip.Addr
	Port  uint16
}

// Sockets holds the socket units of a root.
type Sockets struct{ units []Socket }

// Read reads all socket units of a root; a root without systemd has none.
func Read(files *rootfs.FS) Sockets {
	t := readTree(files)
	var s Sockets
	for _, name := range t.instances() {
		parts, masked := t.text(name)
		if masked || len(s.units) >= maxUnits {
			continue
		}
		unit := socketOf(name, parts)
		unit.Enabled = t.wants[name]
		unit.Source = t.units[name]
		s.units = append(s.units, unit)
	}
	return s
}

// settings is what the [Socket] sections of a unit say.
type settings struct {
	listen   []address
	service  string
	accept   bool
	protocol string
}

// address is a Listen*= line before it is understood.
type address struct{ key, value string }

// apply takes one setting. An empty Listen*= of any kind clears all of them
// (config_parse_socket_listen), an empty Service= goes back to the default.
func (c *settings) apply(key, value string) {
	switch key {
	case "ListenStream", "ListenDatagram", "ListenSequentialPacket":
		if value == "" {
			c.listen = nil
			return
		}
		c.listen = append(c.listen, address{key, value})
	case "ListenFIFO", "ListenSpecial", "ListenNetlink", "ListenMessageQueue", "ListenUSBFunction":
		if value == "" {
			c.listen = nil
		}
	case "Service":
		c.service = value
	case "Accept":
		c.accept = boolean(value)
	case "SocketProtocol":
		c.protocol = value
	}
}

// socketOf folds the settings of a unit and its drop-ins.
func socketOf(name string, parts []string) Socket {
	var c settings
	for _, part := range parts {
		for _, s := range parse(part) {
			if value, ok := specifiers(s.value, name); ok && s.section == "Socket" {
				c.apply(s.key, value)
			}
		}
	}
	unit := Socket{Name: name, Service: c.service, Accept: c.accept}
	if unit.Service == "" {
		unit.Service = defaultService(name, c.accept)
	}
	for _, a := range c.listen {
		if l, ok := parseListen(a.value); ok {
			l.Proto = transport(a.key, c.protocol)
			unit.Listen = append(unit.Listen, l)
		}
	}
	return unit
}

// transport gives the protocol of a Listen*= line; SocketProtocol= replaces
// the usual one where it may.
func transport(key, protocol string) exposure.Proto {
	switch {
	case protocol == "sctp" && key != "ListenDatagram":
		return exposure.SCTP
	case protocol == "udplite" && key == "ListenDatagram":
		return exposure.UDPLite
	case key == "ListenDatagram":
		return exposure.UDP
	}
	return exposure.TCP // mptcp is listed as tcp too
}

// defaultService is the service of the same name, or for Accept=yes its
// template: every connection gets an instance of its own.
func defaultService(name string, accept bool) string {
	prefix, instance, template := splitTemplate(name)
	switch {
	case accept:
		return prefix + "@.service"
	case template:
		return prefix + "@" + instance + ".service"
	}
	return prefix + ".service"
}

// parseListen reads "22", "0.0.0.0:22", "[::]:22", each also with "%interface"
// and "#name" behind; false for a path, an abstract name or a vsock address.
func parseListen(value string) (Listen, bool) {
	value, _, _ = strings.Cut(value, "#")
	if end := strings.LastIndexByte(value, '%'); end > strings.LastIndexByte(value, ']') {
		value = value[:end]
	}
	if port, ok := portNumber(value); ok {
		return Listen{Port: port}, true
	}
	at, err := netip.ParseAddrPort(value)
	if err != nil || at.Port() == 0 {
		return Listen{}, false
	}
	return Listen{Addr: at.Addr().WithZone(""), Port: at.Port()}, true
}

func portNumber(text string) (uint16, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err == nil && n > 0
}

// Find gives the unit that listens on an endpoint, an enabled one before
// others. An address that is named exactly wins over a bare port, which
// serves "::" and "0.0.0.0".
func (s Sockets) Find(proto exposure.Proto, addr netip.Addr, port uint16) (Socket, bool) {
	var best *Socket
	score := 0
	for i := range s.units {
		unit := &s.units[i]
		match := unit.match(proto, addr.WithZone(""), port)
		if match > 0 && unit.Enabled {
			match += 2
		}
		if match > score {
			best, score = unit, match
		}
	}
	if best == nil {
		return Socket{}, false
	}
	return *best, true
}

// match is 2 for the very address, 1 for a bare port, 0 for neither.
func (unit *Socket) match(proto exposure.Proto, addr netip.Addr, port uint16) int {
	found := 0
	for _, l := range unit.Listen {
		switch {
		case l.Proto != proto || l.Port != port:
		case l.Addr == addr:
			return 2
		case !l.Addr.IsValid() && addr.IsUnspecified():
			found = 1
		}
	}
	return found
}

// Starting lists the enabled socket units that start a service. An instance
// of a template is started by the units of its template.
func (s Sockets) Starting(service string) []Socket {
	prefix, instance, template := splitTemplate(service)
	names := []string{service}
	if template && instance != "" {
		names = append(names, prefix+"@.service")
	}
	var list []Socket
	for _, unit := range s.units {
		if unit.Enabled && slices.Contains(names, unit.Service) {
			list = append(list, unit)
		}
	}
	return list
}

// Len counts the units.
func (s Sockets) Len() int { return len(s.units) }
