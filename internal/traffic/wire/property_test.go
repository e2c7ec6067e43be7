package wire_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/wire"
	"github.com/portreeve/portreeve/internal/traffic/wire/wiretest"
)

// What was built is what is found, to the last field.
func TestDecodesWhatWasBuilt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := wiretest.Any(t)
		var d wire.Decoder
		p := dirty()
		d.Decode(c.Link, c.Frame, uint32(len(c.Frame)), p)
		if diff := cmp.Diff(&c.Want, p, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%#v\n%s", c.Layers, diff)
		}
	})
}

// dirty is a Packet that another frame was decoded into.
func dirty() *wire.Packet {
	p := &wire.Packet{
		Kind: wire.KindOther, Problem: wire.Cut, Version: 9, Proto: 9, SrcPort: 9, DstPort: 9,
		HasPorts: true, HasICMP: true, HasTCP: true, Flags: 9, IPLen: 9, Payload: []byte{9},
		ID: 9, IsFragment: true, HasMAC: true, VLANCount: 9, Depth: 9, HasQuote: true,
	}
	p.OuterSrc[3], p.Src[3], p.Quote.Src[3] = 9, 9, 9
	return p
}

// The outer packet is found when only that is asked for.
func TestOuter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := wiretest.Any(t)
		d := wire.Decoder{Outer: true}
		var p wire.Packet
		d.Decode(c.Link, c.Frame, uint32(len(c.Frame)), &p)
		want := endpoints(c.Layers)[0]
		if got := fmt.Sprint(wire.Addr(p.Src), wire.Addr(p.Dst)); p.Kind != wire.KindIP || got != want.addrs {
			t.Fatalf("%v %v, want %v", p.Kind, got, want.addrs)
		}
		for _, tunnel := range p.Tunnels[:min(int(p.Depth), len(p.Tunnels))] {
			if tunnel != wire.MPLS && tunnel != wire.PPPoE {
				t.Fatalf("entered %v", tunnel)
			}
		}
	})
}

// ends are an IP header's addresses and the ports behind it.
type ends struct {
	addrs    string
	src, dst int // -1: none
}

// endpoints lists the IP headers of a stack, outermost first.
func endpoints(layers []wiretest.Layer) []ends {
	var all []ends
	ip := func(src, dst netip.Addr) { all = append(all, ends{fmt.Sprint(src, dst), -1, -1}) }
	port := func(src, dst uint16) {
		all[len(all)-1].src, all[len(all)-1].dst = int(src), int(dst)
	}
	for _, l := range layers {
		switch l := l.(type) {
		case wiretest.IPv4:
			ip(l.Src, l.Dst)
		case wiretest.IPv6:
			ip(l.Src, l.Dst)
		case wiretest.TCP:
			port(l.SrcPort, l.DstPort)
		case wiretest.UDP:
			port(l.SrcPort, l.DstPort)
		case wiretest.UDPLite:
			port(l.SrcPort, l.DstPort)
		case wiretest.SCTP:
			port(l.SrcPort, l.DstPort)
		case wiretest.DCCP:
			port(l.SrcPort, l.DstPort)
		}
	}
	return all
}

// A frame cut anywhere, by the capture or on the wire, gives what its headers
// still tell: an address pair of the stack, with that packet's ports or none.
func TestCutAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := wiretest.Any(t)
		known := endpoints(c.Layers)
		var d wire.Decoder
		var p wire.Packet
		for n := range c.Frame {
			d.Decode(c.Link, c.Frame[:n:n], uint32(len(c.Frame)), &p)
			checkCut(t, &c, n, &p, known)
			if n < c.Headers && p.Problem != wire.Cut {
				t.Fatalf("cut at %d of %d: %v %v\n%#v", n, c.Headers, p.Kind, p.Problem, c.Layers)
			}
			d.Decode(c.Link, c.Frame[:n:n], uint32(n), &p)
			checkCut(t, &c, n, &p, known)
		}
	})
}

func checkCut(t *rapid.T, c *wiretest.Case, n int, p *wire.Packet, known []ends) {
	checkSane(t, c.Frame[:n], p)
	if p.Kind != wire.KindIP {
		if p.Src != [16]byte{} || p.HasPorts || p.HasICMP || p.HasTCP {
			t.Fatalf("cut at %d: invented %+v", n, *p)
		}
		return
	}
	addrs := fmt.Sprint(wire.Addr(p.Src), wire.Addr(p.Dst))
	i := slices.IndexFunc(known, func(e ends) bool { return e.addrs == addrs })
	if i < 0 {
		t.Fatalf("cut at %d: invented %v", n, addrs)
	}
	if e := known[i]; p.HasPorts && (int(p.SrcPort) != e.src || int(p.DstPort) != e.dst) {
		t.Fatalf("cut at %d: invented ports %d %d of %v\n%#v", n, p.SrcPort, p.DstPort, e, c.Layers)
	}
	if n >= c.Headers && (wire.Addr(p.Src) != wire.Addr(c.Want.Src) || p.SrcPort != c.Want.SrcPort) {
		t.Fatalf("cut at %d behind the headers: %+v", n, *p)
	}
}

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

// checkSane holds for every frame, whatever its bytes.
func checkSane(t failer, frame []byte, p *wire.Packet) {
	t.Helper()
	outside := len(p.Payload) > 0 && !bytes.Contains(frame, p.Payload)
	switch {
	case p.Kind == wire.KindUndecoded && p.Problem == wire.NoProblem:
		t.Fatalf("undecoded without a problem")
	case p.Kind != wire.KindIP && (p.Version != 0 || p.HasPorts || p.HasTCP || p.HasICMP || p.HasQuote || p.Payload != nil):
		t.Fatalf("no IP, but %+v", *p)
	case p.Kind == wire.KindIP && p.Version != 4 && p.Version != 6:
		t.Fatalf("IP version %d", p.Version)
	case outside, uint32(len(p.Payload)) > p.PayloadLen, p.PayloadLen > p.IPLen:
		t.Fatalf("payload of %d, %d of %d in %d", len(p.Payload), p.PayloadLen, p.IPLen, len(frame))
	case p.Kind == wire.KindIP && (int(p.Hdr) >= len(frame) || p.L4 < p.Hdr+20 || p.L4 < p.Hdr):
		t.Fatalf("headers at %d and %d of %d", p.Hdr, p.L4, len(frame))
	case !p.HasPorts && (p.SrcPort != 0 || p.DstPort != 0), p.FragOffset > 0 && p.HasPorts:
		t.Fatalf("ports out of nothing: %+v", *p)
	case p.Depth > 16, !p.IsFragment && (p.FragOffset > 0 || p.MoreFragments):
		t.Fatalf("depth %d, fragment %v at %d", p.Depth, p.IsFragment, p.FragOffset)
	}
}

// Bytes changed anywhere never break a rule, and the short way is the long one.
func TestMutated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := wiretest.Any(t)
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			at := rapid.IntRange(0, len(c.Frame)-1).Draw(t, "at")
			c.Frame[at] = rapid.Byte().Draw(t, "byte")
		}
		wireLen := rapid.Uint32Range(0, 2000).Draw(t, "wire")
		checkBothWays(t, c.Link, c.Frame, wireLen)
	})
}

func checkBothWays(t failer, link wire.LinkType, frame []byte, wireLen uint32) {
	t.Helper()
	var d wire.Decoder
	p, slow := dirty(), dirty()
	d.Decode(link, frame, wireLen, p)
	checkSane(t, frame, p)
	d.DecodeSlow(link, frame, wireLen, slow)
	if !reflect.DeepEqual(p, slow) {
		t.Fatalf("the short way differs: %s", cmp.Diff(slow, p))
	}
	outer := wire.Decoder{Outer: true}
	outer.Decode(link, frame, wireLen, p)
	checkSane(t, frame, p)
}

// The short way is the long one for all that was captured, whole or cut.
func TestShortWay(t *testing.T) {
	for _, f := range captured(t) {
		checkBothWays(t, f.link, f.data, f.wire)
		for _, n := range []int{20, 36, 41, 42, 50, 53, 54, 60, 70} {
			if n < len(f.data) {
				checkBothWays(t, f.link, f.data[:n], f.wire)
			}
		}
	}
}

// Plain Ethernet frames with any lengths and flags: where the short way must
// step aside.
func TestShortWaySteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Byte().Draw(t, "offset")
		frame := wiretest.Frame(
			wiretest.Ethernet{Min: rapid.IntRange(0, 80).Draw(t, "least")},
			wiretest.IPv4{
				Proto:  rapid.SampledFrom([]uint8{6, 17}).Draw(t, "proto"),
				Length: rapid.IntRange(0, 90).Draw(t, "length"), More: rapid.IntRange(0, 9).Draw(t, "more") == 0,
			},
			wiretest.Bytes(rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "rest")))
		if len(frame) > 46 {
			frame[46] = size
		}
		if len(frame) > 39 && rapid.Bool().Draw(t, "right length") {
			frame[38], frame[39] = 0, frame[17]-20
		}
		checkBothWays(t, wire.LinkEthernet, frame, rapid.Uint32Range(0, 200).Draw(t, "wire"))
	})
}

// What was decoded can be encoded again, and is decoded to the same.
func TestDecodeEncodeDecode(t *testing.T) {
	var d wire.Decoder
	var p, again wire.Packet
	for _, f := range captured(t) {
		d.Decode(f.link, f.data, f.wire, &p)
		if p.Kind != wire.KindIP || p.Problem != wire.NoProblem || len(p.Payload) < int(p.PayloadLen) {
			continue
		}
		frame := wiretest.Frame(wiretest.Again(&p)...)
		d.Decode(wire.LinkEthernet, frame, uint32(len(frame)), &again)
		if first, second := essence(p), essence(again); !reflect.DeepEqual(first, second) {
			t.Fatalf("%s %d:\n%s", f.file, f.no, cmp.Diff(first, second))
		}
	}
}

// essence leaves out where things are and how they were wrapped, and the
// headers' options.
func essence(p wire.Packet) wire.Packet {
	p.Hdr, p.L4, p.IPLen, p.EtherType = 0, 0, 0, 0
	p.Tunnels, p.Depth, p.OuterSrc, p.OuterDst = [6]wire.Tunnel{}, 0, [16]byte{}, [16]byte{}
	p.HasMAC, p.SrcMAC, p.DstMAC = false, [6]byte{}, [6]byte{}
	p.VLANCount = min(p.VLANCount, 2)
	if p.TTL == 0 {
		p.TTL = 64 // which a builder takes for not given
	}
	return p
}
