package scan

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/nmapxml"
)

// Schema is the name of the JSON that ReadVantage reads beside nmap XML.
const Schema = "portreeve.scan/1"

// maxVantage bounds a scan document, which is held in memory while it is
// decoded; nmap XML is a stream with bounds of its own.
const maxVantage = 256 << 20

// Errors of a vantage file.
var (
	ErrVantageFormat = errors.New("this is neither nmap XML (nmap -oX) nor " + Schema + " JSON (portreeve scan --json)")
	ErrVantageSize   = errors.New("this scan document is larger than 256 MiB; make the scan of this host alone")
	ErrVantageValue  = errors.New("this scan document holds a value outside its schema")
)

// ReadVantage reads a scan made elsewhere, told apart by its content. name is
// the vantage's name in what is reported (the file). A scan that did not come
// to its end carries a gap; a file that was cut gives what was read, with the
// error.
func ReadVantage(r io.Reader, name string) (exposure.Scan, error) {
	b := bufio.NewReader(r)
	first, err := firstByte(b)
	if err != nil {
		return exposure.Scan{Vantage: name}, fmt.Errorf("read %s: %w: %w", name, ErrVantageFormat, err)
	}
	var s exposure.Scan
	switch first {
	case '<':
		s, err = readNmap(b)
	case '{':
		s, err = readJSON(b)
	default:
		err = ErrVantageFormat
	}
	s.Vantage = name
	if err != nil {
		return s, fmt.Errorf("read %s: %w", name, err)
	}
	for i := range s.Hosts {
		s.Hosts[i].EverythingAnswers = s.Hosts[i].EverythingAnswers || answersEverywhere(&s.Hosts[i])
	}
	return s, nil
}

// manyOpen is how many open TCP ports no host serves: beyond them, and with
// nearly no other answer, something in between answers for the host.
const manyOpen = 200

// answersEverywhere judges a scan that had no controls of its own.
func answersEverywhere(h *exposure.HostScan) bool {
	open, other := h.States[exposure.Open], 0
	for state, n := range h.States {
		if state != exposure.Open {
			other += n
		}
	}
	for _, p := range h.Ports {
		switch {
		case p.Proto != exposure.TCP:
		case p.State == exposure.Open:
			open++
		default:
			other++
		}
	}
	return open >= manyOpen && other < open/10
}

// firstByte skips a byte order mark and white space and looks at what follows.
func firstByte(b *bufio.Reader) (byte, error) {
	if bom, err := b.Peek(3); err == nil && bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = b.Discard(3)
	}
	for range 1 << 16 {
		c, err := b.ReadByte()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, b.UnreadByte()
		}
	}
	return 0, nil
}

func readNmap(r io.Reader) (exposure.Scan, error) {
	run, err := nmapxml.Parse(r)
	s := exposure.Scan{Taken: run.Taken, Hosts: run.Hosts}
	s.Stats.Seconds = run.Seconds
	if err == nil && !run.Finished {
		why := "the nmap run did not come to its end"
		if run.Failure != "" {
			why += fmt.Sprintf(": %q", run.Failure)
		}
		s.Gaps = append(s.Gaps, exposure.Gap{View: "network", Why: why})
	}
	return s, err
}

// document is portreeve.scan/1.
type document struct {
	Schema string              `json:"schema"`
	Taken  time.Time           `json:"taken"`
	Hosts  []exposure.HostScan `json:"hosts"`
	Stats  exposure.ScanStats  `json:"stats"`
	Gaps   []exposure.Gap      `json:"incomplete"`
	Notes  []string            `json:"notes"`
}

func readJSON(r io.Reader) (exposure.Scan, error) {
	limited := &io.LimitedReader{R: r, N: maxVantage}
	var d document
	decoder := json.NewDecoder(limited)
	if err := decoder.Decode(&d); err != nil {
		if limited.N <= 0 {
			return exposure.Scan{}, ErrVantageSize
		}
		return exposure.Scan{}, fmt.Errorf("%w: %w", ErrVantageFormat, err)
	}
	if d.Schema != Schema {
		return exposure.Scan{}, fmt.Errorf("%w: its schema is %.60q", ErrVantageFormat, d.Schema)
	}
	for i := range d.Hosts {
		if err := checkHost(&d.Hosts[i]); err != nil {
			return exposure.Scan{}, err
		}
	}
	return exposure.Scan{Taken: d.Taken, Hosts: d.Hosts, Stats: d.Stats, Gaps: d.Gaps, Notes: d.Notes}, nil
}

// checkHost completes and checks one host: the JSON leaves the address of a
// port and its RTT as a duration out.
func checkHost(h *exposure.HostScan) error {
	if !h.Addr.IsValid() {
		return fmt.Errorf("%w: a host without address", ErrVantageValue)
	}
	for i := range h.Ports {
		p := &h.Ports[i]
		if !knownState(p.State) {
			return fmt.Errorf("%w: state %.40q of %s port %d", ErrVantageValue, p.State, h.Addr, p.Port)
		}
		if p.Proto == "" || len(p.Proto) > 8 || p.RTTus < 0 || p.RTTus > 1<<40 {
			return fmt.Errorf("%w: %s port %d", ErrVantageValue, h.Addr, p.Port)
		}
		p.Addr = h.Addr
		p.RTT = time.Duration(p.RTTus) * time.Microsecond
	}
	for state, n := range h.States {
		if n < 0 || !knownState(state) {
			return fmt.Errorf("%w: states of %s", ErrVantageValue, h.Addr)
		}
	}
	return nil
}

func knownState(s exposure.PortStateName) bool {
	switch s {
	case exposure.Open, exposure.Closed, exposure.Filtered, exposure.OpenFiltered, exposure.Unfiltered, "closed|filtered":
		return true
	}
	return false
}
