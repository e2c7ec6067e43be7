package logview

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/fwlog"
)

type action uint8

const (
	untold action = iota
	permitted
	denied
)

// class is what an event is for the judgement of its source.
type class uint8

const (
	plain class = iota
	probe
	chatter // broadcast, multicast, discovery between neighbours
	late    // from a service's port to a client's: an answer, too late
	client  // refused on the way to a common service outside
)

// sight is an event as the views look at it.
type sight struct {
	src, dst         [16]byte
	srcHash, dstHash uint64
	port             portKey
	time             int64
	action           action
	class            class
	outside, inward  bool
	capped           bool // its product caps its log
	common           bool // a port that the internet's noise asks for
	rule             []byte
	ruleHash         uint64
	repeat           bool // the distinct sets have it all
}

// portKey is protocol, whether there is a protocol and a port, and the port.
type portKey uint32

const (
	hasPort  portKey = 1 << 24
	hasProto portKey = 1 << 25
)

func makePortKey(e *fwlog.Event) portKey {
	k := portKey(0)
	if e.HasProto {
		k = hasProto | portKey(e.Proto)<<16
	}
	if e.HasPorts {
		k |= hasPort | portKey(e.DstPort)
	}
	return k
}

func (k portKey) number() uint16     { return uint16(k) }
func (k portKey) proto() uint8       { return uint8(k >> 16) }
func (k portKey) has(b portKey) bool { return k&b != 0 }

// look fills s from e.
func (v *View) look(e *fwlog.Event, s *sight) {
	s.src, s.dst = e.Src.As16(), e.Dst.As16()
	s.srcHash, s.dstHash = hashAddr(v.opt.Seed, &s.src), hashAddr(v.opt.Seed, &s.dst)
	s.port, s.time, s.rule, s.capped = makePortKey(e), e.Time, e.Rule, e.Capped
	switch e.Action {
	case fwlog.Permit:
		s.action = permitted
	case fwlog.Deny:
		s.action = denied
	}
	if v.opt.Views&BySource == 0 && (v.opt.Views&ByPort == 0 || s.action != permitted) {
		return
	}
	src, dst := e.Src.Unmap(), e.Dst.Unmap()
	s.outside = v.zoneOutside(e.In) || v.public(src)
	s.inward = s.action == permitted && s.outside && v.arrives(e, dst)
	if v.opt.Views&BySource != 0 {
		s.class = v.classify(e, s, src, dst)
	}
}

// arrives tells whether dst is on this side: an address of one's own, or that
// of the machine that logs, which a packet reaches that has an interface to
// come in by and none to leave by.
func (v *View) arrives(e *fwlog.Event, dst netip.Addr) bool {
	if v.zoneOutside(e.Out) || multicast(dst) {
		return false
	}
	return !v.public(dst) || len(e.In) > 0 && len(e.Out) == 0
}

func (v *View) public(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() || shared.Contains(a) {
		return false
	}
	for _, p := range v.opt.Own {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// shared is the address space between carriers and customers (RFC 6598).
var shared = netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10)

// zoneOutside tells whether an interface or a zone is called as what is
// outside.
func (v *View) zoneOutside(name []byte) bool {
	if len(name) < 3 && len(v.opt.Outside) == 0 {
		return false
	}
	for _, out := range [...]string{"wan", "outside", "untrust", "external", "internet"} {
		if len(name) == len(out) && bytes.EqualFold(name, []byte(out)) {
			return true
		}
	}
	for _, out := range v.opt.Outside {
		if len(name) == len(out) && strings.EqualFold(string(name), out) {
			return true
		}
	}
	return false
}

// multicast includes IPv4's broadcast to the link, and what ends in .255: a
// network's broadcast where its mask is the usual one. A unicast address with
// that ending is rare enough, and is only left out of a judgement.
func multicast(a netip.Addr) bool {
	if a.IsMulticast() {
		return true
	}
	return a.Is4() && a.As4()[3] == 255
}

func (v *View) classify(e *fwlog.Event, s *sight, src, dst netip.Addr) class {
	switch {
	case multicast(dst), src.IsUnspecified(), !s.outside && neighbourly(e):
		return chatter
	case s.action == permitted, s.action == untold && !s.outside:
		return plain
	case lateAnswer(e):
		return late
	case !s.outside && v.public(dst) && clientPort(e):
		return client
	}
	s.common = common(e)
	return probe
}

// neighbourly tells of discovery and configuration between machines of a
// network: DHCP (67, 68; 546, 547), NetBIOS (137, 138), SSDP (1900),
// WS-Discovery (3702), mDNS (5353), LLMNR (5355); IGMP; neighbour discovery
// (RFC 4861, types 133 to 137).
func neighbourly(e *fwlog.Event) bool {
	switch {
	case e.Proto == protoUDP && e.HasPorts:
		switch e.DstPort {
		case 67, 68, 137, 138, 546, 547, 1900, 3702, 5353, 5355:
			return true
		}
	case e.Proto == protoIGMP:
		return true
	case e.Proto == protoICMPv6 && e.HasICMP:
		return e.ICMPType >= 133 && e.ICMPType <= 137
	}
	return false
}

// lateAnswer tells of what a service sends to a client's port. A scan with a
// source port of 53 or 443 (an old trick) asks for low ports too, and is
// found by those.
func lateAnswer(e *fwlog.Event) bool {
	if !e.HasPorts || e.DstPort < 1024 || commonPort(e.Proto, e.DstPort) {
		return false
	}
	return e.SrcPort != 0 && e.SrcPort < 1024 || commonPort(e.Proto, e.SrcPort) && e.DstPort >= 10000
}

// clientPort tells of services that every machine asks for outside: web,
// names (also over TLS), time, push services.
func clientPort(e *fwlog.Event) bool {
	if !e.HasPorts {
		return false
	}
	switch e.DstPort {
	case 53, 80, 123, 443, 853, 3478, 5223, 5228, 8080, 8443:
		return true
	}
	return false
}

// common tells of what strangers on the internet ask everybody for: the ports
// of the table, and echo requests.
func common(e *fwlog.Event) bool {
	if e.HasPorts {
		return commonPort(e.Proto, e.DstPort)
	}
	return e.Proto == protoICMP && e.HasICMP && e.ICMPType == 8 ||
		e.Proto == protoICMPv6 && e.HasICMP && e.ICMPType == 128
}
