package nmapxml

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Doc is one scan to be written in nmap's formats.
type Doc struct {
	Version string         // of this program, without its name
	Args    string         // the command line
	Scan    *exposure.Scan // gaps make it an unfinished run
	Asked   []Asked        // what was asked of every host
	Start   time.Time      // zero: Scan.Taken
	End     time.Time      // zero: Start and Scan.Stats.Seconds
	Targets uint64         // addresses asked; 0: as many as Scan has hosts
	// Reasons tells why a host's unlisted ports have a state that
	// HostScan.States counts; nil where nobody knows.
	Reasons func(h *exposure.HostScan, state exposure.PortStateName) []Reason
}

// Asked is the ports of one protocol and how they were asked.
type Asked struct {
	Proto exposure.Proto // tcp, udp or sctp
	Type  string         // syn, connect, udp or another scan type of nmap.dtd
	Ports []uint16       // in any order
}

// Reason is how many ports of a state have it for one reason.
type Reason struct {
	Reason string
	Count  int
}

// ErrInexpressible is a run that nmap.dtd has no words for.
var ErrInexpressible = errors.New("nmap's XML has no word for it")

// scanTypes and protocols are the enumerations of nmap.dtd.
const (
	scanTypes = " syn ack bounce connect null xmas window maimon fin udp sctpinit sctpcookieecho ipproto "
	protocols = " tcp udp sctp "
)

func listed(list, word string) bool {
	return word != "" && !strings.Contains(word, " ") && strings.Contains(list, " "+word+" ")
}

func (d *Doc) check() error {
	for _, a := range d.Asked {
		if !listed(scanTypes, a.Type) || !listed(protocols, string(a.Proto)) {
			return fmt.Errorf("write nmap XML: %w: scan type %.20q of protocol %.20q", ErrInexpressible, a.Type, a.Proto)
		}
	}
	return nil
}

func (d *Doc) start() time.Time {
	if d.Start.IsZero() {
		return d.Scan.Taken
	}
	return d.Start
}

func (d *Doc) end() time.Time {
	if d.End.IsZero() && !d.start().IsZero() {
		return d.start().Add(time.Duration(d.Scan.Stats.Seconds * float64(time.Second)))
	}
	return d.End
}

func (d *Doc) seconds() float64 {
	if s := d.Scan.Stats.Seconds; s > 0 || d.End.IsZero() {
		return s
	}
	return d.End.Sub(d.start()).Seconds()
}

// hosts counts the run's addresses: up, and in all.
func (d *Doc) hosts() (up, total uint64) {
	for i := range d.Scan.Hosts {
		if d.Scan.Hosts[i].Up {
			up++
		}
	}
	return up, max(d.Targets, uint64(len(d.Scan.Hosts)))
}

// failure is why the run is not whole; "" if it is.
func (d *Doc) failure() string {
	var why []string
	for _, g := range d.Scan.Gaps {
		if !slices.Contains(why, g.Why) && len(why) < maxWhys {
			why = append(why, g.Why)
		}
	}
	if len(d.Scan.Gaps) > 0 && len(why) == 1 && why[0] == "" {
		return "incomplete"
	}
	return cut(strings.Join(why, "; "))
}

// maxWhys is how many reasons of an unfinished run are written.
const maxWhys = 16

// summary says how much was scanned, as nmap's last line does.
func (d *Doc) summary() string {
	up, total := d.hosts()
	return fmt.Sprintf("%d IP %s (%d %s up) scanned in %.2f seconds", total, plural(total, "address", "addresses"),
		up, plural(up, "host", "hosts"), d.seconds())
}

func plural(n uint64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// stamp is a time as nmap writes it, in UTC.
func stamp(t time.Time) string { return t.UTC().Format(time.ANSIC) }

func epochOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// page gathers bytes and hands them on in pieces; the first error sticks.
type page struct {
	w      io.Writer
	buf    []byte
	counts []stateCount // scratch of unlisted
	err    error
}

// pieceSize is how many bytes are gathered before they are written.
const pieceSize = 64 << 10

func newPage(w io.Writer) *page { return &page{w: w, buf: make([]byte, 0, pieceSize+maxText)} }

// ease writes what was gathered once it is enough.
func (p *page) ease() {
	if len(p.buf) >= pieceSize {
		p.flush()
	}
}

func (p *page) flush() {
	if p.err == nil && len(p.buf) > 0 {
		_, p.err = p.w.Write(p.buf)
	}
	p.buf = p.buf[:0]
}

// close writes the rest.
func (p *page) close(format string) error {
	p.flush()
	if p.err != nil {
		return fmt.Errorf("write %s: %w", format, p.err)
	}
	return nil
}
