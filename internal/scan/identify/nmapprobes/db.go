package nmapprobes

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/portreeve/portreeve/internal/scan/identify/bytepattern"
)

// Bounds on what is read and kept.
const (
	maxFile   = 32 << 20 // bytes of the file
	maxLine   = 64 << 10 // bytes of one line
	maxProbes = 10_000
	maxAnswer = 4 << 10 // bytes of an answer that are looked at
	maxField  = 256     // bytes of each text of a Result
	maxCPE    = 8       // names in a Result
	maxKept   = 4_000   // compiled patterns kept: some 35 MB
	maxTime   = 200 * time.Millisecond
)

// What holds where the file says nothing, and the probe that sends nothing.
const (
	defaultRarity = 5
	defaultWait   = 5 * time.Second
	nullProbe     = "NULL"
)

// DB is a loaded file.
type DB struct {
	probes  []*Probe // in the file's order
	exclude map[string]Ports
	shelf   *bytepattern.Shelf
	time    time.Duration // for one answer

	broken, stopped, hurried atomic.Int64
}

// Probe is one message of the file.
type Probe struct {
	Proto     string // tcp or udp
	Name      string
	Payload   string // bytes to send; empty for NULL
	NoPayload bool   // the file asks not to use it as a payload in port scans
	Ports     Ports  // where it is likely to be answered
	TLSPorts  Ports  // where it is likely to be answered within TLS
	// Wait is how long nmap waits for an answer; WrappedWait is the time
	// within which a connection that closes is taken for tcpwrapped.
	Wait, WrappedWait time.Duration
	Rarity            int
	Fallback          []string // names of probes whose lines serve too

	lines []*line
	chain []*Probe // itself, its fallbacks, NULL
}

// Matches says how many match and softmatch lines the probe has.
func (p *Probe) Matches() int { return len(p.lines) }

// Ports is a list of port ranges, both ends included.
type Ports [][2]uint16

// Has says whether port is in one of the ranges.
func (p Ports) Has(port uint16) bool {
	return slices.ContainsFunc(p, func(r [2]uint16) bool { return r[0] <= port && port <= r[1] })
}

// Excluded says whether the file asks that port be sent nothing (raw printers
// print what they hear).
func (db *DB) Excluded(proto string, port uint16) bool { return db.exclude[proto].Has(port) }

// Probes lists the probes of a protocol that suit a port, in the order in
// which they are worth asking: NULL, those that name the port, then the others
// whose rarity is within intensity (0–9; nmap's own choice is 7). An excluded
// port has none.
func (db *DB) Probes(proto string, port uint16, intensity int) []*Probe {
	return db.suiting(proto, port, intensity, func(p *Probe) bool { return p.Ports.Has(port) })
}

// TLSProbes is Probes for what is asked within a TLS session.
func (db *DB) TLSProbes(port uint16, intensity int) []*Probe {
	return db.suiting("tcp", port, intensity, func(p *Probe) bool { return p.TLSPorts.Has(port) })
}

func (db *DB) suiting(proto string, port uint16, intensity int, named func(*Probe) bool) []*Probe {
	if db.Excluded(proto, port) {
		return nil
	}
	var first, likely, rest []*Probe
	for _, p := range db.probes {
		switch {
		case p.Proto != proto:
		case p.Name == nullProbe:
			first = append(first, p)
		case named(p):
			likely = append(likely, p)
		case p.Rarity <= intensity:
			rest = append(rest, p)
		}
	}
	return slices.Concat(first, likely, rest)
}

// Probe is the probe of that name, or nil.
func (db *DB) Probe(proto, name string) *Probe {
	i := slices.IndexFunc(db.probes, func(p *Probe) bool { return p.Proto == proto && p.Name == name })
	if i < 0 {
		return nil
	}
	return db.probes[i]
}

// Health counts what went wrong since the file was loaded.
type Health struct {
	Lines    int   // match and softmatch lines
	Unusable int64 // lines met that neither engine can run
	Stopped  int64 // patterns stopped because they backtracked too long
	Hurried  int64 // answers given up because their time was used up
}

// Health tells how matching went.
func (db *DB) Health() Health {
	h := Health{Unusable: db.broken.Load(), Stopped: db.stopped.Load(), Hurried: db.hurried.Load()}
	for _, p := range db.probes {
		h.Lines += len(p.lines)
	}
	return h
}

// Check compiles every line and notes those that no engine can run; backtrack
// counts those that need the backtracking engine. It takes about a second.
func (db *DB) Check() (notes []Note, backtrack int) {
	for _, p := range db.probes {
		for _, l := range p.lines {
			heavy, err := l.pattern.Check()
			if err != nil {
				notes = append(notes, Note{Line: l.number, Why: "match " + l.service + ": " + err.Error()})
			}
			if heavy {
				backtrack++
			}
		}
	}
	return notes, backtrack
}
