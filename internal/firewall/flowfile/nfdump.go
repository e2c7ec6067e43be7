package flowfile

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// nfdump reads what `nfdump -o csv` and `-o fmt:…,…` write: a header that names
// the columns, one record for each direction of a connection. nfdump 1.6 has
// ts, te, sa, da, sp, dp, pr, flg, ipkt, ibyt; 1.7 has firstSeen, lastSeen,
// proto, srcAddr, srcPort, dstAddr, dstPort, packets, bytes, flags
// (nfdump(1), output formats).
type nfdump struct {
	pairs  *pairs
	column map[string]int
	ended  bool
}

// nfdumpNames are the headers' names for what is read here.
var nfdumpNames = map[string]string{
	"ts": "first", "te": "last", "sa": "src", "da": "dst", "sp": "sport", "dp": "dport", "pr": "proto",
	"ipkt": "packets", "ibyt": "bytes", "flg": "flags", "opkt": "packetsback", "obyt": "bytesback",
	"firstseen": "first", "lastseen": "last", "datefirstseen": "first", "srcaddr": "src", "dstaddr": "dst",
	"srcipaddr": "src", "dstipaddr": "dst", "srcport": "sport", "dstport": "dport", "srcpt": "sport", "dstpt": "dport",
	"proto": "proto", "packets": "packets", "inpkt": "packets", "bytes": "bytes", "inbyte": "bytes", "flags": "flags",
	"duration": "duration", "td": "duration",
}

func nfdumpHeader(line []byte) map[string]int {
	col := map[string]int{}
	for i, name := range strings.Split(strings.ToLower(string(line)), ",") {
		name = strings.Trim(strings.ReplaceAll(name, " ", ""), `"`)
		if known := nfdumpNames[name]; known != "" {
			if _, twice := col[known]; !twice {
				col[known] = i
			}
		}
	}
	return col
}

func isNfdumpHeader(line []byte) bool {
	if bytes.Count(line, []byte(",")) < 6 || len(line) > 4096 {
		return false
	}
	col := nfdumpHeader(line)
	for _, need := range []string{"first", "src", "dst", "sport", "dport", "proto"} {
		if _, ok := col[need]; !ok {
			return false
		}
	}
	return true
}

func (n *nfdump) line(s *reader, b []byte) {
	switch {
	case isNfdumpHeader(b):
		n.column, n.ended = nfdumpHeader(b), false
	case trimmed(b) == "Summary": // what follows are totals
		n.ended = true
		s.info.Ignored++
	case n.ended:
		s.info.Ignored++
	case n.column == nil:
		s.problem("a record before the header that names the columns")
	default:
		n.record(s, strings.Split(string(b), ","))
	}
}

func (n *nfdump) get(parts []string, name string) string {
	i, ok := n.column[name]
	if !ok || i >= len(parts) {
		return ""
	}
	return strings.TrimSpace(parts[i])
}

func (n *nfdump) record(s *reader, parts []string) {
	var w oneWay
	var err [4]error
	w.src, err[0] = netip.ParseAddr(n.get(parts, "src"))
	w.dst, err[1] = netip.ParseAddr(n.get(parts, "dst"))
	w.src, w.dst = w.src.Unmap(), w.dst.Unmap()
	w.srcPort, err[2] = port(n.get(parts, "sport"))
	var ok bool
	w.proto, ok = protoOf(n.get(parts, "proto"), w.dst)
	icmp := w.proto == exposure.ICMP || w.proto == exposure.ICMP6
	if dp := n.get(parts, "dport"); icmp {
		w.srcPort, w.dstPort, err[3] = icmpPorts(dp)
	} else {
		w.dstPort, err[3] = port(dp)
	}
	for i, name := range []string{"src", "dst", "sport", "dport"} {
		if err[i] != nil {
			s.problem("%s: %.60q", name, n.get(parts, name))
			return
		}
	}
	if !ok {
		s.problem("proto: %.60q", n.get(parts, "proto"))
		return
	}
	n.counts(&w, parts)
	n.pairs.add(s, w)
	if back := amount(n.get(parts, "packetsback")); back > 0 { // a bidirectional record (-B)
		n.pairs.add(s, oneWay{tuple: w.reversed(), packets: back, bytes: amount(n.get(parts, "bytesback")), first: w.first, last: w.last})
	}
}

// icmpPorts reads nfdump's destination port of ICMP: "8.0", or type*256+code.
func icmpPorts(s string) (typ, code uint16, err error) {
	if t, c, is := strings.Cut(s, "."); is {
		typ, err = port(t)
		if err == nil {
			code, err = port(c)
		}
		return typ, code, err
	}
	v, err := port(s)
	return v >> 8, v & 255, err
}

func (n *nfdump) counts(w *oneWay, parts []string) {
	w.packets, w.bytes = amount(n.get(parts, "packets")), amount(n.get(parts, "bytes"))
	w.first, w.last = nfdumpTime(n.get(parts, "first")), nfdumpTime(n.get(parts, "last"))
	if d, err := strconv.ParseFloat(n.get(parts, "duration"), 64); err == nil && w.last.IsZero() && !w.first.IsZero() && d >= 0 && d < 1e7 {
		w.last = w.first.Add(time.Duration(d * float64(time.Second)))
	}
	w.syn = w.proto == exposure.TCP && onlySYN(n.get(parts, "flags"))
}

// onlySYN: a record sums the flags of its packets. SYN with ACK says nothing of
// who began, SYN alone does.
func onlySYN(flags string) bool { return strings.Contains(flags, "S") && !strings.Contains(flags, "A") }

// amount reads a count, which nfdump may write as "1.2 M" (decimal).
func amount(s string) uint64 {
	scale := 1.0
	for unit, by := range map[string]float64{"K": 1e3, "M": 1e6, "G": 1e9} {
		if rest, ok := strings.CutSuffix(s, unit); ok {
			s, scale = strings.TrimSpace(rest), by
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v < 0 || v*scale >= 1<<63 {
		return 0
	}
	return uint64(v * scale)
}

func nfdumpTime(s string) time.Time {
	if t, err := time.Parse("2006-01-02 15:04:05", s); err == nil {
		return t.UTC()
	}
	if t, ok := parseTime(s); ok {
		return t
	}
	return time.Time{}
}

func (n *nfdump) end(s *reader) { n.pairs.end(s) }
