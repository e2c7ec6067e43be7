package scan

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/discover"
)

// looking is how far the search for hosts is. A survey whose state is kept
// looks for them in parts, so that an end at any moment costs no more than
// one; gaps are what the finished parts could not see.
type looking struct {
	Parts uint64         `json:"parts,omitempty"`
	Done  uint64         `json:"done,omitempty"`
	Gaps  []exposure.Gap `json:"gaps,omitempty"`
}

// Size of a part: what about five seconds take, with up to four probes for a
// target. Each part also waits a second for its last answers.
const (
	partSeconds     = 5
	probesPerTarget = 4
	usualRate       = 5000 // of package discover, beyond the link
	smallestPart    = 16
)

// parts is how many parts n targets are cut into at a rate, 0 for the usual.
func parts(n uint64, rate float64) uint64 {
	if rate <= 0 {
		rate = usualRate
	}
	size := max(uint64(rate*partSeconds/probesPerTarget), smallestPart)
	return max((n+size-1)/size, 1)
}

// everyNth is the targets first, first+step, ….
type everyNth struct {
	Targets
	first, step uint64
}

func (e everyNth) Len() uint64 { return (e.Targets.Len() - e.first + e.step - 1) / e.step }
func (e everyNth) At(i uint64) netip.Addr {
	return e.Targets.At(e.first + i*e.step)
}

// look finds which targets are up.
func (v *survey) look(ctx context.Context) error {
	if v.looked.Parts == 0 {
		v.looked.Parts = 1
		if v.o.Save != nil {
			v.looked.Parts = parts(v.o.Targets.Len(), v.slowest())
		}
	}
	v.addGaps(v.looked.Gaps)
	for ; v.looked.Done < v.looked.Parts; v.looked.Done++ {
		if v.looked.Done > 0 {
			v.saveNow()
		}
		part := everyNth{v.o.Targets, v.looked.Done, v.looked.Parts}
		gaps, err := v.lookAt(ctx, part)
		v.addGaps(gaps)
		if err != nil {
			return fmt.Errorf("look for hosts: %w", err)
		}
		if ctx.Err() != nil {
			if left := v.looked.Parts - v.looked.Done - 1; left > 0 {
				v.gap("the scan was interrupted: %d of %d parts of the targets were not asked whether a host is up", left, v.looked.Parts)
			}
			return nil
		}
		v.looked.Gaps = append(v.looked.Gaps, gaps...)
	}
	v.found = true
	return nil
}

// slowest is the rate that was asked for, 0 where none was.
func (v *survey) slowest() float64 {
	if v.o.Pace.Rate > 0 {
		return v.o.Pace.Rate
	}
	return min(v.o.Pace.MaxRate, usualRate)
}

func (v *survey) lookAt(ctx context.Context, part everyNth) ([]exposure.Gap, error) {
	before, all := v.looked.Done*part.Len(), v.o.Targets.Len()
	seen := discover.Options{From: v.o.From, Iface: v.o.Iface, MaxRate: v.o.Pace.MaxRate, Rate: v.o.Pace.Rate,
		Progress: func(done, _ uint64) {
			v.progress(Progress{Stage: StageHosts, Done: min(before+done, all), Total: all})
		}}
	if v.o.Method == Connect {
		seen.Method = discover.Connect
	}
	sum, err := discover.Find(ctx, part, seen, func(_ uint64, h discover.Host) { v.isUp(h) })
	v.addStats(exposure.ScanStats{Sent: sum.Stats.Sent, Received: sum.Stats.Received})
	return sum.Gaps, err
}

func (v *survey) isUp(h discover.Host) {
	e := v.host(h.Addr)
	e.Up, e.Reason, e.MAC = true, h.Reason, h.MAC
	if mac, err := net.ParseMAC(h.MAC); err == nil {
		v.ways.macs[h.Addr] = mac
	}
}
