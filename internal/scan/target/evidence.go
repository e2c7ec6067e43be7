package target

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/netip"
	"slices"
)

const hintEvidence = "give the output of portreeve host, scan or audit with --json"

// evidence is the addresses that a document names.
type evidence struct {
	schema string
	addrs  []netip.Addr // ordered, once each
}

// lists names, for each schema, the list that holds its hosts.
var lists = map[string]string{
	"portreeve.host/1":  "sockets",
	"portreeve.scan/1":  "hosts",
	"portreeve.audit/1": "endpoints",
}

// row is what a list's elements have in common. The address is text: a
// listing may hold "*" or a host name there.
type row struct {
	Addr string `json:"addr"`
}

// readEvidence reads one document element by element. Its keys may stand in
// any order (jq -S sorts them), so each list is kept until the schema is
// known. limit is how many bytes are read.
func readEvidence(r io.Reader, limit int64) (evidence, *Error) {
	limited := &io.LimitedReader{R: r, N: limit}
	d := decoder{json: json.NewDecoder(limited), found: map[string]*gathered{}}
	err := d.document()
	if err == nil {
		_, err = d.json.Token()
		if err == nil {
			return evidence{}, wrong("give one document a file", "a second JSON value follows the document")
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	switch {
	case limited.N <= 0:
		return evidence{}, wrong("cut it into several files", "the document is larger than %d bytes", limit)
	case err != nil:
		e := wrong(hintEvidence, "it begins like JSON and cannot be read: %v", err)
		e.Err = err
		return evidence{}, e
	}
	return d.evidence()
}

// gathered is the addresses of one list, and its first text that is none.
type gathered struct {
	addrs   map[netip.Addr]struct{}
	text    string
	hasText bool
}

type decoder struct {
	json   *json.Decoder
	schema string
	found  map[string]*gathered
}

// document reads the outer object.
func (d *decoder) document() error {
	if _, err := d.json.Token(); err != nil { // {
		return err
	}
	for d.json.More() {
		key, err := d.json.Token()
		if err != nil {
			return err
		}
		if err := d.value(key); err != nil {
			return err
		}
	}
	_, err := d.json.Token() // }
	return err
}

func (d *decoder) value(key json.Token) error {
	switch key {
	case "schema":
		return d.json.Decode(&d.schema)
	case "sockets", "hosts", "endpoints":
		return d.list(key.(string))
	}
	var skip json.RawMessage
	return d.json.Decode(&skip)
}

// list reads one list; null and what is no list at all count as empty.
func (d *decoder) list(key string) error {
	t, err := d.json.Token()
	if err != nil || t == nil {
		return err
	}
	if t != json.Delim('[') {
		return errNoList
	}
	g := &gathered{addrs: map[netip.Addr]struct{}{}}
	d.found[key] = g
	for d.json.More() {
		var r row
		if err := d.json.Decode(&r); err != nil {
			return err
		}
		if g.take(r.Addr); len(g.addrs) > MaxSpecs {
			return errLongList
		}
	}
	_, err = d.json.Token() // ]
	return err
}

var (
	errNoList   = errors.New("one of its lists of hosts, sockets and endpoints is no list")
	errLongList = errors.New("it names more than 1,048,576 addresses")
)

func (g *gathered) take(text string) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		if !g.hasText {
			g.text, g.hasText = text, true
		}
		return
	}
	g.addrs[a.Unmap()] = struct{}{}
}

// evidence chooses the list that the schema means.
func (d *decoder) evidence() (evidence, *Error) {
	key, ok := lists[d.schema]
	if !ok {
		return evidence{}, wrong(hintEvidence, "its schema %q is none whose hosts can be scanned", short(d.schema))
	}
	out := evidence{schema: d.schema}
	g := d.found[key]
	if g == nil {
		return out, nil
	}
	if d.schema == "portreeve.scan/1" && g.hasText {
		return evidence{}, wrong(hintEvidence, "it has a host with the address %q", short(g.text))
	}
	out.addrs = slices.SortedFunc(maps.Keys(g.addrs), order)
	return out, nil
}

// reachable reports whether an address of a host's own listing leads to it
// from elsewhere.
func (e evidence) reachable(a netip.Addr) bool {
	return e.schema == "portreeve.scan/1" || !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
