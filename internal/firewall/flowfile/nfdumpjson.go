package flowfile

import (
	"encoding/json"
	"net/netip"

	"github.com/portreeve/portreeve/internal/exposure"
)

// nfdumpJSON reads what `nfdump -o json` and `-o json-log` write: an object for
// each direction of a connection (nfdump(1)).
type nfdumpJSON struct{ pairs *pairs }

// nfdumpRow has nfdump's names.
type nfdumpRow struct {
	First     flexTime    `json:"first"`
	Last      flexTime    `json:"last"`
	Received  flexTime    `json:"received"`
	Packets   flexNumber  `json:"in_packets"`
	Bytes     flexNumber  `json:"in_bytes"`
	Back      flexNumber  `json:"out_packets"`
	BytesBack flexNumber  `json:"out_bytes"`
	Proto     *flexNumber `json:"proto"`
	Flags     string      `json:"tcp_flags"`
	SrcPort   flexNumber  `json:"src_port"`
	DstPort   flexNumber  `json:"dst_port"`
	ICMPType  flexNumber  `json:"icmp_type"`
	ICMPCode  flexNumber  `json:"icmp_code"`
	Src4      netip.Addr  `json:"src4_addr"`
	Dst4      netip.Addr  `json:"dst4_addr"`
	Src6      netip.Addr  `json:"src6_addr"`
	Dst6      netip.Addr  `json:"dst6_addr"`
}

func (n *nfdumpJSON) line(s *reader, b []byte) {
	var r nfdumpRow
	if err := json.Unmarshal(b, &r); err != nil {
		s.problem("%s", jsonFault(err))
		return
	}
	if r.Src6.IsValid() || r.Dst6.IsValid() {
		r.Src4, r.Dst4 = r.Src6, r.Dst6
	}
	sport, okS := r.SrcPort.port()
	dport, okD := r.DstPort.port()
	if r.Proto == nil || *r.Proto < 0 || *r.Proto > 255 || !r.Src4.IsValid() || !r.Dst4.IsValid() || !okS || !okD {
		if r.Proto == nil && !r.Src4.IsValid() { // a record of statistics or of an exporter
			s.info.Ignored++
			return
		}
		s.problem("no two addresses with ports and a protocol")
		return
	}
	w := oneWay{tuple: tuple{exposure.ProtoByNumber(uint8(*r.Proto)), r.Src4.Unmap(), r.Dst4.Unmap(), sport, dport},
		packets: r.Packets.count(), bytes: r.Bytes.count(), first: r.First.Time, last: r.Last.Time}
	if w.proto == exposure.ICMP || w.proto == exposure.ICMP6 {
		w.srcPort, w.dstPort = uint16(r.ICMPType.count()), uint16(r.ICMPCode.count())
	}
	w.syn = w.proto == exposure.TCP && onlySYN(r.Flags)
	n.pairs.add(s, w)
	if back := r.Back.count(); back > 0 {
		n.pairs.add(s, oneWay{tuple: w.reversed(), packets: back, bytes: r.BytesBack.count(), first: w.first, last: w.last})
	}
}

func (n *nfdumpJSON) end(s *reader) { n.pairs.end(s) }
