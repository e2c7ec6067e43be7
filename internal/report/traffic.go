package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/inventory"
)

// TrafficSchema is the name of the document that TrafficJSON writes.
const TrafficSchema = "portreeve.traffic/1"

// Traffic is what a traffic table tells: by port or by pair.
type Traffic struct {
	Taken  time.Time
	Host   string // the machine that ran it
	Source string // what was read, in words
	// From and To are the first and the last packet's time; zero: no packet.
	From, To time.Time
	Quality  flow.Quality
	Lost     capture.Stats
	Gaps     []exposure.Gap
	Notes    []string

	Ports []flow.PortRow
	Pairs []flow.PairRow
	// Servers are told with what was heard of them.
	Servers []flow.ServerRow
	Heard   *inventory.Inventory
	// Rest is what rows for which there was no room add up to.
	Rest flow.Counts
	By   string // "port", "pair" or "server": which rows are told
	// Service names a port, "" where it has no name.
	Service func(proto uint8, port uint16) string
}

// TrafficJSON writes portreeve.traffic/1.
func TrafficJSON(w io.Writer, t *Traffic) error {
	buf := appendField([]byte{'{'}, "schema", TrafficSchema)
	buf = appendNanos(buf, "taken", t.Taken.UnixNano())
	buf = appendField(buf, "host", t.Host)
	buf = appendField(buf, "source", t.Source)
	if !t.From.IsZero() {
		buf = appendNanos(buf, "first", t.From.UnixNano())
		buf = appendNanos(buf, "last", t.To.UnixNano())
	}
	buf = append(appendGaps(buf, t.Gaps), '\n')
	buf = appendNotes(buf, t.Notes)
	switch t.By {
	case "pair":
		buf = appendPairRows(buf, t)
	case "server":
		buf = appendServers(buf, t)
	default:
		buf = appendPortRows(buf, t)
	}
	buf = append(appendQuality(append(buf, ',', '\n'), t), "}\n"...)
	if _, err := w.Write(buf); err != nil {
		return fmt.Errorf("write the traffic as JSON: %w", err)
	}
	return nil
}

func appendPortRows(dst []byte, t *Traffic) []byte {
	dst = append(appendKey(dst, "ports"), '[')
	for i := range t.Ports {
		r := &t.Ports[i]
		dst = appendProtoField(append(dst, '\n', '{'), r.Proto)
		dst = appendUint(dst, "port", uint64(r.Port))
		dst = appendField(dst, "service", t.serviceOf(r))
		dst = appendCounts(dst, &r.Counts)
		dst = appendUint(dst, "clients", r.Clients)
		dst = appendUint(dst, "servers", r.Servers)
		if r.AtLeast {
			dst = appendBool(dst, "at_least", true)
		}
		dst = appendSaid(dst, "negotiated", r.Label)
		dst = append(trimLast(dst), '}', ',')
	}
	return closeList(dst)
}

func appendPairRows(dst []byte, t *Traffic) []byte {
	dst = append(appendKey(dst, "pairs"), '[')
	for i := range t.Pairs {
		r := &t.Pairs[i]
		dst = append(dst, '\n', '{')
		dst = appendPacketSide(dst, "client", "", r.Client, 0, false)
		dst = appendPacketSide(dst, "server", "", r.Server, 0, false)
		dst = append(appendKey(dst, "ports"), '[')
		for _, p := range r.Ports {
			dst = append(appendString(dst, portWord(p)), ',')
		}
		dst = append(closeList(dst), ',')
		if r.MorePorts {
			dst = appendBool(dst, "more_ports", true)
		}
		dst = append(trimLast(appendCounts(dst, &r.Counts)), '}', ',')
	}
	return closeList(dst)
}

func portWord(p flow.PortOf) string {
	return string(appendProto(nil, p.Proto)) + "/" + strconv.Itoa(int(p.Port))
}

func appendCounts(dst []byte, c *flow.Counts) []byte {
	dst = appendUint(dst, "packets", c.Packets)
	dst = appendUint(dst, "bytes", c.Bytes)
	dst = appendUint(dst, "packets_to", c.PacketsTo)
	dst = appendUint(dst, "packets_from", c.PacketsFrom)
	dst = appendUint(dst, "bytes_to", c.BytesTo)
	dst = appendUint(dst, "bytes_from", c.BytesFrom)
	dst = appendUint(dst, "flows", c.Flows)
	dst = appendNanos(dst, "first", c.First)
	return appendNanos(dst, "last", c.Last)
}

// appendQuality writes how good the evidence is; dropped is null where the
// source cannot tell.
func appendQuality(dst []byte, t *Traffic) []byte {
	q, g := &t.Quality, flow.Judge(t.Quality, t.Lost)
	dst = append(appendKey(dst, "quality"), '{')
	dst = appendUint(dst, "packets", q.Packets)
	dst = appendUint(dst, "dropped", t.Lost.Dropped+t.Lost.IfDropped)
	dst = appendBool(dst, "dropped_known", t.Lost.Known)
	if t.Lost.Known {
		dst = appendUint(dst, "received", t.Lost.Received)
	}
	dst = appendUint(dst, "truncated", q.Truncated)
	dst = appendUint(dst, "undecoded", q.Undecoded)
	dst = appendUint(dst, "one_sided_flows", q.OneSidedFlows)
	dst = appendUint(dst, "fragments", q.Fragments)
	dst = appendUint(dst, "duplicates", q.Duplicates)
	dst = appendUint(dst, "other", q.Other)
	dst = appendUint(dst, "flows", q.Flows)
	dst = appendUint(dst, "giants", q.Giants)
	dst = appendField(dst, "grade", g.Letter)
	dst = appendStrings(dst, "because", g.Because)
	dst = appendStrings(dst, "means", g.Means)
	return append(trimLast(dst), '}')
}

// serviceOf prefers what was agreed in band over the registry's name.
func (t *Traffic) serviceOf(r *flow.PortRow) string {
	if r.Label != "" {
		return r.Label
	}
	if t.Service == nil {
		return ""
	}
	return t.Service(r.Proto, r.Port)
}

// TrafficText writes the table for people. Without st.Verbose it has the
// mostRows rows with the most bytes.
func TrafficText(w io.Writer, t *Traffic, st Style) error {
	var b strings.Builder
	b.WriteString(strings.Join(wrap(t.answer(), st.Width, 0), "\n") + "\n")
	for _, line := range t.evidence(st) {
		b.WriteString(line + "\n")
	}
	for _, n := range t.Notes {
		b.WriteString(strings.Join(wrap("Note: "+Escape(n), st.Width, 0), "\n") + "\n")
	}
	b.WriteByte('\n')
	cols, rows := t.table()
	left := 0
	if len(rows) > mostRows && !st.Verbose {
		rows, left = rows[:mostRows], len(rows)-mostRows
	}
	if len(rows) > 0 {
		if err := writeTable(&b, st, cols, rows); err != nil {
			return err
		}
	}
	if left > 0 {
		fmt.Fprintf(&b, "and %s more with fewer bytes (-v shows all)\n", amount(left, "row", "rows"))
	}
	if t.Rest.Flows > 0 {
		fmt.Fprintf(&b, "and %s of rows for which there was no room\n", amount(int(t.Rest.Flows), "flow", "flows"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// mostRows is a screen and a half: who needs more asks for all.
const mostRows = 40

// answer is the first line.
func (t *Traffic) answer() string {
	what := count(len(t.Ports), "server port", "server ports")
	switch t.By {
	case "pair":
		what = count(len(t.Pairs), "pair", "pairs")
	case "server":
		what = count(len(t.Servers), "server", "servers")
	}
	s := fmt.Sprintf("%s: %s, %s, in %s, %s", Escape(t.Source), amount(int(t.Quality.Packets), "packet", "packets"), size(t.Quality.Bytes), amount(int(t.Quality.Flows), "flow", "flows"), what)
	if t.From.IsZero() {
		return s + "."
	}
	return s + ", in " + t.To.Sub(t.From).Round(time.Millisecond).String() + "."
}

// Evidence writes what may be wrong with a capture, one line each; nothing
// where nothing is.
func Evidence(w io.Writer, q flow.Quality, lost capture.Stats, st Style) {
	t := Traffic{Quality: q, Lost: lost}
	if g := flow.Judge(q, lost); len(g.Because) > 0 {
		_, _ = io.WriteString(w, strings.Join(t.evidence(st), "\n")+"\n")
	}
}

// amount is count with the thousands set apart.
func amount(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// evidence says how far the table can be trusted, and why.
func (t *Traffic) evidence(st Style) []string {
	g := flow.Judge(t.Quality, t.Lost)
	if len(g.Because) == 0 {
		return []string{"Evidence: " + gradeWord(g.Letter) + ", nothing is missing that shows."}
	}
	out := []string{"Evidence: " + gradeWord(g.Letter) + "."}
	for i, why := range g.Because {
		out = append(out, wrap(why+": "+g.Means[i]+".", st.Width, 2)...)
	}
	return out
}

func gradeWord(letter string) string {
	switch letter {
	case "A":
		return "A (good)"
	case "B":
		return "B (small blemishes)"
	case "C":
		return "C (counts are estimates)"
	case "D":
		return "D (most conclusions are doubtful)"
	}
	return "F (nothing can be concluded)"
}

func (t *Traffic) table() ([]column, [][]string) {
	switch t.By {
	case "pair":
		return t.pairTable()
	case "server":
		return t.serverTable()
	}
	return t.portTable()
}

// named is a port's service, and that it was agreed in band.
func (t *Traffic) named(r *flow.PortRow) string {
	if r.Label != "" {
		return r.Label + " (agreed in band)"
	}
	return t.serviceOf(r)
}

func (t *Traffic) portTable() ([]column, [][]string) {
	cols := []column{{head: "PORT"}, {head: "SERVICE", min: 8}, {head: "PACKETS"}, {head: "BYTES"}, {head: "TO"}, {head: "FROM"}, {head: "CLIENTS"}, {head: "SERVERS"}}
	var rows [][]string
	for i := range t.Ports {
		r := &t.Ports[i]
		more := ""
		if r.AtLeast {
			more = "+"
		}
		rows = append(rows, []string{rowPort(r.Proto, r.Port), dash(Escape(t.named(r))), thousands(int(r.Packets)), size(r.Bytes), size(r.BytesTo), size(r.BytesFrom),
			thousands(int(r.Clients)) + more, thousands(int(r.Servers)) + more})
	}
	return cols, rightAligned(cols, rows, 2)
}

func rowPort(proto uint8, port uint16) string {
	p := string(appendProto(nil, proto))
	if port == 0 && proto != protoICMP && proto != protoICMPv6 {
		if proto == protoTCP || proto == protoUDP {
			return "0/" + p
		}
		return "proto " + p
	}
	if proto == protoICMP || proto == protoICMPv6 {
		return p + " " + strconv.Itoa(int(port))
	}
	return strconv.Itoa(int(port)) + "/" + p
}

func (t *Traffic) pairTable() ([]column, [][]string) {
	cols := []column{{head: "CLIENT", min: 15}, {head: "SERVER", min: 15}, {head: "PORTS", min: 12}, {head: "PACKETS"}, {head: "BYTES"}, {head: "TO"}, {head: "FROM"}}
	var rows [][]string
	for i := range t.Pairs {
		r := &t.Pairs[i]
		rows = append(rows, []string{addrText(r.Client), addrText(r.Server), portWords(r), thousands(int(r.Packets)), size(r.Bytes), size(r.BytesTo), size(r.BytesFrom)})
	}
	return cols, rightAligned(cols, rows, 3)
}

func addrText(a [16]byte) string { return string(appendIPAddr(nil, a)) }

func portWords(r *flow.PairRow) string {
	var words []string
	for _, p := range r.Ports {
		words = append(words, rowPort(p.Proto, p.Port))
	}
	if r.MorePorts {
		words = append(words, "…")
	}
	return strings.Join(words, " ")
}

// rightAligned pads the cells of the columns from the first on, so that
// numbers stand under each other.
func rightAligned(cols []column, rows [][]string, first int) [][]string {
	for c := first; c < len(cols); c++ {
		width := len(cols[c].head)
		for _, r := range rows {
			width = max(width, len(r[c]))
		}
		cols[c].head = strings.Repeat(" ", width-len(cols[c].head)) + cols[c].head
		for _, r := range rows {
			r[c] = strings.Repeat(" ", width-len(r[c])) + r[c]
		}
	}
	return rows
}

// size writes bytes with three digits or so: 999 B, 1.23 MB.
func size(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, unit := float64(n), 0
	for v >= 999.5 && unit < len("kMGTPE") {
		v, unit = v/1000, unit+1
	}
	digits := 2
	if v >= 99.95 {
		digits = 0
	} else if v >= 9.995 {
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " " + "kMGTPE"[unit-1:unit] + "B"
}
