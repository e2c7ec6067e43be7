package watch

import (
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// Remembered is a finding that was told before the program was started anew.
type Remembered struct {
	Finding exposure.Finding `json:"finding"`
	Began   time.Time        `json:"began"`
	Group   string           `json:"group"`
	// The endpoint that was judged; all empty for the host's own findings.
	Proto  exposure.Proto   `json:"proto,omitempty"`
	Addr   exposure.Address `json:"addr,omitzero"`
	Port   uint16           `json:"port,omitempty"`
	NetNS  string           `json:"netns,omitempty"`
	Device string           `json:"device,omitempty"`
}

// Remember is what Resume wants of a verdict.
func Remember(v *Verdict) Remembered {
	p := v.Place
	return Remembered{v.Finding, v.Since, v.Group, p.Proto, p.Addr, p.Port, p.NetNS, p.Device}
}

// Key is the same for the same finding.
func (r *Remembered) Key() string { return r.Group + "/" + findingID(&r.Finding, r.place()) }

func (r *Remembered) place() exposure.Endpoint {
	return exposure.Endpoint{Proto: r.Proto, Addr: r.Addr, Port: r.Port, NetNS: r.NetNS, Device: r.Device}
}

// Resume is told, before Start, what was told already: what still holds is not
// told again, and what does not is told to be over.
func (e *Engine) Resume(list []Remembered) {
	for i := range list {
		m := &list[i]
		at := m.place()
		e.raise(m.Key(), &held{finding: m.Finding, at: at, group: m.Group, stage: told, since: m.Began, began: m.Began,
			change: drift.Change{Kind: drift.Opened, Endpoint: at, At: m.Began}})
	}
}

// orphans judges endpoints of which something was told and nothing is open.
func (e *Engine) orphans(at time.Time) {
	for ep := range e.judged.at {
		if len(e.rows[ep]) == 0 && ep != (exposure.Endpoint{}) {
			e.judge(ep, drift.Change{Kind: drift.Closed, Endpoint: ep, At: at}, listing, at)
		}
	}
}
