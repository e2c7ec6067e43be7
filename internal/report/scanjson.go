package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// ScanSchema is the name of the document that ScanJSON writes.
const ScanSchema = "portreeve.scan/1"

// scanPiece is how many bytes of a document are gathered before they are
// written.
const scanPiece = 64 << 10

// ScanJSON writes portreeve.scan/1, host after host: a scan of 65,536 hosts is
// not held twice. host is the name of the machine that asked.
func ScanJSON(w io.Writer, host string, scan *exposure.Scan) error {
	buf := make([]byte, 0, scanPiece+4096)
	buf = appendField(append(buf, '{'), "schema", ScanSchema)
	buf = appendMoment(buf, "taken", scan.Taken)
	buf = appendField(buf, "host", host)
	buf = append(appendGaps(buf, scan.Gaps), "\n\"hosts\":["...)
	for i := range scan.Hosts {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = AppendHostScan(append(buf, '\n'), &scan.Hosts[i])
		if len(buf) < scanPiece {
			continue
		}
		if _, err := w.Write(buf); err != nil {
			return fmt.Errorf("write the scan as JSON: %w", err)
		}
		buf = buf[:0]
	}
	buf = appendNotes(append(buf, "],\n"...), scan.Notes)
	buf = append(appendStats(buf, &scan.Stats), "}\n"...)
	if _, err := w.Write(buf); err != nil {
		return fmt.Errorf("write the scan as JSON: %w", err)
	}
	return nil
}

func appendGaps(dst []byte, gaps []exposure.Gap) []byte {
	dst = append(appendKey(dst, "incomplete"), '[')
	for _, g := range gaps {
		dst = appendField(append(dst, '{'), "view", g.View)
		dst = append(trimLast(appendField(dst, "why", g.Why)), '}', ',')
	}
	return append(closeList(dst), ',')
}

// appendNotes leaves an empty list out.
func appendNotes(dst []byte, notes []string) []byte {
	if len(notes) == 0 {
		return dst
	}
	dst = append(appendKey(dst, "notes"), '[')
	for _, n := range notes {
		dst = append(appendString(dst, n), ',')
	}
	return append(closeList(dst), ',', '\n')
}

func appendStats(dst []byte, s *exposure.ScanStats) []byte {
	dst = append(appendKey(dst, "stats"), '{')
	dst = appendInt(dst, "sent", s.Sent)
	dst = appendInt(dst, "received", s.Received)
	dst = appendFloat(dst, "seconds", s.Seconds)
	dst = append(appendKey(dst, "loss"), '{')
	dst = appendInt(dst, "canary_sent", s.Loss.CanarySent)
	dst = appendInt(dst, "canary_lost", s.Loss.CanaryLost)
	return append(trimLast(appendFloat(dst, "estimate", s.Loss.Estimate)), '}', '}')
}

// AppendHostScan writes one host as the contract's JSON object. It says what
// json.Marshal of the value says (tested), without the cost, and never null.
func AppendHostScan(dst []byte, h *exposure.HostScan) []byte {
	dst = appendAddr(append(dst, '{'), "addr", h.Addr)
	dst = appendField(dst, "name", h.Name)
	dst = appendBool(dst, "up", h.Up)
	dst = appendBool(dst, "everything_answers", h.EverythingAnswers)
	dst = append(appendKey(dst, "ports"), '[')
	for i := range h.Ports {
		dst = append(appendPortState(dst, &h.Ports[i]), ',')
	}
	dst = append(closeList(dst), ',')
	dst = appendStates(dst, h.States)
	dst = appendSaid(dst, "reason", h.Reason)
	dst = appendSaid(dst, "mac", h.MAC)
	if len(h.OS) > 0 {
		dst = appendGuesses(dst, h.OS)
	}
	return append(trimLast(dst), '}')
}

func appendGuesses(dst []byte, os []exposure.OSGuess) []byte {
	dst = append(appendKey(dst, "os"), '[')
	for _, g := range os {
		dst = appendField(append(dst, '{'), "name", g.Name)
		dst = appendInt(dst, "accuracy", int64(g.Accuracy))
		dst = append(trimLast(appendField(dst, "via", g.Via)), '}', ',')
	}
	return append(closeList(dst), ',')
}

func appendPortState(dst []byte, p *exposure.PortState) []byte {
	dst = appendUint(append(dst, '{'), "port", uint64(p.Port))
	dst = appendField(dst, "proto", string(p.Proto))
	dst = appendField(dst, "state", string(p.State))
	dst = appendField(dst, "reason", p.Reason)
	if p.RTTus != 0 {
		dst = appendInt(dst, "rtt_us", p.RTTus)
	}
	if p.TTL != 0 {
		dst = appendUint(dst, "ttl", uint64(p.TTL))
	}
	if p.Service != nil {
		dst = append(appendService(appendKey(dst, "service"), p.Service), ',')
	}
	return append(trimLast(dst), '}')
}

func appendService(dst []byte, s *exposure.Service) []byte {
	dst = appendField(append(dst, '{'), "name", s.Name)
	dst = appendSaid(dst, "product", s.Product)
	dst = appendSaid(dst, "version", s.Version)
	dst = appendSaid(dst, "info", s.Info)
	dst = appendSaid(dst, "cpe", s.CPE)
	if s.TLS {
		dst = appendBool(dst, "tls", true)
	}
	if s.TLSDetail != nil {
		dst = append(appendTLS(appendKey(dst, "tls_detail"), s.TLSDetail), ',')
	}
	dst = appendSaid(dst, "via", s.Via)
	dst = appendSaid(dst, "auth", s.Auth)
	dst = appendSaid(dst, "banner", s.Banner)
	return append(trimLast(dst), '}')
}

func appendTLS(dst []byte, d *exposure.TLSDetail) []byte {
	dst = appendField(append(dst, '{'), "version", d.Version)
	dst = appendSaid(dst, "alpn", d.ALPN)
	if d.StartTLS {
		dst = appendBool(dst, "starttls", true)
	}
	dst = appendSaid(dst, "subject", d.Subject)
	if len(d.Names) > 0 {
		dst = appendStrings(dst, "names", d.Names)
	}
	dst = appendSaid(dst, "issuer", d.Issuer)
	if !d.NotAfter.IsZero() {
		dst = appendMoment(dst, "not_after", d.NotAfter)
	}
	if d.SelfSigned {
		dst = appendBool(dst, "self_signed", true)
	}
	return append(trimLast(dst), '}')
}

// appendStates writes the counts by name; a host has few of them, and the
// names that every scan has are looked up without sorting.
func appendStates(dst []byte, states map[exposure.PortStateName]int) []byte {
	dst = append(appendKey(dst, "states"), '{')
	known := 0
	for _, s := range [...]exposure.PortStateName{exposure.Closed, exposure.Filtered, exposure.Open, exposure.OpenFiltered, exposure.Unfiltered} {
		if n, ok := states[s]; ok {
			known++
			dst = appendInt(dst, string(s), int64(n))
		}
	}
	if known < len(states) {
		dst = appendStrange(dst, states)
	}
	return append(trimLast(dst), '}', ',')
}

// appendStrange writes states that are not of this program's own words (a file
// read may have them).
func appendStrange(dst []byte, states map[exposure.PortStateName]int) []byte {
	var names []exposure.PortStateName
	for s := range states {
		switch s {
		case exposure.Closed, exposure.Filtered, exposure.Open, exposure.OpenFiltered, exposure.Unfiltered:
		default:
			names = append(names, s)
		}
	}
	slices.SortFunc(names, cmp.Compare[exposure.PortStateName])
	for _, s := range names {
		dst = append(appendString(dst, string(s)), ':')
		dst = append(strconv.AppendInt(dst, int64(states[s]), 10), ',')
	}
	return dst
}

// appendSaid writes a field that is left out when it is empty.
func appendSaid(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	return appendField(dst, key, value)
}

func appendInt(dst []byte, key string, n int64) []byte {
	return append(strconv.AppendInt(appendKey(dst, key), n, 10), ',')
}

// appendFloat writes a number; what JSON has no number for is 0.
func appendFloat(dst []byte, key string, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	return append(strconv.AppendFloat(appendKey(dst, key), f, 'g', -1, 64), ',')
}

// appendMoment writes a time in UTC. RFC 3339 has years of four digits: a
// certificate may end later, which is written as the end of the last of them.
func appendMoment(dst []byte, key string, t time.Time) []byte {
	t = t.UTC()
	if y := t.Year(); y > 9999 || y < 0 {
		t = time.Date(min(max(y, 0), 9999), time.December, 31, 23, 59, 59, 0, time.UTC)
	}
	return append(t.AppendFormat(append(appendKey(dst, key), '"'), time.RFC3339Nano), '"', ',')
}

// appendAddr writes an address; the zone of a link-local one is any text.
func appendAddr(dst []byte, key string, a netip.Addr) []byte {
	dst = appendKey(dst, key)
	switch {
	case a.Zone() != "":
		dst = appendString(dst, a.String())
	case a.IsValid():
		dst = append(a.AppendTo(append(dst, '"')), '"')
	default:
		dst = append(dst, `""`...)
	}
	return append(dst, ',')
}
