package tui

import (
	"bytes"
	"cmp"
	"net/netip"
	"strconv"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// view is one of the three lists.
type view uint8

const (
	ports view = iota
	pairs
	flows
)

// rowID tells rows of one list apart. A port has protocol and port; a pair has
// addresses; a flow has all, with its beginning: ports are used again.
type rowID struct {
	client, server       [16]byte
	first                int64
	clientPort, port     uint16
	proto                uint8
	hasAddress, hasProto bool
}

func portID(f *flow.Flow) rowID {
	return rowID{proto: f.Proto, port: f.ServerPort, hasProto: true}
}

func pairID(f *flow.Flow) rowID {
	return rowID{client: f.Client, server: f.Server, hasAddress: true}
}

func flowID(f *flow.Flow) rowID {
	return rowID{client: f.Client, server: f.Server, clientPort: f.ClientPort, port: f.ServerPort,
		proto: f.Proto, first: f.First, hasAddress: true, hasProto: true}
}

// holds reports whether a flow belongs to a port or a pair. The zero rowID
// holds all.
func (id *rowID) holds(f *flow.Flow) bool {
	if id.hasProto && (id.proto != f.Proto || id.port != f.ServerPort) {
		return false
	}
	return !id.hasAddress || id.client == f.Client && id.server == f.Server
}

func (id *rowID) compare(other *rowID) int {
	if c := cmp.Compare(id.port, other.port); c != 0 {
		return c
	}
	if c := cmp.Compare(id.proto, other.proto); c != 0 {
		return c
	}
	if c := bytes.Compare(id.client[:], other.client[:]); c != 0 {
		return c
	}
	if c := bytes.Compare(id.server[:], other.server[:]); c != 0 {
		return c
	}
	if c := cmp.Compare(id.clientPort, other.clientPort); c != 0 {
		return c
	}
	return cmp.Compare(id.first, other.first)
}

// row is one line of a list, with all that it may be sorted by.
type row struct {
	id                      rowID
	total                   [2]volume
	rate                    [2]float64 // bytes a second
	pace                    float64    // packets a second
	flows, clients, servers uint64
	last                    int64
	service                 string
	past                    []float32
	flow                    *flow.Flow // of a flow's row: its own copy
}

func (r *row) bytes() uint64     { return r.total[toServer].bytes + r.total[fromServer].bytes }
func (r *row) packets() uint64   { return r.total[toServer].packets + r.total[fromServer].packets }
func (r *row) bothWays() float64 { return r.rate[toServer] + r.rate[fromServer] }

// hasPorts reports protocols (IANA protocol-numbers) whose ports are ports:
// TCP, UDP, DCCP, SCTP, UDP-Lite.
func hasPorts(proto uint8) bool {
	switch proto {
	case 6, 17, 33, 132, 136:
		return true
	}
	return false
}

func isICMP(proto uint8) bool { return proto == 1 || proto == 58 }

func protoName(proto uint8) string { return string(exposure.ProtoByNumber(proto)) }

// portText writes a port's row: tcp/443, or the protocol where it has none.
// Of ICMP it is the server's type or code, as flows have it.
func portText(id rowID) string {
	if hasPorts(id.proto) || isICMP(id.proto) {
		return protoName(id.proto) + "/" + strconv.Itoa(int(id.port))
	}
	return protoName(id.proto)
}

func addrText(a [16]byte) string { return wire.Addr(a).String() }

// clientText and serverText write a flow's ends. Of ICMP the client's has
// type and code.
func clientText(id rowID) string {
	if hasPorts(id.proto) {
		return netip.AddrPortFrom(wire.Addr(id.client), id.clientPort).String()
	}
	return addrText(id.client)
}

func serverText(id rowID) string {
	if hasPorts(id.proto) {
		return netip.AddrPortFrom(wire.Addr(id.server), id.port).String()
	}
	return addrText(id.server)
}
