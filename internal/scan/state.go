package scan

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// StateSchema is the name of a saved survey.
const StateSchema = "portreeve.resume/1"

// maxState bounds a saved survey that is read.
const maxState = 1 << 30

// Errors of a saved survey.
var (
	ErrState     = errors.New("this is no saved scan (" + StateSchema + ")")
	ErrStateElse = errors.New("the saved scan is one of other targets, ports or options")
)

// State is a survey as it is saved: what was settled, so that it can go on.
// Request is the caller's own description of what is scanned, kept as it is.
type State struct {
	Schema  string              `json:"schema"`
	Request json.RawMessage     `json:"request"`
	Taken   time.Time           `json:"taken"`
	Seconds float64             `json:"seconds"`
	Stats   exposure.ScanStats  `json:"stats"`
	Gaps    []exposure.Gap      `json:"gaps,omitempty"`
	Found   bool                `json:"found"` // discovery is over
	Up      []exposure.HostScan `json:"up,omitempty"`
	Looked  looking             `json:"looked,omitzero"`
	Greeted netip.AddrPort      `json:"greeted,omitzero"`
	TCP     mark                `json:"tcp_at"`
	UDP     mark                `json:"udp_at"`
	Answers [2]savedLedger      `json:"answers"` // TCP, UDP
	Ended   bool                `json:"ended"`
}

// savedLedger is a ledger as it is saved.
type savedLedger struct {
	Words    [][2]string                 `json:"words,omitempty"`
	Hosts    []savedAccount              `json:"hosts,omitempty"`
	Services map[string]exposure.Service `json:"services,omitempty"`
}

// savedAccount is one host: counts by word, and its lists as 8 bytes an entry.
type savedAccount struct {
	Addr   netip.Addr     `json:"a"`
	Counts []uint32       `json:"c"`
	Lists  [states][]byte `json:"l"`
	Over   [states]bool   `json:"o"`
}

// ReadState reads a saved survey.
func ReadState(r io.Reader) (*State, error) {
	limited := &io.LimitedReader{R: r, N: maxState}
	var s State
	if err := json.NewDecoder(limited).Decode(&s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	if s.Schema != StateSchema {
		return nil, fmt.Errorf("%w: its schema is %.60q", ErrState, s.Schema)
	}
	return &s, nil
}

// save gives the ledger as it is saved.
func (l *ledger) save() savedLedger {
	s := savedLedger{Services: map[string]exposure.Service{}}
	for _, w := range l.words {
		s.Words = append(s.Words, [2]string{string(w.state), w.reason})
	}
	for i := range l.hosts {
		a := &l.hosts[i]
		saved := savedAccount{Addr: a.addr, Counts: slices.Clone(a.counts[:len(l.words)]), Over: a.over}
		for list, entries := range a.lists {
			saved.Lists[list] = packEntries(entries)
		}
		s.Hosts = append(s.Hosts, saved)
	}
	for at, service := range l.services {
		s.Services[at.String()] = *service
	}
	return s
}

func packEntries(entries []entry) []byte {
	b := make([]byte, 0, 8*len(entries))
	for _, e := range entries {
		b = binary.BigEndian.AppendUint16(b, e.port)
		b = append(b, e.word, e.ttl)
		b = binary.BigEndian.AppendUint32(b, e.rtt)
	}
	return b
}

// load restores what save gave.
func (l *ledger) load(s savedLedger) error {
	if len(s.Words) > maxWords {
		return fmt.Errorf("%w: %d kinds of answers", ErrState, len(s.Words))
	}
	for _, w := range s.Words {
		l.words = append(l.words, word{exposure.PortStateName(w[0]), w[1]})
	}
	for _, h := range s.Hosts {
		if len(h.Counts) > len(l.words) {
			return fmt.Errorf("%w: counts of %s", ErrState, h.Addr)
		}
		a := l.account(h.Addr)
		copy(a.counts[:], h.Counts)
		a.over = h.Over
		for list, b := range h.Lists {
			entries, err := unpackEntries(b, len(l.words))
			if err != nil {
				return fmt.Errorf("%w: ports of %s", err, h.Addr)
			}
			a.lists[list] = entries
		}
	}
	for at, service := range s.Services {
		addr, err := netip.ParseAddrPort(at)
		if err != nil {
			return fmt.Errorf("%w: service at %.60q", ErrState, at)
		}
		l.services[addr] = &service
	}
	return nil
}

func unpackEntries(b []byte, words int) ([]entry, error) {
	if len(b)%8 != 0 {
		return nil, ErrState
	}
	var out []entry
	for ; len(b) > 0; b = b[8:] {
		e := entry{port: binary.BigEndian.Uint16(b), word: b[2], ttl: b[3], rtt: binary.BigEndian.Uint32(b[4:])}
		if int(e.word) >= words {
			return nil, ErrState
		}
		out = append(out, e)
	}
	return out, nil
}
