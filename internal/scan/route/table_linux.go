package route

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// maxCells bounds the answers kept; beyond it they are asked for again.
const maxCells = 1 << 16

// Table answers for the routes of one network namespace.
type Table struct {
	o   Options
	oif int // of o.Iface or o.From's zone; 0: any

	mu      sync.Mutex // guards what follows
	ask     *conn
	news    *conn
	links   map[int]link
	four    cuts
	six     cuts
	byFrom  bool // an IPv4 rule looks at the source address
	changed bool // routes, rules or addresses, since they were listed
	cells   map[cellKey]told
}

type cellKey struct {
	is4       bool
	oif, cell int
}

// told is a cell's answer.
type told struct {
	path Path
	err  error // one of the package's, or the kernel's
}

// Open lists interfaces, routes and rules of the calling thread's namespace.
func Open(o Options) (*Table, error) {
	ask, err := dial()
	if err != nil {
		return nil, err
	}
	// Subscribed before anything is listed, so that no change is missed.
	news, err := dial(unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE,
		unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		ask.close()
		return nil, err
	}
	t := &Table{o: o, ask: ask, news: news}
	if err := t.prepare(); err != nil {
		_ = t.Close()
		return nil, err
	}
	return t, nil
}

// Close frees the sockets.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ask.close()
	t.news.close()
	return nil
}

func (t *Table) prepare() (err error) {
	if err := t.listLinks(); err != nil {
		return err
	}
	if t.o.Iface != "" {
		if t.oif, err = t.zone(t.o.Iface); err != nil {
			return &Error{"use interface", t.o.Iface, err}
		}
	}
	if err := t.list(); err != nil {
		return err
	}
	return t.checkFrom()
}

// checkFrom wants the source address to be this host's and unzoned.
func (t *Table) checkFrom() error {
	from := t.o.From.Unmap()
	if !from.IsValid() {
		return nil
	}
	if zone := from.Zone(); zone != "" && t.oif == 0 {
		oif, err := t.zone(zone)
		if err != nil {
			return &Error{"use source", from.String(), err}
		}
		t.oif = oif
	}
	t.o.From = from.WithZone("")
	for _, oif := range []int{t.oif, 0} {
		a, err := t.getroute(t.o.From, netip.Addr{}, oif)
		if err == nil && (a.kind == unix.RTN_LOCAL || a.kind == unix.RTN_ANYCAST) {
			return nil
		}
	}
	return &Error{"use source", from.String(), ErrNotOurs}
}

// zone finds an interface by its name, or its index as text.
func (t *Table) zone(zone string) (int, error) {
	for i, l := range t.links {
		if l.name == zone {
			return i, nil
		}
	}
	if n, err := strconv.Atoi(zone); err == nil {
		if _, ok := t.links[n]; ok {
			return n, nil
		}
	}
	return 0, ErrLinkGone
}

func (t *Table) listLinks() error {
	links := map[int]link{}
	err := t.ask.dump(unix.RTM_GETLINK, make([]byte, unix.SizeofIfInfomsg), func(b []byte) error {
		l, err := decodeLink(b)
		links[l.index] = l
		return err
	})
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	t.links = links
	return nil
}

// list reads the cuts of both families and forgets all answers.
func (t *Table) list() error {
	t.cells, t.four, t.six, t.byFrom = map[cellKey]told{}, nil, nil, false
	for _, p := range fixedPrefixes() {
		t.cut(p)
	}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		if err := t.listFamily(family); err != nil {
			return err
		}
	}
	t.four, t.six = t.four.sealed(), t.six.sealed()
	t.changed = false
	return nil
}

func (t *Table) cut(p netip.Prefix) {
	if p.Addr().Is4() {
		t.four.add(p)
	} else {
		t.six.add(p)
	}
}

// fraLen is the size of struct fib_rule_hdr (linux/fib_rules.h), the same as
// rtmsg's: family, dst_len, src_len, …
const fraLen = unix.SizeofRtMsg

// listFamily lists what the answers of a family may depend on.
func (t *Table) listFamily(family byte) error {
	request := make([]byte, unix.SizeofRtMsg)
	request[0] = family
	prefixes := func(header int, attr uint16) func(b []byte) error {
		return func(b []byte) error {
			if len(b) < header {
				return errCut
			}
			p, ok, err := decodePrefix(b, header, attr, int(b[1]))
			if ok && b[0] == family {
				t.cut(p)
			}
			return err
		}
	}
	if err := t.ask.dump(unix.RTM_GETROUTE, request, prefixes(unix.SizeofRtMsg, unix.RTA_DST)); err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	rules := prefixes(fraLen, unix.FRA_DST)
	err := t.ask.dump(unix.RTM_GETRULE, request, func(b []byte) error {
		t.byFrom = t.byFrom || len(b) > 2 && b[0] == unix.AF_INET && b[2] != 0
		return rules(b)
	})
	// A kernel without policy rules (CONFIG_IP_MULTIPLE_TABLES) has one table.
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("list routing rules: %w", err)
	}
	if family == unix.AF_INET6 {
		return t.listSources6()
	}
	return nil
}

// listSources6 cuts where the choice of an IPv6 source may change.
func (t *Table) listSources6() error {
	request := make([]byte, unix.SizeofIfAddrmsg)
	request[0] = unix.AF_INET6
	err := t.ask.dump(unix.RTM_GETADDR, request, func(b []byte) error {
		// On a point-to-point link the own address is IFA_LOCAL.
		for _, attr := range []uint16{unix.IFA_LOCAL, unix.IFA_ADDRESS} {
			p, ok, err := decodePrefix(b, unix.SizeofIfAddrmsg, attr, 128)
			if err != nil {
				return err
			}
			if ok && p.Addr().Is6() {
				t.six.addMatches(p.Addr())
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	// struct ifaddrlblmsg (linux/if_addrlabel.h): family, reserved, prefixlen, flags, index, seq.
	const labelLen = 12
	labels := make([]byte, labelLen)
	labels[0] = unix.AF_INET6
	err = t.ask.dump(unix.RTM_GETADDRLABEL, labels, func(b []byte) error {
		if len(b) < labelLen {
			return errCut
		}
		p, ok, err := decodePrefix(b, labelLen, unix.IFAL_ADDRESS, int(b[2]))
		if ok && p.Addr().Is6() {
			t.six.add(p)
		}
		return err
	})
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("list address labels: %w", err)
	}
	return nil
}

// Path is the way to a destination. The error is a *Error.
func (t *Table) Path(dst netip.Addr) (Path, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.path(dst.Unmap())
	if err != nil {
		return Path{}, &Error{"find the way to", dst.String(), err}
	}
	return p, nil
}

// NextHop is the gateway towards a destination or, on the link, itself.
func (t *Table) NextHop(dst netip.Addr) (netip.Addr, error) {
	p, err := t.Path(dst)
	return p.NextHop(dst), err
}

func (t *Table) path(dst netip.Addr) (Path, error) {
	oif, err := t.towards(dst)
	if err != nil {
		return Path{}, err
	}
	if t.changed { // Down or Check has heard of it
		if err := t.list(); err != nil {
			return Path{}, err
		}
	}
	key := cellKey{is4: dst.Is4(), oif: oif, cell: t.six.cell(dst)}
	if key.is4 {
		key.cell = t.four.cell(dst)
	}
	if a, ok := t.cells[key]; ok {
		return a.path, a.err
	}
	p, err := t.find(dst.WithZone(""), oif)
	if p.Local && p.Src == dst.WithZone("") {
		return p, err // its own source: another address of the cell has another
	}
	if len(t.cells) >= maxCells {
		clear(t.cells)
	}
	t.cells[key] = told{p, err}
	return p, err
}

// limitedBroadcast is 255.255.255.255 (RFC 919).
func limitedBroadcast() netip.Addr { return netip.AddrFrom4([4]byte{255, 255, 255, 255}) }

// towards checks a destination and gives the interface that it must leave by.
func (t *Table) towards(dst netip.Addr) (oif int, err error) {
	switch {
	case !dst.IsValid(), dst.IsUnspecified(), dst.IsMulticast(), dst == limitedBroadcast():
		return 0, ErrNotUnicast
	case t.o.From.IsValid() && t.o.From.Is4() != dst.Is4():
		return 0, ErrFamily
	}
	if zone := dst.Zone(); zone != "" {
		oif, err := t.zone(zone)
		if err == nil && t.o.Iface != "" && oif != t.oif {
			return 0, ErrZone
		}
		return oif, err
	}
	if t.oif == 0 && dst.Is6() && dst.IsLinkLocalUnicast() {
		return 0, ErrZone
	}
	return t.oif, nil
}

// find asks the kernel.
func (t *Table) find(dst netip.Addr, oif int) (Path, error) {
	a, err := t.getroute(dst, t.o.From, oif)
	if err == nil && dst.Is4() && t.byFrom && !t.o.From.IsValid() && a.src.IsValid() && a.kind == unix.RTN_UNICAST {
		src := a.src
		a, err = t.getroute(dst, src, oif)
		a.src = src
	}
	if err != nil {
		return Path{}, err
	}
	if t.o.From.IsValid() {
		a.src = t.o.From
	}
	return t.pathOf(a)
}

func (t *Table) pathOf(a answer) (Path, error) {
	if err := a.refusal(); err != nil {
		return Path{}, err
	}
	l, ok := t.links[a.oif]
	if !ok {
		// An interface made since: its announcement is waiting.
		if err := t.listLinks(); err != nil {
			return Path{}, err
		}
		if l, ok = t.links[a.oif]; !ok {
			return Path{}, ErrLinkGone
		}
	}
	p := Path{
		Iface: l.name, Index: l.index, Src: a.src, Gateway: a.gateway, Link: l.frame(),
		MTU: l.mtu, Local: a.kind == unix.RTN_LOCAL || a.kind == unix.RTN_ANYCAST,
	}
	if a.mtu > 0 && (l.mtu == 0 || a.mtu < l.mtu) {
		p.MTU = a.mtu
	}
	if a.gateway.Is6() && a.gateway.IsLinkLocalUnicast() {
		p.Gateway = a.gateway.WithZone(l.name)
	}
	switch {
	case p.Local:
		p.Link = Loopback
	case a.encapsule:
		p.Link = Foreign
	case p.Link == Ethernet:
		p.HW, p.NoARP = l.hw, l.flags&unix.IFF_NOARP != 0
	}
	return p, nil
}

// refusal says why a route leads nowhere.
func (a *answer) refusal() error {
	switch a.kind {
	case unix.RTN_BROADCAST, unix.RTN_MULTICAST:
		return ErrNotUnicast
	case unix.RTN_BLACKHOLE:
		return ErrBlackhole
	case unix.RTN_UNREACHABLE:
		return ErrUnreachable
	case unix.RTN_PROHIBIT:
		return ErrProhibited
	}
	return nil
}

// getroute is one RTM_GETROUTE.
func (t *Table) getroute(dst, src netip.Addr, oif int) (answer, error) {
	request := make([]byte, unix.SizeofRtMsg)
	request[0], request[1] = unix.AF_INET6, byte(dst.BitLen())
	if dst.Is4() {
		request[0] = unix.AF_INET
	}
	ae := netlink.NewAttributeEncoder()
	ae.Bytes(unix.RTA_DST, dst.AsSlice())
	if src.IsValid() {
		request[2] = byte(src.BitLen())
		ae.Bytes(unix.RTA_SRC, src.AsSlice())
	}
	if oif != 0 {
		ae.Uint32(unix.RTA_OIF, uint32(oif))
	}
	attrs, err := ae.Encode()
	if err != nil {
		return answer{}, err
	}
	var a answer
	_, err = t.ask.exchange(unix.RTM_GETROUTE, 0, append(request, attrs...), func(b []byte) (err error) {
		a, err = decodeRoute(b)
		return err
	})
	return a, meaning(err)
}

// meaning turns the errors with which the kernel answers for routes that lead
// nowhere (fib_props in net/ipv4/fib_semantics.c) into the package's.
func meaning(err error) error {
	var no unix.Errno
	if !errors.As(err, &no) {
		return err
	}
	switch no {
	case unix.ENETUNREACH:
		return ErrNoRoute
	case unix.EHOSTUNREACH:
		return ErrUnreachable
	case unix.EACCES:
		return ErrProhibited
	case unix.EINVAL:
		return ErrBlackhole
	case unix.ENODEV, unix.ENXIO:
		return ErrLinkGone
	case unix.ENETDOWN:
		return ErrLinkDown
	}
	return err
}

// neighbours lists usable entries of the kernel's table on an interface.
func (t *conn) neighbours(index int) (map[netip.Addr]neighbour, error) {
	out := map[netip.Addr]neighbour{}
	err := t.dump(unix.RTM_GETNEIGH, make([]byte, unix.SizeofNdMsg), func(b []byte) error {
		n, err := decodeNeighbour(b)
		if n.index == index && n.state&usable != 0 && len(n.hw) == 6 && n.addr.IsValid() {
			out[n.addr] = n
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the kernel's neighbours: %w", err)
	}
	return out, nil
}
