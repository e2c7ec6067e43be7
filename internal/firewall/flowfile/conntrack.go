package flowfile

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// conntrack reads the kernel's connection tracking as conntrack(8) and
// /proc/net/nf_conntrack write it:
//
//	tcp 6 431999 ESTABLISHED src=… dst=… sport=… dport=… [packets=… bytes=…] src=… … [ASSURED] mark=0 use=1
//	ipv4 2 tcp 6 …                    (-o extended, /proc)
//	[1700000000.5] [NEW] tcp 6 …      (-E, -o timestamp)
//
// The first addresses are the original direction: who began. Events of one
// connection ([NEW], [UPDATE], [DESTROY]) are one flow, given at its end or
// when the file ends.
type conntrack struct {
	open map[tuple]*exposure.Flow
	keys []tuple // in order of their first event
	cut  bool
}

// mostOpen is how many connections of an event stream wait for their end.
const mostOpen = 1 << 16

// tuple is a connection's original direction.
type tuple struct {
	proto            exposure.Proto
	src, dst         netip.Addr
	srcPort, dstPort uint16
}

func newConntrack() *conntrack { return &conntrack{open: map[tuple]*exposure.Flow{}} }

// looksLikeConntrack is sure when two tuples' worth of keys is there.
func looksLikeConntrack(line []byte) bool {
	if !bytes.Contains(line, []byte(" src=")) || !bytes.Contains(line, []byte(" dst=")) {
		return false
	}
	r, ok := parseConntrack(string(line))
	return ok && r.flow.Client.IsValid()
}

// tracked is one line.
type tracked struct {
	flow      exposure.Flow
	event     string // NEW, UPDATE, DESTROY; "" in a listing
	state     string // TCP's
	assured   bool
	unreplied bool
	replies   bool // the reply direction was told
	when      time.Time
}

// parseConntrack reads a line; false when it is none.
func parseConntrack(text string) (r tracked, ok bool) {
	words := strings.Fields(text)
	words = r.front(words)
	if len(words) < 3 {
		return r, false
	}
	// Layer 3 comes first in the extended form: "ipv4 2 tcp 6".
	if (words[0] == "ipv4" || words[0] == "ipv6") && len(words) > 4 {
		words = words[2:]
	}
	n, err := strconv.ParseUint(words[1], 10, 8)
	if err != nil {
		return r, false
	}
	r.flow.Proto = exposure.ProtoByNumber(uint8(n))
	r.words(words[2:])
	return r, r.flow.Client.IsValid() && r.flow.Server.IsValid()
}

// front takes the timestamp and the event.
func (r *tracked) front(words []string) []string {
	for len(words) > 0 && strings.HasPrefix(words[0], "[") {
		w := strings.Trim(words[0], "[]")
		if w == "" && len(words) > 1 { // "[ NEW]"
			words = words[1:]
			w = strings.Trim(words[0], "[]")
		}
		switch w {
		case "NEW", "UPDATE", "DESTROY":
			r.event = w
		default:
			t, ok := parseTime(w)
			if !ok {
				return nil
			}
			r.when = t
		}
		words = words[1:]
	}
	return words
}

func (r *tracked) words(words []string) {
	tuples := 0
	for _, w := range words {
		key, v, is := strings.Cut(w, "=")
		switch {
		case w == "[ASSURED]":
			r.assured = true
		case w == "[UNREPLIED]":
			r.unreplied = true
		case !is && tuples == 0 && w[0] >= 'A' && w[0] <= 'Z':
			r.state = w
		case key == "src":
			tuples++
			r.pair(tuples, key, v)
		case is && tuples > 0:
			r.pair(tuples, key, v)
		}
	}
	r.replies = tuples > 1
}

func (r *tracked) pair(tuples int, key, v string) {
	f := &r.flow
	first := tuples == 1
	switch {
	case key == "src" && first:
		f.Client = addr(v)
	case key == "dst" && first:
		f.Server = addr(v)
	case (key == "sport" || key == "type") && first:
		f.ClientPort = uint16(number(v))
	case (key == "dport") && first:
		f.ServerPort = uint16(number(v))
	case key == "type": // of the reply
		f.ServerPort = uint16(number(v))
	case key == "packets" && first:
		f.PacketsToServer = number(v)
	case key == "bytes" && first:
		f.BytesToServer = number(v)
	case key == "packets":
		f.PacketsToClient = number(v)
	case key == "bytes":
		f.BytesToClient = number(v)
	}
}

func addr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// answered tells what the entry shows. A TCP connection that closed without
// ever being assured was refused: the kernel assures it with the handshake's
// third packet (nf_conntrack_proto_tcp.c).
func (r *tracked) answered() exposure.Answered {
	switch {
	case r.unreplied || !r.replies:
		return exposure.FlowUnanswered
	case r.assured:
		return exposure.FlowAnswered
	case r.flow.Proto != exposure.TCP:
		return exposure.FlowAnswered
	}
	switch r.state {
	case "SYN_SENT", "SYN_SENT2":
		return exposure.FlowUnanswered
	case "CLOSE":
		return exposure.FlowRefused
	case "":
		if r.event == "DESTROY" && r.flow.PacketsToClient == 1 {
			return exposure.FlowRefused
		}
		return exposure.AnswerUnknown
	}
	return exposure.FlowAnswered
}

func (c *conntrack) line(s *reader, b []byte) {
	r, ok := parseConntrack(string(b))
	switch {
	case !ok && bytes.HasPrefix(b, []byte("conntrack v")):
		s.info.Ignored++ // "… flow entries have been shown."
		return
	case !ok:
		s.problem("no entry of the connection tracking table")
		return
	}
	f := &r.flow
	f.Answered, f.OrientedBy = r.answered(), "conntrack"
	f.First, f.Last = r.when, r.when
	if r.event == "" {
		s.give(f)
		return
	}
	c.follow(s, &r)
}

// follow puts the events of a connection together.
func (c *conntrack) follow(s *reader, r *tracked) {
	f := &r.flow
	key := tuple{f.Proto, f.Client, f.Server, f.ClientPort, f.ServerPort}
	old := c.open[key]
	if old != nil && r.event != "NEW" {
		join(old, f)
		s.info.Ignored++
		if r.event == "DESTROY" {
			s.give(old)
			delete(c.open, key)
		}
		return
	}
	if old != nil {
		s.give(old)
		delete(c.open, key)
	}
	if r.event == "DESTROY" {
		s.give(f)
		return
	}
	if len(c.open) >= mostOpen {
		c.cut = true
		c.flush(s)
	}
	kept := *f
	c.open[key] = &kept
	c.keys = append(c.keys, key)
	if len(c.keys) > 4*mostOpen {
		c.compact()
	}
}

// join takes over what a later event knows better.
func join(old, f *exposure.Flow) {
	if better(f.Answered) >= better(old.Answered) {
		old.Answered = f.Answered
	}
	old.PacketsToServer, old.PacketsToClient = max(old.PacketsToServer, f.PacketsToServer), max(old.PacketsToClient, f.PacketsToClient)
	old.BytesToServer, old.BytesToClient = max(old.BytesToServer, f.BytesToServer), max(old.BytesToClient, f.BytesToClient)
	if f.Last.After(old.Last) {
		old.Last = f.Last
	}
}

func better(a exposure.Answered) int {
	switch a {
	case exposure.FlowAnswered:
		return 3
	case exposure.FlowRefused:
		return 2
	case exposure.FlowUnanswered:
		return 1
	}
	return 0
}

// compact forgets keys of connections that were given.
func (c *conntrack) compact() {
	kept := c.keys[:0]
	seen := map[tuple]bool{}
	for _, k := range c.keys {
		if c.open[k] != nil && !seen[k] {
			seen[k] = true
			kept = append(kept, k)
		}
	}
	c.keys = kept
}

func (c *conntrack) flush(s *reader) {
	for _, k := range c.keys {
		if f := c.open[k]; f != nil {
			s.give(f)
			delete(c.open, k)
		}
	}
	c.keys = c.keys[:0]
}

func (c *conntrack) end(s *reader) {
	c.flush(s)
	if c.cut {
		s.note("more than %d connections were open at once: some may be counted twice", mostOpen)
	}
	if s.info.Flows > 0 && s.info.First.IsZero() {
		s.note("the connection table has no times: on which days a connection was seen is not known")
	}
}
