package flowfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// jsonLines reads one JSON object a line: portreeve's or Zeek's, told for each
// line by its keys, so that files may be put together.
type jsonLines struct{ ignored map[string]uint64 }

// ownRow is portreeve's line; exposure.Flow has its other fields.
type ownRow struct {
	exposure.Flow
	FirstText  flexTime   `json:"first"`
	LastText   flexTime   `json:"last"`
	Negotiated string     `json:"negotiated"`
	Refused    flexNumber `json:"refused"`
}

// zeekRow is a row of conn.log, or of another of Zeek's logs. Zeek writes
// id.orig_h; exporters turn the dot into an underline or an object.
type zeekRow struct {
	Path        string      `json:"_path"`
	Stream      string      `json:"@stream"`
	TS          flexTime    `json:"ts"`
	Proto       string      `json:"proto"`
	Service     string      `json:"service"`
	ConnState   string      `json:"conn_state"`
	Duration    flexNumber  `json:"duration"`
	OrigBytes   flexNumber  `json:"orig_bytes"`
	RespBytes   flexNumber  `json:"resp_bytes"`
	OrigPkts    *flexNumber `json:"orig_pkts"`
	RespPkts    *flexNumber `json:"resp_pkts"`
	OrigIPBytes *flexNumber `json:"orig_ip_bytes"`
	RespIPBytes *flexNumber `json:"resp_ip_bytes"`
	zeekIDs
	ID *struct {
		OrigH string     `json:"orig_h"`
		OrigP flexNumber `json:"orig_p"`
		RespH string     `json:"resp_h"`
		RespP flexNumber `json:"resp_p"`
	} `json:"id"`
}

type zeekIDs struct {
	OrigH   string     `json:"id.orig_h"`
	OrigP   flexNumber `json:"id.orig_p"`
	RespH   string     `json:"id.resp_h"`
	RespP   flexNumber `json:"id.resp_p"`
	UnderOH string     `json:"id_orig_h"`
	UnderOP flexNumber `json:"id_orig_p"`
	UnderRH string     `json:"id_resp_h"`
	UnderRP flexNumber `json:"id_resp_p"`
}

// flexNumber is a number, or one written as text; NaN where it is neither.
type flexNumber float64

func (n *flexNumber) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	if s == "null" || s == "" || s == "-" {
		return nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		v = math.NaN()
	}
	*n = flexNumber(v)
	return nil
}

// port is the number as a port.
func (n flexNumber) port() (uint16, bool) {
	if n >= 0 && n <= 65535 && n == flexNumber(uint16(n)) {
		return uint16(n), true
	}
	return 0, false
}

func (n flexNumber) count() uint64 {
	if n >= 0 && n < 1<<63 {
		return uint64(n)
	}
	return 0
}

// flexTime is seconds since 1970 or text of RFC 3339; zero where it is neither.
type flexTime struct{ time.Time }

func (t *flexTime) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	if s == "null" || s == "" {
		return nil
	}
	t.Time, _ = parseTime(s)
	return nil
}

// parseTime reads seconds since 1970 with a fraction, or RFC 3339, also without
// its zone.
func parseTime(s string) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), true
	}
	if t, err := time.Parse("2006-01-02T15:04:05", s); err == nil { // no zone: nfdump's JSON
		return t, true
	}
	whole, frac, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	// What cannot be seconds of the years 1 to 9999 is no time.
	if err != nil || sec < 0 || sec > 253402300799 {
		return time.Time{}, false
	}
	ns, err := strconv.ParseUint((frac + "000000000")[:9], 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(sec, int64(ns)).UTC(), true
}

func (j *jsonLines) line(s *reader, b []byte) {
	b = bytes.TrimSpace(b)
	b = bytes.TrimRight(bytes.TrimPrefix(b, []byte("[")), ",]") // an array, one object a line
	if len(b) == 0 {
		return
	}
	if looksOwn(b) {
		var r ownRow
		if json.Unmarshal(b, &r) == nil && r.Client.IsValid() && r.Server.IsValid() {
			own(s, &r)
			return
		}
	}
	var z zeekRow
	err := json.Unmarshal(b, &z)
	if z.ids() {
		j.zeek(s, &z)
		return
	}
	if z.Stream != "" || z.Path != "" {
		j.ignore(s, z.path())
		return
	}
	var r ownRow
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	switch {
	case err != nil:
		s.problem("%s", jsonFault(err))
	case !r.Client.IsValid() || !r.Server.IsValid():
		s.problem("the object names no two addresses (client and server, or id.orig_h and id.resp_h)")
	default:
		own(s, &r)
	}
}

// looksOwn tells lines that have what ours have, and nothing of Zeek's: they
// need not be read as Zeek's first.
func looksOwn(b []byte) bool {
	return bytes.Contains(b, []byte(`"client"`)) && !bytes.Contains(b, []byte("orig_h")) &&
		!bytes.Contains(b, []byte("_path")) && !bytes.Contains(b, []byte("stream"))
}

func jsonFault(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("column %d: no JSON: %v", syntax.Offset, err)
	}
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return fmt.Sprintf("column %d: %s: a %s is no value here", typ.Offset, typ.Field, typ.Value)
	}
	return err.Error()
}

// ids finds the endpoints however they are written.
func (r *zeekRow) ids() bool {
	switch {
	case r.OrigH != "":
	case r.UnderOH != "":
		r.OrigH, r.OrigP, r.RespH, r.RespP = r.UnderOH, r.UnderOP, r.UnderRH, r.UnderRP
	case r.ID != nil:
		r.OrigH, r.OrigP, r.RespH, r.RespP = r.ID.OrigH, r.ID.OrigP, r.ID.RespH, r.ID.RespP
	}
	return r.OrigH != "" && r.RespH != ""
}

func (r *zeekRow) path() string {
	if r.Path != "" {
		return r.Path
	}
	return r.Stream
}

// own gives a flow in portreeve's form.
func own(s *reader, r *ownRow) {
	f := r.Flow
	f.First, f.Last = r.FirstText.Time, r.LastText.Time
	f.Client, f.Server = f.Client.Unmap(), f.Server.Unmap()
	proto, ok := protoOf(string(f.Proto), f.Server)
	if !ok {
		s.problem("%.40q is no protocol", f.Proto)
		return
	}
	f.Proto = proto
	// The line's service is what the registry calls the port; what was agreed
	// in band is what the traffic was seen to be.
	if r.Negotiated != "" {
		f.Service = r.Negotiated
	}
	if f.Answered == exposure.AnswerUnknown && f.Action == "" {
		if f.Answered = answered(&f); r.Refused > 0 && f.Answered == exposure.FlowUnanswered {
			f.Answered = exposure.FlowRefused
		}
	}
	s.give(&f)
}

func (j *jsonLines) zeek(s *reader, r *zeekRow) {
	path := r.path()
	if path != "conn" && (path != "" || r.ConnState == "") {
		j.ignore(s, path)
		return
	}
	c := conn{ts: r.TS.Time, duration: float64(r.Duration), proto: r.Proto, state: r.ConnState, service: r.Service}
	var okO, okR bool
	c.clientPort, okO = r.OrigP.port()
	c.serverPort, okR = r.RespP.port()
	var errO, errR error
	c.client, errO = netip.ParseAddr(r.OrigH)
	c.server, errR = netip.ParseAddr(r.RespH)
	if !okO || !okR || errO != nil || errR != nil {
		s.problem("addresses or ports that are none: %.60q to %.60q", r.OrigH, r.RespH)
		return
	}
	c.bytesToServer, c.bytesToClient = pick(r.OrigIPBytes, r.OrigBytes), pick(r.RespIPBytes, r.RespBytes)
	c.packetsToServer, c.packetsToClient = pick(r.OrigPkts, 0), pick(r.RespPkts, 0)
	c.counted = r.OrigPkts != nil && r.RespPkts != nil
	c.payloadBack = r.RespBytes > 0
	c.give(s)
}

// pick is the first where it is told.
func pick(first *flexNumber, second flexNumber) uint64 {
	if first != nil {
		return first.count()
	}
	return second.count()
}

func (j *jsonLines) ignore(s *reader, path string) {
	s.info.Ignored++
	if j.ignored == nil {
		j.ignored = map[string]uint64{}
	}
	if len(j.ignored) < 64 {
		j.ignored[path]++
	}
}

func (j *jsonLines) end(s *reader) { noteIgnored(s, j.ignored) }
