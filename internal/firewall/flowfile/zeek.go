package flowfile

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// zeekTSV reads Zeek's tab-separated logs: header lines begin with #, name the
// separator and the columns, and may come again where files were put together
// (https://docs.zeek.org/en/master/log-formats.html).
type zeekTSV struct {
	sep     string
	unset   string
	empty   string
	path    string
	fields  []string
	column  map[string]int
	ignored map[string]uint64
	parts   []string
	json    jsonLines
}

func (z *zeekTSV) line(s *reader, b []byte) {
	text := string(b)
	switch {
	case strings.HasPrefix(text, "#"):
		z.header(text)
	case b[0] == '{': // files of both kinds were put together
		z.json.line(s, b)
	case z.column == nil:
		s.problem("a row before the line #fields that names the columns")
	case z.path != "" && z.path != "conn" || z.path == "" && !z.has("conn_state"):
		s.info.Ignored++
		z.count(z.path)
	default:
		z.row(s, text)
	}
}

func (z *zeekTSV) count(path string) {
	if z.ignored == nil {
		z.ignored = map[string]uint64{}
	}
	if len(z.ignored) < 64 {
		z.ignored[path]++
	}
}

func (z *zeekTSV) header(text string) {
	if z.sep == "" {
		z.sep, z.unset, z.empty = "\t", "-", "(empty)"
	}
	if v, ok := strings.CutPrefix(text, "#separator "); ok {
		z.sep, z.unset, z.empty = unescape(v), "-", "(empty)"
		z.path, z.column = "", nil
		if z.sep == "" {
			z.sep = "\t"
		}
		return
	}
	name, v, _ := strings.Cut(text, z.sep)
	switch name {
	case "#unset_field":
		z.unset = v
	case "#empty_field":
		z.empty = v
	case "#path":
		z.path = v
	case "#fields":
		z.fields = strings.Split(v, z.sep)
		z.column = map[string]int{}
		for i, f := range z.fields {
			z.column[f] = i
		}
	}
}

// unescape reads \x09.
func unescape(s string) string {
	if hex, ok := strings.CutPrefix(s, `\x`); ok {
		if v, err := strconv.ParseUint(hex, 16, 8); err == nil {
			return string([]byte{byte(v)})
		}
	}
	return s
}

func (z *zeekTSV) has(name string) bool { _, ok := z.column[name]; return ok }

// get is a column's value, "" where it is unset.
func (z *zeekTSV) get(name string) string {
	i, ok := z.column[name]
	if !ok || i >= len(z.parts) || z.parts[i] == z.unset || z.parts[i] == z.empty {
		return ""
	}
	return z.parts[i]
}

func (z *zeekTSV) row(s *reader, text string) {
	z.parts = strings.Split(text, z.sep)
	if len(z.parts) != len(z.fields) {
		s.problem("%d columns where the header names %d", len(z.parts), len(z.fields))
		return
	}
	c := conn{proto: z.get("proto"), state: z.get("conn_state"), service: z.get("service")}
	var err [4]error
	c.client, err[0] = netip.ParseAddr(z.get("id.orig_h"))
	c.server, err[1] = netip.ParseAddr(z.get("id.resp_h"))
	c.clientPort, err[2] = port(z.get("id.orig_p"))
	c.serverPort, err[3] = port(z.get("id.resp_p"))
	for i, name := range []string{"id.orig_h", "id.resp_h", "id.orig_p", "id.resp_p"} {
		if err[i] != nil {
			s.problem("%s: %.60q", name, z.get(name))
			return
		}
	}
	if c.ts, _ = parseTime(z.get("ts")); c.ts.IsZero() && z.get("ts") != "" {
		s.problem("ts: %.60q is no time", z.get("ts"))
		return
	}
	c.duration, _ = strconv.ParseFloat(z.get("duration"), 64)
	c.counted = z.get("orig_pkts") != "" && z.get("resp_pkts") != ""
	c.packetsToServer, c.packetsToClient = number(z.get("orig_pkts")), number(z.get("resp_pkts"))
	c.bytesToServer, c.bytesToClient = number(z.first("orig_ip_bytes", "orig_bytes")), number(z.first("resp_ip_bytes", "resp_bytes"))
	c.payloadBack = number(z.get("resp_bytes")) > 0
	c.give(s)
}

func (z *zeekTSV) first(names ...string) string {
	for _, n := range names {
		if v := z.get(n); v != "" {
			return v
		}
	}
	return ""
}

func port(s string) (uint16, error) {
	v, err := strconv.ParseUint(s, 10, 16)
	return uint16(v), err
}

// number reads a count, 0 where there is none.
func number(s string) uint64 {
	v, _ := strconv.ParseUint(s, 10, 64)
	return v
}

func (z *zeekTSV) end(s *reader) {
	noteIgnored(s, z.ignored)
	z.json.end(s)
}

func noteIgnored(s *reader, ignored map[string]uint64) {
	for _, path := range slices.Sorted(maps.Keys(ignored)) {
		name := path
		if name == "" {
			name = "no conn"
		}
		s.note("%d rows of Zeek's %s log were left alone: only conn.log tells of flows", ignored[path], name)
	}
}

// conn is a row of Zeek's conn.log.
type conn struct {
	ts                               time.Time
	duration                         float64 // seconds
	client, server                   netip.Addr
	clientPort, serverPort           uint16
	proto, state, service            string
	packetsToServer, packetsToClient uint64
	bytesToServer, bytesToClient     uint64
	counted                          bool // the row has packet counts
	payloadBack                      bool // the server sent payload
}

func (c *conn) give(s *reader) {
	f := exposure.Flow{
		Client: c.client.Unmap(), ClientPort: c.clientPort, Server: c.server.Unmap(), ServerPort: c.serverPort,
		PacketsToServer: c.packetsToServer, PacketsToClient: c.packetsToClient,
		BytesToServer: c.bytesToServer, BytesToClient: c.bytesToClient,
		State: c.state, Service: c.service, First: c.ts, OrientedBy: "zeek",
	}
	var ok bool
	if f.Proto, ok = protoOf(c.proto, f.Server); !ok {
		// Zeek writes unknown_transport: there is no number to tell.
		s.info.Ignored++
		return
	}
	if !c.ts.IsZero() {
		f.Last = c.ts
		if c.duration > 0 && c.duration < 366*86400 {
			f.Last = c.ts.Add(time.Duration(c.duration * float64(time.Second)))
		}
	}
	if !c.counted && c.payloadBack {
		f.PacketsToClient = max(f.PacketsToClient, 1)
	}
	f.Answered = answered(&f)
	s.give(&f)
}

// protoOf takes a name or number of a protocol; icmp to an IPv6 address is
// icmp6.
func protoOf(name string, server netip.Addr) (exposure.Proto, bool) {
	switch name = strings.ToLower(name); name {
	case "icmp", "icmp6", "icmpv6", "ipv6-icmp":
		if server.Is4() {
			return exposure.ICMP, true
		}
		return exposure.ICMP6, true
	case "gre":
		return "47", true
	case "esp":
		return "50", true
	case "igmp":
		return "2", true
	}
	switch p := exposure.Proto(name); p {
	case exposure.TCP, exposure.UDP, exposure.SCTP, exposure.UDPLite, exposure.DCCP:
		return p, true
	}
	n, err := strconv.ParseUint(name, 10, 8)
	return exposure.ProtoByNumber(uint8(n)), err == nil
}

// answered tells by Zeek's conn_state, else by packets, whether the server
// answered (https://docs.zeek.org/en/master/scripts/base/protocols/conn/main.zeek.html).
func answered(f *exposure.Flow) exposure.Answered {
	back := f.PacketsToClient > 0 || f.BytesToClient > 0
	if f.Proto != exposure.TCP {
		return answeredDatagram(f, back)
	}
	switch f.State {
	case "SF", "S1", "S2", "S3", "RSTO", "RSTR":
		return exposure.FlowAnswered
	case "REJ", "RSTRH":
		return exposure.FlowRefused
	case "S0", "SH", "RSTOS0":
		return exposure.FlowUnanswered
	case "OTH", "SHR", "":
		// The beginning was not seen: both directions are what there is to go by.
		if back && f.PacketsToServer+f.BytesToServer > 0 {
			return exposure.FlowAnswered
		}
	}
	if back {
		return exposure.AnswerUnknown
	}
	return exposure.FlowUnanswered
}

func answeredDatagram(f *exposure.Flow, back bool) exposure.Answered {
	switch {
	case back || f.State == "SF":
		return exposure.FlowAnswered
	case f.State == "REJ":
		return exposure.FlowRefused
	}
	return exposure.FlowUnanswered
}

// trimmed is the text without blanks around it.
func trimmed(b []byte) string { return string(bytes.TrimSpace(b)) }
